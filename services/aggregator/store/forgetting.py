"""Deleting what was kept long enough, in chunks, so that nobody waits; numbers of the past stay as they are.

Days of people go while no shard is written: whoever counts a person anew finds all of a day before and after, or
nothing of it. What rests on them stands in differences of windows and in numbers of groups, which are not touched.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from services.postgres import Connection, Pool, transaction

CHUNK: Final = 5000
REACH: Final = timedelta(days=28)
"""How far the longest window looks back."""
HIDING: Final = REACH + timedelta(days=7)
"""Whoever is hidden in a week stays so in every window that begins in it."""


class Tenant(NamedTuple):
    """A tenant, its now, and for how many days it wants things kept; None: as long as the installation does."""

    id: str
    now: datetime | None
    kept: dict[str, int]


class Tier(NamedTuple):
    """Rows of a table that are deleted when ``column`` lies before a day; ``person``: a shard's owner rests on them.

    ``reach``: how far before the first day that is kept they are still needed.
    """

    table: str
    column: str
    person: bool = False
    reach: timedelta = timedelta()


PEOPLE: Final = (
    Tier("person_day", "day", person=True),
    Tier("identity_day", "day", person=True),
    Tier("contribution", "week"),
    Tier("access_log", "at"),
    Tier("alias_change", "at"),
    Tier("source_hour", "hour"),
)
LETTERS: Final = (Tier("dead_letter", "created_at"),)
AGGREGATES: Final = (
    Tier("metric_past", "day"),
    Tier("hidden_group", "week", reach=HIDING),
    Tier("regrouped", "week", reach=HIDING),
    Tier("measured_week", "week", reach=HIDING),
    Tier("backfill", "finished_at"),
)

_TENANTS: Final = """
select t.id, t.retention, case when t.clock = 'event' then v.newest else $1::timestamptz end as now from tenant t
left join (select tenant, max(newest) as newest from tally group by tenant) v on v.tenant = t.id order by t.id
"""
_SOME: Final = """
delete from {table} where ctid = any(array(
  select ctid from {table} where tenant = $1 and {column} < $2 limit {chunk}))
"""
_SINCE: Final = """
insert into kept_since as k (tenant, what, day) values ($1, $2, $3)
on conflict (tenant, what) do update set day = greatest(k.day, excluded.day)
"""


async def tenants(connection: Connection, now: datetime) -> list[Tenant]:
    """Return every tenant; on the clock of its events now is the newest one."""
    rows = await connection.fetch(_TENANTS, now)
    return [Tenant(row["id"], row["now"], dict(row["retention"])) for row in rows]


async def count(connection: Connection, tier: Tier, tenant: str, before: date) -> int:
    """Return how many rows are older."""
    sql = f"select count(*) from {tier.table} where tenant = $1 and {tier.column} < $2"
    number: int = await connection.fetchval(sql, tenant, before - tier.reach)
    return number


async def delete(pool: Pool, tier: Tier, tenant: str, what: str, before: date) -> int:
    """Delete the rows that are older, and write down since when they are all there; return how many went."""
    sql = _SOME.format(table=tier.table, column=tier.column, chunk=CHUNK)
    total = 0
    while True:
        async with transaction(pool) as tx:
            if tier.person:
                await tx.execute("select from position order by shard for update")
            await tx.execute("select from measured where tenant = $1 for update", tenant)
            if not total:
                await tx.execute(_SINCE, tenant, what, before)
            number = int((await tx.execute(sql, tenant, before - tier.reach)).rpartition(" ")[2])
        total += number
        if number < CHUNK:
            return total


_FOLD: Final = """
with gone as (delete from window_delta where tenant = $1 and day < $2 returning *)
insert into window_delta as w (tenant, dimension, key, days, day, shard,
  licensed, active, logged_in, actions, active_user_days, revision)
select tenant, dimension, key, days, $2::date, shard, sum(licensed), sum(active), sum(logged_in),
  case when days = 1 then 0 else sum(actions) end, case when days = 1 then 0 else sum(active_user_days) end,
  sum(revision)
from gone group by tenant, dimension, key, days, shard
on conflict (tenant, dimension, key, days, day, shard) do update set
  licensed = w.licensed + excluded.licensed, active = w.active + excluded.active,
  logged_in = w.logged_in + excluded.logged_in, actions = w.actions + excluded.actions,
  active_user_days = w.active_user_days + excluded.active_user_days, revision = w.revision + excluded.revision
"""


async def old_windows(connection: Connection, tenant: str, before: date) -> int:
    """Return how many differences are older than any window from ``before`` on needs."""
    return await count(connection, Tier("window_delta", "day"), tenant, before - REACH)


async def fold_windows(pool: Pool, tenant: str, before: date) -> int:
    """Fold the differences of days before into one: windows from ``before`` on are what they were, older ones go.

    Returns how many there were.
    """
    async with transaction(pool) as tx:
        await tx.execute("select from position order by shard for update")
        number = await old_windows(tx, tenant, before)
        if number:
            await tx.execute(_FOLD, tenant, before - REACH)
            await tx.execute(_SINCE, tenant, "aggregates", before)
    return number


_OLD_CELLS: Final = "tenant = $1 and day < $2 and not split_part(metric, ':', 1) = any($3)"


async def old_cells(connection: Connection, tenant: str, before: date, codes: Sequence[str]) -> int:
    """Return how many numbers of days before there are, without those of ``codes``."""
    sql = f"select count(*) from metric_cell where {_OLD_CELLS}"
    number: int = await connection.fetchval(sql, tenant, before, list(codes))
    return number


async def delete_cells(pool: Pool, tenant: str, before: date, codes: Sequence[str]) -> int:
    """Delete numbers of days before; those of ``codes`` add up from the beginning, and stay."""
    sql = f"delete from metric_cell where ctid = any(array(select ctid from metric_cell where {_OLD_CELLS} limit $4))"
    total = 0
    while True:
        number = int((await pool.execute(sql, tenant, before, list(codes), CHUNK)).rpartition(" ")[2])
        total += number
        if number < CHUNK:
            return total


_THIN: Final = """
delete from metric_past where ctid = any(array(
  select p.ctid from metric_past p
  where p.tenant = $1 and p.known_at < $2 and p.known_at < (p.day + 9)::timestamp at time zone 'UTC'
    and exists (select from metric_past q where q.tenant = p.tenant and q.dimension = p.dimension and q.key = p.key
      and q.metric = p.metric and q.day = p.day and q.known_at > p.known_at
      and date_trunc('hour', q.known_at, 'UTC') = date_trunc('hour', p.known_at, 'UTC'))
  limit $3))
"""


async def thin(pool: Pool, tenant: str, before: datetime) -> int:
    """Keep of what was thought of open windows only the last of each hour; return how many rows went."""
    total = 0
    while True:
        number = int((await pool.execute(_THIN, tenant, before, CHUNK)).rpartition(" ")[2])
        total += number
        if number < CHUNK:
            return total
