"""The rhythm of a source: how much it usually sends in an hour of the week, learned from the weeks before.

Hours are numbered from 1970 in UTC; which hour of the week one is follows from the tenant's time zone and calendar.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from services.aggregator.domain.calendar import Calendar

HOUR: Final = timedelta(hours=1)
WEEK_HOURS: Final = 168
MOST_WEEKS: Final = 8
LEAST_WEEKS: Final = 2
"""A source that is known for less time is not judged."""
LEAST_EVENTS: Final = 20
REGULAR: Final = 0.5
"""A source that was heard of on fewer of the working days has no rhythm that it could lose."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Hours: TypeAlias = Mapping[int, int]
"""Events by hour."""


@dataclass(frozen=True, slots=True)
class Time:
    """The hours that are looked at: of which hour of the week each is (None: nobody works), and which have passed.

    ``passed`` None: all have.
    """

    first: int
    slots: Sequence[int | None]
    passed: Collection[int] | None = None

    def slot(self, hour: int) -> int | None:
        """Return the hour of the week of ``hour``, if something may be expected in it."""
        place = hour - self.first
        if not 0 <= place < len(self.slots) or (self.passed is not None and hour not in self.passed):
            return None
        return self.slots[place]


def hour_of(instant: datetime) -> int:
    """Return the number of the hour that ``instant`` lies in."""
    return int((instant - _EPOCH) // HOUR)


def start_of(hour: int) -> datetime:
    """Return the first instant of an hour."""
    return _EPOCH + hour * HOUR


def slots_of(first: int, end: int, calendar: Calendar) -> list[int | None]:
    """Return of each hour from ``first`` until before ``end`` which hour of the local week it is."""
    found: list[int | None] = []
    for hour in range(first, end):
        local = start_of(hour).astimezone(calendar.zone)
        found.append(local.weekday() * 24 + local.hour if calendar.is_working(local.date()) else None)
    return found


class Usual:
    """What a source sends in each hour of the week, learned before the hour ``until``."""

    def __init__(self, hours: Hours, time: Time, until: int, blind: Collection[int]) -> None:
        self._hours, self._time = hours, time
        self.first = max(min(hours, default=until), until - MOST_WEEKS * WEEK_HOURS, time.first)
        self.until = until
        samples: dict[int, list[int]] = defaultdict(list)
        days: dict[int, int] = defaultdict(int)
        for hour in range(self.first, until):
            slot = time.slot(hour)
            if slot is not None and hour not in blind:
                samples[slot].append(hours.get(hour, 0))
                days[hour // 24] += hours.get(hour, 0)
        self._busy, self._days = sum(map(bool, days.values())), len(days)
        self._rates = {slot: _middle(sorted(counts)) for slot, counts in samples.items()}

    @property
    def known(self) -> bool:
        """Whether there is enough to go by."""
        if self.until - self.first < LEAST_WEEKS * WEEK_HOURS or self._busy < REGULAR * self._days:
            return False
        return sum(self._hours.get(hour, 0) for hour in range(self.first, self.until)) >= LEAST_EVENTS

    def rate(self, hour: int) -> float:
        """Return how many events are expected in ``hour``."""
        slot = self._time.slot(hour)
        return 0.0 if slot is None else self._rates.get(slot, 0.0)

    def interval(self, blind: Collection[int]) -> float:
        """Return how many events are missing in a usual pause: in the longest but one it has had, or one event."""
        longest = second = run = 0.0
        for hour in range(self.first, self.until):
            if self._hours.get(hour) or hour in blind:
                longest, second = max(longest, run), max(second, min(longest, run))
                run = 0.0
            else:
                run += self.rate(hour)
        return max(1.0, second)


def _middle(counts: Sequence[int]) -> float:
    """Return the mean of ascending ``counts`` without the highest and the lowest; of two the lower."""
    if len(counts) < LEAST_WEEKS:
        return 0.0
    if len(counts) == LEAST_WEEKS:
        return float(counts[0])
    inner = counts[1:-1]
    return sum(inner) / len(inner)
