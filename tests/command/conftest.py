import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.embedded import fresh_directory
from tests.builders import event
from tests.stack import ROOT, Stack

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="package")
def running() -> Iterator[Stack]:
    """The whole product on embedded engines, with the tenant acme."""
    stack = Stack(fresh_directory())
    ready = stack.start()
    answer = httpx.post(f"{ready['api']}/v1/tenants", json={"id": "acme", "clock": "event"}, headers=_auth(ready))
    assert answer.status_code == httpx.codes.CREATED, answer.text
    yield stack
    stack.remove()


def _auth(ready: dict[str, Any]) -> dict[str, str]:
    return {"authorization": f"Bearer {ready['admin_key']}"}


@pytest.fixture
def uptake() -> Run:
    """Run the command: ``uptake("replay", file, …, input=…, **settings)``."""

    def run(*arguments: object, text: str | None = None, **settings: object) -> subprocess.CompletedProcess[str]:
        env = {"PATH": "/usr/bin:/bin", "HOME": str(Path.home())}
        env |= {f"UPTAKE_{name.upper()}": str(value) for name, value in settings.items()}
        command = [sys.executable, "-m", "services.cli", *(str(part) for part in arguments)]
        return subprocess.run(command, cwd=ROOT, env=env, input=text, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def events_file(tmp_path: Path) -> Callable[..., Path]:
    """Write a file of events: ``events_file(count, name="x.ndjson.gz", extra=[lines])``."""

    def write(count: int, *, name: str = "events.ndjson", extra: tuple[str, ...] = ()) -> Path:
        lines = [json.dumps(event(user=f"u{n % 7}", id=f"{name}-{n}")) for n in range(count)]
        for place, line in enumerate(extra):
            lines.insert(place * 3 + 1, line)
        path = tmp_path / name
        data = ("\n".join(lines) + "\n\n").encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write
