"""Rules on a share that is to be at least, or at most, so much: of a hundred, and compared as whole numbers."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from fractions import Fraction
from typing import Final, NamedTuple

from services.aggregator.domain.rules.hysteresis import BETWEEN, BREACH, CLEAR, OUT_OF_PHASE, Sign
from services.aggregator.domain.rules.series import FEW, Group, Time, Told, added, months, target_of
from services.aggregator.domain.rules.telling import metric_of, number
from services.aggregator.domain.rules.windows import Judged, Window, judge_signs, judge_windows, sign_of
from services.metrics.catalogue import Metric
from services.rules.shape import Rule

OUT: Final = Sign(reason=OUT_OF_PHASE)


class _Limits(NamedTuple):
    """Where a rule opens, where it closes, and whether it is about what lies below."""

    opens: int
    closes: int
    below: bool

    def sign(self, told: Told) -> Sign:
        """Return what a known share shows; exactly on a limit it is below nothing, and at least it."""
        opens, closes, below = self
        share = 100 * told.num
        if share < opens * told.den if below else share >= opens * told.den:
            return BREACH
        return CLEAR if (share >= closes * told.den if below else share < closes * told.den) else BETWEEN


class _Asked(NamedTuple):
    """A rule with what it asks of a metric. ``limits``: by phase; None: nothing is aimed at in it."""

    rule: Rule
    metric: Metric
    of: str | None
    minimum: int
    limits: Mapping[str, _Limits | None]


def judge_threshold(rule: Rule, group: Group, time: Time, told_from: date = date.min) -> Judged:
    """Judge every window of ``group``: weeks, the four weeks up to each, or calendar months."""
    metric = metric_of(rule)
    if metric is None:
        return Judged()
    of = rule.params.get("of")
    limits = {phase: _limits(rule, metric, phase) for phase in set(group.phases)}
    asked = _Asked(rule, metric, of if isinstance(of, str) else None, max(metric.minimum, rule.minimum), limits)
    if rule.params.get("window") == "month":
        return judge_windows(rule, group, list(_months(asked, group, time)), told_from=told_from)
    told = _weeks(asked, group, time)
    signs = [_sign(asked, group, time, place, each) for place, each in enumerate(told)]
    return judge_signs(
        rule,
        group,
        signs,
        lambda place: _window(asked, group, time, place, told[place], signs[place]),
        said=time.since(told_from),
    )


def _weeks(asked: _Asked, group: Group, time: Time) -> list[Told]:
    if asked.rule.params.get("window") != "28d":
        return group.all_told(asked.metric, time, asked.of)
    places = range(len(time.weeks))
    return [group.trailing(asked.metric, time, at, minimum=asked.minimum, of=asked.of) for at in places]


def _sign(asked: _Asked, group: Group, time: Time, place: int, told: Told) -> Sign:
    phase = group.phases[place]
    if asked.rule.phases and phase not in asked.rule.phases:
        return OUT
    limits = asked.limits[phase]
    if told.reason is not None:
        return sign_of(told.reason)
    if limits is None or told.den < asked.minimum:
        return Sign(reason=FEW if limits is not None else "no_target")
    sign = limits.sign(told)
    return sign if not sign.breach or _rose(asked, group, time, place, told) else BETWEEN


def _months(asked: _Asked, group: Group, time: Time) -> Iterator[Window]:
    all_told = group.all_told(asked.metric, time, asked.of)
    for places in months(time):
        told = added([all_told[at] for at in places], asked.minimum)
        made = _window(asked, group, time, places[-1], told, _sign(asked, group, time, places[-1], told))
        yield replace(made, first=time.weeks[places[0]])


def _window(asked: _Asked, group: Group, time: Time, place: int, told: Told, sign: Sign) -> Window:
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
    )


def _base(asked: _Asked, group: Group, time: Time, place: int) -> tuple[int, Told] | None:
    if "over_trailing" not in asked.rule.params:
        return None
    return group.base(asked.metric, time, place, minimum=asked.minimum)


def _rose(asked: _Asked, group: Group, time: Time, place: int, told: Told) -> bool:
    """Tell whether a share is so much higher than in the weeks before as is asked for."""
    if "over_trailing" not in asked.rule.params:
        return True
    base = _base(asked, group, time, place)
    times = number(asked.rule, "over_trailing")
    return base is not None and 100 * told.num * base[1].den >= times * base[1].num * told.den


def _limits(rule: Rule, metric: Metric, phase: str) -> _Limits | None:
    """Return where the rule opens and closes in ``phase``; None: nothing is aimed at in it."""
    below = "below" in rule.params
    target = target_of(rule, metric, phase)
    opens, closes = (target if value == "target" else value for value in _given(rule, below=below))
    return _Limits(opens, closes, below) if isinstance(opens, int) and isinstance(closes, int) else None


def _given(rule: Rule, *, below: bool) -> tuple[object, object]:
    opens = rule.params.get("below" if below else "at_least")
    return opens, rule.params.get("closes_at", opens)
