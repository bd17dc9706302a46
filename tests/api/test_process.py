"""The service as a process of its own: ``python -m services.api``."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from services.child import free_port
from tests.patience import SECONDS, wait_until

ROOT = Path(__file__).parents[2]
KEY = "upt_admin_0123456789abcdef"


class Process:
    """One API service on a free port."""

    def __init__(self, database: str, **settings: str) -> None:
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        env = {"PATH": "/usr/bin:/bin", "UPTAKE_DATABASE": database, "UPTAKE_API_PORT": str(port), **settings}
        self.child = subprocess.Popen(
            [sys.executable, "-m", "services.api"], cwd=ROOT, env=env, text=True, stderr=subprocess.PIPE
        )

    def until_ready(self) -> None:
        wait_until(lambda: self._is_well("/readyz"))

    def until_listening(self) -> None:
        wait_until(lambda: self._is_well("/healthz"))

    def _is_well(self, path: str) -> bool:
        assert self.child.poll() is None, f"it ended with {self.child.returncode}"
        try:
            return httpx.get(f"{self.url}{path}").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> tuple[int, str]:
        self.child.send_signal(signal.SIGTERM)
        _, said = self.child.communicate(timeout=SECONDS)
        return self.child.returncode, said


@pytest.fixture
def started() -> Iterator[list[Process]]:
    running: list[Process] = []
    yield running
    for process in running:
        if process.child.poll() is None:
            process.child.kill()
        process.child.communicate()  # closes what it said


def test_it_serves_with_the_given_key_and_ends_cleanly(database: str, started: list[Process]) -> None:
    process = Process(database, UPTAKE_ADMIN_KEY=KEY)
    started.append(process)
    process.until_ready()

    made = httpx.post(f"{process.url}/v1/tenants", json={"id": "acme"}, headers={"Authorization": f"Bearer {KEY}"})
    assert made.status_code == 201
    assert "server" not in made.headers
    headers = {"Authorization": f"Bearer {KEY}", "Uptake-Tenant": "acme"}
    assert httpx.get(f"{process.url}/v1/status?wait=0", headers=headers).json()["settled"] is False

    with httpx.stream("GET", f"{process.url}/v1/alerts/stream", headers=headers) as follower:
        status, said = process.stop()
        assert next(follower.iter_lines()) == "retry: 2000"
    assert status == 0
    assert KEY not in said
    assert all(json.loads(line)["service"] == "api" for line in said.splitlines())


def test_a_generated_key_is_shown_once_and_works(database: str, started: list[Process]) -> None:
    process = Process(database)
    started.append(process)
    process.until_ready()
    again = Process(database)
    started.append(again)
    again.until_ready()

    status, said = process.stop()
    shown = [json.loads(line) for line in said.splitlines() if "upt_" in line]
    assert (status, len(shown)) == (0, 1)
    key = shown[0]["message"].rsplit(" ", 1)[1]
    assert httpx.get(f"{again.url}/v1/tenants", headers={"Authorization": f"Bearer {key}"}).status_code == 200
    assert "upt_" not in again.stop()[1]


def test_a_bad_admin_key_stops_the_start_with_one_line(database: str, started: list[Process]) -> None:
    process = Process(database, UPTAKE_ADMIN_KEY="secret")
    started.append(process)

    _, said = process.child.communicate(timeout=SECONDS)

    assert process.child.returncode == 1
    assert said.strip().startswith("UPTAKE_ADMIN_KEY must look like")
    assert "\n" not in said.strip()


def test_without_postgres_it_waits_and_can_be_stopped(started: list[Process]) -> None:
    process = Process(f"postgresql://uptake@127.0.0.1:{free_port()}/uptake")
    started.append(process)
    process.until_listening()

    status, said = process.stop()
    assert status == 0
    assert "waiting for Postgres" in said
