"""The numbers of groups, and what they were before."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from services.aggregator.domain.measures import Change
from services.postgres import Connection

_GIVEN: Final = """
unnest($3::text[], $4::text[], $5::text[], $6::date[], $7::bigint[], $8::bigint[], $9::boolean[], $10::boolean[],
  $11::boolean[]) as g(dimension, key, metric, day, num, den, told, ended, final)
"""
_SAME: Final = "c.tenant = $1 and c.dimension = g.dimension and c.key = g.key and c.metric = g.metric and c.day = g.day"
_PAST: Final = f"""
insert into metric_past (tenant, dimension, key, metric, day, known_at, num, den, revision)
select c.tenant, c.dimension, c.key, c.metric, c.day, c.known_at, c.num, c.den, c.revision
from {_GIVEN} join metric_cell c on {_SAME}
where c.known_at < $2 and g.told and (g.ended or date_trunc('hour', c.known_at) < date_trunc('hour', $2))
"""
_CHANGE: Final = f"""
update metric_cell c set num = c.num + g.num, den = c.den + g.den, known_at = $2,
  revision = c.revision + (g.final and c.known_at < $2)::int, step = case when g.den = 0 then c.step end
from {_GIVEN} where {_SAME} returning g.dimension, g.key, g.metric, g.day
"""
_CELLS: Final = f"""
with changed as ({_CHANGE})
insert into metric_cell (tenant, dimension, key, metric, day, num, den, known_at, revision)
select $1, g.dimension, g.key, g.metric, g.day, g.num, g.den, $2, g.final::int
from {_GIVEN} where not exists (select from changed c where c.dimension = g.dimension and c.key = g.key
  and c.metric = g.metric and c.day = g.day)
"""


class Standing(NamedTuple):
    """How settled a number was before it changed.

    ``told``: its week had been counted as a whole. ``ended``: its window was over; ``final``: nobody expected a change.
    """

    told: bool
    ended: bool
    final: bool


async def add(
    tx: Connection, tenant: str, known_at: datetime, changes: Sequence[Change], before: Sequence[Standing]
) -> None:
    """Add to the numbers of groups and keep what they were before; of windows that are open, by the hour.

    What changes again at the same ``known_at``, or before its week was told, has been known to nobody: it leaves no
    trace. A number that falls to zero stays, so that its past and its revision are found. One that is of other people
    than before is in no step.
    """
    if changes:
        cells = map(list, zip(*(change.cell for change in changes), strict=True))
        columns = [*cells, [change.num for change in changes], [change.den for change in changes]]
        columns += map(list, zip(*before, strict=True))
        await tx.execute(_PAST, tenant, known_at, *columns)
        await tx.execute(_CELLS, tenant, known_at, *columns)
