"""Which week another one is compared with.

``week1``: the first week that lies fully after the go-live and has three working days; ``annotation:<id>``: the same
after what was noted began. ``trailing4``: of the last four final weeks before, the one with the median rate (the lower
of the two in the middle), so that a base is always a real week with people in it.
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Final, NamedTuple

from services.metrics.scene import Scene
from services.metrics.shape import DAYS_A_WEEK, Policy, week_of
from services.metrics.windows import end_of, is_final

WEEK1: Final = "week1"
TRAILING4: Final = "trailing4"
ANNOTATION: Final = "annotation:"
WORKING_DAYS: Final = 3
TRAILING: Final = 4
LONGEST: Final = timedelta(weeks=8)
"""Longer holidays are no reason to look for a first week."""
_A_WEEK: Final = timedelta(days=DAYS_A_WEEK)


class Week(NamedTuple):
    """A week of a group in which something can be told."""

    start: date
    num: int
    den: int


class Wave(NamedTuple):
    """A wave: when it goes live, and whom it names. Without anybody named it is for everybody."""

    id: str
    go_live: date
    teams: Collection[str] = ()
    roles: Collection[str] = ()
    people: Collection[str] = ()


def go_live_of(group: tuple[str, str], waves: Sequence[Wave]) -> date | None:
    """Return when a group went live: with its own wave, or the first that names it, or the first for everybody.

    Another group (a location, a function, the tenant) went live with the first wave of all.
    """
    dimension, key = group
    ordered = sorted(waves, key=lambda wave: (wave.go_live, wave.id))
    if dimension == "wave":
        return next((wave.go_live for wave in ordered if wave.id == key), None)
    if dimension in {"team", "role"}:
        named = (wave for wave in ordered if key in (wave.teams if dimension == "team" else wave.roles))
        everybody = (wave for wave in ordered if not (wave.teams or wave.roles or wave.people))
        return next((wave.go_live for wave in (*named, *everybody)), None)
    return ordered[0].go_live if ordered else None


def working_days(week: date, policy: Policy) -> int:
    """Return how many days of the week are worked as the tenant counts."""
    days = (week + timedelta(days=offset) for offset in range(DAYS_A_WEEK))
    return sum(day.isoweekday() in policy.work_days and day not in policy.holidays for day in days)


def nth_working_day(day: date, number: int, policy: Policy) -> date:
    """Return the ``number``-th working day after ``day`` as the tenant counts, at most a year later."""
    for offset in range(1, 366):
        then = day + timedelta(days=offset)
        number -= then.isoweekday() in policy.work_days and then not in policy.holidays
        if number <= 0:
            return then
    return day + timedelta(days=366)


def week1(weeks: Sequence[Week], go_live: date | None, policy: Policy) -> Week | None:
    """Return the first full week after ``go_live``; without one, the first week that anything is counted in."""
    if go_live is None:
        return next((week for week in sorted(weeks) if working_days(week.start, policy) >= WORKING_DAYS), None)
    start = week_of(go_live, policy.first_day_of_week) + _A_WEEK
    while working_days(start, policy) < WORKING_DAYS and start < go_live + LONGEST:
        start += _A_WEEK
    return next((week for week in weeks if week.start == start), None)


def trailing4(weeks: Sequence[Week], before: date, scene: Scene) -> Week | None:
    """Return the median of the last four final weeks before ``before``; None: there are no four."""
    last = [week for week in sorted(weeks) if week.start < before and _final(week, scene)][-TRAILING:]
    if len(last) < TRAILING:
        return None
    return sorted(last, key=lambda week: (Fraction(week.num, week.den), week.start))[TRAILING // 2 - 1]


def _final(week: Week, scene: Scene) -> bool:
    return is_final(_end(week, scene), scene.now)


def _end(week: Week, scene: Scene) -> datetime:
    return end_of(week.start + _A_WEEK, scene.zones)
