"""Dropping activity that is no longer kept, day by day, the oldest first.

A day that no tenant needs any more goes with its partition; where others still need it, the rows of those who do not
are deleted. What was known of records until then is carried into ``record_base`` first, in the same transaction, while
nobody can add to the day. ``tenant.activity_from`` says since when a tenant's activity is all there.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import msgspec

from schemas.fields import DEFAULT, FieldRegistry
from services.aggregator.store.partitions import LOCK, existing, name_of
from services.aggregator.store.records import carry
from services.metrics.policies import policies
from services.postgres import Connection, Pool, transaction

_DAY: Final = timedelta(days=1)
_NEWEST: Final = """
select t.id, t.clock, (select max(newest) from tally where tenant = t.id) as newest from tenant t where t.id = any($1)
"""
_PRESENT: Final = "select t.id from tenant t where exists (select from {day} a where a.tenant = t.id)"
_FROM: Final = "update tenant set activity_from = greatest(activity_from, $2) where id = any($1)"


async def drop_activity(pool: Pool, kept_days: Mapping[str, int], now: datetime) -> list[date]:
    """Drop what is older than so many days, by tenant; of tenants that are not named nothing goes.

    A tenant on the clock of its events counts from its newest one. Returns the days whose partition went.
    """
    async with pool.acquire() as connection:
        firsts = await _firsts(connection, kept_days, now)
        days = await existing(connection)
    latest = max(firsts.values(), default=date.min)
    return [day for day in days if day < latest and await _leave(pool, day, firsts)]


async def _firsts(connection: Connection, kept_days: Mapping[str, int], now: datetime) -> dict[str, date]:
    """Return by tenant the first day that is kept."""
    firsts = {}
    for tenant, clock, newest in await connection.fetch(_NEWEST, list(kept_days)):
        moment = newest if clock == "event" else now
        if moment is not None:
            firsts[tenant] = moment.astimezone(UTC).date() - timedelta(days=kept_days[tenant])
    return firsts


async def _leave(pool: Pool, day: date, firsts: Mapping[str, date]) -> bool:
    """Let go of ``day`` what nobody needs; return whether its partition went.

    The lock on all of the activity comes last and is waited for only shortly: behind it everybody waits.
    """
    name = name_of(day)
    async with transaction(pool) as tx:
        await tx.execute("set local lock_timeout = '2s'")
        await tx.execute("select pg_advisory_xact_lock($1)", LOCK)
        if day not in await existing(tx):
            return False
        present = {row["id"] for row in await tx.fetch(_PRESENT.format(day=name))}
        done_with = sorted(tenant for tenant in present if firsts.get(tenant, date.min) > day)
        if present and not done_with:
            return False
        await tx.execute("select from measured where tenant = any($1) order by tenant for update", done_with)
        await tx.execute(f"lock table {name} in share row exclusive mode")
        for tenant in done_with:
            await _carry(tx, tenant, day)
        await tx.execute(_FROM, done_with, day + _DAY)
        if present - set(done_with):
            await tx.execute(f"delete from {name} where tenant = any($1)", done_with)
            return False
        await tx.execute(f"drop table {name}")
    return True


async def _carry(tx: Connection, tenant: str, day: date) -> None:
    told = await tx.fetchval("select fields from tenant where id = $1", tenant)
    registry = DEFAULT if told is None else msgspec.convert(told, FieldRegistry)
    since = datetime.combine(day, time.min, UTC)
    await carry(tx, tenant, policies(registry), since, since + _DAY)
