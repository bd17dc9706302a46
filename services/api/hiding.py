"""Small groups behind a curtain: the one answer to whether the numbers of a group may be told.

A number of several days is told when the group is hidden in none of the weeks they lie in, and has enough people by
itself. So what two windows differ in tells nothing that the groups of one week do not. Weeks that were not measured yet
count as the last one that was; before there is any, nobody is told but of the tenant as a whole.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from services.api.store import hiding as store
from services.api.store.tenants import Tenant
from services.metrics.shape import DAYS_A_WEEK, week_of
from services.postgres import Connection

_WEEK: Final = timedelta(days=DAYS_A_WEEK)


@dataclass(frozen=True, slots=True)
class Curtain:
    """What is hidden of a tenant. ``weeks``: the first and the last that were measured; None: not one."""

    least: int
    first_day_of_week: int = 1
    weeks: tuple[date, date] | None = None
    hidden: frozenset[tuple[date, str, str]] = frozenset()

    def hides(self, group: tuple[str, str], first: date, last: date, people: int | None = None) -> bool:
        """Return whether numbers of ``group`` over the days ``first`` to ``last`` stay hidden.

        ``people``: how many the number itself is of, where that is known.
        """
        if self.least <= 1:
            return False
        if people is not None and people < self.least:
            return True
        if self.weeks is None:
            return group[0] != "tenant"
        week, end = (
            min(max(week_of(day, self.first_day_of_week), self.weeks[0]), self.weeks[1]) for day in (first, last)
        )
        while week <= end:
            if (week, *group) in self.hidden:
                return True
            week += _WEEK
        return False


async def curtain(
    connection: Connection, tenant: Tenant, first: date, last: date, groups: Collection[tuple[str, str]] | None = None
) -> Curtain:
    """Return what is hidden of ``groups`` (None: of all) on the days ``first`` to ``last``."""
    if tenant.min_group <= 1:
        return Curtain(tenant.min_group)
    start = tenant.first_day_of_week
    weeks = await store.measured(connection, tenant.id)
    if weeks is None:
        return Curtain(tenant.min_group, start)
    span = [min(max(week_of(day, start), weeks[0]), weeks[1]) for day in (first, last)]
    found = await store.hidden(connection, tenant.id, groups, span[0], span[1])
    return Curtain(tenant.min_group, start, weeks, frozenset(found))
