"""Reading the numbers of one group: one statement walks its codes along the primary key, and takes each in its range.

A group's older days are never read, however long it has been counted.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, NamedTuple

from services.metrics.scene import Silence
from services.metrics.shape import EVERYBODY
from services.metrics.values import Cells, Series
from services.postgres import Connection, Row

_OF_GROUP: Final = "c.tenant = $1 and c.dimension = $2 and c.key = $3"
_WALK: Final = f"""
    with recursive walk (metric) as (
        (select c.metric from metric_cell c where {_OF_GROUP} order by c.metric limit 1)
        union all
        select (select c.metric from metric_cell c where {_OF_GROUP} and c.metric > walk.metric order by 1 limit 1)
        from walk where walk.metric is not null
    )"""
_IN_RANGE: Final = """
    c.metric = walk.metric and c.day < $5::date
    and c.day >= case when split_part(walk.metric, ':', 1) = any($6::text[]) then date '0001-01-01' else $4::date end"""
_COLUMNS: Final = "c.day, c.num, c.den, c.known_at, c.revision"
_NOW: Final = f"select {_COLUMNS} from metric_cell c where {_OF_GROUP} and {_IN_RANGE}"
_THEN: Final = f"""
    select distinct on (r.day) r.* from (
        select {_COLUMNS} from metric_cell c where {_OF_GROUP} and {_IN_RANGE} and c.known_at <= $8::timestamptz
        union all
        select {_COLUMNS} from metric_past c where {_OF_GROUP} and {_IN_RANGE} and c.known_at <= $8::timestamptz
    ) r order by r.day, r.known_at desc"""


def _statement(rows: str) -> str:
    lists = ", ".join(f"array_agg(r.{name} order by r.day)" for name in ("day", "num", "den", "known_at", "revision"))
    return f"""{_WALK}
    select walk.metric, r.* from walk cross join lateral (
        select {lists} from ({rows}) r
    ) r (days, nums, dens, known, revisions)
    where walk.metric is not null and ($7::text[] is null or split_part(walk.metric, ':', 1) = any($7::text[]))
      and r.days is not null"""


@dataclass(frozen=True, slots=True)
class Question:
    """Which cells of a group are asked for.

    Days from ``start`` until before ``end``; of the metrics ``whole`` all days until then. ``only``: metrics by their
    codes, None: all. ``as_of``: as they were known at that instant.
    """

    dimension: str
    key: str
    start: date
    end: date
    whole: Collection[str] = ()
    only: Collection[str] | None = None
    as_of: datetime | None = None


def statement(tenant: str, question: Question) -> tuple[str, list[object]]:
    """Return the statement and its arguments."""
    arguments: list[object] = [
        tenant,
        question.dimension,
        question.key,
        question.start,
        question.end,
        list(question.whole),
        None if question.only is None else list(question.only),
    ]
    if question.as_of is None:
        return _statement(_NOW), arguments
    return _statement(_THEN), [*arguments, question.as_of]


async def cells(connection: Connection, tenant: str, question: Question) -> Cells:
    """Return the cells of a group, by code."""
    text, arguments = statement(tenant, question)
    rows = await connection.fetch(text, *arguments)
    return {
        row["metric"]: Series(row["days"], row["nums"], row["dens"], row["known"], row["revisions"]) for row in rows
    }


class Beside(NamedTuple):
    """What is known of a tenant beside its numbers.

    ``measured``: the newest week that everybody was counted in. ``active``: whether there was ever an event. ``zones``:
    of people who have one of their own. ``codes``: all that is counted of the tenant as a whole.
    """

    measured: date | None
    active: bool
    zones: list[str]
    codes: list[str]


_BESIDE: Final = """
    with recursive zones (zone) as (
        (select p.time_zone from person p where p.tenant = $1 and p.time_zone is not null order by 1 limit 1)
        union all
        select (select p.time_zone from person p
                where p.tenant = $1 and p.time_zone is not null and p.time_zone > zones.zone order by 1 limit 1)
        from zones where zones.zone is not null
    ), codes (code) as (
        (select c.metric from metric_cell c
         where c.tenant = $1 and c.dimension = 'tenant' and c.key = $2 order by c.metric limit 1)
        union all
        select (select c.metric from metric_cell c
                where c.tenant = $1 and c.dimension = 'tenant' and c.key = $2 and c.metric > codes.code
                order by c.metric limit 1)
        from codes where codes.code is not null
    )
    select (select max(week) from measured_week where tenant = $1) as measured,
           exists (select from tally where tenant = $1 and newest is not null) as active,
           (select array_agg(zone) from zones where zone is not null) as zones,
           (select array_agg(code) from codes where code is not null) as codes"""


async def beside(connection: Connection, tenant: str) -> Beside:
    """Return what is known of a tenant. Zones and codes are walked along an index: they cost by how many there are."""
    row = await connection.fetchrow(_BESIDE, tenant, EVERYBODY)
    return Beside(row["measured"], row["active"], row["zones"] or [], row["codes"] or [])


async def silences(connection: Connection, tenant: str, until: datetime) -> list[Silence]:
    """Return when sources were silent before ``until``, as far as what they left out is missing still."""
    rows = await connection.fetch(
        "select since, until from silence where tenant = $1 and state <> 'filled' and since < $2 order by since",
        tenant,
        until,
    )
    return [Silence(row["since"], row["until"]) for row in rows]


async def waves(connection: Connection, tenant: str) -> list[Row]:
    """Return every wave: its go-live and its scope."""
    rows: list[Row] = await connection.fetch(
        "select id, go_live, scope from wave where tenant = $1 order by go_live, id", tenant
    )
    return rows


async def members(connection: Connection, tenant: str, dimension: str, keys: Sequence[str], day: date) -> list[str]:
    """Return who is in one of the groups on ``day``; ``dimension`` is one that the membership tells."""
    rows = await connection.fetch(
        f"""select user_id from membership where tenant = $1 and "{dimension}" = any($2)
              and valid_from <= $3 and (valid_to is null or valid_to > $3) order by user_id""",
        tenant,
        list(keys),
        day,
    )
    return [row["user_id"] for row in rows]
