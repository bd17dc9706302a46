"""The tenant's calendar: which instant a local day starts and ends at, and which day D+N is.

Days are half-open stretches of instants, ``[start_of(day), end_of(day))``, as long as the time zone makes them (23 or
25 hours when the clocks change). Day zero is the go-live day itself, whether people work on it or not.
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

NOON: Final = time(12)
DAY: Final = timedelta(days=1)

EARLIEST_YEAR: Final = 2
LATEST_YEAR: Final = 9990
"""Nearer to the ends of the calendar a time zone or a count of days could step over them."""

PRESENCE: Final = 60
"""Of a hundred of the usual work days, on how many something must be expected of people for their week to count."""

_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
_END: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Calendar:
    """How a tenant counts days: its time zone, and working days (ISO numbers less the holidays) or all days."""

    zone: tzinfo = UTC
    working: bool = False
    work_days: AbstractSet[int] = frozenset({1, 2, 3, 4, 5})
    holidays: AbstractSet[date] = frozenset()

    def at(self, day: date, hour: time) -> datetime:
        """Return the instant of a local ``hour`` of ``day``; one that the clocks skip is the instant of the skip."""
        if day.year < EARLIEST_YEAR:
            return _BEGINNING
        if day.year > LATEST_YEAR:
            return _END
        return datetime.combine(day, hour, self.zone).astimezone(UTC)

    def start_of(self, day: date) -> datetime:
        """Return the first instant of ``day``."""
        return self.at(day, time.min)

    def end_of(self, day: date) -> datetime:
        """Return the first instant after ``day``."""
        return _END if day.year > LATEST_YEAR else self.start_of(day + DAY)

    def noon_of(self, day: date) -> datetime:
        """Return 12:00 of ``day``."""
        return self.at(day, NOON)

    def day_of(self, instant: datetime) -> date:
        """Return the local day of ``instant``."""
        return instant.astimezone(self.zone).date()

    def is_working(self, day: date) -> bool:
        """Tell whether D+N counts ``day``. Without any work day in the week every day counts."""
        return not self.working or not self.work_days or self.is_open(day)

    def is_open(self, day: date) -> bool:
        """Tell whether people work on ``day``, however D+N is counted."""
        return day.isoweekday() in self.work_days and day not in self.holidays

    def is_closed(self, days: Iterable[date]) -> bool:
        """Tell whether so many of the ``days`` are holidays that whoever stays away then is not missing."""
        usual = [day for day in days if day.isoweekday() in self.work_days]
        return 100 * sum(map(self.is_open, usual)) < PRESENCE * len(usual)

    def day_n(self, day_zero: date, n: int) -> date:
        """Return D+n: the n-th counted day after ``day_zero``."""
        day = day_zero
        while n > 0 and day.year <= LATEST_YEAR:
            day += DAY
            n -= self.is_working(day)
        return day


def days_after(day: date, count: int) -> date:
    """Return the calendar day ``count`` days after ``day``, never beyond the last one."""
    return day + count * DAY if day.year <= LATEST_YEAR else day
