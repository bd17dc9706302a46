"""Rules on a share that is to be at least, or at most, so much: of a hundred, and compared as whole numbers.

Of a metric that settles only days after a week is over, each window is judged by the newest week that had settled then:
no alert rests on a number that is still to come.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from fractions import Fraction
from itertools import chain
from typing import Final, NamedTuple

from services.aggregator.domain.rules.hysteresis import BETWEEN, OUT_OF_PHASE, Course, Sign, Walked
from services.aggregator.domain.rules.otherwise import Limits, Way, besides, together, ways
from services.aggregator.domain.rules.series import FEW, WEEK, Group, Time, Told, added, months, target_of
from services.aggregator.domain.rules.telling import metric_of, number
from services.aggregator.domain.rules.windows import Judged, Window, judge_signs, judge_windows, sign_of
from services.metrics.catalogue import Metric
from services.rules.shape import Rule

OUT: Final = Sign(reason=OUT_OF_PHASE)
NONE: Final = Told(reason=FEW)


class _Asked(NamedTuple):
    """A rule with what it asks of a metric. ``limits``: by phase; None: nothing is aimed at in it.

    ``late``: how many weeks later than it ends a week has settled.
    """

    rule: Rule
    metric: Metric
    of: str | None
    minimum: int
    limits: Mapping[str, Limits | None]
    late: int


def judge_threshold(rule: Rule, group: Group, time: Time, told_from: date = date.min) -> Judged:
    """Judge every window of ``group``: weeks, the four weeks up to each, or calendar months."""
    metric = metric_of(rule)
    if metric is None:
        return Judged()
    of = rule.params.get("of")
    limits = {phase: _limits(rule, metric, phase) for phase in set(group.phases)}
    late = -(-max(each.settles for each in (metric, *besides(rule, metric))) // WEEK.days)
    asked = _Asked(rule, metric, of if isinstance(of, str) else None, max(metric.minimum, rule.minimum), limits, late)
    if rule.params.get("window") == "month":
        return _judge_months(asked, group, time, told_from)
    told = _told(asked, metric, group, time)
    settled = [week - late * WEEK for week in time.weeks]
    others = ways(rule, metric, lambda each: _enough(asked, _told(asked, each, group, time)), settled)
    signs = [_sign(asked, group, time, place, each, others) for place, each in enumerate(told)]
    return judge_signs(
        rule,
        group,
        signs,
        lambda place: _window(asked, group, time, place, told[place], signs[place], others),
        said=time.since(told_from),
    )


def _told(asked: _Asked, metric: Metric, group: Group, time: Time) -> list[Told]:
    """Return what is known of ``metric`` when each week is judged: of the newest week, or four, that had settled."""
    of = asked.of if metric.parameter is not None else None
    ends = range(max(0, len(time.weeks) - asked.late))
    if asked.rule.params.get("window") == "28d":
        told = [group.trailing(metric, time, end, minimum=asked.minimum, of=of) for end in ends]
    else:
        told = group.all_told(metric, time, of)[: len(ends)]
    return [NONE] * (len(time.weeks) - len(told)) + told


def _enough(asked: _Asked, told: Sequence[Told]) -> list[Told]:
    return [each if each.reason or each.den >= asked.minimum else each._replace(reason=FEW) for each in told]


def _sign(asked: _Asked, group: Group, time: Time, place: int, told: Told, others: Sequence[Way] = ()) -> Sign:
    phase = group.phases[place]
    if asked.rule.phases and phase not in asked.rule.phases:
        return OUT
    limits = asked.limits[phase]
    if told.reason is not None:
        return sign_of(told.reason)
    if limits is None or told.den < asked.minimum:
        return Sign(reason=FEW if limits is not None else "no_target")
    sign = limits.sign(told)
    if sign.breach and not _rose(asked, group, time, place, told):
        sign = BETWEEN
    return together(sign, (other.sign(place) for other in others)) if others else sign


def _judge_months(asked: _Asked, group: Group, time: Time, told_from: date) -> Judged:
    """Judge calendar months. What is open is told by weeks, as of other rules: from the last of a month on."""
    listed = months(time)
    judged = judge_windows(asked.rule, group, list(_months(asked, group, time, listed)), told_from=told_from)
    return judged._replace(walked=_by_weeks(judged.walked, [places[-1] for places in listed]))


def _by_weeks(walked: Walked, ends: Sequence[int]) -> Walked:
    def course(each: Course) -> Course:
        closed = None if each.closed is None else ends[each.closed]
        return replace(each, opened=ends[each.opened], shown=ends[each.shown], closed=closed)

    return Walked([course(each) for each in walked.courses], walked.seen)


def _months(asked: _Asked, group: Group, time: Time, listed: Sequence[Sequence[int]]) -> Iterator[Window]:
    all_told = _told(asked, asked.metric, group, time)
    for places in listed:
        told = added([all_told[at] for at in places], asked.minimum)
        made = _window(asked, group, time, places[-1], told, _sign(asked, group, time, places[-1], told))
        yield replace(made, first=time.weeks[places[0]])


def _window(
    asked: _Asked, group: Group, time: Time, place: int, told: Told, sign: Sign, others: Sequence[Way] = ()
) -> Window:
    limits, base = asked.limits[group.phases[place]], _base(asked, group, time, place)
    return Window(
        first=time.weeks[place],
        last=time.last_day(place),
        judged_at=time.judged[place],
        told=told if told.reason is not None or told.den >= asked.minimum else Told(told.num, told.den, FEW),
        sign=sign,
        phase=group.phases[place],
        limit=None if limits is None else Fraction(limits.opens, 100),
        baseline=None if base is None else {"num": base[1].num, "den": base[1].den, "week": time.weeks[base[0]]},
        beside=dict(chain(_settled(asked, time, place), *(other.evidence(place).items() for other in others))),
    )


def _settled(asked: _Asked, time: Time, place: int) -> Iterator[tuple[str, object]]:
    """Yield of which week a number is that is told of the one at ``place``, where that is another."""
    if asked.late and asked.rule.params.get("window", "week") == "week":
        yield "week", time.weeks[place] - asked.late * WEEK


def _base(asked: _Asked, group: Group, time: Time, place: int) -> tuple[int, Told] | None:
    if "over_trailing" not in asked.rule.params:
        return None
    return group.base(asked.metric, time, place - asked.late, minimum=asked.minimum)


def _rose(asked: _Asked, group: Group, time: Time, place: int, told: Told) -> bool:
    """Tell whether a share is so much higher than in the weeks before as is asked for."""
    if "over_trailing" not in asked.rule.params:
        return True
    base = _base(asked, group, time, place)
    times = number(asked.rule, "over_trailing")
    return base is not None and 100 * told.num * base[1].den >= times * base[1].num * told.den


def _limits(rule: Rule, metric: Metric, phase: str) -> Limits | None:
    """Return where the rule opens and closes in ``phase``; None: nothing is aimed at in it."""
    below = "below" in rule.params
    target = target_of(rule, metric, phase)
    opens, closes = (target if value == "target" else value for value in _given(rule, below=below))
    return Limits(opens, closes, below) if isinstance(opens, int) and isinstance(closes, int) else None


def _given(rule: Rule, *, below: bool) -> tuple[object, object]:
    opens = rule.params.get("below" if below else "at_least")
    return opens, rule.params.get("closes_at", opens)
