"""The ingest service as its users meet it: a process, spoken to over HTTP and over bare sockets."""

import asyncio
import base64
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import httpx

from schemas.topics import EVENTS
from services import child, postgres, sealing
from tests.log import everything
from tests.patience import SECONDS, until, wait_until

ROOT = Path(__file__).parents[2]
BATCH = "application/cloudevents-batch+json"
SINGLE = "application/cloudevents+json"
NOW = datetime.now(UTC).replace(microsecond=0)


def key(name: str, secret: str = "s" * 43) -> str:
    return f"upt_{name}_{secret}"


ADMIN = key("adm00001")
ACME = key("acme0001")
ACME_HEADERS = {"authorization": f"Bearer {ACME}"}


async def add_key(
    connection: postgres.Connection,
    text: str,
    *,
    tenant: str | None,
    scopes: Iterable[str] = ("ingest",),
    expires_at: datetime | None = None,
    revoked_at: datetime | None = None,
) -> None:
    """Insert a key as the API stores it: its public part and the SHA-256 of its secret part."""
    _, name, secret = text.split("_", 2)
    await connection.execute(
        "insert into api_key (id, tenant, secret_hash, scopes, expires_at, revoked_at) values ($1, $2, $3, $4, $5, $6)",
        name,
        tenant,
        hashlib.sha256(secret.encode()).digest(),
        list(scopes),
        expires_at,
        revoked_at,
    )


async def add_source(
    connection: postgres.Connection,
    name: str,
    kind: str,
    *secrets: str,
    tenant: str = "acme",
    **options: Any,
) -> None:
    """Insert a source as the API stores it: its secrets sealed."""
    seal = await sealing.seal_of(connection, "")
    await connection.execute(
        "insert into source (id, tenant, kind, secrets, options) values ($1, $2, $3, $4, $5)",
        name,
        tenant,
        kind,
        [seal.close(secret.encode(), f"source/{name}") for secret in secrets],
        options,
    )


def cloud_event(number: int | str = 1, **changes: Any) -> dict[str, Any]:
    """Return a good event with ``changes``; a change to None takes the attribute away."""
    made = {
        "specversion": "1.0",
        "id": f"event-{number}",
        "source": "/crm/acme",
        "type": "crm.record.updated",
        "time": "2026-03-02T09:30:00Z",
        "data": {"user": f"user-{number}", "origin": "ui", "object": "deal", "fields": {"amount": "1200"}},
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


class Ingest:
    """``python -m services.ingest`` on a free port; ``module``: a mutant of it."""

    def __init__(
        self, state: Path, *, kafka: str, database: str, module: str = "services.ingest", **settings: object
    ) -> None:
        self._module = module
        self.port = child.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = state / "ingest.log"
        self._env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "default",
            "UPTAKE_KAFKA": kafka,
            "UPTAKE_DATABASE": database,
            "UPTAKE_STATE_DIR": str(state),
            "UPTAKE_INGEST_PORT": str(self.port),
            **{f"UPTAKE_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, ready: bool = True) -> Self:
        """Start it; returns when it is ready (or, without ``ready``, when it listens)."""
        with self.log_path.open("ab") as log:
            self.process = child.start(
                [sys.executable, "-m", self._module], env=self._env, output=log, at_parents_end=signal.SIGKILL
            )
        wait_until(lambda: self._listens() and (not ready or self.is_ready()))
        return self

    def _listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"ingest ended with {self.process.returncode}:\n{self.log}"
        return child.listening(self.port)

    def is_ready(self) -> bool:
        """Tell whether nothing keeps it from being ready."""
        return self.wrong() == {}

    def wrong(self) -> dict[str, str]:
        """Return what keeps it from being ready."""
        answer = httpx.get(f"{self.url}/readyz")
        assert answer.status_code == (503 if answer.json()["wrong"] else 200)
        return answer.json()["wrong"]

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def metrics(self) -> dict[str, float]:
        """Return its metrics, by name with labels."""
        lines = httpx.get(f"{self.url}/metrics").text.splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}

    def post(self, body: Any, *, headers: Mapping[str, str] | None = None, **options: Any) -> httpx.Response:
        """Post ``body`` (JSON-encoded unless bytes): a list as a batch, else as one event."""
        kind = BATCH if isinstance(body, list) else SINGLE
        content = body if isinstance(body, bytes) else json.dumps(body)
        sent = {"content-type": kind, **ACME_HEADERS, **(headers or {})}
        return httpx.post(f"{self.url}/v1/events", content=content, headers=sent, **options)

    def deliver(self, path: str, body: Any = b"", **options: Any) -> httpx.Response:
        """Deliver ``body`` (JSON-encoded unless bytes) to ``/v1/hooks/`` + ``path`` as a CRM does."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.post(f"{self.url}/v1/hooks/{path}", content=content, **options)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop it as an operator does; return its exit status."""
        assert self.process is not None
        return child.end(self.process, number, seconds=SECONDS)


async def exchange(port: int, *pieces: bytes | float, read_for: float = SECONDS) -> tuple[list[int], bytes, float]:
    """Send ``pieces`` (a number is a pause) on a bare socket; return statuses, all that came back, and seconds taken.

    Reading ends when the other side closes, or after ``read_for`` seconds.
    """
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    got = bytearray()

    async def listen() -> None:
        while part := await reader.read(65536):
            got.extend(part)

    listening = asyncio.create_task(listen())
    try:
        for piece in pieces:
            if isinstance(piece, bytes):
                writer.write(piece)
                await writer.drain()
            else:
                await asyncio.sleep(piece)
            if listening.done():
                break
    except OSError:
        pass  # the service closed first: what it said is read all the same
    try:
        await asyncio.wait_for(listening, read_for)
    except (OSError, TimeoutError):
        pass
    finally:
        writer.transport.abort()
    statuses = [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3})", bytes(got))]
    return statuses, bytes(got), time.monotonic() - began


def head(method: str = "POST", path: str = "/v1/events", version: str = "1.1", host: str = "x", **more: str) -> bytes:
    """Return the head of a request with a good key, without the blank line at its end."""
    lines = [f"{method} {path} HTTP/{version}", *([f"host: {host}"] if host else [])]
    lines += [f"authorization: Bearer {ACME}", f"content-type: {SINGLE}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    return "\r\n".join(lines).encode() + b"\r\n"


async def on_the_log(bootstrap: str, *, at_least: int = 0, containing: bytes = b"") -> list[Any]:
    """Return the records on the events topic that are ``containing`` something, waiting for ``at_least`` of them."""

    async def found() -> list[Any] | None:
        records = [record for record in await everything(bootstrap, EVENTS) if containing in record.value]
        return [records] if len(records) >= at_least else None

    return (await until(found))[0]


def encoded(data: object) -> str:
    """Return ``data`` as ``data_base64``."""
    return base64.b64encode(json.dumps(data).encode()).decode()
