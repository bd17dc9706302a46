"""The notifier as a process: it wakes at a change, shows what it does, and leaves when it is told to."""

import asyncio
import base64
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from services.child import free_port
from services.postgres import Pool
from tests.builders import add_tenant
from tests.crew import until
from tests.egress.receiver import Receiver
from tests.notifier.desk import KEY, alert, change, key, subscribe

ROOT = Path(__file__).parents[2]


@pytest.fixture
def notifier(database: str, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    port = free_port()
    env = {
        "PATH": os.environ["PATH"],
        "UPTAKE_DATABASE": database,
        "UPTAKE_KAFKA": "127.0.0.1:1",
        "UPTAKE_SEAL_KEY": base64.b64encode(KEY).decode(),
        "UPTAKE_DELIVERY_NETWORKS": "127.0.0.0/8",
        "UPTAKE_NOTIFIER_PORT": str(port),
    }
    command = [sys.executable, "-m", "services.cli", "notifier"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
    yield process, f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()


async def test_it_wakes_at_a_change_shows_what_it_does_and_leaves(
    pool: Pool, notifier: tuple[subprocess.Popen[bytes], str]
) -> None:
    process, url = notifier
    async with Receiver() as receiver, httpx.AsyncClient(base_url=url, trust_env=False) as probes:

        async def ready() -> bool:
            try:
                return (await probes.get("/readyz")).is_success
            except httpx.TransportError:
                return False

        async def shown() -> bool:
            told = (await probes.get("/metrics")).text
            return 'uptake_deliveries_total{kind="webhook",outcome="delivered"} 3.0' in told

        async with pool.acquire() as connection:
            await add_tenant(connection, clock="wall", min_group=1)
            await key(connection)
            await subscribe(connection, "ops", receiver.url)
            await until(ready)
            waits = []
            for number in range(3):
                await asyncio.sleep(0.1)
                started = time.monotonic()
                await change(connection, "opened", alert(f"a{number}"))
                await connection.execute("notify uptake_alerts, 'acme'")
                await until(lambda number=number: _came(receiver, number + 1))  # type: ignore[misc]
                waits.append(time.monotonic() - started)
        await until(shown)

    assert min(waits) < 0.5  # it does not wait for its second
    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 60) == 0


async def _came(receiver: Receiver, number: int) -> bool:
    return len(receiver.came) >= number
