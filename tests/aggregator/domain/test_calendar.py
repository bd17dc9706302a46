"""The tenant's calendar."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.aggregator.domain.calendar import Calendar, days_after

FRIDAY = date(2026, 3, 6)
BERLIN = Calendar(ZoneInfo("Europe/Berlin"))


def test_calendar_days_count_every_day() -> None:
    assert Calendar().day_n(FRIDAY, 3) == date(2026, 3, 9)


def test_working_days_leave_out_the_weekend_and_holidays() -> None:
    calendar = Calendar(working=True, holidays=frozenset({date(2026, 3, 10)}))

    assert [calendar.day_n(FRIDAY, n).day for n in range(5)] == [6, 9, 11, 12, 13]


def test_day_zero_is_the_go_live_day_even_when_nobody_works_on_it() -> None:
    saturday = date(2026, 3, 7)

    assert Calendar(working=True).day_n(saturday, 0) == saturday
    assert Calendar(working=True).day_n(saturday, 1) == date(2026, 3, 9)


def test_a_week_without_work_days_counts_every_day() -> None:
    assert Calendar(working=True, work_days=frozenset()).day_n(FRIDAY, 2) == date(2026, 3, 8)


def test_a_sunday_to_thursday_week_is_counted_as_such() -> None:
    gulf = Calendar(working=True, work_days=frozenset({7, 1, 2, 3, 4}))

    assert gulf.day_n(date(2026, 3, 5), 1) == date(2026, 3, 8)


def test_a_day_is_as_long_as_the_clocks_make_it() -> None:
    spring, autumn = date(2026, 3, 29), date(2026, 10, 25)

    assert BERLIN.end_of(spring) - BERLIN.start_of(spring) == timedelta(hours=23)
    assert BERLIN.end_of(autumn) - BERLIN.start_of(autumn) == timedelta(hours=25)
    assert BERLIN.noon_of(spring) == datetime(2026, 3, 29, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/Sao_Paulo", "America/Havana", "Asia/Kathmandu", "Pacific/Apia", "Africa/Cairo"]
)
@given(day=st.dates(date(2000, 1, 1), date(2030, 12, 31)))
def test_days_adjoin_and_hold_their_own_instants(zone: str, day: date) -> None:
    calendar = Calendar(ZoneInfo(zone))
    start, end = calendar.start_of(day), calendar.end_of(day)

    assert end == calendar.start_of(day + timedelta(days=1))
    assert start == end or (calendar.day_of(start), calendar.day_of(end - timedelta(microseconds=1))) == (day, day)


@given(day=st.dates(), n=st.integers(0, 14), working=st.booleans())
def test_no_day_of_the_calendar_is_out_of_reach(day: date, n: int, *, working: bool) -> None:
    calendar = Calendar(ZoneInfo("Pacific/Auckland"), working=working)

    assert calendar.start_of(day) <= calendar.noon_of(day) <= calendar.end_of(calendar.day_n(day, n))
    assert days_after(day, n) >= day
