"""The days on which what adds up of people counts, and with which step each group is told of them."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Final, NamedTuple

from services.metrics.shape import EVERYBODY, Groups
from services.metrics.steps import CODES
from services.postgres import Connection


class Day(NamedTuple):
    """How many people count on a day, and the step that the tenant is told of them with."""

    day: date
    people: int
    step: date | None


_DAYS: Final = """
select metric, day, den::int, step from metric_cell
where tenant = $1 and dimension = 'tenant' and key = $2 and metric = any($3) and (den > 0 or step is not null)
order by metric, day
"""


async def days(tx: Connection, tenant: str) -> dict[str, list[Day]]:
    """Return by code the days on which anybody counts, or did so when steps were made last."""
    found: dict[str, list[Day]] = {}
    for metric, *told in await tx.fetch(_DAYS, tenant, EVERYBODY, list(CODES)):
        found.setdefault(metric, []).append(Day(*told))
    return found


class Cohort(NamedTuple):
    """How many people in the same groups count by a code with its offset."""

    code: str
    groups: Groups
    people: int


_COHORTS: Final = """
select k.code, coalesce(c.moves -> split_part(k.code, '@', 2),
    jsonb_build_array(c.wave, c.team, c.role, c.function, c.location, c.segment)) as groups, count(*)::int
from contribution c cross join unnest($3::text[]) as k(code)
where c.tenant = $1 and c.week = $2 and c.kind = 'person' and c.counts ?| $3::text[] and c.counts ? k.code
group by 1, 2
"""


async def cohorts(tx: Connection, tenant: str, week: date, codes: Collection[str]) -> list[Cohort]:
    """Return who counts in the week by ``codes``, and where."""
    rows = await tx.fetch(_COHORTS, tenant, week, sorted(codes))
    return [Cohort(code, Groups(*groups), people) for code, groups, people in rows]


async def gone(tx: Connection, tenant: str, weeks: Collection[date]) -> set[tuple[str, str]]:
    """Return the groups that are hidden in any of ``weeks``."""
    sql = "select distinct dimension, key from hidden_group where tenant = $1 and week = any($2)"
    return {(row["dimension"], row["key"]) for row in await tx.fetch(sql, tenant, sorted(weeks))}


class Told(NamedTuple):
    """A number of a group, and the step that it is told with; None: with none."""

    dimension: str
    key: str
    metric: str
    day: date
    step: date | None


_WRITE: Final = """
update metric_cell c set step = q.step
from unnest($2::text[], $3::text[], $4::text[], $5::date[], $6::date[]) as q(dimension, key, metric, day, step)
where c.tenant = $1 and c.dimension = q.dimension and c.key = q.key and c.metric = q.metric and c.day = q.day
  and c.step is distinct from q.step
"""


async def write(tx: Connection, tenant: str, rows: Sequence[Told]) -> None:
    """Write with which steps numbers are told."""
    if rows:
        await tx.execute(_WRITE, tenant, *map(list, zip(*rows, strict=True)))
