"""What must be known of a tenant beside the numbers of a group, read by one statement.

Zones and codes are walked along an index: they cost by how many there are, not by how many people or cells have them.
"""

from datetime import date, datetime
from typing import Final, NamedTuple

from schemas.statements import CODES, ZONES
from services.metrics.scene import Silence
from services.metrics.shape import EVERYBODY
from services.postgres import Connection


class Beside(NamedTuple):
    """What is known of a tenant and a group beside its numbers.

    ``weeks``: the first and the last week that everybody was counted in; None: there is none yet. ``active``: whether
    there was ever an event. ``zones``: of people who have one of their own. ``codes``: all that is counted of the
    tenant as a whole. ``kinds``: of its sources. ``merged``: whether any record ever turned out to be a duplicate.
    ``hidden``: the weeks in which the group is. ``silences``: of sources, as far as what they left out is missing
    still. ``approved_at``: when the directory was approved as it is; ``version``: how often the API wrote something.
    """

    weeks: tuple[date, date] | None
    active: bool
    zones: list[str]
    codes: list[str]
    kinds: list[str]
    merged: bool
    hidden: list[date]
    silences: list[Silence]
    approved_at: datetime | None
    version: int


_BESIDE: Final = f"""
    with recursive {ZONES}, {CODES},
    weeks as (select min(week) as first, max(week) as last from measured_week where tenant = $1),
    silences as (select since, until from silence where tenant = $1 and state <> 'filled' and since < $7)
    select (select first from weeks), (select last from weeks),
           exists (select from tally where tenant = $1 and newest is not null),
           array(select zone from zones where zone is not null),
           array(select code from codes where code is not null),
           array(select distinct kind from source where tenant = $1),
           exists (select from metric_cell c where c.tenant = $1 and c.dimension = 'tenant' and c.key = $2
                   and c.metric = 'M30' and c.num > 0),
           array(select week from hidden_group h where h.tenant = $1 and h.dimension = $3 and h.key = $4
                 and h.week >= least($5::date, (select last from weeks))
                 and h.week <= greatest($6::date, (select first from weeks))),
           array(select since from silences order by since, until),
           array(select until from silences order by since, until),
           (select quality_approved_at from tenant where id = $1),
           coalesce((select version from tally where tenant = $1 and shard = -1), 0)"""


async def beside(
    connection: Connection, tenant: str, group: tuple[str, str], span: tuple[date, date], until: datetime
) -> Beside:
    """Return what is known beside the numbers of ``group``.

    Where it is hidden in the weeks that begin in ``span``; until one was measured, the next that was stands for it.
    ``until``: of the silences before then.
    """
    row = await connection.fetchrow(_BESIDE, tenant, EVERYBODY, *group, *span, until)
    first, last, active, zones, codes, kinds, merged, hidden, begun, ended, approved_at, version = row
    weeks, silences = None if first is None else (first, last), list(map(Silence, begun, ended))
    return Beside(weeks, active, zones, codes, kinds, merged, hidden, silences, approved_at, version)
