"""Who counts, when, and where: day zero, the days on which something is expected of a person, the week's group.

Invariant: a function of the directory alone. Nothing a person does, or does not do, decides whether they are expected.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import lru_cache
from typing import Final, NamedTuple, TypeVar

from services.metrics.calendar import (
    back_from_leave,
    is_work_day,
    spell_on,
    splits,
    within,
    work_days,
    working_day_after,
    works,
)
from services.metrics.shape import DAYS_A_WEEK, Groups, Interval, Person, Policy, Spell, WaveStart

NOT_LIVE: Final = "not_live"
UNLICENSED: Final = "unlicensed"
LEAVER: Final = "leaver"
ON_LEAVE: Final = "on_leave"
OPTED_OUT: Final = "opted_out"
NON_HUMAN: Final = "non_human"
SHORT_PRESENCE: Final = "short_presence"
REASONS: Final = (NOT_LIVE, UNLICENSED, LEAVER, ON_LEAVE, OPTED_OUT, NON_HUMAN, SHORT_PRESENCE)
"""Why nothing is expected of a person. The first that holds is told."""

HUMAN: Final = "human"

_NOWHERE: Final = Groups()
_Value = TypeVar("_Value", bound=Hashable)


class Day(NamedTuple):
    """A day of a person.

    ``works``: a working day of theirs, on leave or not. ``reason``: the first of ``REASONS`` that stands against the
    day. ``live``: nothing stands against it, but perhaps leave; what they do on it counts. ``groups`` None: the
    directory does not know them on it.
    """

    day: date
    works: bool
    reason: str | None
    live: bool
    groups: Groups | None
    leads: bool

    @property
    def eligible(self) -> bool:
        """Return whether something is expected on this day."""
        return self.works and self.reason is None


@dataclass(frozen=True, slots=True)
class Presence:
    """A week of a person. ``reason``: why nothing is expected in it; None: something is.

    ``groups``: where the week counts. ``moves``: where days were spent instead, by offset from the first day.
    """

    days: Sequence[Day]
    reason: str | None
    groups: Groups
    moves: Mapping[int, Groups]
    leads: bool

    @property
    def expected(self) -> bool:
        """Return whether something is expected of the person in the week."""
        return self.reason is None


def wave_of(person: Person) -> WaveStart | None:
    """Return the wave a person counts in: of several the one in which they go live first."""
    if len(person.waves) == 1:
        return person.waves[0]
    return min(person.waves, key=lambda wave: (_live_from(wave), wave.go_live, wave.wave), default=None)


def _live_from(wave: WaveStart) -> date:
    return max(wave.go_live, wave.since)


def day_zero(person: Person, policy: Policy) -> date | None:
    """Return the first day that counts for a person (domain 5.2), a date in their zone.

    The latest of: the go-live of their wave, the day they joined it, the first day they are active, the start of the
    licence that covers all this or comes next. Where leave covers that day: the first working day after the leave.
    None: no wave though the tenant has some, no licence from then on, or leave without end. Of people who turned out to
    be one the earliest day counts.
    """
    if not person.merged:
        return _day_zero(person, policy)
    each = (_day_zero(one, policy) for one in person.merged)
    return min((zero for zero in each if zero is not None), default=None)


def _day_zero(person: Person, policy: Policy) -> date | None:
    start = _start(person, policy)
    licence = None if start is None else _licence_from(person, start)
    return None if licence is None else back_from_leave(person, policy, licence)


def _start(person: Person, policy: Policy) -> date | None:
    """Return the day from which on a person could begin if they had a licence."""
    if not policy.waves:
        return person.active.start
    wave = wave_of(person)
    return None if wave is None else max(_live_from(wave), person.active.start)


def _licence_from(person: Person, start: date) -> date | None:
    """Return ``start`` where a licence covers it, else the day the next one begins."""
    return min((max(start, first) for first, end in person.licences if end is None or start < end), default=None)


def is_initial(person: Person, policy: Policy, zero: date) -> bool:
    """Whether a person who begins on ``zero`` is of the initial cohort of their wave, else they are a joiner.

    It ends on the first working day of their calendar after the go-live, whether or not they were on leave then.
    Without waves there is no go-live to be there for, and everybody is a joiner.
    """
    wave = wave_of(person) if policy.waves else None
    if wave is None:
        return False
    last = working_day_after(person, policy, wave.go_live, 1, pausing=False)
    return zero <= (last or wave.go_live)


def united(person: Person, others: Sequence[Person]) -> Person:
    """Return ``person``, who turned out to be each of ``others`` as well: the licences and waves of all are theirs."""
    if not others:
        return person
    everybody = (person, *others)
    licences: list[Interval] = []
    for start, end in sorted((held for one in everybody for held in one.licences), key=lambda held: held.start):
        last = licences[-1].end if licences else start
        if licences and (last is None or last >= start):
            longest = None if last is None or end is None else max(last, end)
            licences[-1] = Interval(licences[-1].start, longest)
        else:
            licences.append(Interval(start, end))
    waves = [wave for one in everybody for wave in one.waves]
    prices = [price for one in everybody for price in one.prices]
    merged = [replace(one, merged=()) for one in (person, *others)]
    return replace(person, licences=tuple(licences), waves=tuple(waves), prices=tuple(prices), merged=tuple(merged))


def eligible(person: Person, policy: Policy, day: date) -> bool:
    """Whether something is expected of ``person`` on the local ``day`` (domain 5.1)."""
    return day_of(person, policy, day, day_zero(person, policy)).eligible


def day_of(person: Person, policy: Policy, day: date, zero: date | None) -> Day:
    """Return what ``day`` is for ``person`` whose day zero is ``zero``."""
    spell = spell_on(person, day)
    reason, live = _standing(person, policy, day, zero, spell)
    groups = _groups(spell, wave_of(person) if policy.waves else None, day)
    return Day(day, works(person, policy, day), reason, live, groups, spell is not None and spell.leadership)


def _standing(
    person: Person, policy: Policy, day: date, zero: date | None, spell: Spell | None
) -> tuple[str | None, bool]:
    """Return the first reason that stands against ``day``, and whether none but leave does."""
    if zero is None or day < zero:
        never = zero is None and (start := _start(person, policy)) is not None and _licence_from(person, start) is None
        return (UNLICENSED if never else NOT_LIVE), False
    if not within(person.licences, day):
        return UNLICENSED, False
    if _has_left(person, day, spell):
        return LEAVER, False
    if spell is None:
        return NOT_LIVE, False
    barred = OPTED_OUT if spell.opted_out else NON_HUMAN if spell.kind != HUMAN else None
    return (ON_LEAVE if within(person.absences, day) else barred), barred is None


def _has_left(person: Person, day: date, spell: Spell | None) -> bool:
    """Whether ``day`` comes after the person's last one, or after the last that the directory knows them on."""
    end = person.active.end
    if end is not None and end <= day:
        return True
    return spell is None and any(it.interval.end is not None and it.interval.end <= day for it in person.spells)


def days_of(person: Person, policy: Policy, first: date, zero: date | None) -> Sequence[Day]:
    """Return the seven days of ``person`` from ``first`` on."""
    one = day_of(person, policy, first, zero)
    last = first + timedelta(days=DAYS_A_WEEK - 1)
    if is_steady(person, policy, zero, first, last) and not splits(person.absences, first, last):
        spell = spell_on(person, first)
        contract = work_days(spell, policy)
        return _same_days(one, contract, person.calendar, policy.holidays)
    return (one, *(day_of(person, policy, first + timedelta(days=n), zero) for n in range(1, DAYS_A_WEEK)))


def is_steady(person: Person, policy: Policy, zero: date | None, first: date, last: date) -> bool:
    """Whether the same holds of ``person`` on every day from ``first`` to ``last``, leave aside."""
    wave = wave_of(person) if policy.waves else None
    return not (
        (zero is not None and first < zero <= last)
        or (wave is not None and first < wave.since <= last)
        or splits((person.active,), first, last)
        or splits(person.licences, first, last)
        or splits([spell.interval for spell in person.spells], first, last)
    )


@lru_cache(maxsize=4096)
def _same_days(one: Day, contract: frozenset[int], calendar: str | None, closed: frozenset[date]) -> Sequence[Day]:
    """Return seven days from ``one`` on, of which the same holds but for the weekday and for holidays."""
    days = (one.day + timedelta(days=offset) for offset in range(DAYS_A_WEEK))
    return tuple(one._replace(day=day, works=is_work_day(contract, calendar, closed, day)) for day in days)


def why_not_expected(days: Sequence[Day]) -> str | None:
    """Return why nothing is expected in a week of ``days``; None: something is.

    Contracted are the working days of the person's calendar: a holiday is none, a day of leave is one. Expected is who
    is eligible on 60 % of them or more, which is 3 of 5. Who is so on fewer, but on one at least, has a short presence.
    Who is not at all has the first of the reasons that stand against the working days (against any day, where there
    is no working day); nothing but holidays is a short presence.
    """
    contracted = [day for day in days if day.works]
    present = sum(day.reason is None for day in contracted)
    if present:
        return None if 5 * present >= 3 * len(contracted) else SHORT_PRESENCE
    found = {day.reason for day in contracted or days}
    return next((reason for reason in REASONS if reason in found), SHORT_PRESENCE)


def presence(person: Person, policy: Policy, week: date, zero: date | None) -> Presence | None:
    """Return the week of ``person`` that begins on ``week``; None: the directory does not know them in it.

    In each dimension the week counts where most of the expected days were spent, of equals the latest (domain 5.5);
    without an expected day all working days count for this, without a working day all days.
    """
    return _weigh(days_of(person, policy, week, zero))


@lru_cache(maxsize=4096)
def _weigh(days: Sequence[Day]) -> Presence | None:
    known = [day for day in days if day.groups is not None]
    if not known:
        return None
    deciding = [day for day in known if day.eligible] or [day for day in known if day.works] or known
    columns = zip(*(day.groups or _NOWHERE for day in deciding), strict=True)
    groups = Groups(*(_most(list(column)) for column in columns))
    moves = {offset: day.groups for offset, day in enumerate(days) if day.groups is not None and day.groups != groups}
    return Presence(days, why_not_expected(days), groups, moves, _most([day.leads for day in deciding]))


def _groups(spell: Spell | None, wave: WaveStart | None, day: date) -> Groups | None:
    if spell is None:
        return None
    name = wave.wave if wave is not None and wave.since <= day else None
    return Groups(name, spell.team, spell.role, spell.function, spell.location, spell.segment)


def _most(values: Sequence[_Value]) -> _Value:
    """Return what occurs most often in ``values``, of equals what comes last."""
    numbers = Counter(values)
    return max(reversed(values), key=numbers.__getitem__)
