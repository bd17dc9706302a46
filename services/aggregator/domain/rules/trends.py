"""Rules on a group beside others, and on which way it goes: behind the other teams, no rise, on course for less.

The trend of so many weeks is the straight line through them with the least squares, as exact fractions.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from fractions import Fraction
from typing import Final

from services.aggregator.domain.rules.hysteresis import Sign
from services.aggregator.domain.rules.series import WEEK, Group, Time, Told, added, months, target_of
from services.aggregator.domain.rules.telling import metric_of, number
from services.aggregator.domain.rules.windows import Judged, Window, judge_windows, window
from services.metrics.baselines import nth_working_day
from services.metrics.catalogue import Metric
from services.metrics.levels import LAUNCH_DAYS, phase_of
from services.metrics.shape import week_of
from services.metrics.windows import final_at
from services.rules.shape import Rule

Z: Final = Fraction(196, 100)
"""Nineteen in twenty."""
Medians = Mapping[date, Told]
"""By week, what the group in the middle has."""


def median(all_told: Sequence[Told], *, upper: bool = False) -> Told | None:
    """Return what the group in the middle has, of two the lower, or the ``upper``; None: there is nobody."""
    known = sorted((told for told in all_told if told.reason is None), key=lambda told: (told.share, told.den))
    return known[(len(known) - 1 + upper) // 2] if known else None


def judge_gap(rule: Rule, group: Group, time: Time, medians: Medians, told_from: date = date.min) -> Judged:
    """Judge how far ``group`` lies behind the middle of its kind, in points, and whether that is more than chance."""
    metric = metric_of(rule)
    if metric is None:
        return Judged()
    made = [_gap(rule, metric, group, time, place, medians) for place in range(len(time.weeks))]
    return judge_windows(rule, group, made, told_from=told_from)


def _gap(rule: Rule, metric: Metric, group: Group, time: Time, place: int, medians: Medians) -> Window:
    told = group.told(metric, time, place, minimum=rule.minimum)
    middle = medians.get(time.weeks[place])
    if told.reason is None and middle is None:
        told = Told(reason="missing_baseline")
    if told.reason is not None or middle is None:
        return window(rule, group, time, place, told)
    behind = 100 * (middle.share - told.share)
    breach = behind >= number(rule, "points") and surely_below(told, middle.share)
    return window(
        rule,
        group,
        time,
        place,
        told,
        sign=Sign(breach, behind < number(rule, "closes_under")),
        limit=middle.share - Fraction(number(rule, "points"), 100),
        baseline={"num": middle.num, "den": middle.den},
        beside={"median": middle.share, "points": behind},
    )


def surely_below(told: Told, share: Fraction) -> bool:
    """Tell whether the upper end of Wilson's interval lies below ``share``."""
    under = share - told.share
    return under > 0 and under * under * told.den > Z * Z * share * (1 - share)


def judge_norm(rule: Rule, group: Group, time: Time, told_from: date = date.min) -> Judged:
    """Judge the group once, so many weeks after its go-live: under the target, and no higher than weeks before."""
    metric = metric_of(rule)
    if metric is None or group.wave is None:
        return Judged()
    first = week_of(group.wave.go_live, time.policy.first_day_of_week) + WEEK
    at = first + (number(rule, "by_week") - 1) * WEEK
    made = [_norm(rule, metric, group, time, place, at) for place in range(len(time.weeks))]
    return judge_windows(rule, group, made, opens_after=1, told_from=told_from)


def _norm(rule: Rule, metric: Metric, group: Group, time: Time, place: int, at: date) -> Window:
    told = group.told(metric, time, place, minimum=rule.minimum)
    target = target_of(rule, metric, group.phases[place])
    if told.reason is not None or target is None:
        return window(rule, group, time, place, told if told.reason else Told(reason="no_target"))
    rise = _rise(_line(metric, group, time, place, number(rule, "trend_weeks"), rule.minimum))
    under = 100 * told.num < target * told.den
    breach = time.weeks[place] == at and under and rise is not None and rise <= 0
    return window(
        rule,
        group,
        time,
        place,
        told,
        sign=Sign(breach, not under),
        limit=Fraction(target, 100),
        beside={"trend": None if rise is None else 100 * rise},
    )


def judge_projected(rule: Rule, group: Group, time: Time, told_from: date = date.min) -> Judged:
    """Judge, shortly before a phase ends, where the group will be then if it goes on as in the last weeks."""
    metric = metric_of(rule)
    if metric is None or group.wave is None:
        return Judged()
    made = [_projected(rule, metric, group, time, place) for place in range(len(time.weeks))]
    return judge_windows(rule, group, made, opens_after=1, closes_after=1, told_from=told_from)


def _projected(rule: Rule, metric: Metric, group: Group, time: Time, place: int) -> Window:
    told = group.told(metric, time, place, minimum=rule.minimum)
    target = target_of(rule, metric, group.phases[place])
    if told.reason is not None or target is None:
        return window(rule, group, time, place, told if told.reason else Told(reason="no_target"))
    left = days_left(group, time, place, number(rule, "days"))
    rise = _rise(_line(metric, group, time, place, number(rule, "trend_weeks"), rule.minimum))
    if left is None or rise is None:
        return window(rule, group, time, place, told, sign=Sign(clear=True))
    then = told.share + rise * Fraction(left, 7)
    under = 100 * then < target
    return window(
        rule,
        group,
        time,
        place,
        told,
        sign=Sign(under, not under),
        limit=Fraction(target, 100),
        beside={"trend": 100 * rise, "projected": max(Fraction(0), min(Fraction(1), then)), "days_left": left},
    )


def days_left(group: Group, time: Time, place: int, most: int) -> int | None:
    """Return in how many days the phase of a week ends; None: in more than ``most``."""
    if group.wave is None:
        return None
    launched = nth_working_day(group.wave.go_live, LAUNCH_DAYS, time.policy)
    day = time.last_day(place)
    phase = phase_of(day, group.wave.go_live, launched)
    found = (
        days
        for days in range(1, most + 1)
        if phase_of(day + timedelta(days=days), group.wave.go_live, launched) != phase
    )
    return next(found, None)


def _line(metric: Metric, group: Group, time: Time, place: int, weeks: int, minimum: int) -> list[Fraction] | None:
    """Return the shares of the last weeks, the oldest first; None: one of them is not known."""
    if place + 1 < weeks:
        return None
    all_told = [group.told(metric, time, at, minimum=minimum) for at in range(place - weeks + 1, place + 1)]
    return None if any(told.reason for told in all_told) else [told.share for told in all_told]


def _rise(shares: Sequence[Fraction] | None) -> Fraction | None:
    """Return by how much a share rises in a week."""
    if not shares or len(shares) < 2:  # noqa: PLR2004 - a line has two points
        return None
    middle = Fraction(len(shares) - 1, 2)
    spread = sum((at - middle) ** 2 for at in range(len(shares)))
    return sum(((at - middle) * share for at, share in enumerate(shares)), Fraction(0)) / spread


def judge_sustained(rule: Rule, group: Group, time: Time, told_from: date = date.min) -> Judged:
    """Judge calendar months that are final: so many in a row at the target are a reason to celebrate."""
    metric = metric_of(rule)
    if metric is None:
        return Judged()
    made = list(_months(rule, metric, group, time))
    return judge_windows(rule, group, made, opens_after=number(rule, "months"), closes_after=1, told_from=told_from)


def _months(rule: Rule, metric: Metric, group: Group, time: Time) -> Iterator[Window]:
    limit = number(rule, "at_least")
    for places in months(time):
        if time.final is not None and places[-1] >= time.final:
            return
        told = added([group.told(metric, time, at) for at in places], max(metric.minimum, rule.minimum))
        high = told.reason is None and 100 * told.num >= limit * told.den
        sign = Sign(high, clear=told.reason is None and not high, reason=told.reason)
        yield Window(
            first=time.weeks[places[0]],
            last=time.last_day(places[-1]),
            judged_at=final_at(time.ended[places[-1]]),
            sign=sign,
            told=told,
            limit=Fraction(limit, 100),
            phase=group.phases[places[-1]],
            beside={"months": number(rule, "months")},
        )
