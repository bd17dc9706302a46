"""What may be told of a metric in a window: its value, or the reason why there is none. Unknown is never zero.

Of several reasons the first counts, in the order of ``Teller``: nothing else of a hidden group is told.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from typing import Any, Concatenate, Final, NamedTuple, ParamSpec, TypeVar

from services.metrics.catalogue import METRICS, Metric, by_code
from services.metrics.scene import Scene
from services.metrics.shape import DAYS_A_WEEK, Interval, parameter
from services.metrics.values import PER_HUNDRED, Cells, Value, bases, first_day, parameters, value_of
from services.metrics.windows import Name, bounds, end_of, is_final, state

LEFT_OUT: Final = "X:"
"""Codes of people of whom nothing is expected begin so."""
UNKNOWN_ORIGIN: Final = Fraction(20, 100)
PEOPLE: Final = frozenset({"M1", "M2", "M3", "M4", "M5", "M6", "M8", "M9", "M10", "M11", "M12", "M15", "M23"})
"""Their denominators are people: under the least size of a group they tell of single ones."""
OF_OWNERS: Final = frozenset({"M23"})
"""Few by nature: shown to who may see single persons."""
_COUNTS: Final = frozenset({"A", "off"})
"""Companions that are mere counts."""
_NOTHING: Final[Mapping[str, str]] = {
    "M16": "no_records",
    "M17": "no_meeting",
    "M19": "no_meeting",
    "M20": "no_meeting",
    "M22": "no_tasks",
}
_A_WEEK: Final = timedelta(days=DAYS_A_WEEK)
_DAY: Final = timedelta(days=1)
Key = ParamSpec("Key")
Found = TypeVar("Found")
WITHHELD: Final = frozenset({"suppressed", "not_approved"})
"""Reasons with which not even counts are told."""


class Asked(NamedTuple):
    """One metric, for one of its parameters, in one window."""

    metric: Metric
    of: str | None
    window: Name
    span: Interval


@dataclass(frozen=True, slots=True)
class Answer:
    """What is told. ``num`` and ``den`` None: not even they. ``excluded`` None: it is counted by week only."""

    asked: Asked
    state: str
    revision: int = 0
    num: int | None = None
    den: int | None = None
    value: Fraction | None = None
    reason: str | None = None
    known_at: datetime | None = None
    excluded: Mapping[str, int] | None = None
    beside: Mapping[str, int | Value] = field(default_factory=dict)


def spans(name: Name, first: date, last: date, first_day_of_week: int = 1) -> list[Interval]:
    """Return the windows that hold, or end on, a day from ``first`` to ``last``."""
    found: list[Interval] = []
    day = first
    while day <= last:
        span = bounds(name, day, first_day_of_week)
        found.append(span)
        day = (span.end or day) if name in {"week", "month"} else day + timedelta(days=1)
    return found


def questions(metric: Metric, of: Sequence[str | None], window: Name, within: Sequence[Interval]) -> list[Asked]:
    """Return what is asked of ``metric``, in order."""
    return [Asked(metric, one, window, span) for one in of for span in within]


def every(metrics: Sequence[Metric], cells: Cells, window: Name, within: Sequence[Interval]) -> list[Asked]:
    """Return all that can be asked of ``metrics`` in ``window``; one whose parameters nobody knows is asked without."""
    return [
        asked
        for metric in metrics
        if window in metric.windows
        for asked in questions(metric, parameters(metric, cells) or [None], window, within)
    ]


def _remembered(method: Callable[Concatenate["Teller", Key], Found]) -> Callable[Concatenate["Teller", Key], Found]:
    """Let a teller keep what ``method`` returned."""

    def remembering(self: "Teller", /, *key: Key.args, **more: Key.kwargs) -> Found:
        place = (method.__name__, *key)
        if place not in self.memory:
            self.memory[place] = method(self, *key, **more)
        found: Found = self.memory[place]
        return found

    return remembering


class Teller:
    """Tells of one group. What many answers rest on, all that belongs to a window, is looked up once."""

    def __init__(self, cells: Cells, scene: Scene) -> None:
        self.cells = cells
        self.scene = scene
        self.memory: dict[tuple[object, ...], Any] = {}

    def answer(self, asked: Asked) -> Answer:
        """Return what may be told."""
        metric, of, _, span = asked
        value = value_of(metric, of, self.cells, span)
        reason = self._unknown(asked, value, first_day(metric, of, self.cells, span))
        revision, settled = self._settled(metric, value, span)
        if reason in WITHHELD:
            return Answer(asked, settled, revision, reason=reason)
        counted = value.known_at is not None
        return Answer(
            asked,
            "unknown" if reason == "source_silent" else settled,
            revision,
            num=value.num if counted else None,
            den=value.den if counted else None,
            value=None if reason else _rate(metric, value),
            reason=reason,
            known_at=value.known_at,
            excluded=self._excluded(asked),
            beside=self._beside(asked) if metric.companions else {},
        )

    def _unknown(self, asked: Asked, value: Value, start: date) -> str | None:
        """Return why there is no value; None: there is one."""
        span = asked.span
        return (
            self._withheld(start, span)
            or self._not_counted(asked)
            or ("source_silent" if self._silent(start, span) else None)
            or (self._nothing(asked.metric, value) if value.den <= 0 else self._too_little(asked, value))
        )

    @_remembered
    def _withheld(self, start: date, span: Interval) -> str | None:
        last = (span.end or date.max) - _DAY
        if self.scene.closed or self.scene.hides(start, last):
            return "suppressed"
        return None if self.scene.approved else "not_approved"

    def _not_counted(self, asked: Asked) -> str | None:
        metric, scene = asked.metric, self.scene
        if metric.reason is not None or metric.combination == "person":
            return metric.reason or "person_level"
        if scene.measured is None or asked.span.start >= scene.measured + _A_WEEK:
            return "not_known_yet"
        return None if scene.active or "activity" not in metric.inputs else "missing_activity"

    @_remembered
    def _silent(self, start: date, span: Interval) -> bool:
        silences = self.scene.silences
        if not silences:
            return False
        begin = min(datetime.combine(start, time.min, zone) for zone in self.scene.zones)
        end = min(self._end(span.end or date.max), self.scene.now)
        return any(silence.since < end and (silence.until is None or silence.until > begin) for silence in silences)

    @_remembered
    def _end(self, day: date) -> datetime:
        return end_of(day, self.scene.zones)

    def _settled(self, metric: Metric, value: Value, span: Interval) -> tuple[int, str]:
        """Return how often the value changed when it was final, and how settled it is."""
        now, told = self.scene.now, state(self._end(span.end or date.max), self.scene.now, 0)
        if told == "open" and not value.revised:
            return 0, told
        end = self._end((span.end or date.max) + timedelta(days=metric.settles))
        revision = sum(cell.revision for cell in value.revised if is_final(end, cell.known_at))
        if told == "final":
            return revision, state(end, now, revision) if is_final(end, now) else "provisional"
        return revision, told

    def _nothing(self, metric: Metric, value: Value) -> str:
        if self.scene.past and value.known_at is None:
            return "not_known_yet"
        if missing := self._missing(metric.id):
            return f"missing_{missing}"
        return _NOTHING.get(metric.code, "no_expected_people" if metric.subject == "person" else "no_records")

    @_remembered
    def _missing(self, metric: str) -> str | None:
        """Return the kind of data that nothing in the tenant was ever counted from; None: there is all it needs."""
        needed = list(bases(METRICS[metric])) if metric in METRICS else []
        if any(basis.code in self.scene.seen for basis in needed):
            return None
        return next((kind for basis in needed for kind in basis.inputs if kind not in self.scene.kinds), None)

    def _too_little(self, asked: Asked, value: Value) -> str | None:
        if self._small(asked, value):
            return "suppressed"
        if self._origin_unknown(asked):
            return "unknown_origin"
        return "insufficient_sample" if value.den < asked.metric.minimum else None

    def _small(self, asked: Asked, value: Value) -> bool:
        metric, scene = asked.metric, self.scene
        if metric.code not in PEOPLE or (metric.combination == "daily" and asked.window != "1d"):
            return False
        return value.den < scene.min_group and not (metric.code in OF_OWNERS and scene.individuals)

    def _origin_unknown(self, asked: Asked) -> bool:
        code = asked.metric.companions.get("unknown_origin")
        found = self._companion(code, asked.of, asked.span) if code else None
        return found is not None and found.num > UNKNOWN_ORIGIN * found.den

    def _companion(self, code: str, of: str | None, span: Interval) -> Value | None:
        series = self.cells.get(code if of is None or by_code(code) else f"{code}:{parameter(of)}")
        if series is None:
            return None
        metric = by_code(code)
        weekly = code == "A" or (metric is not None and metric.combination == "weekly")
        return series.sum(span.start, span.start + _DAY if weekly else span.end or date.max)

    def _beside(self, asked: Asked) -> dict[str, int | Value]:
        """Return the companions that are counted for such a window."""
        found: dict[str, int | Value] = {}
        for name, code in asked.metric.companions.items():
            if code == "A" and asked.window != "week":
                continue
            value = self._companion(code, asked.of, asked.span)
            if code in _COUNTS:
                found[name] = value.num if value else 0
            elif value is not None:
                found[name] = value
        return found

    def _excluded(self, asked: Asked) -> Mapping[str, int] | None:
        """Return people of whom nothing was expected in the week, by reason."""
        metric = asked.metric
        if asked.window != "week" or metric.subject != "person" or metric.combination == "cumulative":
            return None
        return self._left_out(asked.span.start)

    @_remembered
    def _left_out(self, week: date) -> Mapping[str, int]:
        found = {
            code.removeprefix(LEFT_OUT): series.sum(week, week + _DAY).num
            for code, series in sorted(self.cells.items())
            if code.startswith(LEFT_OUT)
        }
        return {reason: number for reason, number in found.items() if number}


def _rate(metric: Metric, value: Value) -> Fraction:
    return Fraction(value.num * (100 if metric.unit == PER_HUNDRED else 1), value.den)
