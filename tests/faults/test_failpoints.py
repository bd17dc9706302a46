"""A consumer killed or frozen at each step of a batch, overtaken, and woken again: nothing lost, nothing twice."""

import os
import random
import signal
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from schemas.events import Record, encode
from services import installation
from services.postgres import Pool
from tests.builders import NOON, SHARDS, add_tenant, append, enter, event
from tests.counts import say
from tests.crew import Crew, is_stopped
from tests.oracle import Entry, Spell, acts, brute_force, cells, hours, kept
from tests.patience import until

pytestmark = pytest.mark.faults

USERS = [f"u{n}" for n in range(12)]
DAYS = [NOON.date() + timedelta(n) for n in range(-5, 70)]
KINDS = ("crm.session.login", "crm.record.updated", "crm.record.updated")
EVENTS = [
    event(id=f"e{n}", user=USERS[n % 12], time=NOON + timedelta(hours=7 * (n * 37 % 200)), type=KINDS[n % 3])
    for n in range(600)
]
RECORDS: list[Record] = [encode("acme", one) for one in EVENTS]
COPIES = random.Random(5).sample(RECORDS, 60)
PEOPLE = {
    user: Entry([Spell(date(1, 1, 1), None, "AB"[n % 2], "xyz"[n % 3])], NOON.date() + timedelta(n), None)
    for n, user in enumerate(USERS)
}
MERGED = {"u9": "u0", "u10": "u1", "u11": "u2"}
"""Whose days are kept apart on one shard and counted on another."""
SINGLE = {user: entry for user, entry in PEOPLE.items() if user not in MERGED}
JOINED = [{**one, "data": {"user": MERGED.get(one["data"]["user"], one["data"]["user"])}} for one in EVENTS]


@pytest.fixture
def crew(database: str, broker: Any, tmp_path: Path) -> Iterator[Crew]:
    made = Crew(database, broker.address, SHARDS, tmp_path / "diary")
    yield made
    made.dismiss()


async def fill(pool: Pool, bootstrap: str) -> None:
    await add_tenant(pool)
    for user, entry in PEOPLE.items():
        await enter(pool, user, entry, SHARDS)
    await pool.executemany(
        "insert into alias (tenant, identity, user_id, actor) values ('acme', $1, $2, 'test')", MERGED.items()
    )
    await append(bootstrap, [*RECORDS, *COPIES], received_at=NOON + timedelta(days=70))


async def all_seen(pool: Pool) -> bool:
    seen = await pool.fetchval("select coalesce(sum(folded + duplicates), 0) from tally where shard >= 0")
    waiting = await pool.fetchval("select count(*) from directory_change")
    return bool(seen >= len(RECORDS) + len(COPIES) and not waiting)


async def verdict(pool: Pool) -> dict[str, int]:
    """Count what is wrong: cells that differ, events lost or counted twice, records processed again."""
    want, got = brute_force(SINGLE, JOINED, DAYS), await cells(pool, DAYS)
    folded = await pool.fetchval("select coalesce(sum(events), 0)::int from person_day")
    seen = await pool.fetchval("select sum(duplicates)::int from tally")
    return {
        "cells that differ": sum(want.get(key) != got.get(key) for key in want.keys() | got.keys()),
        "events lost": max(0, len(EVENTS) - folded),
        "events counted twice": max(0, folded - len(EVENTS)),
        "records processed again": seen - len(COPIES),
        "events kept wrongly": (acts(EVENTS) - (rows := await kept(pool))).total() + (rows - acts(EVENTS)).total(),
        "events in no hour, or in two": abs(len(EVENTS) - await hours(pool)),
    }


async def play(pool: Pool, crew: Crew, bootstrap: str, **options: Any) -> dict[str, int]:
    """Let a first worker meet its failpoint, a second overtake it; wake the first and look."""
    await fill(pool, bootstrap)
    first = crew.hire(**options)
    await until(lambda: is_stopped(first))
    crew.hire(**({"mutant": options["mutant"]} if "mutant" in options else {}))
    await until(lambda: all_seen(pool))
    if first.poll() is None:
        await wake(pool, crew, first)
    return await verdict(pool)


async def wake(pool: Pool, crew: Crew, worker: Popen[bytes]) -> None:
    """Let ``worker`` end its batch and join the others again; wait until all of them have read all there is."""
    before = crew.said(worker, "took over shards")
    os.kill(worker.pid, signal.SIGCONT)
    await until(lambda: crew.said(worker, "took over shards") > before)
    asked = await pool.fetchval("select clock_timestamp()")
    await until(lambda: drained_after(pool, asked))


async def drained_after(pool: Pool, moment: datetime) -> bool:
    return not await pool.fetchval("select count(*) from position where drained_at is null or drained_at <= $1", moment)


@pytest.mark.parametrize("action", ["kill", "stop"])
@pytest.mark.parametrize("site", ["before_tx", "in_tx", "after_commit"])
@pytest.mark.usefixtures("topics")
async def test_a_consumer_that_fails_anywhere_loses_nothing_and_counts_nothing_twice(
    pool: Pool, crew: Crew, broker: Any, site: str, action: str
) -> None:
    wrong = await play(pool, crew, broker.address, site=site, action=action, nth=3)
    say(f"{site} {action}: {wrong}")

    assert not any(wrong.values()), wrong


@pytest.mark.parametrize(
    ("mutant", "site"), [("no-fence", "before_tx"), ("no-claim", "after_commit")], ids=["no fence", "no claim"]
)
async def test_a_consumer_without_its_safeguard_is_noticed(
    database: str, pool: Pool, tansu: Any, tmp_path: Path, mutant: str, site: str
) -> None:
    await installation.make_topics(database, tansu.address, partitions=SHARDS, replication=1)
    crew = Crew(database, tansu.address, SHARDS, tmp_path / "diary")
    try:
        wrong = await play(pool, crew, tansu.address, site=site, action="stop", nth=3, mutant=mutant)
    finally:
        crew.dismiss()

    assert any(wrong.values())
