"""The weeks of groups, as the rules see them: what a metric was in each week, or the reason why that is not known.

The reasons, and their order, are those of ``services.metrics.answers``: an alert never rests on a number that nobody
is shown. Only weeks that have ended, and are counted, are here.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any, Final, NamedTuple

from services.aggregator.domain.findings import Subject
from services.aggregator.domain.waves import Wave
from services.metrics.answers import PEOPLE, UNKNOWN_ORIGIN
from services.metrics.catalogue import METRICS, Metric, by_code
from services.metrics.shape import Count, Interval, Policy
from services.metrics.values import bases
from services.rules.shape import Rule

WEEK: Final = timedelta(days=7)
IDLE: Final = frozenset({"no_expected_people", "no_records", "no_meeting", "no_tasks"})
"""Nothing was there to be counted: such a window is none."""
TRAILING: Final = 4
FEW: Final = "insufficient_sample"
_NOTHING: Final[Mapping[str, str]] = {"M16": "no_records", "M17": "no_meeting", "M20": "no_meeting", "M22": "no_tasks"}


class Told(NamedTuple):
    """What a window holds. ``reason``: why it has no value; None: it has one."""

    num: int = 0
    den: int = 0
    reason: str | None = None

    @property
    def share(self) -> Fraction:
        """Return the value; of one without a reason only."""
        return Fraction(self.num, self.den)


SUPPRESSED: Final = Told(reason="suppressed")


class Gap(NamedTuple):
    """A time in which a source told nothing; None: it is silent still."""

    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Time:
    """The weeks of a tenant that are judged, by their first days, in order and without a hole.

    ``judged``: from when on each is; ``final``: how many of them are final, None: all. ``begun``, ``ended``: the
    instants between which they are a week anywhere. ``seen`` and ``kinds``: the metrics that are counted at all, and
    the data that is there.
    """

    weeks: Sequence[date]
    judged: Sequence[datetime]
    begun: Sequence[datetime] = ()
    ended: Sequence[datetime] = ()
    policy: Policy = field(default_factory=Policy)
    min_group: int = 1
    seen: Collection[str] = ()
    kinds: Collection[str] = ()
    gaps: Sequence[Gap] = ()
    final: int | None = None

    def last_day(self, place: int) -> date:
        """Return the last day of the week at ``place``."""
        return self.weeks[place] + WEEK - timedelta(days=1)

    def since(self, day: date) -> range:
        """Return the places of the weeks that end on ``day`` or later."""
        first = 0 if day < date.min + WEEK else bisect_left(self.weeks, day - WEEK + timedelta(days=1))
        return range(first, len(self.weeks))

    def silent(self, place: int, reach: int) -> bool:
        """Tell whether a source was silent in the week, or up to ``reach`` days before, when it told of it as well."""
        if not self.gaps:
            return False
        start, end = self.begun[place] - timedelta(days=reach), self.ended[place]
        return any(gap.since < end and (gap.until is None or gap.until > start) for gap in self.gaps)

    def missing(self, metric: Metric) -> str | None:
        """Return the kind of data that nothing in the tenant was ever counted from; None: there is all it needs."""
        needed = [basis for basis in bases(metric) if basis.code != metric.code or metric.combination != "derived"]
        if metric.reason is not None:
            return metric.reason.removeprefix("missing_")
        if any(basis.code in self.seen for basis in needed):
            return None
        return next((kind for basis in needed for kind in basis.inputs if kind not in self.kinds), None)


Weekly = Mapping[date, Count]
"""Sums by the first day of the week."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group: what it is called, when it goes live, the phase of each week, its numbers by code, where it is hidden.

    ``cells`` hold codes as they are counted: of a metric with a parameter one for each. What many rules ask for is
    looked up once.
    """

    subject: Subject
    name: str
    wave: Wave | None
    phases: Sequence[str]
    cells: Mapping[str, Weekly]
    hidden: Collection[date] = ()
    memory: dict[tuple[object, ...], Any] = field(default_factory=dict, compare=False, repr=False)

    def all_told(self, metric: Metric, time: Time, of: str | None = None) -> list[Told]:
        """Return what is known of ``metric`` in each week."""
        key = (metric.code, of)
        if key not in self.memory:
            self.memory[key] = self._all_told(metric, time, of)
        found: list[Told] = self.memory[key]
        return found

    def told(self, metric: Metric, time: Time, place: int, *, minimum: int = 1, of: str | None = None) -> Told:
        """Return what is known of ``metric`` in the week at ``place``."""
        found = self.all_told(metric, time, of)[place]
        if found.reason is None and found.den < minimum:
            return Told(found.num, found.den, FEW)
        return found

    def _all_told(self, metric: Metric, time: Time, of: str | None) -> list[Told]:
        codes = [self.cells[code] for code in self._codes(metric, of)]
        nothing = Told(reason=self._nothing(metric, time))
        found: list[Told] = []
        for place, week in enumerate(time.weeks):
            pairs = [pair for code in codes if (pair := code.get(week)) is not None]
            num, den = pairs[0] if len(pairs) == 1 else (sum(pair[0] for pair in pairs), sum(p[1] for p in pairs))
            if week in self.hidden:
                found.append(SUPPRESSED)
            elif metric.reason is None and time.gaps and time.silent(place, metric.reach):
                found.append(Told(num, den, "source_silent"))
            elif den <= 0:
                found.append(nothing)
            else:
                found.append(Told(num, den, self._too_little(metric, time, week, den)))
        return found

    def _nothing(self, metric: Metric, time: Time) -> str:
        """Return why there is nothing to tell where nothing was counted."""
        if metric.reason is not None:
            return metric.reason
        if kind := time.missing(metric):
            return f"missing_{kind}"
        return _NOTHING.get(metric.code, "no_expected_people" if metric.subject == "person" else "no_records")

    def _too_little(self, metric: Metric, time: Time, week: date, den: int) -> str | None:
        if metric.code in PEOPLE and den < time.min_group:
            return "suppressed"
        if metric.code == "M16" and self._origin_unknown(week):
            return "unknown_origin"
        return FEW if den < metric.minimum else None

    def _codes(self, metric: Metric, of: str | None) -> Iterator[str]:
        code = metric.basis[0] if metric.combination == "derived" else metric.code
        if metric.parameter is None or of is not None:
            wanted = code if of is None else f"{code}:{of}"
            if wanted in self.cells:
                yield wanted
            return
        yield from (each for each in self.cells if each.startswith(f"{code}:"))

    def _origin_unknown(self, week: date) -> bool:
        known = [self.cells[code].get(week, (0, 0)) for code in self.cells if code.startswith("M16u:")]
        return sum(num for num, _ in known) > UNKNOWN_ORIGIN * sum(den for _, den in known)

    def trailing(self, metric: Metric, time: Time, place: int, *, minimum: int = 1, of: str | None = None) -> Told:
        """Return what is known of the four weeks up to the one at ``place``; of three of which nothing is, nothing."""
        return added(self.all_told(metric, time, of)[max(0, place - TRAILING + 1) : place + 1], minimum)

    def base(self, metric: Metric, time: Time, place: int, *, minimum: int = 1) -> tuple[int, Told] | None:
        """Return the median of the four weeks known last before ``place``, and where it is; None: there are no four."""
        all_told = self.all_told(metric, time)
        known: list[tuple[Fraction, int, Told]] = []
        for at in range(place - 1, -1, -1):
            told = all_told[at]
            if told.reason is None and told.den >= minimum:
                known.append((told.share, at, told))
                if len(known) == TRAILING:
                    return sorted(known)[TRAILING // 2 - 1][1:]
        return None


def added(all_told: Sequence[Told], minimum: int) -> Told:
    """Return several weeks as one: their sum, or why one of them is not known. What is few in each may do together."""
    for told in all_told:
        if told.reason not in IDLE and told.reason not in {None, FEW}:
            return Told(reason=told.reason)
    num, den = sum(told.num for told in all_told), sum(told.den for told in all_told)
    if den == 0:
        return Told(reason=all_told[-1].reason)
    return Told(num, den, None if den >= minimum else FEW)


def months(time: Time) -> list[list[int]]:
    """Return the places of the weeks that end in each calendar month that is over, in order."""
    found: dict[tuple[int, int], list[int]] = {}
    for place in range(len(time.weeks)):
        day = time.last_day(place)
        found.setdefault((day.year, day.month), []).append(place)
    listed = list(found.values())
    if listed and (time.last_day(listed[-1][-1]) + WEEK).month == time.last_day(listed[-1][-1]).month:
        listed.pop()
    return listed


def target_of(rule: Rule, metric: Metric, phase: str) -> int | None:
    """Return what is aimed at in ``phase``, of a hundred; None: nothing."""
    own = rule.params.get("targets")
    if isinstance(own, Mapping):
        found = own.get(phase)
        return found if isinstance(found, int) else None
    return metric.targets.get(phase, metric.targets.get(""))


def codes_of(metric: Metric) -> list[str]:
    """Return the codes, without parameters, that the value of ``metric`` is made of."""
    own = list(metric.basis) if metric.combination == "derived" else [metric.code]
    return [*own, "M16u"] if metric.code == "M16" else own


def metric(name: str) -> Metric:
    """Return a metric by its code."""
    found = by_code(name) or METRICS.get(name)
    if found is None:
        raise ValueError(f"no metric {name}")
    return found


def span_of(time: Time, place: int) -> Interval:
    """Return the days of a week."""
    return Interval(time.weeks[place], time.weeks[place] + WEEK)
