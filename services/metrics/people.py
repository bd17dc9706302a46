"""What a person contributes to a week: whether they connected, came back, and were active as their role wants.

Invariant: a function of the set of acts. Neither their order matters, nor when they became known.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from services.metrics import acts as working
from services.metrics.activity import SEEN, DatedAct, Done, digest
from services.metrics.calendar import DAY, counted_day_after, cover, spell_on, within, working_day_after
from services.metrics.presence import (
    HUMAN,
    Presence,
    day_of,
    day_zero,
    days_of,
    is_initial,
    is_steady,
    presence,
    wave_of,
    why_not_expected,
)
from services.metrics.shape import DAYS_A_WEEK, Act, Contribution, Counts, Groups, Person, Policy, Role

CHECKPOINTS: Final = (1, 2, 3, 5, 10)
"""The N of D+N."""
RETENTION: Final = (30, 90, 300)
TRAILING: Final = 30
"""Days without activity after which a licence is unused."""
MONTH: Final = 28
"""Days in which a role of monthly cadence is to be active; the same before a go-live for the sandbox."""
RETURN_DAYS: Final = 5
RETURN_SPAN: Final = timedelta(days=28)
"""Whose five working days after the first activity take longer, for leave, is asked for no return."""

_ANY_ROLE: Final = Role()
_DAILY: Final = tuple(f"M10@{offset}" for offset in range(DAYS_A_WEEK))
_OFF: Final = tuple(f"off@{offset}" for offset in range(DAYS_A_WEEK))


@dataclass(slots=True)
class _Week:
    """What the codes of a week are told from. ``end`` is its last day.

    ``due``: the days D+N that lie in it, by N. ``is_past_first``: whether D+1 has come by its end.
    """

    person: Person
    policy: Policy
    start: date
    end: date
    zero: date | None
    first_on: date | None
    here: Presence
    done: Done
    role: Role
    due: Mapping[int, date]
    is_past_first: bool


def contribute(
    person: Person, policy: Policy, week: date, acts: Iterable[Act], first_on: date | None
) -> Contribution | None:
    """Return what ``person`` adds to the week that begins on ``week``; None: the directory does not know them in it.

    ``acts``: everything they did by any identity from ``LOOKBACK`` before the week to a day after it, in UTC; what
    lies outside is ignored. ``first_on``: the first connecting local day from day zero on, of all time. Cells of days
    to come are told too: who reads must not look beyond the day asked for.
    """
    zero = day_zero(person, policy)
    here = presence(person, policy, week, zero)
    if here is None:
        return None
    end = week + timedelta(days=DAYS_A_WEEK - 1)
    done = digest(acts, person, policy, week)
    role = _role(policy, here.groups)
    due, is_past_first = _due(person, policy, zero, week, end)
    it = _Week(person, policy, week, end, zero, first_on, here, done, role, due, is_past_first)
    counts: Counts = {}
    _add_checkpoints(counts, it)
    _add_never(counts, it)
    _add_return(counts, it)
    _add_retained(counts, it)
    _add_licence(counts, it)
    _add_sandbox(counts, it)
    _add_days(counts, it)
    _add_week(counts, it)
    counts.update(working.counts(week, _live(it), expected=here.expected))
    return Contribution(here.groups, counts, here.moves, here.reason)


def _live(it: _Week) -> Sequence[DatedAct]:
    """Return what they did on days that nothing but leave stands against."""
    dated = it.done.dated
    if not dated or it.zero is None or it.zero > it.end:
        return ()
    low, after = max(it.start - SEEN, it.zero), it.end + DAY
    if is_steady(it.person, it.policy, it.zero, low, after):
        if not it.here.days[-1].live:
            return ()
        return dated if it.zero < low else [pair for pair in dated if pair[0] >= low]
    live = {day for day in {day for day, _ in dated} if _is_live(it, day)}
    return [pair for pair in dated if pair[0] in live]


def _is_live(it: _Week, day: date) -> bool:
    offset = (day - it.start).days
    known = it.here.days[offset] if 0 <= offset < DAYS_A_WEEK else day_of(it.person, it.policy, day, it.zero)
    return known.live


def _due(person: Person, policy: Policy, zero: date | None, start: date, end: date) -> tuple[Mapping[int, date], bool]:
    """Return the days D+N from ``start`` to ``end``, and whether D+1 has come by then."""
    if zero is None or zero > end:
        return {}, False
    last = counted_day_after(person, policy, zero, CHECKPOINTS[-1])
    if last is not None and last < start:
        return {}, True
    days = {n: day for n in CHECKPOINTS if (day := counted_day_after(person, policy, zero, n)) and day <= end}
    return {n: day for n, day in days.items() if day >= start}, CHECKPOINTS[0] in days


def _add_checkpoints(counts: Counts, it: _Week) -> None:
    """Add M1 and M2, of joiners M3, on the local day D+N on which they become known.

    The denominator is who is there on that day: licensed, not gone, human, not opted out.
    """
    if it.zero is None or not it.due:
        return
    initial = is_initial(it.person, it.policy, it.zero)
    for n, day in it.due.items():
        offset = (day - it.start).days
        if it.here.days[offset].reason is not None:
            continue
        by_then = (int(it.first_on is not None and it.first_on <= day), 1)
        if initial:
            counts[f"M1:{n}@{offset}"] = by_then
            counts[f"M2:{n}@{offset}"] = (int(day in it.done.connected), 1)
        else:
            counts[f"M3:{n}@{offset}"] = by_then


def _add_never(counts: Counts, it: _Week) -> None:
    """Add M4 as of the end of the week: of who is eligible on their last working day in it and past D+1."""
    last = next((day for day in reversed(it.here.days) if day.works), None)
    if it.is_past_first and last is not None and last.reason is None:
        counts["M4"] = (int(it.first_on is None or it.first_on > it.end), 1)


def _add_return(counts: Counts, it: _Week) -> None:
    """Add M5 on the fifth working day after the first activity, which is the first of the two days."""
    if it.first_on is None or not it.start - RETURN_SPAN <= it.first_on <= it.end:
        return
    day = working_day_after(it.person, it.policy, it.first_on, RETURN_DAYS)
    if day is None or not it.start <= day <= it.end or day - it.first_on > RETURN_SPAN:
        return
    offset = (day - it.start).days
    if it.here.days[offset].reason is None:
        seen = sum(it.first_on <= active <= day for active in it.done.connected)
        counts[f"M5@{offset}"] = (int(seen > 1), 1)


def _add_retained(counts: Counts, it: _Week) -> None:
    """Add M6 on the day D0+n, in calendar days: of who is expected in the seven days up to it, all without leave."""
    if it.zero is None or it.zero > it.end:
        return
    for n in RETENTION:
        offset = n - (it.start - it.zero).days
        if not 0 <= offset < DAYS_A_WEEK:
            continue
        first = it.start + timedelta(days=offset - DAYS_A_WEEK + 1)
        span = {first + timedelta(days=number) for number in range(DAYS_A_WEEK)}
        days = days_of(it.person, it.policy, first, it.zero)
        if why_not_expected(days) is None and not any(within(it.person.absences, day) for day in span):
            counts[f"M6:{n}@{offset}"] = (int(not span.isdisjoint(it.done.connected)), 1)


def _add_licence(counts: Counts, it: _Week) -> None:
    """Add M8 as of the end of the week: of human beings licensed on each of the last thirty days, not all on leave.

    Neither day zero nor leaving matters: the licence is paid for. Where it is known for how much, add M8c.
    """
    first = it.end - timedelta(days=TRAILING - 1)
    spell = spell_on(it.person, it.end)
    if spell is None or spell.kind != HUMAN or spell.opted_out:
        return
    if cover(it.person.licences, first, it.end) and not cover(it.person.absences, first, it.end):
        unused = all(day < first for day in it.done.active)
        counts["M8"] = (int(unused), 1)
        cost = sum(price for held, price in it.person.prices if it.end in held)
        if cost:
            counts["M8c"] = (cost if unused else 0, cost)


def _add_sandbox(counts: Counts, it: _Week) -> None:
    """Add M9 on the go-live: of who was in the wave by then, licensed or not."""
    wave = wave_of(it.person) if it.policy.waves else None
    if wave is None or not it.start <= wave.go_live <= it.end or wave.since > wave.go_live:
        return
    spell = spell_on(it.person, wave.go_live)
    if spell is None or spell.kind != HUMAN or spell.opted_out or wave.go_live not in it.person.active:
        return
    first = wave.go_live - timedelta(days=MONTH)
    tried = any(first <= day < wave.go_live for day in it.done.tried)
    counts[f"M9@{(wave.go_live - it.start).days}"] = (int(tried), 1)


def _add_days(counts: Counts, it: _Week) -> None:
    """Add M10 of each day on which something is expected of a daily role, and the days off that were worked on."""
    for offset, day in enumerate(it.here.days):
        if day.reason is not None:
            continue
        active = day.day in it.done.active
        if not day.works:
            if active:
                counts[_OFF[offset]] = (1, 0)
        elif _role(it.policy, day.groups).cadence == "daily":
            counts[_DAILY[offset]] = (int(active), 1)


def _role(policy: Policy, groups: Groups | None) -> Role:
    name = groups.role if groups else None
    return policy.roles.get(name, _ANY_ROLE) if name else _ANY_ROLE


def _add_week(counts: Counts, it: _Week) -> None:
    """Add M11, M12, M15, of leaders M23, and who is active by software only; of the others why they are left out.

    A day off or of leave on which they are active counts, but not for a daily cadence.
    """
    if it.here.reason is not None:
        counts[f"X:{it.here.reason}"] = (1, 0)
        return
    live = {day.day for day in it.here.days if day.live}
    active = it.done.active & live
    counts["M11"] = weekly = (int(bool(active)), 1)
    counts["M12"] = (int(_met_cadence(it, active)), 1)
    core = it.role.core
    acted = any(
        day in live and ((act.kind, act.object) in core or (act.kind, "") in core) for day, act in it.done.worked
    )
    counts["M15"] = (int(acted), 1)
    if it.here.leads:
        counts["M23"] = weekly
    if not active and not live.isdisjoint(it.done.by_software):
        counts["A"] = (1, 0)


def _met_cadence(it: _Week, active: set[date]) -> bool:
    """Whether an expected person was active as often as their role wants, on ``active`` days of the week.

    daily: on 80 % of the expected days, rounded up. per_week: on so many days, or on as many as are expected where
    these are fewer. weekly: once. monthly: once in the 28 days up to the end of the week.
    """
    expected = [day.day for day in it.here.days if day.eligible]
    match it.role.cadence:
        case "daily":
            return 5 * len(active.intersection(expected)) >= 4 * len(expected)
        case "per_week":
            return len(active) >= min(it.role.per_week, len(expected))
        case "monthly":
            since = it.end - timedelta(days=MONTH - 1)
            return any(since <= day and _is_live(it, day) for day in it.done.active)
        case _:
            return bool(active)
