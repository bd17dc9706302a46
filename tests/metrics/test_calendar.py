"""Days as people live them: local dates over changes of the clocks, working days, public holidays, the n-th day."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.metrics.calendar import (
    back_from_leave,
    counted_day_after,
    cover,
    local_day,
    public_holidays,
    splits,
    working_day_after,
    working_days_between,
    works,
)
from services.metrics.shape import Interval, Policy, Spell
from tests.metrics.people import FOREVER, SUNDAY_TO_THURSDAY, day, person, span, tenant

# Half-hour offsets, clocks that change at midnight, a day that was left out, clocks that changed over midnight
ZONES = (
    "UTC",
    "Europe/Lisbon",
    "America/New_York",
    "Asia/Kolkata",
    "Pacific/Auckland",
    "Australia/Lord_Howe",
    "Asia/Beirut",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "America/St_Johns",
)


@settings(max_examples=200)
@given(
    zone=st.sampled_from(ZONES),
    seconds=st.integers(0, 30 * 365 * 86400),
    offset=st.sampled_from([0, 1, -1, 3600]),
)
def test_a_local_day_is_the_date_on_the_wall(zone: str, seconds: int, offset: int) -> None:
    instant = datetime(2000, 1, 2, tzinfo=UTC) + timedelta(seconds=seconds // 3600 * 3600 + offset)

    assert local_day(instant, ZoneInfo(zone)) == instant.astimezone(ZoneInfo(zone)).date()
    elsewhere = instant.astimezone(ZoneInfo("Asia/Tokyo"))
    assert local_day(elsewhere, ZoneInfo(zone)) == local_day(instant, ZoneInfo(zone))


@pytest.mark.parametrize(
    ("zone", "instant", "expected"),
    [
        ("America/Sao_Paulo", "2018-11-04T02:59:59+00:00", "2018-11-03"),
        ("America/Sao_Paulo", "2018-11-04T03:00:00+00:00", "2018-11-04"),
        ("Asia/Beirut", "2026-03-28T22:00:00+00:00", "2026-03-29"),
        ("Pacific/Apia", "2011-12-30T09:59:59+00:00", "2011-12-29"),
        ("Pacific/Apia", "2011-12-30T10:00:00+00:00", "2011-12-31"),
        ("America/St_Johns", "2006-10-29T02:30:30+00:00", "2006-10-29"),
        ("America/St_Johns", "2006-10-29T02:45:00+00:00", "2006-10-28"),
    ],
)
def test_days_begin_rightly_where_clocks_change_at_midnight(zone: str, instant: str, expected: str) -> None:
    assert local_day(datetime.fromisoformat(instant), ZoneInfo(zone)) == day(expected)


def test_working_days_are_the_tenants_unless_the_contract_says_otherwise() -> None:
    policy = tenant(work_days=SUNDAY_TO_THURSDAY)
    part_time = person(
        spells=[
            Spell(Interval(date.min, day("2026-03-04")), work_days=frozenset({1, 2})),
            Spell(span("2026-03-04"), work_days=None),
        ]
    )

    week = [day("2026-03-01") + timedelta(days=number) for number in range(7)]

    assert [one.day for one in week if works(person(), policy, one)] == [1, 2, 3, 4, 5]
    assert [one.day for one in week if works(part_time, policy, one)] == [2, 3, 4, 5]


def test_public_holidays_are_those_of_the_persons_calendar_else_the_tenants() -> None:
    policy = tenant(holidays=frozenset({day("2026-03-17")}))
    freedom_day, epiphany = day("2025-04-25"), day("2026-01-06")

    assert not works(person(calendar="PT"), policy, freedom_day)
    assert works(person(), policy, freedom_day)
    assert not works(person(), policy, day("2026-03-17"))
    assert works(person(calendar="PT"), policy, day("2026-03-17"))
    assert not works(person(calendar="DE-BY"), policy, epiphany)
    assert works(person(calendar="DE"), policy, epiphany)


@pytest.mark.parametrize("calendar", ["XX", "DE-XX", "PUBLIC", "holidays", "", "-"])
def test_a_calendar_that_nobody_knows_is_the_tenants(calendar: str) -> None:
    policy = tenant(holidays=frozenset({day("2026-03-17")}))

    assert public_holidays(calendar, 2026) is None
    assert not works(person(calendar=calendar), policy, day("2026-03-17"))


def test_the_nth_working_day_leaves_out_weekends_holidays_and_leave() -> None:
    policy = tenant(holidays=frozenset({day("2026-03-05")}))
    who = person(absences=[span("2026-03-09", "2026-03-11")])

    assert working_day_after(who, policy, day("2026-03-02"), 0) == day("2026-03-02")
    assert working_day_after(who, policy, day("2026-03-02"), 3) == day("2026-03-06")
    assert working_day_after(who, policy, day("2026-03-02"), 4) == day("2026-03-11")
    assert working_day_after(who, policy, day("2026-03-02"), 4, pausing=False) == day("2026-03-09")


def test_all_days_count_where_the_tenant_counts_so_but_leave_pauses_all_the_same() -> None:
    policy = tenant(working=False)

    assert counted_day_after(person(), policy, day("2026-03-06"), 1) == day("2026-03-07")
    away = person(absences=[span("2026-03-07", "2026-03-10")])
    assert counted_day_after(away, policy, day("2026-03-06"), 2) == day("2026-03-11")


def test_the_contract_may_change_on_the_way() -> None:
    spells = [
        Spell(Interval(date.min, day("2026-03-04")), work_days=frozenset({1})),
        Spell(span("2026-03-04"), work_days=frozenset({4, 5})),
    ]

    assert working_day_after(person(spells=spells), tenant(), day("2026-03-02"), 2) == day("2026-03-06")


def test_a_contract_that_begins_on_the_very_day_decides_about_it() -> None:
    spells = [Spell(Interval(date.min, day("2026-03-04"))), Spell(span("2026-03-04"), work_days=frozenset({5}))]

    assert working_day_after(person(spells=spells), tenant(), day("2026-03-02"), 2) == day("2026-03-06")


def test_there_is_no_nth_working_day_for_who_never_works_or_never_returns() -> None:
    gone = person(absences=[span("2026-03-04")])

    assert working_day_after(gone, tenant(), day("2026-03-02"), 1) == day("2026-03-03")
    assert working_day_after(gone, tenant(), day("2026-03-02"), 2) is None
    assert back_from_leave(gone, tenant(), day("2026-03-04")) is None
    assert working_day_after(person(work_days=frozenset()), tenant(), day("2026-03-02"), 1) is None


@pytest.mark.parametrize("start", [date.max, date.max - timedelta(days=3), date.min])
def test_days_that_stand_for_never_and_always_break_nothing(start: date) -> None:
    who = person(absences=[Interval(start, date.max)] if start > day("2100-01-01") else [])

    assert working_day_after(who, tenant(), start, 3) in {None, day("0001-01-04")}
    assert back_from_leave(who, tenant(), start) in {None, start}


def test_working_days_between_two_days_count_the_later_one_only() -> None:
    who = person(absences=[span("2026-03-10", "2026-03-11")])

    assert working_days_between(who, tenant(), day("2026-03-06"), day("2026-03-06")) == 0
    assert working_days_between(who, tenant(), day("2026-03-06"), day("2026-03-11")) == 2


def test_intervals_cover_together_what_none_of_them_covers_alone() -> None:
    parts = [span("2026-03-03", "2026-03-05"), span("2026-03-01", "2026-03-03"), span("2026-03-05")]

    assert cover(parts, day("2026-03-01"), day("2026-03-31"))
    assert not cover(parts[:2], day("2026-03-01"), day("2026-03-05"))
    assert not cover([parts[0], parts[2]], day("2026-03-01"), day("2026-03-05"))
    assert not cover([], day("2026-03-01"), day("2026-03-01"))
    assert cover([FOREVER], date.min, date.max)


def test_an_interval_splits_days_when_it_begins_or_ends_within() -> None:
    first, last = day("2026-03-02"), day("2026-03-08")

    assert splits([span("2026-03-03")], first, last)
    assert splits([span("2026-01-01", "2026-03-08")], first, last)
    assert not splits([span("2026-03-02", "2026-03-09"), span("2026-01-01", "2026-03-02")], first, last)


def test_a_policy_without_holidays_closes_on_weekends_only() -> None:
    assert works(person(), Policy(), day("2026-12-25"))
    assert not works(person(), Policy(), day("2026-12-26"))
