"""When somebody works: the hours in which a message may reach them, and the mornings on which a digest does.

A morning is the instant at which a working day of theirs begins, in their own zone: it moves with their clocks, and
every working day has exactly one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

from services.metrics.calendar import is_work_day, local_day, within
from services.metrics.shape import Interval

OPENS: Final = time(8)
CLOSES: Final = time(18)
DAY: Final = timedelta(days=1)
HORIZON: Final = 400
"""Who does not work on any of so many days has no morning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """The working hours of a recipient. ``calendar``: whose holidays they have; None: ``closed``, the tenant's."""

    zone: tzinfo
    work_days: frozenset[int]
    calendar: str | None = None
    closed: frozenset[date] = frozenset()
    away: Sequence[Interval] = ()
    opens: time = OPENS
    closes: time = CLOSES

    def day(self, now: datetime) -> date:
        """Return their date at ``now``."""
        return local_day(now, self.zone)

    def work_on(self, day: date) -> bool:
        """Whether they work on ``day``."""
        return is_work_day(self.work_days, self.calendar, self.closed, day) and not within(self.away, day)

    def morning(self, day: date) -> datetime:
        """Return the instant at which ``day`` begins for them."""
        return datetime.combine(day, self.opens, self.zone).astimezone(UTC)

    def evening(self, day: date) -> datetime:
        """Return the instant from which on they are left alone on ``day``."""
        return datetime.combine(day, self.closes, self.zone).astimezone(UTC)

    def open_at(self, now: datetime) -> bool:
        """Whether a message may reach them at ``now``."""
        day = self.day(now)
        return self.work_on(day) and self.morning(day) <= now < self.evening(day)

    def next_morning(self, now: datetime) -> datetime | None:
        """Return the first morning after ``now``; None: there is none in sight."""
        day = self.day(now)
        days = (day + n * DAY for n in range(HORIZON))
        return next((self.morning(one) for one in days if self.work_on(one) and self.morning(one) > now), None)

    def morning_between(self, after: datetime, now: datetime) -> date | None:
        """Return today, when its morning came after ``after`` and its evening has not come by ``now``."""
        day = self.day(now)
        return day if self.open_at(now) and after < self.morning(day) else None

    def begins_week(self, day: date, first_day: int) -> bool:
        """Whether ``day`` is the first working day of the week that begins on ``first_day`` (ISO)."""
        past = (day.isoweekday() - first_day) % 7
        return self.work_on(day) and not any(self.work_on(day - n * DAY) for n in range(1, past + 1))

    def week_of(self, day: date, first_day: int) -> date:
        """Return the first day of the week of ``day``."""
        return day - (day.isoweekday() - first_day) % 7 * DAY
