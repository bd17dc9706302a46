"""The notifier as a process: it wakes at a change, shows what it does, and leaves when it is told to."""

import asyncio
import base64
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from services.child import free_port
from services.postgres import Pool
from tests.builders import add_tenant
from tests.egress.receiver import Receiver
from tests.notifier.desk import KEY, alert, change, key, subscribe
from tests.patience import SECONDS, until

ROOT = Path(__file__).parents[2]

SLEEPY = """
from services.cli import main
from services.notifier.bell import Bell
Bell.__init__.__defaults__ = (3600.0,)
main()
"""
"""The command of one that looks by itself once an hour: at a change it must be woken."""


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
    command = [sys.executable, "-c", SLEEPY, "notifier"]
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
            for number in range(3):
                await change(connection, "opened", alert(f"a{number}"))
                await connection.execute("notify uptake_alerts, 'acme'")
                await until(lambda number=number: len(receiver.came) > number)  # type: ignore[misc]
        await until(shown)

    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, SECONDS) == 0
