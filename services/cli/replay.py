"""``uptake replay``: posts files of NDJSON CloudEvents to ingest. Repeating it changes nothing.

A batch that is refused for now (429, 503, a broken connection) is sent again as it is; one that is malformed is
halved until the bad line stands alone, so a bad line never costs its neighbours.
"""

import asyncio
import contextlib
import gzip
import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Annotated, Final, cast

import httpx
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from services.cli.calls import CallError, Key, Patience, Tenant, headers, refusal
from services.settings import load

BATCH_BYTES: Final = 4 << 20
GZIP: Final = b"\x1f\x8b"
SPLIT: Final = frozenset({400, 413})
SHOWN: Final = 5


@dataclass
class Outcome:
    """What has come of the lines so far."""

    sent: int = 0
    accepted: int = 0
    rejected: int = 0
    reasons: list[str] = field(default_factory=list)

    def take(self, sent: int, accepted: int, reasons: list[str]) -> None:
        """Count an answered batch."""
        self.sent += sent
        self.accepted += accepted
        self.rejected += sent - accepted
        self.reasons += reasons[: SHOWN - len(self.reasons)]


def replay(
    files: Annotated[list[str], typer.Argument(help="NDJSON, plain or .gz; - is stdin.")],
    url: Annotated[str, typer.Option(help="The ingest service [default: the one of the settings].")] = "",
    key: Key = "",
    tenant: Tenant = "",
    batch: Annotated[int, typer.Option(min=1, max=2500, help="Events in a request.")] = 500,
    rate: Annotated[float, typer.Option(min=0, help="Events a second; 0: as fast as it goes.")] = 0,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Requests at once.")] = 4,
) -> None:
    """Post events. Prints {"sent", "accepted", "rejected", "seconds"}; some of the rejected are named (exit 1)."""
    settings = load()
    base = (url or f"http://{settings.host}:{settings.ingest_port}").rstrip("/")
    for name in files:
        if name != "-" and not Path(name).is_file():
            raise CallError(f"{name}: no such file")
    since = time.monotonic()
    with _progress(files) as advance:
        sending = _Sending(f"{base}/v1/events", headers(key, tenant), rate, advance)
        asyncio.run(sending.all(_batches(files, batch), concurrency))
    outcome = sending.outcome
    for reason in outcome.reasons:
        typer.echo(f"rejected {reason}", err=True)
    seconds = round(time.monotonic() - since, 3)
    typer.echo(
        json.dumps(
            {"sent": outcome.sent, "accepted": outcome.accepted, "rejected": outcome.rejected, "seconds": seconds}
        )
    )
    if outcome.rejected:
        raise CallError(f"{outcome.rejected} of {outcome.sent} events were rejected")


class _Sending:
    def __init__(self, url: str, auth: dict[str, str], rate: float, advance: Callable[[int], None]) -> None:
        self.outcome = Outcome()
        self._url = url
        self._headers = {**auth, "content-type": "application/cloudevents-batch+json"}
        self._rate = rate
        self._advance = advance
        self._patience = Patience()

    async def all(self, batches: Iterator[list[bytes]], concurrency: int) -> None:
        """Send every batch, ``concurrency`` at a time."""
        limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
        async with httpx.AsyncClient(timeout=60, limits=limits, headers=self._headers) as client:
            paced = self._paced(batches)
            workers = [asyncio.create_task(self._work(client, paced)) for _ in range(concurrency)]
            try:
                await asyncio.gather(*workers)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self, client: httpx.AsyncClient, batches: "_Paced") -> None:
        while (lines := await batches.take()) is not None:
            await self._send(client, lines)
            self._advance(len(lines))

    def _paced(self, batches: Iterator[list[bytes]]) -> "_Paced":
        return _Paced(batches, self._rate)

    async def _send(self, client: httpx.AsyncClient, lines: list[bytes]) -> None:
        response = await self._post(client, b"[" + b",".join(lines) + b"]")
        if response.status_code in {202, 422}:
            answer = response.json()
            refused = answer["rejected"][:SHOWN]
            reasons = [f"{it['id'] or it['index']}: {it['pointer']} {it['reason']}" for it in refused]
            self.outcome.take(len(lines), answer["accepted"], reasons)
        elif response.status_code not in SPLIT:
            raise refusal(response)
        elif len(lines) > 1:
            half = len(lines) // 2
            await self._send(client, lines[:half])
            await self._send(client, lines[half:])
        else:
            self.outcome.take(1, 0, [f"{lines[0][:80].decode(errors='replace')}: {refusal(response)}"])

    async def _post(self, client: httpx.AsyncClient, body: bytes) -> httpx.Response:
        attempts = self._patience.begin(self._url)
        while True:
            try:
                response = await client.post(self._url, content=body)
            except httpx.TransportError as error:
                pause = attempts.pause_after(error)
            else:
                pause = attempts.pause_after(response)
            if pause is None:
                return response
            await asyncio.sleep(pause)


class _Paced:
    """Hands out batches, not faster than ``rate`` events a second (0: no limit)."""

    def __init__(self, batches: Iterator[list[bytes]], rate: float) -> None:
        self._batches = batches
        self._rate = rate
        self._next = 0.0
        self._turn = asyncio.Lock()

    async def take(self) -> list[bytes] | None:
        """Return the next batch when it is due; None when there is no more."""
        async with self._turn:
            lines = next(self._batches, None)
            if lines is not None and self._rate:
                now = time.monotonic()
                await asyncio.sleep(self._next - now)
                self._next = max(self._next, now) + len(lines) / self._rate
            return lines


def _batches(files: list[str], size: int) -> Iterator[list[bytes]]:
    lines: list[bytes] = []
    held = 0
    for line in _lines(files):
        if lines and (len(lines) == size or held + len(line) > BATCH_BYTES):
            yield lines
            lines, held = [], 0
        lines.append(line)
        held += len(line) + 1
    if lines:
        yield lines


def _lines(files: list[str]) -> Iterator[bytes]:
    for name in files:
        with opened(name) as source:
            try:
                for line in source:
                    if stripped := line.strip():
                        yield stripped
            except (EOFError, gzip.BadGzipFile, ValueError) as error:
                raise CallError(f"{name}: {error}") from error


@contextlib.contextmanager
def opened(name: str) -> Iterator[IO[bytes]]:
    """Open a file, or standard input; what begins as gzip does is unpacked, whatever it is called."""
    with contextlib.ExitStack() as stack:
        source: IO[bytes] = sys.stdin.buffer if name == "-" else stack.enter_context(Path(name).open("rb"))
        if isinstance(source, io.BufferedReader) and source.peek(2).startswith(GZIP):
            source = cast("IO[bytes]", stack.enter_context(gzip.GzipFile(fileobj=source)))
        yield source


@contextlib.contextmanager
def _progress(files: list[str]) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal; its end is known when every file can be counted first."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (TextColumn("replay"), BarColumn(), TaskProgressColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        total = None if "-" in files else sum(1 for _ in _lines(files))
        task = progress.add_task("replay", total=total)
        yield lambda count: progress.advance(task, count)
