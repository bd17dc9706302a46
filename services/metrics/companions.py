"""What is told beside a number: the companions of its metric, and the people of whom nothing was expected."""

from collections.abc import Mapping
from datetime import date
from fractions import Fraction
from functools import cached_property
from types import MappingProxyType
from typing import Final, TypeAlias

from services.metrics.catalogue import Metric, by_code
from services.metrics.shape import Interval, parameter
from services.metrics.values import Cells, Series, Value

LEFT_OUT: Final = "X:"
"""Codes of people of whom nothing is expected begin so."""
OPTED_OUT: Final = "opted_out"
"""Who did so is nobody's business: they are counted where they are enough."""
_MONEY: Final = {"M8c": 10_000}
"""Companions that are sums of money, in so small parts."""
_COUNTS: Final = frozenset({"A", "off"})
"""Companions that are mere counts."""
Beside: TypeAlias = Mapping[str, int | Fraction | Value]
NONE: Final[Beside] = MappingProxyType({})


class Companions:
    """What stands beside the numbers of one group, ``least``: of how many people it must be."""

    def __init__(self, cells: Cells, least: int) -> None:
        self._cells = cells
        self._least = least
        self._weeks: dict[date, Mapping[str, int]] = {}

    def value(self, code: str, of: str | None, span: Interval) -> Value | None:
        """Return what a companion is in ``span``; None: it is not counted."""
        metric = by_code(code)
        series = self._cells.get(code if of is None or metric else f"{code}:{parameter(of)}")
        if series is None:
            return None
        weekly = code == "A" or (metric is not None and metric.combination == "weekly")
        return series.on(span.start) if weekly else series.within(span)

    def beside(self, metric: Metric, of: str | None, window: str, span: Interval) -> Beside:
        """Return the companions of ``metric`` that are counted for such a window."""
        if not metric.companions:
            return NONE
        found: dict[str, int | Fraction | Value] = {}
        for name, code in metric.companions.items():
            if code == "A" and window != "week":
                continue
            value = self.value(code, of, span)
            if code in _COUNTS:
                found[name] = value.num if value else 0
            elif code in _MONEY:
                if value is not None and value.den:
                    found[name] = Fraction(value.num, _MONEY[code])
            elif value is not None:
                found[name] = value
        return found

    def left_out(self, week: date) -> Mapping[str, int]:
        """Return the people of whom nothing was expected in the week, by reason."""
        found = self._weeks.get(week)
        if found is None:
            found = self._weeks[week] = self._left_out(week)
        return found

    @cached_property
    def _reasons(self) -> list[tuple[str, Series]]:
        codes = sorted(code for code in self._cells if code.startswith(LEFT_OUT))
        return [(code.removeprefix(LEFT_OUT), self._cells[code]) for code in codes]

    def _left_out(self, week: date) -> Mapping[str, int]:
        found = {reason: series.on(week).num for reason, series in self._reasons}
        few = {OPTED_OUT} if found.get(OPTED_OUT, 0) < self._least else set()
        return {reason: number for reason, number in found.items() if number and reason not in few}
