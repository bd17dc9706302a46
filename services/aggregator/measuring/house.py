"""The tenant as a pass of the measurer sees it: its weeks, how it counts, and which numbers were final before.

What an open week says of records is said as of its end, as if nothing more happened: no number is a function of the
clock, and a day that begins changes none.
"""

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from schemas.fields import DEFAULT, FieldRegistry
from services.aggregator.domain.measures import MOST_WEEKS, WEEK, Change, Span, Weeks
from services.aggregator.store import dirty
from services.aggregator.store import measures as store
from services.aggregator.store.cells import Standing
from services.aggregator.store.measures import Case, Measured
from services.metrics.calendar import local_day
from services.metrics.policy import policy_of
from services.metrics.shape import LOOKBACK, Policy, week_of
from services.metrics.windows import end_of, is_final
from services.postgres import Connection

_DAY: Final = timedelta(days=1)
_LATEST: Final = datetime.max.replace(tzinfo=UTC)

EVERYTHING: Final = ""
"""The mark of what to count in: everybody and every record."""


@dataclass(frozen=True, slots=True)
class House:
    """A tenant during one pass. ``cut``: what was queued until then belongs to it; ``known_at``: of what it finds.

    ``queued_at``: since when what is measured now has waited; what follows from it has waited as long. ``as_of``: the
    tenant's now at the cut: nothing that happened until then is left out, though time goes on while it is measured.
    ``weeks``: which there are; None: on the event clock, before the first event.

    ``settled_at``: up to which instant windows had become final for whoever looked before; None: none had. ``counted``:
    the weeks that everybody had been counted in before. ``told_from``, ``people_from``: since when what happened, and
    what people contributed, is kept.
    """

    tenant: str
    cut: datetime
    known_at: datetime
    weeks: Weeks | None
    policy: Policy
    fields: FieldRegistry
    min_group: int
    zones: Sequence[tzinfo] = (UTC,)
    queued_at: datetime = _LATEST
    settled_at: datetime | None = None
    counted: Collection[date] = field(default=frozenset())
    told_from: date | None = None
    people_from: date | None = None
    wall: bool = False
    as_of: datetime | None = None

    def stands(self, week: date) -> bool:
        """Tell whether what was counted of ``week`` stays: of what it was made of, not all is kept.

        The newest week and the one before are counted with what there is.
        """
        if self.forgotten(week):
            return True
        if self.told_from is None:
            return False
        if week < self.told_from:
            return True
        old = self.weeks is not None and week < self.weeks.last - WEEK
        return old and week < self.told_from + LOOKBACK and week in self.counted

    def forgotten(self, week: date) -> bool:
        """Tell whether nobody knows any more who was counted in ``week``."""
        return self.people_from is not None and week < self.people_from

    def standing(self, change: Change) -> Standing:
        """Return how settled the number was that ``change`` is of."""
        told = week_of(change.cell.day, self.policy.first_day_of_week) in self.counted
        if self.settled_at is None or not told:
            return Standing(told, ended=False, final=False)
        end = end_of(change.cell.day + change.days * _DAY, self.zones)
        return Standing(told, ended=end <= self.settled_at, final=is_final(end, self.settled_at))

    def week_of(self, day: date) -> date:
        """Return the first day of the week of ``day``."""
        return week_of(day, self.policy.first_day_of_week)

    def end_of_week(self, week: date) -> datetime:
        """Return the end of ``week`` where the tenant is."""
        return _end_of(week, self.policy.zone)


@lru_cache(maxsize=1024)
def _end_of(week: date, zone: tzinfo) -> datetime:
    return end_of(week + WEEK, [zone])


def zones(names: Iterable[str]) -> list[tzinfo]:
    """Return the time zones of these names; one that nobody knows is nowhere."""
    found: list[tzinfo] = []
    for name in names:
        with suppress(ZoneInfoNotFoundError, ValueError):
            found.append(ZoneInfo(name))
    return found or [UTC]


def moment_of(case: Case, now: datetime) -> datetime | None:
    """Return the tenant's now; None: on the event clock, before its first event."""
    return now if case.settings["clock"] == "wall" else case.newest


def goes_on(case: Case, before: Measured) -> bool:
    """Tell whether the tenant's time is its events', and one of them came since ``before``."""
    return case.settings["clock"] == "event" and case.newest is not None and case.newest != before.as_of


def today(case: Case, now: datetime) -> date | None:
    """Return the tenant's today."""
    moment = moment_of(case, now)
    return None if moment is None else local_day(moment, ZoneInfo(case.settings["time_zone"]))


def _week(case: Case, day: date) -> date:
    return week_of(day, case.settings["first_day_of_week"])


async def calendar(tx: Connection, tenant: str, case: Case, before: Measured, now: datetime) -> Measured:
    """Return ``before`` with the weeks that there are now. The newest never goes back."""
    if before.cut is not None:
        return before
    weeks = [_week(case, day) for day in (before.week, today(case, now)) if day is not None]
    if not weeks:
        return before
    week = max(weeks)
    since = await _first_week(tx, tenant, case, before.since and _week(case, before.since), week)
    return before._replace(since=since, week=week, until=end_of(week + WEEK, [ZoneInfo(case.settings["time_zone"])]))


async def _first_week(tx: Connection, tenant: str, case: Case, since: date | None, week: date) -> date:
    """Return the first week there is: that of the first event, and never more than ``MOST_WEEKS`` before ``week``.

    Older events are looked for only when something older than the weeks so far changed. Weeks never go.
    """
    if since is not None:
        low = await dirty.lowest(tx, tenant)
        if low is None or low - _DAY >= since:
            return since
    event = await store.earliest(tx, tenant, None if since is None else since + _DAY)
    if event is None:
        return since or week
    first = _week(case, local_day(event, ZoneInfo(case.settings["time_zone"])))
    return min(max(first, week - MOST_WEEKS * WEEK), since or week)


def house_of(tenant: str, case: Case, measured: Measured, settled_at: datetime | None, **known: Any) -> House:  # noqa: ANN401
    """Return the tenant as the pass that is under way sees it; ``known``: what else there is to know."""
    if measured.cut is None or measured.known_at is None:
        raise RuntimeError("no pass is under way")
    weeks = None
    if measured.since is not None and measured.week is not None:
        weeks = Weeks(measured.since, measured.week, case.settings["first_day_of_week"])
    return House(
        tenant,
        measured.cut,
        measured.known_at,
        weeks,
        queued_at=measured.cut,
        **_counting(case),
        settled_at=settled_at,
        **known,
    )


def renewed(house: House, case: Case, queued_at: datetime) -> House:
    """Return ``house`` with the settings that the tenant has now, to measure what waits since ``queued_at``."""
    return replace(house, queued_at=queued_at, **_counting(case))


def _counting(case: Case) -> dict[str, Any]:
    """Return how a tenant counts."""
    told = case.settings["fields"]
    return {
        "policy": policy_of(case.settings, waves=case.waves),
        "fields": DEFAULT if told is None else msgspec.convert(told, FieldRegistry),
        "min_group": case.settings["min_group"],
        "told_from": case.settings["activity_from"],
        "people_from": case.settings["people_from"],
        "wall": case.settings["clock"] == "wall",
    }


def newly(house: House, before: Measured) -> list[tuple[str, Span]]:
    """Return what is to be counted in because of time: marks of ``spreading`` with the days that were none before."""
    if house.weeks is None:
        return []
    if before.week is None or before.since is None:
        return [(EVERYTHING, Span(None, None))]
    found = []
    if house.weeks.first < before.since:
        found.append((EVERYTHING, Span(house.weeks.first + _DAY, before.since - 2 * _DAY)))
    if house.weeks.last > before.week:
        found.append((EVERYTHING, Span(before.week + WEEK + _DAY, house.weeks.last + _DAY)))
    return found
