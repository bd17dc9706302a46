"""From cells to values: what a metric of a group was in a window, as two whole numbers.

A value says nothing of whether it may be shown or trusted: that is for ``answers``.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
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


class Series:
    """The cells of one code, by day. Sums over any stretch of days cost the same."""

    __slots__ = ("_dens", "_known", "_latest", "_nums", "_revised", "days")

    def __init__(
        self,
        days: Sequence[date],
        nums: Sequence[int],
        dens: Sequence[int],
        known: Sequence[datetime],
        revisions: Sequence[int],
    ) -> None:
        self.days = days
        self._nums = list(accumulate(nums, initial=0))
        self._dens = list(accumulate(dens, initial=0))
        self._known = known
        self._latest = list(accumulate(known, max))
        self._revised = [
            (at, Cell(nums[at], dens[at], known[at], times)) for at, times in enumerate(revisions) if times > 0
        ]

    @classmethod
    def of(cls, cells: Iterable[tuple[date, Cell]]) -> Self:
        """Return the series of cells in any order."""
        ordered = sorted(cells)
        columns: list[list[object]] = [list(column) for column in zip(*(cell for _, cell in ordered), strict=True)]
        return cls([day for day, _ in ordered], *(columns or [[], [], [], []]))  # type: ignore[arg-type]

    def sum(self, start: date, end: date) -> Value:
        """Return the sum over the days from ``start`` until before ``end``."""
        low, high = bisect_left(self.days, start), bisect_left(self.days, end)
        if low >= high:
            return NOTHING
        if low == 0:
            latest = self._latest[high - 1]
        else:
            latest = self._known[low] if high == low + 1 else max(self._known[low:high])
        revised = [cell for at, cell in self._revised if low <= at < high] if self._revised else ()
        return Value(self._nums[high] - self._nums[low], self._dens[high] - self._dens[low], latest, revised)


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
    codes = (Code.parse(code) for code in cells)
    return sorted(code.parameter for code in codes if code.metric == metric.code and code.parameter is not None)


def value_of(metric: Metric, of: str | None, cells: Cells, span: Interval) -> Value:
    """Return what ``metric`` is in ``span``, from the cells of its group."""
    end = span.end or date.max
    if metric.code == "M13":
        return _stickiness(cells, span)
    if metric.combination == "derived":
        return _over(metric.basis[0], cells, span.start, end)
    code = code_of(metric, of)
    if metric.combination == "cumulative":
        start = date.min if metric.trailing is None else end - timedelta(days=metric.trailing)
        return _over(code, cells, start, end)
    found = _over(code, cells, span.start, span.start + timedelta(days=1) if metric.combination == "weekly" else end)
    if metric.code in _DEN_OF:
        den = _over(_DEN_OF[metric.code], cells, span.start, span.start + timedelta(days=1))
        return Value(found.num, den.den, _later(found.known_at, den.known_at), found.revised)
    return found


def first_day(metric: Metric, of: str | None, cells: Cells, span: Interval) -> date:
    """Return the first day that the value of ``span`` rests on."""
    if metric.combination != "cumulative":
        return span.start
    if metric.trailing is not None and span.end is not None:
        return span.end - timedelta(days=metric.trailing)
    series = cells.get(code_of(metric, of))
    return min(series.days[0], span.start) if series and series.days else span.start


def bases(metric: Metric) -> Iterator[Metric]:
    """Yield the metrics that are counted for ``metric``: itself, or what it is derived from."""
    if metric.combination != "derived":
        yield metric
    for code in metric.basis:
        found = by_code(code)
        if found is not None:
            yield found


def _over(code: str, cells: Cells, start: date, end: date) -> Value:
    series = cells.get(code)
    return NOTHING if series is None else series.sum(start, end)


def _stickiness(cells: Cells, span: Interval) -> Value:
    daily = _over("M10", cells, span.start, span.end or date.max)
    weekly = _over("M11", cells, span.start, span.start + timedelta(days=1))
    return Value(
        daily.num * weekly.den,
        daily.den * weekly.num,
        _later(daily.known_at, weekly.known_at),
        [*daily.revised, *weekly.revised],
    )


def _later(*instants: datetime | None) -> datetime | None:
    return max((instant for instant in instants if instant is not None), default=None)
