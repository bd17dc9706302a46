"""Windows of a metric: which days each holds, when it ends, and how settled it is.

A window ends when its last day has ended wherever people work: what counts there has no later day anywhere.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final, Literal, TypeAlias

from services.metrics.shape import Interval, week_of

State: TypeAlias = Literal["open", "provisional", "final", "restated"]
Name: TypeAlias = Literal["1d", "7d", "28d", "week", "month"]

NAMES: Final[tuple[Name, ...]] = ("1d", "7d", "28d", "week", "month")
EVALUATION_DELAY: Final = timedelta(hours=2)
"""What arrives so late after the end is still expected: until then a window counts as open."""
GRACE: Final = timedelta(hours=48)
_DAY: Final = timedelta(days=1)
_TRAILING: Final = {"1d": 1, "7d": 7, "28d": 28}
_LATEST_YEAR: Final = 9990


def bounds(name: Name, as_of: date, first_day_of_week: int = 1) -> Interval:
    """Return the days of the window: those that trail up to ``as_of``, or the calendar week or month it lies in."""
    if name == "week":
        start = week_of(as_of, first_day_of_week)
        return Interval(start, start + 7 * _DAY)
    if name == "month":
        start = as_of.replace(day=1)
        return Interval(start, (start + 31 * _DAY).replace(day=1))
    return Interval(as_of - (_TRAILING[name] - 1) * _DAY, as_of + _DAY)


def end_of(end: date, zones: Iterable[tzinfo] = (UTC,)) -> datetime:
    """Return the instant from which ``end``, the first day after a window, has begun in all of ``zones``."""
    if end.year > _LATEST_YEAR:
        return datetime.max.replace(tzinfo=UTC)
    return max(datetime.combine(end, time.min, zone).astimezone(UTC) for zone in zones)


def final_at(end: datetime) -> datetime:
    """Return from when on a window that ended at ``end`` is expected to stay as it is."""
    return end + EVALUATION_DELAY + GRACE


def is_final(end: datetime, now: datetime) -> bool:
    """Tell whether a window that ended at ``end`` is expected to stay as it is."""
    return now >= final_at(end)


def state(end: datetime, now: datetime, revision: int) -> State:
    """Return how settled the window is that ends at ``end``; ``revision``: how often it changed when it was final."""
    if now < end + EVALUATION_DELAY:
        return "open"
    if revision > 0:
        return "restated"
    return "final" if is_final(end, now) else "provisional"
