"""When people are reached: in their own zone, on their own working days, whatever their clocks do."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.hearing.hours import Hours
from services.metrics.shape import Interval
from tests.notifier.telling import HOUSE, WEEKDAYS

ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "Australia/Lord_Howe", "UTC")
INSTANTS = st.integers(0, 3 * 365 * 24 * 60).map(
    lambda minutes: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)
HOURS = st.builds(
    Hours,
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    work_days=st.frozensets(st.integers(1, 7), min_size=1),
    calendar=st.sampled_from([None, "DE-BY", "PT", "US"]),
    opens=st.sampled_from([time(6), time(8), time(9, 30)]),
)


@settings(max_examples=60)
@given(HOURS, INSTANTS)
def test_the_next_morning_is_the_first_instant_at_which_somebody_may_be_reached_again(
    hours: Hours, now: datetime
) -> None:
    morning = hours.next_morning(now)

    assert morning is not None
    assert morning > now
    assert hours.open_at(morning)
    assert not hours.open_at(morning - timedelta(seconds=1))
    between = (now + n * timedelta(hours=1) for n in range(1, (morning - now) // timedelta(hours=1)))
    assert hours.open_at(now) or not any(map(hours.open_at, between))


@settings(max_examples=60)
@given(HOURS, INSTANTS, st.integers(0, 10 * 24 * 60))
def test_every_morning_lies_in_exactly_one_of_the_spans_that_are_looked_at(
    hours: Hours, start: datetime, minutes: int
) -> None:
    """However time is cut into spans of a quarter of an hour, a morning is seen once."""
    first = start + timedelta(minutes=minutes)
    spans = [(first + n * timedelta(minutes=15), first + (n + 1) * timedelta(minutes=15)) for n in range(4 * 24 * 3)]
    seen = [day for after, now in spans if (day := hours.morning_between(after, now)) is not None]

    expected = [
        day
        for n in range(-1, 5)
        if hours.work_on(day := hours.day(first) + timedelta(days=n)) and first < hours.morning(day) <= spans[-1][1]
    ]
    assert seen == expected


@pytest.mark.parametrize(
    ("day", "hour"),
    [(date(2026, 3, 27), 7), (date(2026, 3, 30), 6), (date(2026, 10, 23), 6), (date(2026, 10, 26), 7)],
    ids=["before summer time", "after it began", "before winter time", "after it began again"],
)
def test_a_morning_moves_with_the_clocks(day: date, hour: int) -> None:
    assert HOUSE.morning(day) == datetime.combine(day, time(hour), UTC)


def test_what_comes_on_a_friday_evening_waits_for_monday_and_for_tuesday_where_monday_is_a_holiday() -> None:
    friday = datetime(2026, 4, 3, 17, 0, tzinfo=UTC)
    bavarian = Hours(zone=HOUSE.zone, work_days=WEEKDAYS, calendar="DE-BY")

    assert HOUSE.next_morning(friday) == datetime(2026, 4, 6, 6, 0, tzinfo=UTC)
    assert bavarian.next_morning(friday) == datetime(2026, 4, 7, 6, 0, tzinfo=UTC)


def test_a_day_ends_with_its_last_working_hour() -> None:
    evening = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)

    assert HOUSE.open_at(evening - timedelta.resolution)
    assert not HOUSE.open_at(evening)


def test_nobody_is_reached_while_on_leave() -> None:
    away = Hours(zone=HOUSE.zone, work_days=WEEKDAYS, away=(Interval(date(2026, 3, 2), date(2026, 3, 5)),))

    assert away.next_morning(datetime(2026, 3, 1, tzinfo=UTC)) == datetime(2026, 3, 5, 7, 0, tzinfo=UTC)


def test_a_week_begins_on_its_first_working_day() -> None:
    part_time = Hours(zone=HOUSE.zone, work_days=frozenset({2, 4}))

    begins = [day for day in range(2, 9) if part_time.begins_week(date(2026, 3, day), 1)]

    assert begins == [3]
    assert part_time.week_of(date(2026, 3, 5), 7) == date(2026, 3, 1)


def test_who_never_works_has_no_morning() -> None:
    gone = Hours(zone=HOUSE.zone, work_days=WEEKDAYS, away=(Interval(date(2026, 1, 1), None),))

    assert gone.next_morning(datetime(2026, 3, 1, tzinfo=UTC)) is None
