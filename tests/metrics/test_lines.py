"""Series as Postgres tells them, and what a metric is in a window from them."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.metrics.catalogue import METRICS
from services.metrics.shape import Interval
from services.metrics.values import EMPTY, NOTHING, Cell, Line, Series, Value, code_of

FIRST = date(2026, 1, 5)
INSTANTS = st.integers(0, 7_258_118_400_000_000).map(
    lambda n: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=n)
)
CELLS = st.dictionaries(
    st.integers(-3, 100),
    st.builds(Cell, st.integers(0, 9), st.integers(0, 9), INSTANTS, st.integers(0, 2)),
    max_size=12,
)


def day(offset: int) -> date:
    return FIRST + timedelta(days=offset)


def series(told: dict[int, Cell]) -> Series:
    return Series.of((day(offset), cell) for offset, cell in told.items())


@given(CELLS, st.integers(-4, 101))
@settings(max_examples=60)
def test_a_day_holds_its_cell_and_the_instant_it_is_known_from(told: dict[int, Cell], offset: int) -> None:
    found, cell = series(told), told.get(offset)

    shown = found.on(day(offset))

    assert shown == found.sum(day(offset), day(offset + 1))
    assert shown[:3] == (cell[:3] if cell else NOTHING[:3])
    assert found.days == [day(number) for number in sorted(told)]
    assert found.first == (day(min(told)) if told else None)


def by_hand(trailing: int | None, combination: str, told: dict[int, Cell]) -> tuple[int, int]:
    """Return what a metric is in the week from the fiftieth day on."""
    low, high = {"weekly": (49, 50), "cumulative": (56 - trailing if trailing else -999, 56)}.get(combination, (49, 56))
    held = [cell for offset, cell in told.items() if low <= offset < high]
    return sum(cell.num for cell in held), sum(cell.den for cell in held)


@pytest.mark.parametrize("code", ["M1", "M3", "M5", "M11", "M10", "M29", "M33", "M34"])
@given(told=CELLS)
@example(told={-1: Cell(1, 2, datetime(2026, 3, 1, tzinfo=UTC)), 0: Cell(3, 4, datetime(2026, 3, 1, tzinfo=UTC))})
@settings(max_examples=40)
def test_a_window_holds_what_its_metric_says(code: str, told: dict[int, Cell]) -> None:
    metric = next(metric for metric in METRICS.values() if metric.code == code)
    of = metric.parameter.allowed[0] if metric.parameter and metric.parameter.allowed else None
    counted = metric.basis[0] if metric.combination == "derived" else code_of(metric, of)
    line, span = Line(metric, of, {counted: series(told)}), Interval(day(49), day(56))

    assert line.value(span)[:2] == by_hand(metric.trailing, metric.combination, told)
    if metric.combination == "cumulative":
        first = day(56 - metric.trailing) if metric.trailing else min([day(min(told))] if told else [], default=day(49))
        assert line.first_day(span) == min(first, day(49))
    else:
        assert line.first_day(span) == day(49)


def test_a_share_of_other_people_takes_their_denominator() -> None:
    known, later = (datetime(2026, 3, n, tzinfo=UTC) for n in (1, 2))
    cells = {
        "M21:quote": series({49: Cell(3, 0, known, 1)}),
        "M11": series({49: Cell(5, 8, later)}),
        "M10": series({49: Cell(4, 8, known), 51: Cell(6, 8, known)}),
    }
    week = Interval(day(49), day(56))

    reach = Line(METRICS["behaviour.feature_reach"], "quote", cells).value(week)
    sticky = Line(METRICS["adoption.stickiness"], None, cells).value(week)

    assert reach == Value(3, 8, later, [Cell(3, 0, known, 1)])
    assert sticky[:3] == (10 * 8, 16 * 5, later)
    assert EMPTY.on(day(0)) == EMPTY.within(week) == NOTHING
