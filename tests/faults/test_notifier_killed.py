"""Two notifiers on one database, one of them killed again and again at any moment, amid a receiver that also fails.

Afterwards every change was told, under one id each; what came twice had the same id; of each alert all came in order.
"""

import asyncio
import base64
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from services.child import free_port
from services.notifier.domain.shape import message_id
from services.postgres import Connection, Pool
from tests.builders import add_tenant
from tests.counts import say
from tests.egress.receiver import Came, Receiver, Reply
from tests.notifier.desk import KEY, alert, change, key, subscribe
from tests.patience import until

pytestmark = pytest.mark.faults

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("NOTIFIER_KILLS", "10"))
ALERTS_A_KILL = 12


class Pair:
    """Two notifiers as processes; none outlives the test."""

    def __init__(self, database: str, diary: Path) -> None:
        self._diary = diary
        self._env = {
            "PATH": os.environ["PATH"],
            "UPTAKE_DATABASE": database,
            "UPTAKE_KAFKA": "127.0.0.1:1",
            "UPTAKE_SEAL_KEY": base64.b64encode(KEY).decode(),
            "UPTAKE_DELIVERY_NETWORKS": "127.0.0.0/8",
            "UPTAKE_DELIVERY_SECONDS": "1",
        }
        self.processes = [self._start(), self._start()]

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "services.notifier"]
        env = {**self._env, "UPTAKE_NOTIFIER_PORT": str(free_port())}
        with self._diary.open("ab") as diary:
            return subprocess.Popen(command, cwd=ROOT, env=env, stdout=diary, stderr=diary)

    def kill(self, number: int) -> None:
        """Kill one of them, and start another in its place."""
        self.processes[number].kill()
        self.processes[number].wait()
        self.processes[number] = self._start()

    def end(self) -> None:
        """Kill both."""
        for process in self.processes:
            process.kill()
            process.wait()


class Moody(Receiver):
    """A receiver that fails now and then, and hangs up on others after it has taken what they brought."""

    dice = random.Random(20)

    def reply(self) -> Reply:
        thrown = self.dice.random()
        return Reply(503) if thrown < 0.03 else Reply(cut=True) if thrown < 0.06 else Reply(after=thrown / 10)


@pytest.fixture
def pair(database: str, tmp_path: Path) -> Iterator[Pair]:
    made = Pair(database, tmp_path / "diary")
    yield made
    made.end()


async def test_whenever_notifiers_are_killed_each_change_is_told_under_one_id(pool: Pool, pair: Pair) -> None:
    dice = random.Random(7)
    async with pool.acquire() as connection, Moody() as receiver:
        await add_tenant(connection, clock="wall", min_group=1)
        await key(connection)
        await subscribe(connection, "ops", receiver.url)
        for kill in range(KILLS):
            for number in range(ALERTS_A_KILL):
                opened = await change(connection, "opened", alert(f"a{kill}-{number}"))
                await change(connection, "resolved", opened)
            seen = len(receiver.came)
            await until(lambda seen=seen: len(receiver.came) >= seen + 3)  # type: ignore[misc]
            await asyncio.sleep(dice.random() * 0.3)
            pair.kill(kill % 2)
        await until(lambda: _done(connection))
        rows = await connection.fetch("select seq, alert from alert_change order by seq")
        states = Counter(row[0] for row in await connection.fetch("select state from delivery"))
        lost = await connection.fetchval("select count(*) from delivery_attempt where outcome = 'unknown'")

    wanted = {message_id("acme", "ops", "", "change", [row["alert"]], [row["seq"]]) for row in rows}
    came = Counter(each.headers["webhook-id"] for each in receiver.came)
    copies = sum(came.values()) - len(came)
    say(f"{KILLS} kills, {len(rows)} changes: {len(came)} ids came, {copies} came again, {lost} attempts lost")
    assert states == {"delivered": len(rows)}
    assert set(came) == wanted
    assert _in_order(receiver.came)


async def _done(connection: Connection) -> bool:
    """Tell whether every change is told. Pauses that grow with each failure are cut short."""
    await connection.execute("update delivery set due_at = now() where state = 'waiting' and due_at > now()")
    left = await connection.fetchval(
        """select (select count(*) from delivery where state <> 'delivered')
             + (select count(*) from alert_change c join subscription s on c.seq > s.cursor)"""
    )
    return bool(left == 0)


def _in_order(came: list[Came]) -> bool:
    """Tell whether who drops what he has already gets the changes of each alert in their order."""
    first = {each.headers["webhook-id"]: msgspec.json.decode(each.body)["data"] for each in reversed(came)}
    told: dict[str, list[int]] = {}
    for each in reversed(first.values()):
        told.setdefault(each["alert"]["id"], []).append(each["seq"])
    return all(seqs == sorted(seqs) for seqs in told.values())
