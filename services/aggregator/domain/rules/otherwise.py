"""The other ways in which a rule on a share opens: a rise that another metric joins, a companion that is too low.

A companion that evidence names is told beside the share and decides nothing. What is not known of another way neither
opens an alert nor holds it open: the share itself decides then.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from typing import Final, NamedTuple, Protocol

from services.aggregator.domain.rules.hysteresis import BETWEEN, BREACH, CLEAR, Sign
from services.aggregator.domain.rules.series import TRAILING, Told, metric
from services.aggregator.domain.rules.telling import number, rate
from services.metrics.catalogue import Metric, by_code
from services.rules.shape import Rule

RISE: Final = "rise"
RISE_WITH: Final = "rise_with"
COMPANION: Final = "companion"
Tell = Callable[[Metric], Sequence[Told]]
"""Returns what is known of a metric in each window of the rule."""


class Limits(NamedTuple):
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


class Way(Protocol):
    """Another way to open."""

    def sign(self, place: int) -> Sign | None:
        """Return what the window at ``place`` shows; None: that is not known."""

    def evidence(self, place: int) -> Mapping[str, object]:
        """Return what is told of it."""


@dataclass(frozen=True, slots=True)
class Rise:
    """So many points more than four windows before, while another metric rose as well."""

    points: int
    told: Sequence[Told]
    joined: Sequence[Told]
    weeks: Sequence[date]

    def sign(self, place: int) -> Sign | None:
        """Return whether it rose so much, and not alone."""
        rose, joined = _risen(self.told, place), _risen(self.joined, place)
        if rose is None or joined is None:
            return None
        return BREACH if rose >= self.points and joined > 0 else CLEAR

    def evidence(self, place: int) -> Mapping[str, object]:
        """Return by how many points both rose, and since which week."""
        rose, joined = _risen(self.told, place), _risen(self.joined, place)
        if rose is None or joined is None:
            return {}
        return {RISE: {"points": rose, "joined": joined, "since": self.weeks[place - TRAILING]}}


def _risen(told: Sequence[Told], place: int) -> Fraction | None:
    """Return by how many points a share rose in four windows; None: one of the two is not known."""
    if place < TRAILING or told[place].reason is not None or told[place - TRAILING].reason is not None:
        return None
    return 100 * (told[place].share - told[place - TRAILING].share)


@dataclass(frozen=True, slots=True)
class Companion:
    """What is counted beside the share has limits of its own."""

    name: str
    limits: Limits
    told: Sequence[Told]

    def sign(self, place: int) -> Sign | None:
        """Return what it shows."""
        told = self.told[place]
        return None if told.reason is not None else self.limits.sign(told)

    def evidence(self, place: int) -> Mapping[str, object]:
        """Return how much of it there was."""
        told = self.told[place]
        if told.reason is not None:
            return {}
        return {self.name: rate(told.num, told.den)}


@dataclass(frozen=True, slots=True)
class Aside:
    """What is counted beside the share is told, and that is all."""

    name: str
    told: Sequence[Told]

    def sign(self, _place: int) -> Sign | None:
        """Return None: it decides nothing."""
        return None

    def evidence(self, place: int) -> Mapping[str, object]:
        """Return how much of it there was."""
        told = self.told[place]
        return {} if told.reason is not None else {self.name: rate(told.num, told.den)}


def besides(rule: Rule, aim: Metric) -> Iterator[Metric]:
    """Yield what a rule on ``aim`` needs for its other ways to open, and to tell beside it."""
    if isinstance(joined := rule.params.get(RISE_WITH), str):
        yield metric(joined)
    if isinstance(name := rule.params.get(COMPANION), str) and name in aim.companions:
        yield companion(aim, name)
    yield from (companion(aim, name) for name in _asides(rule, aim))


def _asides(rule: Rule, aim: Metric) -> Iterator[str]:
    """Yield the companions that the rule's evidence names, and that decide nothing."""
    yield from (name for name in rule.evidence if name in aim.companions and name != rule.params.get(COMPANION))


def companion(aim: Metric, name: str) -> Metric:
    """Return what is counted beside ``aim`` under ``name``, as a metric."""
    code = aim.companions[name]
    return by_code(code) or replace(aim, code=code, companions={}, targets={})


def ways(rule: Rule, aim: Metric, tell: Tell, weeks: Sequence[date]) -> list[Way]:
    """Return the other ways in which ``rule`` opens."""
    found: list[Way] = []
    if isinstance(joined := rule.params.get(RISE_WITH), str):
        found.append(Rise(number(rule, RISE), tell(aim), tell(metric(joined)), weeks))
    if isinstance(name := rule.params.get(COMPANION), str) and name in aim.companions:
        limits = Limits(number(rule, "companion_below"), number(rule, "companion_closes_at"), below=True)
        found.append(Companion(name, limits, tell(companion(aim, name))))
    return found + [Aside(name, tell(companion(aim, name))) for name in _asides(rule, aim)]


def together(first: Sign, others: Iterator[Sign | None]) -> Sign:
    """Return what a window shows by any way: the condition, if one does; that it is over, if all known ones do."""
    known = [first, *(each for each in others if each is not None)]
    if any(each.breach for each in known):
        return BREACH
    return CLEAR if all(each.clear for each in known) else BETWEEN
