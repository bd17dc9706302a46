"""What may be told of a metric in a window: its value, or the reason why there is none. Unknown is never zero.

Of several reasons the first counts, in the order of ``Teller``: nothing else of a hidden group is told.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from typing import Any, Concatenate, Final, NamedTuple, ParamSpec, TypeVar

import msgspec

from services.metrics.catalogue import METRICS, Metric
from services.metrics.companions import NONE, Beside, Companions
from services.metrics.scene import MERGES, Scene
from services.metrics.shape import DAYS_A_WEEK, Interval
from services.metrics.values import EMPTY, Cell, Cells, Line, Value, bases, code_of
from services.metrics.windows import Name, end_of, is_final, state

UNKNOWN_ORIGIN: Final = Fraction(20, 100)
PEOPLE: Final = frozenset({"M1", "M2", "M3", "M4", "M5", "M6", "M8", "M9", "M10", "M11", "M12", "M15", "M23"})
"""Their denominators are people: under the least size of a group they tell of single ones."""
EXPECTED: Final = "M10"
"""Its denominators are the people who were expected on a day."""
OF_OWNERS: Final = frozenset({"M23"})
"""Few by nature: shown to who may see single persons."""
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
NO_MERGES: Final = f"missing_{MERGES}"
WITHHELD: Final = frozenset({"suppressed", "not_approved", NO_MERGES})
"""Reasons with which not even counts are told: of duplicates that nobody tells of there are not none."""


class Asked(NamedTuple):
    """One metric, for one of its parameters, in one window."""

    metric: Metric
    of: str | None
    window: Name
    span: Interval


class Answer(msgspec.Struct, frozen=True):
    """What is told. ``num`` and ``den`` None: not even they. ``excluded`` None: it is counted by week only."""

    asked: Asked
    state: str
    revision: int = 0
    num: int | None = None
    den: int | None = None
    reason: str | None = None
    known_at: datetime | None = None
    excluded: Mapping[str, int] | None = None
    beside: Beside = NONE

    @property
    def value(self) -> Fraction | None:
        """Return the exact value in the metric's unit; None: there is none."""
        if self.reason is not None or self.num is None or not self.den:
            return None
        return Fraction(self.num * self.asked.metric.scale, self.den)


@dataclass(frozen=True, slots=True)
class _Topic:
    """What is the same for a metric in all windows.

    ``never``: why it has no value anywhere, ``lacks``: in weeks that were counted. ``daily``: it sums up days of people
    or records. ``excludes``: people are left out of its weeks. ``least``: the smallest denominator that is told.
    """

    line: Line
    never: str | None
    lacks: str | None
    daily: bool
    excludes: bool
    least: int


def _remembered(method: Callable[Concatenate["Teller", Key], Found]) -> Callable[Concatenate["Teller", Key], Found]:
    """Let a teller keep what ``method`` returned."""
    name = method.__name__

    def remembering(self: "Teller", /, *key: Key.args, **_: Key.kwargs) -> Found:
        known = self.memory[name]
        try:
            found: Found = known[key]
        except KeyError:
            found = known[key] = method(self, *key, **_)
        return found

    return remembering


class Teller:
    """Tells of one group. What many answers rest on, all that belongs to a window, is looked up once."""

    def __init__(self, cells: Cells, scene: Scene) -> None:
        self.cells = cells
        self.scene = scene
        self.memory: dict[str, dict[tuple[object, ...], Any]] = defaultdict(dict)
        self._topics: dict[tuple[str, str | None], _Topic] = {}
        self._companions = Companions(cells, scene.min_group)
        self._counted_from = scene.since or date.min
        self._counted_until = date.min if scene.measured is None else scene.measured + _A_WEEK

    def answer(self, asked: Asked) -> Answer:
        """Return what may be told."""
        metric, of, window, span = asked
        topic = self._topics.get((metric.id, of)) or self._topic(metric, of)
        value = topic.line.value(span)
        num, den, known_at, revised = value
        reason = self._unknown(asked, topic, value)
        settled = self._state(span.end or date.max, metric.settles)
        if reason in WITHHELD:
            return Answer(asked, settled, reason=reason)
        revision = self._revision(metric, revised, span) if revised else 0
        if reason == "source_silent":
            settled = "unknown"
        elif revision and settled == "final":
            settled = "restated"
        excluded = self._companions.left_out(span.start) if topic.excludes and window == "week" else None
        beside = self._companions.beside(metric, of, window, span) if metric.companions else NONE
        if known_at is None:
            return Answer(asked, settled, revision, None, None, reason, None, excluded, beside)
        return Answer(asked, settled, revision, num, den, reason, known_at, excluded, beside)

    def _topic(self, metric: Metric, of: str | None) -> "_Topic":
        topic = self._topics[metric.id, of] = _Topic(
            Line(metric, of, self.cells),
            never=metric.reason or ("person_level" if metric.combination == "person" else None),
            lacks=self._lacks(metric),
            daily=metric.combination == "daily" or metric.code == "M13",
            excludes=metric.subject == "person" and metric.combination != "cumulative",
            least=self._least(metric),
        )
        return topic

    def _lacks(self, metric: Metric) -> str | None:
        """Return why a metric has no value in any week that was counted; None: it may have one."""
        if MERGES in metric.inputs and MERGES not in self.scene.kinds:
            return NO_MERGES
        return None if self.scene.active or "activity" not in metric.inputs else "missing_activity"

    def _least(self, metric: Metric) -> int:
        """Return of how many people a denominator must be so as not to tell of single ones."""
        shown = metric.code not in PEOPLE or (metric.code in OF_OWNERS and self.scene.individuals)
        return 0 if shown else self.scene.min_group

    def shows(self, metric: Metric, span: Interval) -> bool:
        """Tell whether anything may be told of ``metric`` in ``span``."""
        return self._closed(span.start, span)[0] is None and not self._few_on_a_day(metric, span)

    def tells(self, metric: Metric, of: str | None) -> bool:
        """Tell whether ``metric`` was counted for ``of`` on a day of which something may be told."""
        series = self.cells.get(code_of(metric, of))
        return series is not None and any(self.shows(metric, Interval(day, day + _DAY)) for day in series.days)

    def _unknown(self, asked: Asked, topic: "_Topic", value: Value) -> str | None:
        """Return why there is no value; None: there is one."""
        metric, _, _, span = asked
        withheld, silent = self._closed(topic.line.first_day(span), span)
        if withheld is not None:
            return withheld
        if topic.daily and not self.scene.named and self._few_on_a_day(metric, span):
            return "suppressed"
        if topic.never or topic.lacks or span.start >= self._counted_until:
            return topic.never or ("not_known_yet" if span.start >= self._counted_until else topic.lacks)
        if span.end is not None and span.end <= self._counted_from:
            return "missing_activity"
        if self.scene.silences and (self._unheard(asked) if metric.reach else silent):
            return "source_silent"
        return self._nothing(asked, value) if value.den <= 0 else self._too_little(asked, topic, value)

    @_remembered
    def _closed(self, start: date, span: Interval) -> tuple[str | None, bool]:
        """Return why nothing may be told of the days from ``start`` on, and whether a source was silent on them."""
        last = (span.end or date.max) - _DAY
        if self.scene.closed or self.scene.hides(start, last):
            return "suppressed", False
        return (None if self.scene.approved else "not_approved"), self._silent(start, span)

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

    def _revision(self, metric: Metric, revised: Sequence[Cell], span: Interval) -> int:
        """Return how often a window changed when it was final. Cells that changed at one instant changed it once."""
        final = self._end((span.end or date.max) + timedelta(days=metric.settles))
        late = [cell for cell in revised if is_final(final, cell.known_at)]
        return max((len({cell.known_at for cell in late}), *(cell.revision for cell in late)))

    @_remembered
    def _state(self, end: date, settles: int) -> str:
        """Return how settled a window is that ended before ``end`` and did not change since."""
        told = state(self._end(end), self.scene.now, 0)
        if told != "final" or not settles:
            return told
        return told if is_final(self._end(end + timedelta(days=settles)), self.scene.now) else "provisional"

    def _nothing(self, asked: Asked, value: Value) -> str:
        metric = asked.metric
        if metric.combination == "cumulative" and self.cells.get(code_of(metric, asked.of), EMPTY).withholds:
            return "suppressed"
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

    def _too_little(self, asked: Asked, topic: "_Topic", value: Value) -> str | None:
        metric, of, window, span = asked
        if value.den < topic.least and (window == "1d" or metric.combination != "daily"):
            return "suppressed"
        if metric.companions and self._origin_unknown(metric, of, span):
            return "unknown_origin"
        return "insufficient_sample" if value.den < metric.minimum else None

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

    def _origin_unknown(self, metric: Metric, of: str | None, span: Interval) -> bool:
        code = metric.companions.get("unknown_origin")
        found = self._companions.value(code, of, span) if code else None
        return found is not None and found.num > UNKNOWN_ORIGIN * found.den
