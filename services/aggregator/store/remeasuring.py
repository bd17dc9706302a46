"""Everything that was measured of a tenant, to be compared with what the facts say."""

from datetime import date
from typing import Final

from services.aggregator.domain.measures import Cell, Subject
from services.aggregator.store.contributions import contribution
from services.metrics.shape import Contribution
from services.postgres import Connection, Pool

_SUBJECTS: Final = """
select 'person' as kind, user_id as subject from person where tenant = $1
union select 'person', user_id from career where tenant = $1
union select kind, subject from contribution where tenant = $1
union select 'record', object || E'\\t' || record from record_change where tenant = $1
union select 'record', object || E'\\t' || record from record_base where tenant = $1
order by 1, 2
"""
_WEEKS: Final = """
select distinct week from (
  select generate_series(since, week, interval '7 days')::date as week from measured where tenant = $1
  union all select c.day - (c.day - m.since + 700000) % 7 from metric_cell c join measured m on m.tenant = c.tenant
  where c.tenant = $1 and (c.day < m.since or c.day >= m.week + 7)) w
where week is not null order by 1
"""


async def subjects(pool: Pool, tenant: str) -> list[Subject]:
    """Return everybody and every record that may contribute."""
    return [Subject(*row) for row in await pool.fetch(_SUBJECTS, tenant)]


async def weeks(pool: Pool, tenant: str) -> list[date]:
    """Return the weeks there are, and those that some number tells of."""
    return [row["week"] for row in await pool.fetch(_WEEKS, tenant)]


async def waiting(tx: Connection, tenant: str) -> set[Subject]:
    """Return what waits to be measured."""
    sql = """select kind, subject from dirty where tenant = $1 and queued_at < 'infinity' and subjects is null
        union select kind, unnest(subjects) from dirty where tenant = $1 and subjects is not null"""
    return {Subject(*row) for row in await tx.fetch(sql, tenant)}


async def clear(tx: Connection, tenant: str, kind: str, names: list[str]) -> None:
    """Take off the queue what was set aside of subjects."""
    sql = "delete from dirty where tenant = $1 and kind = $2 and subject = any($3) and queued_at = 'infinity'"
    await tx.execute(sql, tenant, kind, names)


async def contributions(tx: Connection, tenant: str, week: date) -> list[Contribution]:
    """Return what everybody and every record contributes to ``week``."""
    rows = await tx.fetch("select * from contribution where tenant = $1 and week = $2", tenant, week)
    return [contribution(row) for row in rows]


async def cells(tx: Connection, tenant: str, week: date) -> dict[Cell, tuple[int, int]]:
    """Return the numbers of the days of ``week`` that are not zero."""
    sql = """select dimension, key, metric, day, num, den from metric_cell
        where tenant = $1 and day >= $2::date and day < $2::date + 7 and (num <> 0 or den <> 0)"""
    return {Cell(*place): (num, den) for *place, num, den in await tx.fetch(sql, tenant, week)}
