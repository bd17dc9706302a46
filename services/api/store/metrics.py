"""Reading the numbers of one group: one statement walks its codes along the primary key, and takes each in its range.

A group's older days are never read, however long it has been counted.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from services.metrics.scene import Silence
from services.metrics.steps import CODES
from services.metrics.values import NEVER, Cells, Series
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


_ADDS_UP: Final = f"c.metric in {CODES}"
_STEP: Final = """, (select n.step from metric_cell n where n.tenant = c.tenant and n.dimension = c.dimension
    and n.key = c.key and n.metric = c.metric and n.day = c.day) as step"""
_STEPPED: Final = f"""
    select case when not ({_ADDS_UP}) then c.day when c.step < $5::date then c.step else date '{NEVER}' end as day,
           sum(c.num)::bigint as num, sum(c.den)::bigint as den, max(c.known_at) as known_at,
           max(c.revision) as revision
    from ({{rows}}) c where not ({_ADDS_UP}) or c.step is not null or c.den > 0 group by 1"""
"""Of what adds up, all of a step stands on its last day, and none of it before."""
_PLAIN: Final = (
    "r.day - date '0001-01-01' + 1",
    "r.num",
    "r.den",
    "date_part('epoch', r.known_at)",
    "r.revision",
)
"""What a series takes: days by their ordinals, instants in seconds. Thousands of dates would take longer to make."""


def _stepped(rows: str, step: str) -> str:
    columns = f"{_COLUMNS}, c.metric"
    return _STEPPED.format(rows=rows.replace(_COLUMNS, columns + step))


def _statement(rows: str) -> str:
    lists = ", ".join(f"array_agg({column} order by r.day)" for column in _PLAIN)
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
    codes, None: all. ``as_of``: as they were known at that instant. ``stepped``: what adds up is told in steps.
    """

    dimension: str
    key: str
    start: date
    end: date
    whole: Collection[str] = ()
    only: Collection[str] | None = None
    as_of: datetime | None = None
    stepped: bool = False


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
    then = question.as_of is not None
    rows = _THEN if then else _NOW
    if question.stepped:
        rows = _stepped(rows, _STEP if then else ", c.step")
    return _statement(rows), [*arguments, question.as_of] if then else arguments


async def cells(connection: Connection, tenant: str, question: Question) -> Cells:
    """Return the cells of a group, by code."""
    text, arguments = statement(tenant, question)
    rows = await connection.fetch(text, *arguments)
    return {
        row["metric"]: Series(row["days"], row["nums"], row["dens"], row["known"], row["revisions"]) for row in rows
    }


async def silences(connection: Connection, tenant: str, until: datetime) -> list[Silence]:
    """Return when sources were silent before ``until``, as far as what they left out is missing still."""
    rows = await connection.fetch(
        "select since, until from silence where tenant = $1 and state <> 'filled' and since < $2 order by since",
        tenant,
        until,
    )
    return [Silence(row["since"], row["until"]) for row in rows]


async def regrouped(connection: Connection, tenant: str, group: tuple[str, str], since: datetime) -> list[date]:
    """Return the weeks in which other people count in a group than at ``since``, or it was more hidden then."""
    rows = await connection.fetch(
        "select week from regrouped where tenant = $1 and dimension = $2 and key = $3 and known_at > $4",
        tenant,
        *group,
        since,
    )
    return [row["week"] for row in rows]


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


async def annotated(connection: Connection, tenant: str) -> dict[str, date]:
    """Return on which day each annotation begins."""
    rows = await connection.fetch("select id, starts_on from annotation where tenant = $1", tenant)
    return {row["id"]: row["starts_on"] for row in rows}
