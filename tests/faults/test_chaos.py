"""Every kind of fault in random order: consumers killed, frozen and replaced, Postgres killed, the broker frozen.

Meanwhile events, copies and directory changes keep coming. Afterwards every window equals brute force.
"""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.events import encode
from services import installation, postgres
from services.embedded import Postgres
from services.postgres import Pool
from tests.builders import NOON, SHARDS, add_tenant, append, enter, event
from tests.counts import say
from tests.crew import Crew, is_stopped
from tests.oracle import Entry, Spell, acts, brute_force, cells, hours, kept
from tests.patience import until

pytestmark = pytest.mark.faults

HARMS = ["kill", "kill", "freeze", "freeze", "terminate", "backends", "postgres", "broker"] * 2
CREW = 3
USERS = [f"u{n}" for n in range(40)]
DAYS = [NOON.date() + timedelta(n) for n in range(-5, 75)]
KINDS = ("crm.session.login", "crm.record.updated", "crm.record.created")


class World:
    """What was sent and decided so far: the truth that the windows must come to."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.events: list[dict[str, Any]] = []
        self.copies = 0
        self.people: dict[str, Entry] = {}

    def more_events(self, count: int) -> list[dict[str, Any]]:
        """Return new events in any order of time, with copies of earlier ones among them."""
        rng = self.rng
        new = [
            event(
                id=f"e{len(self.events) + n}",
                user=rng.choice([*USERS, "stranger"]),
                time=NOON + timedelta(minutes=rng.randrange(60 * 24 * 60)),
                type=rng.choice(KINDS),
            )
            for n in range(count)
        ]
        copies = rng.sample(self.events, min(len(self.events), count // 20))
        self.events += new
        self.copies += len(copies)
        return rng.sample(new + copies, len(new) + len(copies))

    def change(self) -> tuple[str, Entry]:
        """Return a person and the directory entry they get."""
        rng = self.rng
        user, cut = rng.choice(USERS), NOON.date() + timedelta(rng.randrange(1, 50))
        spells = [
            Spell(date(1, 1, 1), cut, rng.choice("AB"), rng.choice("xy")),
            Spell(cut, None, "B", rng.choice("xy")),
        ]
        licensed = NOON.date() + timedelta(rng.randrange(-3, 20))
        entry = Entry(spells, licensed, rng.choice([None, licensed + timedelta(rng.randrange(60))]))
        self.people[user] = entry
        return user, entry


@pytest.fixture
async def steady(own_postgres: Postgres) -> AsyncIterator[Pool]:
    """A pool that commits for good, as the API's does."""
    opened = await postgres.connect_pool(own_postgres.url(), name="api")
    yield opened
    await postgres.close_pool(opened)


@pytest.fixture
def crew(own_postgres: Postgres, broker: Any, tmp_path: Path) -> Iterator[Crew]:
    made = Crew(own_postgres.url(), broker.address, SHARDS, tmp_path / "diary")
    yield made
    made.dismiss()


async def insist(work: Any) -> None:
    """Do ``work`` until Postgres takes it."""
    while True:
        with contextlib.suppress(*postgres.DATABASE_ERRORS):
            await work()
            return
        await asyncio.sleep(0.1)


async def do_harm(harm: str, rng: random.Random, crew: Crew, server: Postgres, broker: Any) -> None:
    """Do the ``harm`` to whoever it meets."""
    worker = rng.choice(crew.alive())
    if harm == "kill":
        worker.kill()
    elif harm == "terminate":
        worker.terminate()
    elif harm == "freeze" and not is_stopped(worker):
        await freeze(worker, rng.uniform(1, 5))
    elif harm == "backends":
        with contextlib.suppress(*postgres.DATABASE_ERRORS):
            link = await postgres.connect(server.url(), name="chaos")
            await link.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'w%'"
            )
            await link.close()
    elif harm == "postgres":
        server.kill()
        server.start()
    elif harm == "broker":
        os.kill(broker.pid, signal.SIGSTOP)
        await asyncio.sleep(rng.uniform(0.3, 2))
        os.kill(broker.pid, signal.SIGCONT)


_sleepers: set[asyncio.Task[None]] = set()


async def freeze(worker: subprocess.Popen[bytes], seconds: float) -> None:
    """Stop ``worker`` and wake it after ``seconds``, while the test goes on."""
    os.kill(worker.pid, signal.SIGSTOP)

    async def wake() -> None:
        await asyncio.sleep(seconds)
        if worker.poll() is None:
            os.kill(worker.pid, signal.SIGCONT)

    task = asyncio.create_task(wake())
    _sleepers.add(task)
    task.add_done_callback(_sleepers.discard)


async def settled(pool: Pool, seen: int) -> bool:
    with contextlib.suppress(*postgres.DATABASE_ERRORS):
        counted = await pool.fetchval("select coalesce(sum(folded + duplicates), 0) from tally where shard >= 0")
        waiting = await pool.fetchval("select count(*) from directory_change")
        return bool(counted >= seen and not waiting)
    return False


async def test_whatever_happens_every_window_comes_to_the_truth(
    own_postgres: Postgres, steady: Pool, crew: Crew, broker: Any
) -> None:
    world = World(seed := 20)
    await installation.make_topics(own_postgres.url(), broker.address, partitions=SHARDS, replication=1)
    await add_tenant(steady)
    for harm in world.rng.sample(HARMS, len(HARMS)):
        while len(crew.alive()) < CREW:
            crew.hire()
        sending = [encode("acme", one) for one in world.more_events(150)]
        await append(broker.address, sending, received_at=NOON + timedelta(days=61))
        for _ in range(3):
            user, entry = world.change()
            await insist(lambda user=user, entry=entry: enter(steady, user, entry, SHARDS))
        await do_harm(harm, world.rng, crew, own_postgres, broker)
        await asyncio.sleep(world.rng.uniform(0.1, 0.8))
    while len(crew.alive()) < CREW:
        crew.hire()
    await until(lambda: settled(steady, len(world.events) + world.copies))
    want, got = brute_force(world.people, world.events, DAYS), await cells(steady, DAYS)
    tally = await steady.fetchrow(
        "select sum(folded)::int folded, sum(duplicates)::int copies, sum(dead_letters)::int dead from tally"
    )
    say(f"seed {seed}: {len(world.events)} events, {world.copies} copies, faults {dict(Counter(HARMS))}: {dict(tally)}")

    assert sum(want.get(key) != got.get(key) for key in want.keys() | got.keys()) == 0
    assert tuple(tally) == (len(world.events), world.copies, 0)
    assert await kept(steady) == acts(world.events)
    assert await hours(steady) == len(world.events)
