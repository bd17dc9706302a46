"""What a notifier does while Postgres is there and lets nobody in: it waits, and none of its parts ends."""

import asyncio
from datetime import timedelta

import pytest

from services import postgres
from services.notifier import keeping
from services.notifier.bell import Bell, ring_at_changes
from services.notifier.domain.shape import Outcome, Sending
from services.notifier.keeping import keep
from services.notifier.refreshing import refresh
from tests.databases import Databases
from tests.notifier.desk import SEAL, Clock, Desk
from tests.patience import until

SHUT = "is not currently accepting connections"
WAITING = (
    "the planner waits",
    "the sender waits",
    "the bell waits",
    "what waits could not be counted",
    "open alerts could not be read",
)
LOST = "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'uptake-notifier%'"


async def _unsent(_sending: Sending) -> Outcome:
    raise AssertionError("there is nothing to send")


async def test_a_notifier_that_is_not_let_in_any_more_waits_until_it_is(
    database: str, databases: Databases, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "EVERY_SECONDS", 0.1)
    caplog.set_level("DEBUG", "services.notifier")
    name, stop = database.rpartition("/")[2], asyncio.Event()
    pool = await postgres.connect_pool(database, name="uptake-notifier")
    desk = Desk(pool, Clock())
    parts = (
        desk.planner.run(stop, Bell()),
        desk.sender.run(stop, Bell()),
        keep(pool, desk.clock, desk.instruments, timedelta(days=9), stop),
        refresh(pool, SEAL, _unsent, desk.clock, stop, every=timedelta(seconds=0.1)),
        ring_at_changes(database, (), stop),
    )
    work = [asyncio.create_task(part) for part in parts]

    def all_wait() -> bool:
        assert [task for task in work if task.done()] == []
        return all(any(words in it and SHUT in it for it in caplog.messages) for words in WAITING)

    await until(lambda: desk.planner.healthy)
    await databases.run(f"alter database {name} allow_connections false")
    await databases.run(LOST)
    await until(all_wait)
    await databases.run(f"alter database {name} allow_connections true")
    await until(lambda: desk.planner.healthy)
    stop.set()
    await asyncio.gather(*work)
    await postgres.close_pool(pool)
