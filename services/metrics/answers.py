"""What may be told of a metric in a window: its value, or the reason why there is none. Unknown is never zero.

Of several reasons the first counts, in the order of ``Teller``: nothing else of a hidden group is told.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Concatenate, Final, NamedTuple, ParamSpec, TypeVar

from services.metrics.catalogue import METRICS, Metric, by_code
from services.metrics.scene import Scene
from services.metrics.shape import DAYS_A_WEEK, Interval, parameter
from services.metrics.values import Cells, Value, bases, code_of, first_day, value_of
from services.metrics.windows import Name, end_of, is_final, state

LEFT_OUT: Final = "X:"
"""Codes of people of whom nothing is expected begin so."""
UNKNOWN_ORIGIN: Final = Fraction(20, 100)
PEOPLE: Final = frozenset({"M1", "M2", "M3", "M4", "M5", "M6", "M8", "M9", "M10", "M11", "M12", "M15", "M23"})
"""Their denominators are people: under the least size of a group they tell of single ones."""
EXPECTED: Final = "M10"
"""Its denominators are the people who were expected on a day."""
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
_NOTHING_BESIDE: Final[Mapping[str, "int | Value"]] = MappingProxyType({})
Key = ParamSpec("Key")
Found = TypeVar("Found")
OPTED_OUT: Final = "opted_out"
"""Who did so is nobody's business: they are counted where they are enough."""
WITHHELD: Final = frozenset({"suppressed", "not_approved"})
"""Reasons with which not even counts are told."""


class Asked(NamedTuple):
    """One metric, for one of its parameters, in one window."""

    metric: Metric
    of: str | None
    window: Name
    span: Interval


class Answer(NamedTuple):
    """What is told. ``num`` and ``den`` None: not even they. ``excluded`` None: it is counted by week only."""

    asked: Asked
    state: str
    revision: int = 0
    num: int | None = None
    den: int | None = None
    reason: str | None = None
    known_at: datetime | None = None
    excluded: Mapping[str, int] | None = None
    beside: Mapping[str, int | Value] = _NOTHING_BESIDE

    @property
    def value(self) -> Fraction | None:
        """Return the exact value in the metric's unit; None: there is none."""
        if self.reason is not None or self.num is None or not self.den:
            return None
        return Fraction(self.num * self.asked.metric.scale, self.den)


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
            return Answer(asked, self._state(span.end or date.max, metric.settles), reason=reason)
        counted = value.known_at is not None
        return Answer(
            asked,
            "unknown" if reason == "source_silent" else settled,
            revision,
            value.num if counted else None,
            value.den if counted else None,
            reason,
            value.known_at,
            self._excluded(asked),
            self._beside(asked) if metric.companions else _NOTHING_BESIDE,
        )

    def shows(self, metric: Metric, span: Interval) -> bool:
        """Tell whether anything may be told of ``metric`` in ``span``."""
        return self._closed(span.start, span)[0] is None and not self._few_on_a_day(metric, span)

    def tells(self, metric: Metric, of: str | None) -> bool:
        """Tell whether ``metric`` was counted for ``of`` on a day of which something may be told."""
        series = self.cells.get(code_of(metric, of))
        return series is not None and any(self.shows(metric, Interval(day, day + _DAY)) for day in series.days)

    def _unknown(self, asked: Asked, value: Value, start: date) -> str | None:
        """Return why there is no value; None: there is one."""
        withheld, silent = self._closed(start, asked.span)
        if self.scene.silences and asked.metric.reach:
            silent = self._unheard(asked)
        return (
            withheld
            or ("suppressed" if self._few_on_a_day(asked.metric, asked.span) else None)
            or self._not_counted(asked)
            or ("source_silent" if silent else None)
            or (self._nothing(asked.metric, value) if value.den <= 0 else self._too_little(asked, value))
        )

    @_remembered
    def _closed(self, start: date, span: Interval) -> tuple[str | None, bool]:
        """Return why nothing may be told of the days from ``start`` on, and whether a source was silent on them."""
        last = (span.end or date.max) - _DAY
        if self.scene.closed or self.scene.hides(start, last):
            return "suppressed", False
        return (None if self.scene.approved else "not_approved"), self._silent(start, span)

    def _not_counted(self, asked: Asked) -> str | None:
        metric, scene = asked.metric, self.scene
        if metric.reason is not None or metric.combination == "person":
            return metric.reason or "person_level"
        if scene.measured is None or asked.span.start >= scene.measured + _A_WEEK:
            return "not_known_yet"
        return None if scene.active or "activity" not in metric.inputs else "missing_activity"

    def _silent(self, start: date, span: Interval) -> bool:
        silences = self.scene.silences
        if not silences:
            return False
        begin = min(datetime.combine(start, time.min, zone) for zone in self.scene.zones)
        end = min(self._end(span.end or date.max), self.scene.now)
        return any(silence.since < end and (silence.until is None or silence.until > begin) for silence in silences)

    def _unheard(self, asked: Asked) -> bool:
        """Tell whether a source was silent when that happened which counts in the window."""
        metric, of, _, span = asked
        back = timedelta(days=metric.reach)
        if metric.combination != "cumulative":
            return self._silent(span.start - back, span)
        series, end = self.cells.get(code_of(metric, of)), span.end or date.max
        start = date.min if metric.trailing is None else end - timedelta(days=metric.trailing)
        return series is not None and any(
            series.sum(
                max(start, silence.since.date() - _DAY),
                min(end, (silence.until or self.scene.now).date() + back + 2 * _DAY),
            ).den
            for silence in self.scene.silences
        )

    @_remembered
    def _end(self, day: date) -> datetime:
        return end_of(day, self.scene.zones)

    def _settled(self, metric: Metric, value: Value, span: Interval) -> tuple[int, str]:
        """Return how often the value changed when it was final, and how settled it is."""
        end = span.end or date.max
        if not value.revised:
            return 0, self._state(end, metric.settles)
        final = self._end(end + timedelta(days=metric.settles))
        revision = sum(cell.revision for cell in value.revised if is_final(final, cell.known_at))
        told = self._state(end, metric.settles)
        return revision, "restated" if revision and told == "final" else told

    @_remembered
    def _state(self, end: date, settles: int) -> str:
        """Return how settled a window is that ended before ``end`` and did not change since."""
        told = state(self._end(end), self.scene.now, 0)
        if told != "final" or not settles:
            return told
        return told if is_final(self._end(end + timedelta(days=settles)), self.scene.now) else "provisional"

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

    def _few_on_a_day(self, metric: Metric, span: Interval) -> bool:
        """Tell whether a sum over days of people holds a day on which few of them were expected.

        Less the other days, it would tell of those few to who is shown no single persons.
        """
        if self.scene.named or metric.subject != "person" or (metric.combination != "daily" and metric.code != "M13"):
            return False
        return any(span.start <= day < (span.end or date.max) for day in self._days_of_few())

    @_remembered
    def _days_of_few(self) -> list[date]:
        series = self.cells.get(EXPECTED)
        days = series.days if series else ()
        return [day for day in days if series and 0 < series.sum(day, day + _DAY).den < self.scene.min_group]

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
        few = {OPTED_OUT} if found.get(OPTED_OUT, 0) < self.scene.min_group else set()
        return {reason: number for reason, number in found.items() if number and reason not in few}
