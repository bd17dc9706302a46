"""From cells to values: what a metric of a group was in a window, as two whole numbers.

A value says nothing of whether it may be shown or trusted: that is for ``answers``.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache, partial
from itertools import accumulate
from typing import Final, NamedTuple, Self, TypeAlias

from services.metrics.catalogue import Metric, by_code
from services.metrics.shape import Code, Interval, parameter

_DEN_OF: Final = {"M21": "M11"}
"""Counted without a denominator of their own: whose they take."""


class Cell(NamedTuple):
    """One number of a group on a day. ``revision``: how often it changed when it was final."""

    num: int
    den: int
    known_at: datetime
    revision: int = 0


class Value(NamedTuple):
    """What a window holds; ``known_at`` None: nothing. ``revised``: cells that changed when they were final."""

    num: int
    den: int
    known_at: datetime | None
    revised: Sequence[Cell] = ()


NOTHING: Final = Value(0, 0, None)
_value: Final[Callable[[tuple[int, int, datetime, Sequence[Cell]]], Value]] = partial(tuple.__new__, Value)
"""Makes a value; twice as fast as its constructor."""
NEVER: Final = date(9000, 1, 1)
"""The day of what adds up and is not told."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=4096)
def _instant(seconds: float) -> datetime:
    """Return an instant of the epoch; the cells of a pass share theirs."""
    return _EPOCH + timedelta(microseconds=round(seconds * 1_000_000))


class Series:
    """The cells of one code, by day. Sums over any stretch of days cost the same.

    Days are given, in their order, by their ordinals, and instants in seconds of the epoch.
    """

    __slots__ = ("_dens", "_known", "_latest", "_nums", "_ordinals", "_revised")

    def __init__(
        self,
        ordinals: Sequence[int],
        nums: Sequence[int],
        dens: Sequence[int],
        known: Sequence[float],
        revisions: Sequence[int],
    ) -> None:
        self._ordinals = ordinals
        self._nums = list(accumulate(nums, initial=0))
        self._dens = list(accumulate(dens, initial=0))
        self._known = known
        self._latest = list(accumulate(known, max))
        self._revised = [
            (at, Cell(nums[at], dens[at], _instant(known[at]), times))
            for at, times in enumerate(revisions if any(revisions) else ())
            if times > 0
        ]

    @classmethod
    def of(cls, cells: Iterable[tuple[date, Cell]]) -> Self:
        """Return the series of cells in any order."""
        ordered = sorted(cells)
        return cls(
            [day.toordinal() for day, _ in ordered],
            [cell.num for _, cell in ordered],
            [cell.den for _, cell in ordered],
            [cell.known_at.timestamp() for _, cell in ordered],
            [cell.revision for _, cell in ordered],
        )

    @property
    def days(self) -> list[date]:
        """Return the days that have a cell, in their order."""
        return list(map(date.fromordinal, self._ordinals))

    @property
    def withholds(self) -> bool:
        """Return whether people count of whom nothing is told."""
        return bool(self._ordinals) and self._ordinals[-1] >= NEVER.toordinal()

    @property
    def first(self) -> date | None:
        """Return the first day that has a cell."""
        return date.fromordinal(self._ordinals[0]) if self._ordinals else None

    def sum(self, start: date, end: date) -> Value:
        """Return the sum over the days from ``start`` until before ``end``."""
        low, high = bisect_left(self._ordinals, start.toordinal()), bisect_left(self._ordinals, end.toordinal())
        if low >= high:
            return NOTHING
        if low == 0:
            latest = self._latest[high - 1]
        else:
            latest = self._known[low] if high == low + 1 else max(self._known[low:high])
        revised = [cell for at, cell in self._revised if low <= at < high] if self._revised else ()
        num, den = self._nums[high] - self._nums[low], self._dens[high] - self._dens[low]
        return _value((num, den, _instant(latest), revised))

    def within(self, span: Interval) -> Value:
        """Return the sum over the days of ``span``."""
        return self.sum(span.start, span.end or date.max)

    def on(self, day: date) -> Value:
        """Return the cell of ``day``."""
        ordinal = day.toordinal()
        at = bisect_left(self._ordinals, ordinal)
        if at == len(self._ordinals) or self._ordinals[at] != ordinal:
            return NOTHING
        revised = [cell for place, cell in self._revised if place == at] if self._revised else ()
        nums, dens = self._nums, self._dens
        return _value((nums[at + 1] - nums[at], dens[at + 1] - dens[at], _instant(self._known[at]), revised))


EMPTY: Final = Series((), (), (), (), ())

Cells: TypeAlias = Mapping[str, Series]
"""Of one group, by code without an offset."""


def code_of(metric: Metric, of: str | None) -> str:
    """Return the code of ``metric`` for the parameter ``of``."""
    return metric.code if of is None else f"{metric.code}:{parameter(of)}"


def parameters(metric: Metric, cells: Cells) -> Sequence[str | None]:
    """Return what ``metric`` is counted for: the parameters it may have, or all that were seen."""
    if metric.parameter is None:
        return [None]
    if metric.parameter.allowed is not None:
        return list(metric.parameter.allowed)
    codes = (Code.parse(code) for code in cells if code.startswith(f"{metric.code}:"))
    return sorted(code.parameter for code in codes if code.parameter is not None)


class Line:
    """One metric of a group, for one of its parameters. What it is in a window is found the quick way."""

    __slots__ = ("_first", "_trailing", "value")

    def __init__(self, metric: Metric, of: str | None, cells: Cells) -> None:
        series = cells.get(metric.basis[0] if metric.combination == "derived" else code_of(metric, of), EMPTY)
        self.value: Callable[[Interval], Value] = _reader(metric, series, cells)
        """What the metric is in a window, from the cells of its group."""
        adds_up = metric.combination == "cumulative"
        self._trailing = timedelta(days=metric.trailing) if adds_up and metric.trailing is not None else None
        self._first = series.first if adds_up else None

    def first_day(self, span: Interval) -> date:
        """Return the first day that the value of ``span`` rests on."""
        if self._trailing is not None and span.end is not None:
            return span.end - self._trailing
        return span.start if self._first is None else min(self._first, span.start)


def _reader(metric: Metric, series: Series, cells: Cells) -> Callable[[Interval], Value]:
    if metric.code == "M13":
        daily, weekly = cells.get("M10", EMPTY), cells.get("M11", EMPTY)
        return lambda span: _stickiness(daily.within(span), weekly.on(span.start))
    if metric.combination == "cumulative":
        if metric.trailing is None:
            return lambda span: series.sum(date.min, span.end or date.max)
        back = timedelta(days=metric.trailing)
        return lambda span: series.sum((span.end or date.max) - back, span.end or date.max)
    if metric.code in _DEN_OF:
        whose = cells.get(_DEN_OF[metric.code], EMPTY)
        return lambda span: _of_those(series.on(span.start), whose.on(span.start))
    if metric.combination == "weekly":
        return lambda span: series.on(span.start)
    return series.within


def value_of(metric: Metric, of: str | None, cells: Cells, span: Interval) -> Value:
    """Return what ``metric`` is in ``span``, from the cells of its group."""
    return Line(metric, of, cells).value(span)


def bases(metric: Metric) -> Iterator[Metric]:
    """Yield the metrics that are counted for ``metric``: itself, or what it is derived from."""
    if metric.combination != "derived":
        yield metric
    for code in metric.basis:
        found = by_code(code)
        if found is not None:
            yield found


def _of_those(found: Value, whose: Value) -> Value:
    """Return a count as a share of the people that another is of."""
    return Value(found.num, whose.den, _later(found.known_at, whose.known_at), found.revised)


def _stickiness(daily: Value, weekly: Value) -> Value:
    return Value(
        daily.num * weekly.den,
        daily.den * weekly.num,
        _later(daily.known_at, weekly.known_at),
        [*daily.revised, *weekly.revised],
    )


def _later(*instants: datetime | None) -> datetime | None:
    return max((instant for instant in instants if instant is not None), default=None)
