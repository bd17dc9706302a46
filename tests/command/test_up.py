import asyncio
import contextlib
import os
import signal
import socket
import stat
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from services.supervisor import StartError, retry
from tests.builders import event
from tests.command.conftest import Run
from tests.patience import SECONDS, wait_until
from tests.stack import Stack


def _children(pid: int) -> dict[str, psutil.Process]:
    """The processes under ``pid`` by what they are."""
    found = {}
    for process in psutil.Process(pid).children():
        with contextlib.suppress(psutil.Error, IndexError):  # it ended meanwhile, or is not yet what it becomes
            words = process.cmdline()
            name = words[2].rpartition(".")[2] if words[1] == "-m" else Path(words[0]).name.partition("-")[0]
            found[name] = process
    return found


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error, ProcessLookupError):  # it ends while we look
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _ready(ready: dict[str, Any]) -> bool:
    try:
        return all(httpx.get(f"{ready[name]}/readyz").is_success for name in ("api", "ingest", "aggregator"))
    except httpx.HTTPError:
        return False


def _accepts(ready: dict[str, Any]) -> bool:
    headers = {"authorization": f"Bearer {ready['admin_key']}", "uptake-tenant": "acme"}
    try:
        answer = httpx.post(
            f"{ready['ingest']}/v1/events",
            json=event(),
            headers={**headers, "content-type": "application/cloudevents+json"},
        )
        status = httpx.get(f"{ready['api']}/v1/status", params={"wait": 60}, headers=headers)
    except httpx.HTTPError:
        return False
    return answer.status_code == httpx.codes.ACCEPTED and bool(status.json().get("settled"))


async def test_nobody_waits_for_an_engine_whose_address_nobody_knows() -> None:
    asked = []

    async def ask() -> None:
        asked.append("once")
        await asyncio.open_connection("nobody.invalid", 5432)

    with pytest.raises(StartError, match="it cannot be asked: "):
        await retry("it cannot be asked", ask, (OSError,))
    assert asked == ["once"]


def test_one_line_says_where_everything_is_once_it_is_ready(running: Stack) -> None:
    assert list(running.ready) == ["ready", "api", "ingest", "aggregator", "kafka", "database", "admin_key"]
    assert running.ready["ready"] is True
    assert _ready(running.ready)
    assert _accepts(running.ready)


def test_the_admin_key_is_kept_for_its_owner_only(running: Stack) -> None:
    kept = running.state / "admin.key"

    assert kept.read_text().strip() == running.ready["admin_key"]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_what_embedded_does_not_promise_is_said(running: Stack) -> None:
    assert "keeps its log in memory" in running.log


@pytest.mark.faults
@pytest.mark.parametrize("name", ["ingest", "aggregator", "api", "tansu", "postgres"])
def test_what_dies_is_started_again_and_all_goes_on(running: Stack, name: str) -> None:
    before = _children(running.pid)[name]

    before.kill()

    wait_until(lambda: (now := _children(running.pid).get(name)) is not None and now.pid != before.pid)
    wait_until(lambda: _accepts(running.ready))


def test_a_data_directory_serves_one_at_a_time(running: Stack, uptake: Run) -> None:
    ports = [part for name in ("api", "ingest", "aggregator", "notifier") for part in (f"--{name}-port", 0)]
    second = uptake("up", "--data-dir", running.state, *ports)

    assert second.returncode == 1
    assert second.stderr.splitlines()[-1] == (
        f"uptake: {running.state} is in use by another uptake: choose another --data-dir"
    )


def test_a_port_that_is_taken_is_named(uptake: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = uptake("up", "--data-dir", tmp_path, "--api-port", port)

    assert done.returncode == 1
    assert done.stderr == f"uptake: port {port} is taken: choose another with --api-port (0: any free one)\n"


@pytest.mark.faults
def test_a_stopped_stack_comes_back_with_its_data_and_a_killed_one_leaves_no_orphans(stack: Stack) -> None:
    first = stack.start(aggregators=2)
    family = psutil.Process(stack.pid).children(recursive=True)

    assert stack.stop(signal.SIGINT) == 0
    assert not psutil.wait_procs(family, timeout=SECONDS)[1]

    again = stack.start()
    assert again["admin_key"] == first["admin_key"]

    family = psutil.Process(stack.pid).children(recursive=True)

    os.kill(stack.pid, signal.SIGKILL)

    wait_until(lambda: not any(map(_lives, family)))


def test_services_use_the_engines_that_are_named_and_the_key_that_is_given(
    stack: Stack, tansu: Any, database: str
) -> None:
    key = "upt_me_0123456789abcdef"

    ready = stack.start(kafka=tansu.address, database=database, admin_key=key, session_ms=3000)  # Tansu waits for half

    assert (ready["kafka"], ready["database"], ready["admin_key"]) == (tansu.address, database, key)
    assert {"tansu", "postgres"}.isdisjoint(_children(stack.pid))
    assert httpx.get(f"{ready['api']}/v1/keys", headers={"authorization": f"Bearer {key}"}).is_success
    assert stack.stop() == 0  # while the engines are there
