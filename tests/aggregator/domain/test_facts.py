"""Facts of people: on which local day an instant falls."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.aggregator.domain.facts import LocalDays, as_date


@pytest.mark.parametrize(
    ("time_zone", "around"),
    [
        pytest.param(
            "America/St_Johns", datetime(2010, 11, 7, 2, 31, tzinfo=UTC), id="the clocks go back at one past midnight"
        ),
        pytest.param(
            "America/St_Johns", datetime(2011, 3, 13, 3, 31, tzinfo=UTC), id="the clocks go on at one past midnight"
        ),
        pytest.param("America/Sao_Paulo", datetime(2018, 11, 4, 3, tzinfo=UTC), id="the clocks skip midnight"),
        pytest.param("Asia/Kathmandu", datetime(2026, 3, 1, 18, 15, tzinfo=UTC), id="an offset in quarters of an hour"),
        pytest.param("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC), id="the clocks go back half an hour"),
    ],
)
def test_every_instant_falls_on_the_day_that_the_clock_on_the_wall_shows(time_zone: str, around: datetime) -> None:
    days = LocalDays(time_zone)
    instants = [around + timedelta(seconds=second) for second in range(-7200, 7200, 7)]

    counted = [as_date(days.day(instant)) for instant in instants]

    assert counted == [instant.astimezone(ZoneInfo(time_zone)).date() for instant in instants]
