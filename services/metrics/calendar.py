"""Days as a person lives them: which day an instant falls on, which days they work, the n-th working day after one.

Invariant: a day is a date in the zone of the person, never a span of 24 hours, so that no change of the clocks moves
or doubles anything.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Final

import holidays

from services.metrics.shape import Interval, Person, Policy, Spell

DAY: Final = timedelta(days=1)
HORIZON: Final = 366
"""So many days that no leave covers are looked at for the n-th working day; who works on fewer has none."""
_LAST: Final = date.max - timedelta(days=2 * HORIZON)
"""Nothing is looked for after it: such a date stands for never."""


def zone_of(person: Person, policy: Policy) -> tzinfo:
    """Return the zone that the days of ``person`` are in."""
    return person.zone or policy.zone


def local_day(instant: datetime, zone: tzinfo) -> date:
    """Return the date of ``instant``, which knows its offset, in ``zone``."""
    if instant.tzinfo is not UTC:
        return instant.astimezone(zone).date()
    turn = _turn(zone, instant.date())
    if turn is None:
        return instant.astimezone(zone).date()
    midnight, before, after = turn
    return before if instant < midnight else after


@lru_cache(maxsize=16384)
def _turn(zone: tzinfo, day: date) -> tuple[datetime, date, date] | None:
    """Return the local midnight within a UTC day, with the dates before and from then on.

    None where the clocks change on that day, or midnight is not one: each instant must then be asked for by itself.
    """
    start = datetime.combine(day, time(), UTC)
    first, last = start.astimezone(zone), (start + DAY - timedelta.resolution).astimezone(zone)
    if first.utcoffset() != last.utcoffset():
        return None
    midnight = datetime.combine(last.date(), time(), zone).astimezone(UTC)
    return midnight, last.date() - DAY, last.date()


def within(intervals: Iterable[Interval], day: date) -> bool:
    """Whether one of ``intervals`` holds ``day``."""
    return any(start <= day and (end is None or day < end) for start, end in intervals)


def splits(intervals: Iterable[Interval], first: date, last: date) -> bool:
    """Whether one of ``intervals`` begins or ends between ``first`` and ``last``, so that it holds not all or none."""
    return any(first < start <= last or (end is not None and first < end <= last) for start, end in intervals)


def cover(intervals: Sequence[Interval], first: date, last: date) -> bool:
    """Whether ``intervals`` together hold every day from ``first`` to ``last``, both included."""
    open_day = first
    for start, end in sorted(intervals, key=lambda interval: interval.start) if len(intervals) > 1 else intervals:
        if start <= open_day and (end is None or open_day < end):
            if end is None or last < end:
                return True
            open_day = end
    return False


def spell_on(person: Person, day: date) -> Spell | None:
    """Return what held of ``person`` on ``day``."""
    for spell in reversed(person.spells):
        start, end = spell.interval
        if start <= day and (end is None or day < end):
            return spell
    return None


@lru_cache(maxsize=1)
def _countries() -> frozenset[str]:
    return frozenset(holidays.list_supported_countries())


@lru_cache(maxsize=4096)
def public_holidays(calendar: str, year: int) -> frozenset[date] | None:
    """Return the public holidays of ``calendar``, ``PT`` or ``DE-BY``, in ``year``; None: there is no such calendar."""
    country, _, subdivision = calendar.upper().partition("-")
    if country not in _countries():
        return None
    try:
        return frozenset(holidays.country_holidays(country, subdiv=subdivision or None, years=year))
    except NotImplementedError:
        return None


@lru_cache(maxsize=16384)
def is_work_day(work_days: frozenset[int], calendar: str | None, closed: frozenset[date], day: date) -> bool:
    """Whether ``day`` is one of ``work_days`` and no holiday; ``closed`` holds where there is no ``calendar``."""
    if day.isoweekday() not in work_days:
        return False
    public = public_holidays(calendar, day.year) if calendar else None
    return day not in (closed if public is None else public)


def work_days(spell: Spell | None, policy: Policy) -> frozenset[int]:
    """Return the days of the week, by their ISO numbers, that the contract of ``spell`` names, else the tenant's."""
    return policy.work_days if spell is None or spell.work_days is None else spell.work_days


def works(person: Person, policy: Policy, day: date) -> bool:
    """Whether ``day`` is a working day of the person's calendar, whether or not they are on leave.

    The days of the week are those of their contract, else the tenant's. The holidays are those of their own calendar;
    where they have none, or one that nobody knows, the tenant's.
    """
    return is_work_day(work_days(spell_on(person, day), policy), person.calendar, policy.holidays, day)


def working_day_after(person: Person, policy: Policy, start: date, count: int, *, pausing: bool = True) -> date | None:
    """Return the ``count``-th working day of ``person`` after ``start``, which is day 0 itself.

    ``pausing``: days of leave do not count. None: leave without end, or no work to return to.
    """
    spell = spell_on(person, start)
    if spell is not None:
        plain = _plain_day_after(start, count, work_days(spell, policy), person.calendar, policy.holidays)
        if plain is not None and _undisturbed(person, spell, start, plain, pausing=pausing):
            return plain
    return _walk(person, policy, start, count, working=True, pausing=pausing)


def counted_day_after(person: Person, policy: Policy, start: date, count: int) -> date | None:
    """Return D+``count`` from ``start``: by working days or by all days, as the tenant counts; leave pauses."""
    if policy.working:
        return working_day_after(person, policy, start, count)
    return _walk(person, policy, start, count, working=False, pausing=True)


def back_from_leave(person: Person, policy: Policy, day: date) -> date | None:
    """Return ``day``, or the first working day after the leave that covers it; None: leave without end."""
    leave = _leave_on(person, day)
    if leave is None:
        return day
    return None if leave.end is None else working_day_after(person, policy, leave.end - DAY, 1)


def working_days_between(person: Person, policy: Policy, after: date, until: date) -> int:
    """Return how many working days without leave there are after ``after`` up to and including ``until``."""
    days = (after + timedelta(days=n) for n in range(1, (until - after).days + 1))
    return sum(works(person, policy, day) and not within(person.absences, day) for day in days)


@lru_cache(maxsize=16384)
def _plain_day_after(
    start: date, count: int, work_days: frozenset[int], calendar: str | None, closed: frozenset[date]
) -> date | None:
    """Return the ``count``-th working day after ``start`` of people whose contract stays as it is."""
    left, day = count, start
    for _ in range(HORIZON):
        if not left:
            return day
        if day > _LAST:
            return None
        day += DAY
        left -= is_work_day(work_days, calendar, closed, day)
    return None if left else day


def _undisturbed(person: Person, spell: Spell, start: date, last: date, *, pausing: bool) -> bool:
    """Whether neither another contract nor, where it matters, leave comes between ``start`` and ``last``."""
    end = spell.interval.end
    if end is not None and end <= last:
        return False
    return not pausing or all(
        last < absence.start or (absence.end is not None and absence.end <= start) for absence in person.absences
    )


def _walk(person: Person, policy: Policy, start: date, count: int, *, working: bool, pausing: bool) -> date | None:
    """Return the ``count``-th day after ``start`` that counts, looking at one after the other."""
    left, day, looked = count, start, 0
    while left and looked < HORIZON and day < _LAST:
        day += DAY
        if pausing and (leave := _leave_on(person, day)) is not None:
            if leave.end is None:
                return None
            day = leave.end - DAY
            continue
        looked += 1
        left -= not working or works(person, policy, day)
    return None if left else day


def _leave_on(person: Person, day: date) -> Interval | None:
    for absence in person.absences:
        if absence.start <= day and (absence.end is None or day < absence.end):
            return absence
    return None
