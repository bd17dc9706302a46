"""Reading what single people and records contribute: a group as it is now, two weeks person by person, who and why.

The cost is that of the group's people and the weeks asked for, never that of the tenant.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from typing import Final, NamedTuple

from services.api.store.metrics import Question
from services.metrics.compare import Standing
from services.metrics.explained import Line
from services.metrics.shape import DAYS_A_WEEK, DIMENSIONS, EVERYBODY, Groups
from services.metrics.values import Cell, Cells, Series
from services.postgres import Connection, Row

COLUMNS: Final = {dimension: f'"{dimension}"' for dimension in DIMENSIONS if dimension != "tenant"}
"""Where the groups of a dimension stand; everybody is in the tenant."""
_BEGINNING: Final = date(1, 1, 1)
_KINDS: Final = {"person": ["person"], "record": ["record", "meeting"]}
_ADDED: Final = """
    select x.code, c.week, sum((x.pair ->> 0)::bigint)::bigint as num, sum((x.pair ->> 1)::bigint)::bigint as den,
           max(c.known_at) as known_at
    from contribution c cross join lateral jsonb_each(c.counts) x (code, pair)
    where c.tenant = $1 and c.week < $4 and {whose}
      and c.week >= case when split_part(split_part(x.code, '@', 1), ':', 1) = any($5::text[])
                    then date '0001-01-01' else $3::date end
      and ($6::text[] is null or split_part(split_part(x.code, '@', 1), ':', 1) = any($6::text[]))
    group by 1, 2"""
_OF_PEOPLE: Final = _ADDED.format(whose="c.kind = 'person' and c.subject = any($2::text[]) and c.week >= $7")
_OF_RECORDS: Final = _ADDED.format(whose="c.kind <> 'person' and c.owner = any($2::text[]) and c.week >= $7")


def as_is_statements(tenant: str, people: Sequence[str], question: Question) -> Iterator[tuple[str, list[object]]]:
    """Return the statements of ``as_is``, for people and for what is theirs, with their arguments."""
    week = question.start - timedelta(days=DAYS_A_WEEK - 1)
    arguments: list[object] = [
        tenant,
        list(people),
        week,
        question.end,
        list(question.whole),
        None if question.only is None else list(question.only),
        _BEGINNING if question.whole else week,
    ]
    for statement in (_OF_PEOPLE, _OF_RECORDS):
        yield statement, arguments


async def as_is(connection: Connection, tenant: str, people: Sequence[str], question: Question) -> Cells:
    """Return the cells that ``people`` and what is theirs make up, wherever they counted at the time."""
    found: dict[str, list[tuple[date, Cell]]] = defaultdict(list)
    for statement, arguments in as_is_statements(tenant, people, question):
        for row in await connection.fetch(statement, *arguments):
            code, _, offset = row["code"].partition("@")
            day = row["week"] + timedelta(days=int(offset or 0))
            if day < question.end:
                found[code].append((day, Cell(row["num"], row["den"], row["known_at"])))
    return {code: Series.of(_added(cells)) for code, cells in found.items()}


def _added(cells: Iterable[tuple[date, Cell]]) -> list[tuple[date, Cell]]:
    """Return the cells with those of one day as one."""
    days: dict[date, Cell] = {}
    for day, cell in cells:
        old = days.get(day, Cell(0, 0, cell.known_at))
        days[day] = Cell(old.num + cell.num, old.den + cell.den, max(old.known_at, cell.known_at))
    return list(days.items())


class Pair(NamedTuple):
    """How people stood in two weeks, and how many did so."""

    base: Standing
    now: Standing
    people: int


def _standing(alias: str, column: str | None) -> str:
    counts = f"coalesce(({alias}.pair ->> 1)::int, 0) > 0"
    here = f"coalesce({alias}.key = $3, false)" if column else "$3 is not null"
    hit = f"coalesce(({alias}.pair ->> 0)::int, 0) > 0"
    return f"{counts} and {here}, {counts} and not ({here}), {counts} and {hit}"


def pairs_statement(dimension: str) -> str:
    """Return the statement of ``pairs``."""
    column = COLUMNS.get(dimension)
    of_week = f"""
        select {column or "null::text"} as key, counts -> $4 as pair from contribution
        where tenant = $1 and kind = 'person' and subject = s.subject and week = {{}}::date
        limit 1"""
    return f"""
        select {_standing("b", column)}, {_standing("n", column)}, count(*)
        from (
            select subject from contribution
            where tenant = $1 and kind = 'person' and week = $2::date and {column or "$3::text"} = $3
            union
            select subject from contribution
            where tenant = $1 and kind = 'person' and week = $5::date and {column or "$3::text"} = $3
        ) s
        left join lateral ({of_week.format("$2")}) b on true
        left join lateral ({of_week.format("$5")}) n on true
        group by 1, 2, 3, 4, 5, 6"""


async def pairs(
    connection: Connection, tenant: str, group: tuple[str, str], code: str, weeks: tuple[date, date]
) -> list[Pair]:
    """Return how the people of a group stood in two weeks by ``code``, which counts each person once."""
    base, now = weeks
    rows = await connection.fetch(pairs_statement(group[0]), tenant, base, group[1], code, now)
    return [Pair(Standing(*row[:3]), Standing(*row[3:6]), row[6]) for row in map(tuple, rows)]


async def subjects(
    connection: Connection,
    tenant: str,
    group: tuple[str, str],
    *,
    kind: str,
    weeks: Sequence[date],
    after: str,
    limit: int,
    line: Sequence[str] | None = None,
) -> list[str]:
    """Return subjects with a contribution to a group in one of ``weeks``, by name. ``line``: of these people only."""
    column = COLUMNS.get(group[0])
    own = "subject" if kind == "person" else "owner"
    rows = await connection.fetch(
        f"""select subject from (
                select kind, subject, owner from contribution
                where tenant = $1 and week = any($2::date[]) and {column or "$3::text"} = $3
                union
                select kind, subject, owner from contribution
                where tenant = $1 and week = any($2::date[]) and moves is not null
            ) c where kind = any($4) and subject > $5 and ($7::text[] is null or {own} = any($7))
            group by subject order by subject limit $6""",
        tenant,
        list(weeks),
        group[1],
        _KINDS[kind],
        after,
        limit,
        None if line is None else list(line),
    )
    return [row["subject"] for row in rows]


async def lines_of(
    connection: Connection,
    tenant: str,
    dimension: str,
    *,
    kind: str,
    weeks: Sequence[date],
    chosen: Sequence[str],
) -> list[Line]:
    """Return what ``chosen`` subjects contribute in ``weeks``."""
    column = COLUMNS.get(dimension, f"'{EVERYBODY}'")
    rows: list[Row] = await connection.fetch(
        f"""select subject, week, {column} as key, counts, moves, reason, owner from contribution
            where tenant = $1 and kind = any($2) and subject = any($3) and week = any($4::date[])
            order by subject, week""",
        tenant,
        _KINDS[kind],
        list(chosen),
        list(weeks),
    )
    return [_line(row) for row in rows]


def _line(row: Row) -> Line:
    moves = {int(offset): Groups(*groups) for offset, groups in (row["moves"] or {}).items()}
    told = {name: row[name] for name in ("subject", "week", "key", "counts", "reason", "owner")}
    return Line(moves=moves, **told)
