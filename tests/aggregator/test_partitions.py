"""Days of activity: partitions are made when needed, by however many at once, and go when nobody needs them."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest

from services.aggregator.shard import Tenants
from services.aggregator.store.partitions import Days, existing, make
from services.aggregator.store.retention import drop_activity
from services.postgres import LockNotAvailableError, Pool, transaction
from tests.aggregator.shards import NOW, SHARDS, Log, event, own
from tests.builders import add_tenant

DAY = timedelta(days=1)
FIRST = date(2026, 1, 5)


def days(count: int, first: date = FIRST) -> list[date]:
    return [first + timedelta(n) for n in range(count)]


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


async def fill(pool: Pool, log: Log) -> None:
    tenants = Tenants()
    for number in range(SHARDS):
        if log.records[number]:
            await (await own(pool, number, tenants)).fold(pool, log.records[number], NOW)


async def test_many_who_need_the_same_days_at_once_make_each_of_them_once(pool: Pool) -> None:
    wanted = days(8)

    await asyncio.gather(*(Days().ensure(pool, wanted[n:] + wanted[:n]) for n in range(4)))

    assert await existing(pool) == wanted


async def test_a_day_is_made_while_others_write_and_read(pool: Pool) -> None:
    await Days().ensure(pool, days(1))
    async with transaction(pool) as writer, transaction(pool) as maker:
        await writer.execute("lock table activity in row exclusive mode")
        await writer.fetchval("select count(*) from activity")
        await make(maker, days(2))

    assert await existing(pool) == days(2)


async def test_a_day_that_was_dropped_behind_its_owners_back_is_made_again(pool: Pool) -> None:
    await add_tenant(pool, clock="wall")
    log, tenants = Log(), Tenants()
    for n in range(4):
        log.append(event(n, "u1", noon(FIRST) + timedelta(minutes=n)))
    number = next(n for n, entries in log.records.items() if entries)
    shard = await own(pool, number, tenants)
    await shard.fold(pool, log.records[number][:2], NOW)
    assert await drop_activity(pool, {"acme": 30}, NOW) == [FIRST]

    outcome = await shard.fold(pool, log.records[number][2:], NOW)

    assert outcome.folded == 2
    assert outcome.dead_letter == 0
    assert await pool.fetchval("select count(*) from activity") == 2


async def test_only_days_that_no_tenant_needs_go_and_of_the_others_the_rows_of_who_does_not(pool: Pool) -> None:
    """One tenant's time is the wall's, the other's that of its newest event."""
    await add_tenant(pool, clock="wall")
    await add_tenant(pool, "past", clock="event")
    log = Log()
    for n, day in enumerate(days(3)):
        for tenant in ("acme", "past") if n else ("acme",):
            log.append(event(n, "u1", noon(day)), tenant=tenant)
    await fill(pool, log)

    assert await drop_activity(pool, {}, NOW) == []
    assert await drop_activity(pool, {"acme": 30, "past": 30}, NOW) == [FIRST]
    rows = await pool.fetch("select tenant, (at at time zone 'UTC')::date as day from activity order by 1, 2")
    kept = await pool.fetch("select id, activity_from from tenant order by 1")
    assert [tuple(row) for row in rows] == [("past", FIRST + DAY), ("past", FIRST + 2 * DAY)]
    assert [tuple(row) for row in kept] == [("acme", FIRST + 3 * DAY), ("past", None)]
    assert await drop_activity(pool, {"acme": 30, "past": 0}, NOW) == [FIRST + DAY]


async def test_what_was_known_of_a_record_outlives_its_activity(pool: Pool) -> None:
    await add_tenant(pool, clock="wall")
    log = Log()
    about = {"object": "opportunity", "record": "r1", "owner": "u1", "origin": "ui"}
    log.append(event(1, "u1", noon(FIRST), "crm.record.created", stage="offer", **about))
    log.append(event(2, "u1", noon(FIRST + DAY), "crm.record.updated", **about))
    await fill(pool, log)

    assert await drop_activity(pool, {"acme": (NOW.date() - FIRST).days - 1}, NOW) == days(1)
    base = await pool.fetchrow("select object, record, as_of, state from record_base")
    assert tuple(base)[:3] == ("opportunity", "r1", noon(FIRST + DAY) - timedelta(hours=12))
    assert "offer" in str(base["state"])
    assert await pool.fetchval("select count(*) from activity") == 1


async def test_dropping_a_day_does_not_wait_for_long_behind_a_reader(pool: Pool) -> None:
    await add_tenant(pool, clock="wall")
    log = Log()
    log.append(event(1, "u1", noon(FIRST)))
    await fill(pool, log)
    async with transaction(pool) as reader:
        await reader.fetchval("select count(*) from activity")
        with pytest.raises(LockNotAvailableError):
            await drop_activity(pool, {"acme": 30}, NOW)

    assert await drop_activity(pool, {"acme": 30}, NOW) == [FIRST]
