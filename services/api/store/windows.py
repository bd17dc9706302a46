"""Reading windows: the differences that the owners of shards wrote, summed up to each day.

One statement answers one page, and reads only the groups of that page: it walks from group to group along the primary
key (never over a group's rows to find the next), takes each group's differences in range, and unrolls them day by day.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from services.postgres import Connection, Row

DIMENSIONS: Final = ("role", "team", "tenant")
"""In the order of the primary key."""
WINDOWS: Final = (1, 7, 28)
ONE_DAY: Final = timedelta(days=1)
FIELDS: Final = ("licensed", "active", "logged_in", "actions", "active_user_days", "revision")


class Place(NamedTuple):
    """One item of the list, by its sort key."""

    dimension: str
    key: str
    days: int
    as_of: date


@dataclass(frozen=True, slots=True)
class Question:
    """Which windows are asked for. ``keys`` None: every group of the dimensions."""

    dimensions: Sequence[str]
    keys: Sequence[str] | None
    windows: Sequence[int]
    first: date
    last: date


_NEXT_LISTED: Final = """
    select c.dimension, c.key from unnest($10::text[], $11::text[]) as c (dimension, key)
    where (c.dimension, c.key) > (walk.dimension, walk.key) order by 1, 2 limit 1"""
_NEXT_OF_ONE: Final = """
    select w.dimension, w.key from window_delta w
    where w.tenant = $1 and w.dimension = $10 and w.key > walk.key order by w.key limit 1"""
_NEXT_OF_ALL: Final = """
    select w.dimension, w.key from window_delta w
    where w.tenant = $1 and (w.dimension, w.key) > (walk.dimension, walk.key) order by w.dimension, w.key limit 1"""

_AMOUNTS: Final = ("actions", "active_user_days")
"""Written in the rows of length 1 as the amount of the day. A window has those of the days it holds, and beside them
what the rows of its own length say."""

_SUMS: Final = ", ".join(f"sum({name}) as {name}" for name in FIELDS)
_OWN: Final = ", ".join(
    f"case when w.days > 1 then w.{name} else 0 end as {name}" if name in _AMOUNTS else f"w.{name}" for name in FIELDS
)
_COMING: Final = ", ".join(f"w.{name}" if name in _AMOUNTS else "0" for name in FIELDS)
_GOING: Final = ", ".join(f"-w.{name}" if name in _AMOUNTS else "0" for name in FIELDS)
_OF_GROUP: Final = "w.tenant = $1 and w.dimension = g.dimension and w.key = g.key"
_RUNNING: Final = ", ".join(f"sum({name}) over so_far as {name}" for name in FIELDS)
_LISTS: Final = ", ".join(
    f"coalesce(array_agg(r.{name} order by r.as_of), '{{}}')::bigint[] as {name}" for name in FIELDS
)
_EMPTY: Final = ", ".join(f"'{{}}'::bigint[] as {name}" for name in FIELDS)
_PARTS: Final = ", ".join(f"i.{name}" for name in FIELDS)


def _statement(following: str) -> str:
    """Return the statement of one page, given how the next group is found.

    $1 tenant, $2 windows, $3 first day, $4 last day, $5 limit, $6 dimension, $7 key, $8 slot (place in $2) and $9 first
    day of the group before which the walk starts.
    """
    return f"""
    with recursive walk as (
        select $6::text as dimension, $7::text as key, $8::int as slot, $9::date as start, 0::bigint as total,
               '{{}}'::date[] as as_of, {_EMPTY}
        union all
        select g.dimension, g.key, g.slot, $3::date, walk.total + cardinality(i.as_of), i.as_of, {_PARTS}
        from walk
        cross join lateral (
            select walk.dimension, walk.key, walk.slot + 1 as slot where walk.slot < cardinality($2::int[])
            union all
            select n.dimension, n.key, 1 from ({following}) n where walk.slot >= cardinality($2::int[])
        ) g
        cross join lateral (select ($2::int[])[g.slot] as days) n
        cross join lateral (
            select coalesce(array_agg(r.as_of order by r.as_of), '{{}}') as as_of, {_LISTS}
            from (
                select t.day + s as as_of, {", ".join(f"t.{name}" for name in FIELDS)}
                from (
                    select d.day, lead(d.day) over (order by d.day) as until, {_RUNNING}
                    from (
                        select greatest(c.day, walk.start) as day, {_SUMS} from (
                            select w.day, {_OWN} from window_delta w
                            where {_OF_GROUP} and w.days = n.days and w.day <= $4::date
                            union all
                            select w.day, {_COMING} from window_delta w
                            where {_OF_GROUP} and w.days = 1 and w.day > walk.start - n.days and w.day <= $4::date
                            union all
                            select w.day + n.days, {_GOING} from window_delta w
                            where {_OF_GROUP} and w.days = 1 and w.day > walk.start - n.days
                              and w.day <= $4::date - n.days
                        ) c
                        group by 1
                    ) d
                    window so_far as (order by d.day)
                ) t
                cross join lateral generate_series(0, coalesce(t.until, $4::date + 1) - t.day - 1) s
                where t.licensed > 0
                order by t.day, s
                limit $5::int + 1
            ) r
        ) i
        where walk.total <= $5::int
    )
    select dimension, key, ($2::int[])[slot] as days, as_of, {", ".join(FIELDS)}
    from walk where cardinality(as_of) > 0 order by dimension, key, slot"""


def page_statement(tenant: str, question: Question, after: Place | None, limit: int) -> tuple[str, list[Any]]:
    """Return the statement and arguments of the page after ``after``."""
    windows = list(question.windows)
    one = len(question.dimensions) == 1
    if after is None:
        start: list[Any] = [question.dimensions[0] if one else "", "", len(windows), question.first]
    else:
        resumed = max(min(after.as_of, question.last) + ONE_DAY, question.first)
        start = [after.dimension, after.key, windows.index(after.days), resumed]
    arguments: list[Any] = [tenant, windows, question.first, question.last, limit, *start]
    if question.keys is not None:
        pairs = [(dimension, key) for dimension in question.dimensions for key in question.keys]
        return _statement(_NEXT_LISTED), [*arguments, [pair[0] for pair in pairs], [pair[1] for pair in pairs]]
    if one:
        return _statement(_NEXT_OF_ONE), [*arguments, question.dimensions[0]]
    return _statement(_NEXT_OF_ALL), arguments


async def page(
    connection: Connection, tenant: str, question: Question, after: Place | None, limit: int
) -> list[tuple[Place, tuple[int, ...]]]:
    """Return up to ``limit`` + 1 items after ``after``, each with its place and FIELDS."""
    statement, arguments = page_statement(tenant, question, after, limit)
    items = []
    for row in await connection.fetch(statement, *arguments):
        place = Place(row["dimension"], row["key"], row["days"], date.min)
        for as_of, *values in zip(row["as_of"], *(row[name] for name in FIELDS), strict=True):
            items.append((place._replace(as_of=as_of), tuple(values)))
    return items[: limit + 1]


async def latest(connection: Connection, tenant: str, dimension: str, day: date, most: int) -> list[Row]:
    """Return how many count in the windows of the first ``most`` groups of ``dimension`` as of ``day``."""
    rows: list[Row] = await connection.fetch(
        """with recursive walk as (
                select '' as key, 0 as step
                union all
                select n.key, walk.step + 1 from walk cross join lateral (
                    select w.key from window_delta w
                    where w.tenant = $1 and w.dimension = $2 and w.key > walk.key order by w.key limit 1
                ) n where walk.step < $4::int
            )
            select walk.key, d.* from walk cross join lateral (
                select w.days, sum(licensed) as licensed, sum(active) as active, sum(logged_in) as logged_in
                from window_delta w
                where w.tenant = $1 and w.dimension = $2 and w.key = walk.key and w.day <= $3 group by w.days
            ) d where d.licensed > 0""",
        tenant,
        dimension,
        day,
        most,
    )
    return rows
