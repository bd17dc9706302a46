"""From cells to values, against sums written out."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from services.metrics.answers import Answer, Asked, Teller
from services.metrics.catalogue import METRICS
from services.metrics.questions import spans
from services.metrics.scene import Scene
from services.metrics.shape import Interval
from services.metrics.values import NOTHING, Cell, Series, value_of
from services.metrics.windows import NAMES

START = date(2026, 3, 2)
LATER = datetime(2027, 1, 1, tzinfo=UTC)


def day(offset: int) -> date:
    return START + timedelta(days=offset)


def known(hours: int) -> datetime:
    return datetime(2026, 3, 2, tzinfo=UTC) + timedelta(hours=hours)


cells = st.dictionaries(
    st.integers(0, 60),
    st.builds(Cell, st.integers(0, 9), st.integers(0, 9), st.integers(0, 2000).map(known), st.integers(0, 2)),
    max_size=30,
)


@settings(max_examples=150)
@given(cells, st.integers(-5, 65), st.integers(-5, 65))
def test_a_series_sums_up_any_stretch_of_its_days(told: dict[int, Cell], low: int, high: int) -> None:
    series = Series.of((day(offset), cell) for offset, cell in told.items())
    within = [cell for offset, cell in sorted(told.items()) if low <= offset < high]

    found = series.sum(day(low), day(high))

    if not within:
        assert found == NOTHING
        return
    assert (found.num, found.den) == (sum(cell.num for cell in within), sum(cell.den for cell in within))
    assert found.known_at == max(cell.known_at for cell in within)
    assert list(found.revised) == [cell for cell in within if cell.revision]


def test_windows_follow_one_another_and_hold_every_day() -> None:
    for name in NAMES:
        found = spans(name, day(0), day(75), 7)
        days = {
            span.start + timedelta(days=n) for span in found for n in range(((span.end or day(0)) - span.start).days)
        }
        assert {day(offset) for offset in range(76)} <= days
        if name in {"1d", "week", "month"}:
            assert all(one.end == other.start for one, other in pairwise(found))
        else:
            assert [span.end for span in found] == [day(offset + 1) for offset in range(76)]


def test_what_adds_up_over_eight_weeks_forgets_older_days() -> None:
    metric = METRICS["access.joiner_connected_by"]
    series = {"M3:1": Series.of([(day(0), Cell(1, 1, LATER)), (day(56), Cell(1, 2, LATER))])}

    assert value_of(metric, "1", series, Interval(day(55), day(56)))[:2] == (1, 1)
    assert value_of(metric, "1", series, Interval(day(56), day(57)))[:2] == (1, 2)


def answered(cell: Cell, now: datetime, metric: str = "dq.duplicate_rate") -> Answer:
    """Return the answer of the day ``START``."""
    found = METRICS[metric]
    scene = Scene(now=now, measured=START, seen={found.code})
    teller = Teller({found.code: Series.of([(START, cell)])}, scene)
    return teller.answer(Asked(found, None, "1d", Interval(START, day(1))))


def test_what_is_known_only_after_a_fortnight_is_provisional_until_then() -> None:
    fresh = Cell(1, 4, known(30))
    end = datetime(2026, 3, 3, tzinfo=UTC)
    states = [
        (timedelta(hours=1), "open"),
        (timedelta(hours=2), "provisional"),
        (timedelta(days=16), "provisional"),
        (timedelta(days=16, hours=2), "final"),
    ]

    assert [answered(fresh, end + later).state for later, _ in states] == [state for _, state in states]


def test_a_change_counts_as_a_restatement_when_the_window_itself_was_final() -> None:
    week = Interval(START, day(7))
    metric = METRICS["adoption.daily_rate"]
    scene = Scene(now=LATER, measured=START, seen={"M10"})

    def answer_of(changed: datetime) -> Answer:
        series = Series.of([(START, Cell(1, 2, changed, 1)), (day(6), Cell(1, 2, known(0)))])
        return Teller({"M10": series}, scene).answer(Asked(metric, None, "week", week))

    friday, much_later = answer_of(known(24 * 5)), answer_of(known(24 * 30))

    assert (friday.state, friday.revision) == ("final", 0), "Monday was final by then, the week was not"
    assert (much_later.state, much_later.revision) == ("restated", 1)


def test_what_changed_several_days_of_a_window_at_once_restated_it_once() -> None:
    metric, week = METRICS["adoption.daily_rate"], Interval(START, day(7))
    at, later = known(24 * 30), known(24 * 40)
    changed = [(0, at, 1), (1, at, 1), (2, later, 1), (3, at, 1)]

    def revision(*cells: tuple[int, datetime, int]) -> int:
        series = Series.of((day(offset), Cell(1, 2, when, times)) for offset, when, times in cells)
        teller = Teller({"M10": series}, Scene(now=LATER, measured=START, seen={"M10"}))
        return teller.answer(Asked(metric, None, "week", week)).revision

    assert revision(*changed[:2]) == 1
    assert revision(*changed) == 2
    assert revision(*changed, (4, later, 3)) == 3
