"""A notifier that is told to stop waits a while for receivers, and gives back what takes longer."""

import asyncio

import pytest

from services.notifier import sender
from services.notifier.bell import Bell
from services.postgres import Pool
from tests.builders import add_tenant
from tests.egress.receiver import Receiver, Reply
from tests.notifier.desk import Clock, Desk, alert, change, key, subscribe
from tests.patience import SECONDS, until


@pytest.mark.parametrize(
    "after", [0.2, 3600], ids=["an answer in time is waited for", "what takes longer is given back"]
)
async def test_whoever_stops_leaves_nothing_that_others_must_wait_for(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, after: float
) -> None:
    monkeypatch.setattr(sender, "PARTING_SECONDS", SECONDS if after < 1 else 0.01)
    first, second, stop = Desk(pool, Clock(), seconds=7200), Desk(pool, Clock()), asyncio.Event()
    async with Receiver() as receiver, pool.acquire() as connection:
        receiver.replies = [Reply(after=after)]
        await add_tenant(connection, clock="wall", min_group=1)
        await key(connection)
        await subscribe(connection, "ops", receiver.url)
        await change(connection, "opened", alert("a1"))
        await first.plan()
        sending = asyncio.create_task(first.sender.run(stop, Bell()))
        await until(lambda: receiver.came)
        stop.set()
        await sending
        left = await connection.fetchval("select count(*) from delivery where state = 'waiting' and lease is null")
        again = await second.work()

    assert left == again == (0 if after < 1 else 1)
    assert len({came.headers["webhook-id"] for came in receiver.came}) == 1
    assert await pool.fetchval("select state from delivery") == "delivered"
