"""How far a group has come: four layers, each a gate to the next, never averaged.

The phase of the rollout decides which layer governs and what is aimed at. The level is the highest layer whose gates,
and all below them, are passed; what is not known passes nothing. Shares are compared as whole numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, NamedTuple, TypeAlias

from services.metrics.baselines import nth_working_day
from services.metrics.catalogue import Metric
from services.metrics.shape import Count, Policy

Phase: TypeAlias = Literal[
    "preparation", "launch", "stabilization-1", "stabilization-2", "maturity", "excellence", "run"
]
LayerName: TypeAlias = Literal["readiness", "access", "behaviour", "data_quality", "outcome"]
Verdict: TypeAlias = Literal[
    "not-reached", "visiting", "superficial", "fake", "drifting", "compliant", "adopted", "too-small", "unknown"
]

LEVEL: Final = Metric(
    code="LEVEL",
    id="adoption.level",
    title="How far the group has come: the highest layer that is reached with all below it",
    layer="other",
    direction="up",
    combination="derived",
    unit="count",
    basis=("M1", "M10", "M11", "M12", "M16", "M17", "M25", "M26"),
)
MONTHS: Final = Metric(
    code="MONTHS",
    id="adoption.months_at_target",
    title="Final months in a row in which nine in ten were as active as their role wants",
    layer="other",
    direction="up",
    combination="derived",
    unit="count",
    basis=("M12",),
)
LEVELS: Final = (LEVEL, MONTHS)
"""Told beside the metrics of the catalogue."""

LAYERS: Final[tuple[LayerName, ...]] = ("access", "behaviour", "data_quality", "outcome")
"""In the order of the levels 1 to 4."""
LAUNCH_DAYS: Final = 10
"""Working days after the go-live that the launch lasts."""
SUPERFICIAL: Final = 70
PLACEHOLDERS: Final = 15
AT_TARGET: Final = 90
_MONTHS: Final[tuple[tuple[int, Phase], ...]] = (
    (1, "stabilization-1"),
    (3, "stabilization-2"),
    (6, "maturity"),
    (12, "excellence"),
)
_GOVERNING: Final[Mapping[Phase, LayerName | Literal["all"]]] = {
    "preparation": "readiness",
    "launch": "access",
    "stabilization-1": "behaviour",
    "stabilization-2": "data_quality",
    "maturity": "data_quality",
    "excellence": "outcome",
    "run": "all",
}
QUESTIONS: Final[Mapping[Verdict, str]] = {
    "not-reached": "Can they get in? Look at licence, device, leave, single sign-on and training.",
    "visiting": "Which workflow still happens elsewhere, in a spreadsheet or a chat?",
    "superficial": "Which fields are asked for before the answer can be known, and who reads them?",
    "fake": "Which decision uses this field? Retire it, or move it to a later stage?",
    "drifting": "What has changed, and whose meeting left the CRM?",
    "compliant": "Does the CRM give value back to those who use it?",
    "adopted": "Keep the cadence: which workflow is next?",
    "too-small": "The group is too small for a share: look at its people one by one.",
    "unknown": "Is the connector working? What this rests on is not known.",
}


class Target(NamedTuple):
    """What is aimed at: ``share`` of a hundred of a metric, for one of its parameters."""

    layer: LayerName
    metric: str
    share: int
    of: str | None = None


def _of_phase(daily: int, habit: int, quality: int | None) -> tuple[Target, ...]:
    found = (
        Target("access", "M10", daily),
        Target("behaviour", "M16", habit),
        Target("behaviour", "M17", habit),
    )
    return found if quality is None else (*found, Target("data_quality", "M33", quality))


TARGETS: Final[Mapping[Phase, Sequence[Target]]] = {
    "preparation": (Target("readiness", "M34", 85),),
    "launch": (
        Target("access", "M1", 80, "1"),
        Target("access", "M1", 70, "3"),
        Target("access", "M1", 90, "5"),
    ),
    "stabilization-1": _of_phase(80, 80, None),
    "stabilization-2": _of_phase(85, 80, 80),
    "maturity": _of_phase(90, 85, 85),
    "excellence": (*_of_phase(90, 85, 85), Target("outcome", "M40", 0)),
    "run": (*_of_phase(90, 85, 85), Target("outcome", "M40", 0)),
}
"""By phase. A layer without a target is watched: it neither passes nor fails."""


def phase_of(day: date, go_live: date | None, launched: date | None) -> Phase:
    """Return the phase on ``day``. ``launched``: the tenth working day after the go-live. Without a go-live: run."""
    if go_live is None or launched is None:
        return "run"
    if day < go_live:
        return "preparation"
    if day <= launched:
        return "launch"
    months = _months(go_live, day)
    return next((phase for most, phase in _MONTHS if months < most), "run")


def phase_since(go_live: date, policy: Policy, day: date) -> Phase:
    """Return the phase on ``day`` of those who went live on ``go_live``."""
    if day < go_live:
        return "preparation"  # no tenth working day after the end of the calendar is asked for
    return phase_of(day, go_live, nth_working_day(go_live, LAUNCH_DAYS, policy))


def _months(since: date, day: date) -> int:
    """Return how many whole calendar months have passed."""
    return (day.year - since.year) * 12 + day.month - since.month - (day.day < since.day)


@dataclass(frozen=True, slots=True)
class Measure:
    """What is known of a target's metric: its counts, or the reason why there is no value."""

    count: Count | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    """A target and whether it is reached; ``passed`` None: that is not known."""

    target: Target
    measure: Measure

    @property
    def passed(self) -> bool | None:
        """Return whether the share is reached, compared as whole numbers."""
        if self.measure.count is None:
            return None
        num, den = self.measure.count
        return 100 * num >= self.target.share * den


@dataclass(frozen=True, slots=True)
class Facts:
    """What a level is judged by.

    ``measures``: in the order of the phase's targets. ``expected``: how many people, or why that is not known.
    ``was_reached``: whether the access gates were passed in one of the weeks before. ``falling``: whether behaviour is
    lower than it was. ``quality`` and ``placeholders``: of the records, whatever the phase.
    """

    phase: Phase
    measures: Sequence[Measure]
    expected: Measure
    min_group: int
    quality: Measure = Measure()
    placeholders: Measure = Measure()
    was_reached: bool = False
    falling: bool = False


@dataclass(frozen=True, slots=True)
class Level:
    """How far a group has come. ``verdict`` None: it has not gone live yet."""

    level: int
    verdict: Verdict | None
    phase: Phase
    governing_layer: str
    gates: Sequence[Gate]
    reason: str | None = None

    @property
    def question(self) -> str | None:
        """Return what its manager is to ask first."""
        return None if self.verdict is None else QUESTIONS[self.verdict]


def judge(facts: Facts) -> Level:
    """Return how far a group has come."""
    gates = [Gate(*pair) for pair in zip(TARGETS[facts.phase], facts.measures, strict=True)]
    passed = {layer: _passed([gate for gate in gates if gate.target.layer == layer]) for layer in LAYERS}
    verdict, reason = _verdict(facts, passed)
    level = 0 if verdict in {None, "too-small", "unknown"} else _level(passed)
    return Level(level, verdict, facts.phase, _GOVERNING[facts.phase], gates, reason)


def _passed(gates: Sequence[Gate]) -> bool | None:
    """Return whether a layer is passed: nothing known fails, and something is known. None: nothing is known."""
    known = [gate.passed for gate in gates if gate.passed is not None]
    return all(known) if known else None


def _level(passed: Mapping[LayerName, bool | None]) -> int:
    level = 0
    while level < len(LAYERS) and passed[LAYERS[level]]:
        level += 1
    return level


def _verdict(facts: Facts, passed: Mapping[LayerName, bool | None]) -> tuple[Verdict | None, str | None]:
    if facts.phase == "preparation":
        return None, "not_live"
    if facts.expected.reason == "suppressed":
        return "too-small", "suppressed"
    if facts.expected.count is not None and facts.expected.count[1] < facts.min_group:
        return "too-small", "insufficient_sample"
    if facts.expected.count is None or passed["access"] is None:
        return "unknown", facts.expected.reason or facts.measures[0].reason
    return _of_people(facts, passed), None


def _of_people(facts: Facts, passed: Mapping[LayerName, bool | None]) -> Verdict:
    """Return the verdict of a group that is large enough, and known."""
    if not passed["access"]:
        return "drifting" if facts.was_reached and facts.falling else "not-reached"
    return "visiting" if passed["behaviour"] is False else _of_records(facts, passed)


def _of_records(facts: Facts, passed: Mapping[LayerName, bool | None]) -> Verdict:
    """Return the verdict of a group that is there and works."""
    if facts.phase not in {"launch", "stabilization-1"}:
        if _under(facts.quality, SUPERFICIAL):
            return "superficial"
        if passed["data_quality"] and _reaches(facts.placeholders, PLACEHOLDERS):
            return "fake"
    proven = passed["behaviour"] and passed["data_quality"] and passed["outcome"] is not False
    return "adopted" if proven else "compliant"


def _under(measure: Measure, share: int) -> bool:
    return measure.count is not None and 100 * measure.count[0] < share * measure.count[1]


def _reaches(measure: Measure, share: int) -> bool:
    return measure.count is not None and 100 * measure.count[0] >= share * measure.count[1]


def months_at_target(months: Sequence[Count | None]) -> int:
    """Return how many of the last months in a row had nine in ten; ``months`` are final, the newest last."""
    streak = 0
    for month in reversed(months):
        if month is None or not month[1] or 100 * month[0] < AT_TARGET * month[1]:
            break
        streak += 1
    return streak
