"""Rules on what comes together: a team that is busy though its records are stale, several signs at once, a shift.

They rest on what other rules and metrics say of the same weeks.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from fractions import Fraction
from heapq import nsmallest
from typing import Final, NamedTuple

from services.aggregator.domain.findings import Subject
from services.aggregator.domain.rules.hysteresis import Sign, Walked
from services.aggregator.domain.rules.series import Group, Time, Told, metric, target_of
from services.aggregator.domain.rules.telling import metric_of, number
from services.aggregator.domain.rules.trends import Medians
from services.aggregator.domain.rules.windows import Judged, Window, judge_windows, window
from services.metrics.catalogue import Metric
from services.rules.shape import Rule

CADENCE: Final = metric("M12")
"""By what teams are busy: on how many days somebody comes means little where others are not expected daily."""
STALE: Final = metric("M27")
NEXT_STEP: Final = metric("M28")
SHOWN: Final = 5
"""So many of the groups that gained are named."""


def judge_busy_stale(rule: Rule, group: Group, time: Time, medians: Medians, told_from: date = date.min) -> Judged:
    """Judge whether a team of the busier half keeps its opportunities stale. ``medians``: where that half begins."""
    made = [_busy(rule, group, time, place, medians) for place in range(len(time.weeks))]
    return judge_windows(rule, group, made, told_from=told_from)


def _busy(rule: Rule, group: Group, time: Time, place: int, medians: Medians) -> Window:
    busy = group.told(CADENCE, time, place, minimum=rule.minimum)
    middle = medians.get(time.weeks[place])
    stale, step = group.told(STALE, time, place), group.told(NEXT_STEP, time, place)
    if busy.reason is None and middle is None:
        busy = Told(reason="missing_baseline")
    if busy.reason is None and stale.reason and step.reason:
        busy = Told(reason=stale.reason)
    if busy.reason is not None or middle is None:
        return window(rule, group, time, place, busy)
    old = stale.reason is None and 100 * stale.num >= number(rule, "stale") * stale.den
    aimless = step.reason is None and 100 * step.num < number(rule, "next_step") * step.den
    breach = busy.share >= middle.share and (old or aimless)
    return window(
        rule,
        group,
        time,
        place,
        busy,
        sign=Sign(breach, not breach),
        limit=middle.share,
        beside={"stale_close_date": _of(stale), "next_step_current": _of(step)},
    )


def _of(told: Told) -> dict[str, object] | None:
    return None if told.reason else {"num": told.num, "den": told.den, "value": told.share}


def judge_parts(
    rule: Rule, group: Group, time: Time, walks: Mapping[str, Walked], told_from: date = date.min
) -> Judged:
    """Judge whether several rules are open on a team that is at its target. ``walks``: of the rules, by id."""
    aim = metric_of(rule)
    if aim is None:
        return Judged()
    open_once = [names for names in parts_of(rule) if any(name in walks and walks[name].courses for name in names)]
    some = len(open_once) >= number(rule, "at_least")
    places = range(len(time.weeks)) if some else time.since(told_from)
    made = [_parts(rule, aim, group, time, place, walks) for place in places]
    return judge_windows(rule, group, made, told_from=told_from)


def _parts(rule: Rule, aim: Metric, group: Group, time: Time, place: int, walks: Mapping[str, Walked]) -> Window:
    told = group.told(aim, time, place, minimum=rule.minimum)
    target = target_of(rule, aim, group.phases[place])
    if told.reason is not None or target is None:
        return window(rule, group, time, place, told if told.reason else Told(reason="no_target"))
    found = [name for names in parts_of(rule) if (name := _open(names, walks, place)) is not None]
    reached = 100 * told.num >= target * told.den
    breach = reached and len(found) >= number(rule, "at_least")
    return window(
        rule,
        group,
        time,
        place,
        told,
        sign=Sign(breach, not breach),
        limit=Fraction(target, 100),
        beside={"parts": found},
    )


def parts_of(rule: Rule) -> list[tuple[str, ...]]:
    """Return the rules that a rule is made of; of several that count as one, all."""
    listed = rule.params.get("rules")
    found = listed if isinstance(listed, Sequence) and not isinstance(listed, str) else ()
    return [(each,) if isinstance(each, str) else tuple(map(str, each)) for each in found]  # type: ignore[arg-type]


def _open(names: Iterable[str], walks: Mapping[str, Walked], place: int) -> str | None:
    return next((name for name in names if name in walks and walks[name].open_at(place)), None)


class Shifts(NamedTuple):
    """By week, the groups that lost much against the weeks before, and those that gained most of any."""

    lost: Mapping[date, Sequence[str]]
    gained: Mapping[date, Sequence[str]]


def shifts(rule: Rule, groups: Iterable[Group], time: Time) -> Shifts:
    """Return which of ``groups`` lost so much that the gain of others would hide it, and who these others are."""
    aim = metric_of(rule)
    lost: dict[date, list[str]] = {}
    gained: dict[date, list[tuple[Fraction, str]]] = {}
    for group in groups if aim is not None else ():
        for place, week in enumerate(time.weeks):
            share = _relative(aim, group, time, place, rule.minimum)  # type: ignore[arg-type]
            if share is not None and 100 * share <= -number(rule, "lost"):
                lost.setdefault(week, []).append(_key(group.subject))
            elif share is not None and share > 0:
                gained.setdefault(week, []).append((-share, _key(group.subject)))
    return Shifts(lost, {week: [key for _, key in nsmallest(SHOWN, found)] for week, found in gained.items()})


def _key(subject: Subject) -> str:
    return f"{subject.kind} {subject.key}"


def _relative(aim: Metric, group: Group, time: Time, place: int, minimum: int) -> Fraction | None:
    """Return by which part of the weeks before a share rose; None: it is not known."""
    told = group.told(aim, time, place, minimum=minimum)
    base = group.base(aim, time, place, minimum=minimum) if told.reason is None else None
    return None if base is None or not base[1].num else told.share / base[1].share - 1


def judge_shift(rule: Rule, group: Group, time: Time, shifted: Shifts, told_from: date = date.min) -> Judged:
    """Judge whether the whole stays as it is only because one group's gain hides another's loss."""
    aim = metric_of(rule)
    if aim is None:
        return Judged()
    made = [_shift(rule, aim, group, time, place, shifted) for place in range(len(time.weeks))]
    return judge_windows(rule, group, made, told_from=told_from)


def _shift(rule: Rule, aim: Metric, group: Group, time: Time, place: int, shifted: Shifts) -> Window:
    told = group.told(aim, time, place, minimum=rule.minimum)
    base = group.base(aim, time, place, minimum=rule.minimum) if told.reason is None else None
    if told.reason is not None or base is None or not base[1].num:
        return window(rule, group, time, place, told if told.reason else Told(reason="missing_baseline"))
    change = told.share / base[1].share - 1
    week = time.weeks[place]
    lost, gained = sorted(shifted.lost.get(week, ())), list(shifted.gained.get(week, ()))
    breach = abs(100 * change) < number(rule, "stable_within") and bool(lost) and bool(gained)
    return window(
        rule,
        group,
        time,
        place,
        told,
        sign=Sign(breach, not breach),
        baseline={"num": base[1].num, "den": base[1].den, "week": time.weeks[base[0]]},
        beside={"change": change, "lost_groups": lost, "gained_groups": gained},
    )
