"""How far a group has come, week by week, and for how many months it has been where it should be."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from services.api.auth import Caller
from services.api.comparing import Ground, ground_of
from services.api.metric_items import windowed
from services.api.scenes import Gathered
from services.metrics.answers import Answer, Asked
from services.metrics.baselines import nth_working_day
from services.metrics.catalogue import Metric, by_code
from services.metrics.levels import (
    LAUNCH_DAYS,
    LEVEL,
    TARGETS,
    Facts,
    Gate,
    Level,
    Measure,
    Target,
    judge,
    months_at_target,
    phase_of,
)
from services.metrics.shape import Count, Interval
from services.metrics.values import parameters
from services.metrics.windows import Name, bounds
from services.postgres import Connection

BEFORE: Final = 4
"""The weeks that tell what was: whether a group was there, and whether it falls."""
REACH: Final = timedelta(weeks=BEFORE)
_DAY: Final = timedelta(days=1)
_A_WEEK: Final = timedelta(weeks=1)
_COUNTED: Final = frozenset({None, "insufficient_sample", "no_expected_people"})


async def items(caller: Caller, connection: Connection, metric: Metric, gathered: Gathered) -> list[dict[str, Any]]:
    """Return the levels of a group by week, or its months at target by month, as JSON shows them."""
    if metric is not LEVEL:
        return [_month(metric, span, gathered, caller) for span in gathered.windows]
    ground = await ground_of(caller, connection, gathered.wanted.group)
    return [_week(Group(gathered, ground), span, caller) for span in gathered.windows]


@dataclass(frozen=True, slots=True)
class Group:
    """A group's numbers, and the calendar it is judged by."""

    gathered: Gathered
    ground: Ground

    def told(self, code: str, span: Interval, window: Name = "week", of: str | None = None) -> Answer:
        """Return what may be told of a metric, by its code."""
        metric = by_code(code) or LEVEL
        return self.gathered.teller.answer(Asked(metric, of, window, span))

    def measure(self, target: Target, span: Interval) -> Measure:
        """Return what is known of a target in the week."""
        if target.metric == "M16":
            trailing = bounds("28d", (span.end or span.start) - _DAY)
            objects = parameters(by_code("M16") or LEVEL, self.gathered.cells) or [None]
            return _sum((self.told("M16", trailing, "28d", of) for of in objects), 20)
        if target.metric == "M17":
            weeks = [
                Interval(span.start - number * _A_WEEK, span.start - (number - 1) * _A_WEEK) for number in range(BEFORE)
            ]
            return _sum((self.told("M17", week) for week in weeks), 5)
        told = self.told(target.metric, span, of=target.of)
        if target.metric == "M10" and told.reason == "no_expected_people":
            return _measure(self.told("M12", span))
        return _measure(told)

    def facts(self, span: Interval) -> Facts:
        """Return what the level of a week is judged by."""
        go_live, policy = self.ground.go_live, self.ground.policy
        launched = None if go_live is None else nth_working_day(go_live, LAUNCH_DAYS, policy)
        phase = phase_of(min((span.end or span.start) - _DAY, self.gathered.today), go_live, launched)
        targets = TARGETS[phase]
        before = [Interval(span.start - n * _A_WEEK, span.start - (n - 1) * _A_WEEK) for n in range(1, BEFORE + 1)]
        access = [target for target in targets if target.layer == "access"]
        return Facts(
            phase=phase,
            measures=[self.measure(target, span) for target in targets],
            expected=_measure(self.told("M11", span)),
            min_group=max(self.gathered.scene.min_group, 1),
            quality=_measure(self.told("M25", span)),
            placeholders=_measure(self.told("M26", span)),
            was_reached=any(all(Gate(t, self.measure(t, week)).passed for t in access) for week in before),
            falling=_falls(_measure(self.told("M12", span)), _sum((self.told("M12", week) for week in before), 1)),
        )


def _measure(told: Answer) -> Measure:
    """Return the counts of an answer; too few to have a value are no reason to know nothing of people."""
    if told.reason is None and told.num is not None and told.den is not None:
        return Measure((told.num, told.den))
    return Measure(None, told.reason)


def _sum(answers: Iterable[Answer], minimum: int) -> Measure:
    """Return several answers as one."""
    all_told = list(answers)
    known = [told for told in all_told if told.reason in _COUNTED and told.num is not None and told.den is not None]
    num, den = sum(told.num or 0 for told in known), sum(told.den or 0 for told in known)
    if not known or den == 0:
        return Measure(None, all_told[0].reason)
    return Measure((num, den)) if den >= minimum else Measure(None, "insufficient_sample")


def _falls(now: Measure, before: Measure) -> bool:
    """Tell whether a share is lower than it was."""
    if now.count is None or before.count is None:
        return False
    return now.count[0] * before.count[1] < before.count[0] * now.count[1]


def _week(group: Group, span: Interval, caller: Caller) -> dict[str, Any]:
    level = judge(group.facts(span))
    return {
        "metric": LEVEL.id,
        "dimension": group.gathered.wanted.dimension,
        "key": group.gathered.wanted.key,
        "level": level.level,
        "verdict": level.verdict,
        "phase": level.phase,
        "governing_layer": level.governing_layer,
        "gates": [_gate(gate) for gate in _open(level)],
        "question": level.question,
        "state": group.told("M11", span).state,
        "window": windowed("week", span, caller.tenant.time_zone),
        "reason": level.reason,
    }


def _open(level: Level) -> Iterable[Gate]:
    """Return the gates that may be told: of a hidden group, none."""
    return () if level.reason == "suppressed" else level.gates


def _gate(gate: Gate) -> dict[str, Any]:
    target, count = gate.target, gate.measure.count
    metric = by_code(target.metric) or LEVEL
    return {
        "layer": target.layer,
        "metric": metric.id,
        "parameter": {metric.parameter.name: target.of} if metric.parameter and target.of else None,
        "num": None if count is None else count[0],
        "den": None if count is None else count[1],
        "target": target.share,
        "passed": gate.passed,
        "reason": gate.measure.reason,
    }


def _month(metric: Metric, span: Interval, gathered: Gathered, caller: Caller) -> dict[str, Any]:
    """Return for how many final months in a row, up to the one of ``span``, the group was at its target."""
    cadence = by_code("M12") or metric
    series = gathered.cells.get("M12")
    months: list[list[Answer]] = []
    month = bounds("month", series.days[0] if series and series.days else span.start)
    while month.start <= span.start and month.end is not None:
        months.append(_weeks(month, gathered))
        month = bounds("month", month.end)
    final = [weeks for weeks in months if _final(weeks)]
    reason = (
        next((week.reason for week in final[-1] if week.reason not in _COUNTED), None) if final else "not_known_yet"
    )
    told = gathered.teller.answer(Asked(cadence, None, "month", span))
    return {
        "metric": metric.id,
        "dimension": gathered.wanted.dimension,
        "key": gathered.wanted.key,
        "value": None if reason else float(months_at_target([_count(weeks) for weeks in final])),
        "state": "final" if months and _final(months[-1]) else told.state,
        "revision": 0,
        "window": windowed("month", span, caller.tenant.time_zone),
        "reason": reason,
    }


def _final(weeks: list[Answer]) -> bool:
    return bool(weeks) and all(week.state in {"final", "restated", "unknown"} for week in weeks)


def _count(weeks: list[Answer]) -> Count | None:
    """Return the counts of a month; None: of one of its weeks they are not known."""
    if any(week.reason not in _COUNTED for week in weeks):
        return None
    return sum(week.num or 0 for week in weeks), sum(week.den or 0 for week in weeks)


def _weeks(month: Interval, gathered: Gathered) -> list[Answer]:
    """Return the cadence of the weeks that end in a month."""
    cadence, first_day = by_code("M12") or LEVEL, gathered.scene.first_day_of_week
    found: list[Answer] = []
    day: date = month.start
    while month.end is not None and day < month.end:
        week = bounds("week", day, first_day)
        if week.end is not None and month.start <= week.end - _DAY < month.end:
            found.append(gathered.teller.answer(Asked(cadence, None, "week", week)))
        day = week.end or month.end
    return found
