"""Which week another one is compared with."""

from datetime import UTC, date, datetime, timedelta

import pytest

from services.metrics.baselines import Wave, Week, go_live_of, nth_working_day, trailing4, week1
from services.metrics.scene import Scene
from services.metrics.shape import Policy

MONDAY = date(2026, 3, 2)
WEEKS = [Week(MONDAY + timedelta(weeks=n), n, 10) for n in range(8)]


@pytest.mark.parametrize(
    ("go_live", "start"),
    [
        pytest.param(date(2026, 3, 2), date(2026, 3, 9), id="a Monday: its own week holds day zero"),
        pytest.param(date(2026, 3, 4), date(2026, 3, 9), id="a Wednesday: the week is begun"),
        pytest.param(date(2026, 3, 8), date(2026, 3, 9), id="a Sunday"),
        pytest.param(None, date(2026, 3, 2), id="no go-live: the first week there is"),
        pytest.param(date(2026, 1, 5), None, id="that week is not known"),
    ],
)
def test_week_1_is_the_first_that_lies_fully_after_day_zero(go_live: date | None, start: date | None) -> None:
    found = week1(WEEKS, go_live, Policy())

    assert (found.start if found else None) == start


def test_week_1_has_three_working_days() -> None:
    holidays = frozenset(date(2026, 3, 9) + timedelta(days=offset) for offset in range(3))

    two = week1(WEEKS, MONDAY, Policy(holidays=holidays))
    three = week1(WEEKS, MONDAY, Policy(holidays=holidays - {date(2026, 3, 9)}))

    assert two is not None
    assert three is not None
    assert (two.start, three.start) == (date(2026, 3, 16), date(2026, 3, 9))


def test_the_trailing_base_is_the_median_of_the_last_four_final_weeks() -> None:
    rates = (9, 1, 7, 4, 6, 8)
    weeks = [Week(MONDAY + timedelta(weeks=n), rate, 10) for n, rate in enumerate(rates)]
    later = Scene(now=datetime(2027, 1, 1, tzinfo=UTC))
    sixth = MONDAY + timedelta(weeks=5)

    assert trailing4(weeks, sixth, later) == weeks[3], "of 1 7 4 6 the lower in the middle"
    assert trailing4(weeks[1:], MONDAY + timedelta(weeks=4), later) is None, "three before it"
    fourth_is_provisional = Scene(now=datetime(2026, 4, 7, 0, 0, tzinfo=UTC))
    assert trailing4(weeks, sixth, fourth_is_provisional) == weeks[3], "of 9 1 7 4"


def test_a_group_went_live_with_the_first_wave_that_names_it() -> None:
    waves = [
        Wave("late", date(2026, 5, 1), teams=["north"]),
        Wave("all", date(2026, 2, 1)),
        Wave("early", date(2026, 3, 1), teams=["north"], roles=["seller"]),
    ]

    assert go_live_of(("team", "north"), waves) == date(2026, 3, 1)
    assert go_live_of(("role", "seller"), waves) == date(2026, 3, 1)
    assert go_live_of(("team", "south"), waves) == date(2026, 2, 1)
    assert go_live_of(("wave", "late"), waves) == date(2026, 5, 1)
    assert go_live_of(("tenant", "all"), waves) == date(2026, 2, 1)
    assert go_live_of(("team", "south"), waves[:1]) is None
    assert go_live_of(("wave", "none"), []) is None


def test_working_days_are_counted_as_the_tenant_works() -> None:
    policy = Policy(work_days=frozenset({7, 1, 2, 3, 4}), holidays=frozenset({date(2026, 3, 5)}))

    assert nth_working_day(MONDAY, 3, policy) == date(2026, 3, 8)
    assert nth_working_day(MONDAY, 3, Policy(work_days=frozenset())) == MONDAY + timedelta(days=366)
