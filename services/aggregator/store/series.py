"""What the rules over weeks rest on: the numbers of groups by week, what is hidden, and what a tenant counts at all.

Each statement costs by the groups it is asked for, never by how many a tenant has.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

from schemas.statements import CODES, ZONES
from services.aggregator.domain.findings import Subject
from services.aggregator.domain.rules.series import Weekly
from services.aggregator.domain.rules.trailing import Pair
from services.metrics import compare
from services.metrics.compare import People, Standing
from services.metrics.shape import EVERYBODY
from services.postgres import Connection


class Known(NamedTuple):
    """What is known of a tenant beside its numbers.

    ``weeks``: those that everybody was counted in. ``waiting``: since when somebody waits to be measured; None: nobody
    does. ``as_of``: the tenant's now when all was measured last. ``codes``: all that is counted of the tenant as a
    whole. ``evaluated_at``: when it was evaluated last.
    """

    weeks: Sequence[date]
    waiting: datetime | None
    as_of: datetime | None
    zones: Sequence[str]
    codes: Sequence[str]
    evaluated_at: datetime | None


_KNOWN: Final = f"""
with recursive {ZONES}, {CODES}
select (select array_agg(week order by week) from measured_week where tenant = $1) as weeks,
       (select min(queued_at) from dirty where tenant = $1 and kind in ('person', 'tenant')
        and queued_at < 'infinity') as waiting,
       (select as_of from measured where tenant = $1) as as_of,
       (select array_agg(zone) from zones where zone is not null) as zones,
       (select array_agg(code) from codes where code is not null) as codes,
       (select evaluated_at from evaluation where tenant = $1) as evaluated_at
"""


async def known(tx: Connection, tenant: str) -> Known:
    """Return what is known of a tenant. Zones and codes are walked along an index: they cost by how many there are."""
    row = await tx.fetchrow(_KNOWN, tenant, EVERYBODY)
    weeks, waiting, as_of, zones, codes, evaluated_at = row
    return Known(weeks or [], waiting, as_of, zones or [], codes or [], evaluated_at)


_KEYS: Final = """
with recursive keys (key) as (
    (select c.key from metric_cell c where c.tenant = $1 and c.dimension = $2 order by c.key limit 1)
    union all
    select (select c.key from metric_cell c
            where c.tenant = $1 and c.dimension = $2 and c.key > keys.key order by c.key limit 1)
    from keys where keys.key is not null
)
select key from keys where key is not null
"""


async def groups(tx: Connection, tenant: str, dimensions: Iterable[str]) -> list[Subject]:
    """Return every group of ``dimensions`` that was ever counted."""
    return [
        Subject(dimension, row["key"]) for dimension in dimensions for row in await tx.fetch(_KEYS, tenant, dimension)
    ]


# The day less its weekday, counted from the tenant's first day of the week, is the first day of its week.
_CELLS: Final = """
select g.dimension, g.key, c.metric, array_agg(c.week) as weeks, array_agg(c.num) as nums, array_agg(c.den) as dens,
       min(c.week) filter (where c.known_at >= $7) as changed, array_agg(c.week) filter (where c.revised) as revised
from unnest($2::text[], $3::text[]) as g(dimension, key)
cross join lateral (
    select c.metric, c.day - (extract(isodow from c.day)::int - $5::int + 7) % 7 as week,
           sum(c.num)::bigint as num, sum(c.den)::bigint as den, max(c.known_at) as known_at,
           bool_or(c.revision > 0) as revised
    from metric_cell c
    where c.tenant = $1 and c.dimension = g.dimension and c.key = g.key and c.metric = any($4::text[]) and c.day < $6
    group by 1, 2
) c
group by 1, 2, 3
"""


class Numbers(NamedTuple):
    """The numbers of a group by code; ``changed``: the first week of which one is new.

    ``revised``: codes and weeks that changed when they were final.
    """

    cells: Mapping[str, Weekly]
    changed: date | None
    revised: Sequence[tuple[str, date]] = ()


async def numbers(
    tx: Connection,
    tenant: str,
    asked: Sequence[Subject],
    codes: Collection[str],
    *,
    first_day_of_week: int,
    before: date,
    since: datetime,
) -> dict[Subject, Numbers]:
    """Return what the groups ``asked`` for counted in the weeks ``before``; what is known ``since`` then is new."""
    cells: dict[Subject, dict[str, Weekly]] = {group: {} for group in asked}
    changed: dict[Subject, list[date]] = defaultdict(list)
    revised: dict[Subject, list[tuple[str, date]]] = defaultdict(list)
    keys = [list(column) for column in zip(*asked, strict=True)] if asked else [[], []]
    for dimension, key, code, weeks, nums, dens, new, others in await tx.fetch(
        _CELLS, tenant, *keys, sorted(codes), first_day_of_week, before, since
    ):
        group = Subject(dimension, key)
        cells[group][code] = dict(zip(weeks, zip(nums, dens, strict=True), strict=True))
        if new is not None:
            changed[group].append(new)
        revised[group] += [(code, week) for week in others or ()]
    return {group: Numbers(cells[group], min(changed[group], default=None), revised[group]) for group in asked}


async def hidden(tx: Connection, tenant: str, asked: Sequence[Subject]) -> dict[Subject, set[date]]:
    """Return in which weeks the groups ``asked`` for are hidden."""
    found: dict[Subject, set[date]] = defaultdict(set)
    if asked:
        rows = await tx.fetch(
            """select h.week, h.dimension, h.key from measured_week w
               cross join unnest($2::text[], $3::text[]) as g(dimension, key)
               join hidden_group h on h.tenant = $1 and h.week = w.week
                 and h.dimension = g.dimension and h.key = g.key
               where w.tenant = $1""",
            tenant,
            *map(list, zip(*asked, strict=True)),
        )
        for week, dimension, key in rows:
            found[Subject(dimension, key)].add(week)
    return found


_MIDDLES: Final = """
select rule, window_to, baseline from rule_evaluation
where tenant = $1 and rule = any($2) and subject_kind = 'tenant' and subject_key = $3 and baseline is not null
"""


async def middles(tx: Connection, tenant: str, rules: Collection[str]) -> list[tuple[str, date, int, int]]:
    """Return what the group in the middle had, by rule and the last day of the week, as it was told last."""
    rows = await tx.fetch(_MIDDLES, tenant, sorted(rules), EVERYBODY) if rules else ()
    return [(rule, day, baseline["num"], baseline["den"]) for rule, day, baseline in rows if "num" in baseline]


_COLUMNS: Final = {"team": "team", "role": "role", "wave": "wave"}
_STANDING: Final = (
    "coalesce(({0}.pair ->> 1)::int, 0) > 0 and {1}",
    "coalesce(({0}.pair ->> 1)::int, 0) > 0 and not ({1})",
    "coalesce(({0}.pair ->> 1)::int, 0) > 0 and coalesce(({0}.pair ->> 0)::int, 0) > 0",
)


def _statement(dimension: str) -> str:
    column = _COLUMNS.get(dimension)
    inside = f"and {column} = p.key" if column else ""
    here = f"coalesce({{}}.{column} = p.key, false)" if column else "true"
    people = " union ".join(
        f"select subject from contribution where tenant = $1 and kind = 'person' and week = p.{week} {inside}"
        for week in ("base", "week")
    )
    sides = " ".join(
        f"""left join lateral (select {column or "null::text as everybody"}, counts -> p.code as pair
            from contribution where tenant = $1 and kind = 'person' and subject = s.subject and week = p.{week}
            limit 1) {alias} on true"""
        for alias, week in (("b", "base"), ("n", "week"))
    )
    shown = ", ".join(part.format(alias, here.format(alias)) for alias in ("b", "n") for part in _STANDING)
    return f"""
        select place, {shown}, count(*)
        from unnest($2::text[], $3::text[], $4::date[], $5::date[]) with ordinality as p(key, code, base, week, place)
        cross join lateral ({people}) s {sides}
        group by 1, 2, 3, 4, 5, 6, 7"""


async def people(tx: Connection, tenant: str, pairs: Iterable[Pair]) -> dict[Pair, People]:
    """Return the people behind each two weeks."""
    by_dimension: dict[str, list[Pair]] = defaultdict(list)
    for pair in sorted(pairs):
        by_dimension[pair.subject.kind].append(pair)
    found: dict[Pair, People] = {}
    for dimension, asked in by_dimension.items():
        standings: list[list[tuple[Standing, Standing, int]]] = [[] for _ in asked]
        columns = [[pair.subject.key for pair in asked], *map(list, zip(*(pair[1:] for pair in asked), strict=True))]
        for place, *flags, count in await tx.fetch(_statement(dimension), tenant, *columns):
            standings[place - 1].append((Standing(*flags[:3]), Standing(*flags[3:]), count))
        found |= {pair: compare.people(rows) for pair, rows in zip(asked, standings, strict=True)}
    return found
