"""All rules over the weeks of groups: which need which numbers, and what comes of them.

A rule that needs data of which a tenant supplies none is not judged, and says so once for the tenant.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from services.aggregator.domain.findings import Evaluation, Finding, Subject
from services.aggregator.domain.rules.composites import (
    CADENCE,
    NEXT_STEP,
    STALE,
    Shifts,
    judge_busy_stale,
    judge_parts,
    judge_shift,
)
from services.aggregator.domain.rules.hysteresis import Walked
from services.aggregator.domain.rules.otherwise import besides
from services.aggregator.domain.rules.series import Group, Time, codes_of
from services.aggregator.domain.rules.telling import metric_of
from services.aggregator.domain.rules.thresholds import judge_threshold
from services.aggregator.domain.rules.trailing import Pair, doubtful, judge_trailing, trailing
from services.aggregator.domain.rules.trends import (
    Medians,
    judge_gap,
    judge_norm,
    judge_projected,
    judge_sustained,
)
from services.aggregator.domain.rules.windows import Judged, inactive
from services.metrics.catalogue import Metric
from services.metrics.compare import People
from services.rules import inputs
from services.rules.shape import Rule

WEEKLY: Final = frozenset({"threshold", "gap", "norm", "projected", "sustained", "shift", "busy_stale", "parts"})
"""Predicates over the weeks of a group; of drops only those against the weeks before."""
MUTE: Final = frozenset({"absent"})
"""Predicates that wait for data."""
SIMPLE: Final = {
    "threshold": judge_threshold,
    "norm": judge_norm,
    "projected": judge_projected,
    "sustained": judge_sustained,
}


@dataclass(frozen=True, slots=True)
class Beside:
    """What groups are held against. ``medians``: of all groups of a kind, by rule. ``shifts``: by rule.

    ``people``: behind the weeks that ``pairs`` asked for.
    """

    medians: Mapping[str, Medians] = field(default_factory=dict)
    shifts: Mapping[str, Shifts] = field(default_factory=dict)
    people: Mapping[Pair, People] = field(default_factory=dict)


def weekly(rules: Iterable[Rule]) -> list[Rule]:
    """Return the rules over weeks that are switched on; those that are made of others come last."""
    found = [rule for rule in rules if rule.enabled and (rule.predicate in WEEKLY or trailing(rule) is not None)]
    return sorted(found, key=lambda rule: (rule.predicate == "parts", rule.id))


def metrics_of(rule: Rule) -> list[Metric]:
    """Return the metrics a rule needs."""
    if rule.predicate == "busy_stale":
        return [CADENCE, STALE, NEXT_STEP]
    found = metric_of(rule)
    return [] if found is None else [found, *besides(rule, found)]


def codes(rules: Iterable[Rule]) -> set[str]:
    """Return the codes, without parameters, of all that ``rules`` need."""
    return {code for rule in rules for metric in metrics_of(rule) for code in codes_of(metric)}


def missing(rule: Rule, time: Time) -> str | None:
    """Return why a rule cannot be judged in this tenant; None: it can."""
    if not metrics_of(rule):
        return "missing_metric"
    kind = inputs.missing(rule, time.seen, time.kinds)
    return None if kind is None else f"missing_{kind}"


def active(rules: Iterable[Rule], time: Time) -> tuple[list[Rule], list[Evaluation]]:
    """Return the rules that can be judged, and of the others why not. There is a week at least."""
    listed = list(rules)
    reasons = {rule.id: missing(rule, time) for rule in weekly(listed)}
    reasons |= {rule.id: f"missing_{_lacks(rule, time)}" for rule in listed if rule.enabled and rule.predicate in MUTE}
    day = time.last_day(len(time.weeks) - 1)
    said = [inactive(rule, reason, day) for rule in listed if (reason := reasons.get(rule.id)) is not None]
    return [rule for rule in weekly(listed) if reasons[rule.id] is None], said


def _lacks(rule: Rule, time: Time) -> str:
    """Return what a rule waits for that nobody can supply yet."""
    return inputs.missing(rule, time.seen, time.kinds) or next(iter(rule.inputs), "data")


def pairs(rules: Iterable[Rule], groups: Iterable[Group], time: Time) -> set[Pair]:
    """Return the weeks whose people must be compared."""
    drops = [rule for rule in rules if trailing(rule) is not None]
    listed = list(groups) if drops else []
    return {
        pair
        for rule in drops
        for group in listed
        if group.subject.kind in rule.subjects
        for pair in doubtful(rule, group, time)
    }


def judge_groups(
    rules: Sequence[Rule], groups: Iterable[Group], time: Time, beside: Beside, told_from: date = date.min
) -> tuple[list[Finding], list[Evaluation]]:
    """Return every episode of ``groups`` under ``rules``, and what was said of each week since ``told_from``."""
    findings: list[Finding] = []
    said: list[Evaluation] = []
    for group in groups:
        for judged in _judge(rules, group, time, beside, told_from):
            findings += judged.findings
            said += judged.evaluations
    return findings, said


def _judge(rules: Sequence[Rule], group: Group, time: Time, beside: Beside, told_from: date) -> Iterator[Judged]:
    walks: dict[str, Walked] = {}
    for rule in rules:
        if not applies(rule, group.subject):
            continue
        judged = _of(rule, group, time, beside, walks, told_from)
        walks[rule.id] = judged.walked
        yield judged


def applies(rule: Rule, subject: Subject) -> bool:
    """Tell whether ``rule`` is about such a subject."""
    return subject.kind in rule.subjects


def _of(rule: Rule, group: Group, time: Time, beside: Beside, walks: Mapping[str, Walked], told_from: date) -> Judged:
    if rule.predicate in SIMPLE:
        return SIMPLE[rule.predicate](rule, group, time, told_from)
    match rule.predicate:
        case "gap":
            return judge_gap(rule, group, time, beside.medians.get(rule.id, {}), told_from)
        case "busy_stale":
            return judge_busy_stale(rule, group, time, beside.medians.get(rule.id, {}), told_from)
        case "parts":
            return judge_parts(rule, group, time, walks, told_from)
        case "shift":
            return judge_shift(rule, group, time, beside.shifts.get(rule.id, Shifts({}, {})), told_from)
        case _:
            return judge_trailing(rule, group, time, beside.people, told_from)
