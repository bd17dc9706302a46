"""Silences as pure stories: hours with and without events, and what is made of them."""

import random
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.aggregator.domain.calendar import Calendar
from services.aggregator.domain.rhythm import Time, hour_of, slots_of
from services.aggregator.domain.silence import (
    FILLED_UP,
    GONE,
    OVER,
    REACH,
    SILENT,
    Heard,
    Silence,
    blind_from,
    find,
    follow,
    let_go,
)

HOUR = timedelta(hours=1)
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
"""The first day of most histories."""
TUESDAY_TEN = MONDAY + timedelta(days=43, hours=10)
"""In the seventh week."""
OFFICE = Calendar(ZoneInfo("UTC"), working=True)


def office(
    until: datetime,
    *,
    rate: int = 6,
    calendar: Calendar = OFFICE,
    first: datetime = MONDAY,
    lost: tuple[datetime, datetime] | None = None,
) -> dict[int, int]:
    """Return hours of people who work from nine to five, less what was ``lost``."""
    hours: dict[int, int] = {}
    instant = first
    while instant < until:
        local = instant.astimezone(calendar.zone)
        if 9 <= local.hour < 17 and calendar.is_working(local.date()) and not (lost and lost[0] <= instant < lost[1]):
            hours[hour_of(instant)] = rate
        instant += HOUR
    return hours


def time_until(now: datetime, calendar: Calendar = OFFICE, passed: Iterable[int] | None = None) -> Time:
    first = hour_of(now - REACH)
    slots = slots_of(first, hour_of(now) + 1, calendar)
    return Time(first, slots, None if passed is None else frozenset(passed))


def heard(hours: dict[int, int], now: datetime) -> Heard:
    newest = max(hours) if hours else 0
    return Heard("/crm", hours, datetime.fromtimestamp(newest * 3600, UTC) + 59 * timedelta(minutes=1), now)


def found(
    hours: dict[int, int], now: datetime, calendar: Calendar = OFFICE, passed: Iterable[int] | None = None
) -> list[Silence]:
    return find(heard(hours, now), time_until(now, calendar, passed), since=now - GONE - HOUR)


def test_a_source_that_stops_in_working_time_is_silent_after_an_hour() -> None:
    hours = office(TUESDAY_TEN)

    assert found(hours, TUESDAY_TEN + timedelta(minutes=59)) == []
    assert found(hours, TUESDAY_TEN + HOUR) == [Silence("/crm", TUESDAY_TEN, TUESDAY_TEN + HOUR, None, 6, 0, SILENT)]


def test_what_comes_at_once_at_the_full_hour_is_not_waited_for_in_the_rest_of_it() -> None:
    evening = TUESDAY_TEN + 6 * HOUR
    hours = {hour: count for hour, count in office(evening + HOUR).items() if hour % 24 in {9, 16}}
    (tomorrow,) = find(
        Heard("/crm", hours, evening, evening + 18 * HOUR), time_until(evening + 18 * HOUR), since=MONDAY
    )

    assert find(Heard("/crm", hours, evening, evening + 2 * HOUR), time_until(evening + 2 * HOUR), since=MONDAY) == []
    assert tomorrow.opened_at == evening + 18 * HOUR


def test_a_sparse_source_is_waited_for_twice_as_long_as_it_usually_pauses() -> None:
    three_a_day = {hour: 1 for hour in office(TUESDAY_TEN + timedelta(days=2)) if hour % 24 in (9, 12, 16)}
    quiet_since = {hour: n for hour, n in three_a_day.items() if hour < hour_of(TUESDAY_TEN)}

    assert found(quiet_since, TUESDAY_TEN + timedelta(hours=4)) == []
    assert [each.since for each in found(quiet_since, TUESDAY_TEN + timedelta(days=1))] == [TUESDAY_TEN]


@pytest.mark.parametrize(
    "hours_later", [2, 12, 30, 60, 62], ids=["evening", "night", "saturday", "sunday", "before monday's work"]
)
def test_nights_and_weekends_are_quiet_by_themselves(hours_later: int) -> None:
    friday_five = MONDAY + timedelta(days=39 + 7, hours=17)

    assert found(office(friday_five), friday_five + timedelta(hours=hours_later)) == []


def test_a_holiday_is_no_outage_and_teaches_nothing() -> None:
    calendar = Calendar(ZoneInfo("UTC"), working=True, holidays=frozenset({TUESDAY_TEN.date(), date(2026, 4, 7)}))
    hours = office(TUESDAY_TEN - timedelta(hours=10), calendar=calendar)

    assert found(hours, TUESDAY_TEN + timedelta(hours=9), calendar) == []


def test_a_source_is_not_judged_before_it_is_known_for_two_weeks() -> None:
    stopped = MONDAY + timedelta(days=11, hours=11)

    assert found(office(stopped), stopped + timedelta(days=1)) == []
    assert found(office(stopped, first=MONDAY - timedelta(days=4)), stopped + timedelta(days=1))


def test_a_bulk_of_one_hour_is_no_habit() -> None:
    hours = office(TUESDAY_TEN + timedelta(days=6))
    hours[hour_of(MONDAY + timedelta(days=5, hours=3))] = 50_000

    assert found(hours, TUESDAY_TEN + timedelta(days=5, hours=12)) == []


def test_a_silence_is_over_when_the_source_sends_as_it_used_to() -> None:
    thursday = TUESDAY_TEN + timedelta(days=2)
    hours = office(thursday + 3 * HOUR, lost=(TUESDAY_TEN, thursday))
    trickle = {hour: count for hour, count in hours.items() if hour < hour_of(thursday)} | {hour_of(thursday): 1}

    (over,) = found(hours, thursday + 2 * HOUR)
    (lasting,) = found(trickle, thursday + HOUR / 2)

    assert (over.state, over.since, over.until, over.expected) == (OVER, TUESDAY_TEN, thursday, 6 * 16)
    assert lasting.state == SILENT


def test_a_source_that_never_comes_back_keeps_nobody_waiting_for_ever() -> None:
    (gone,) = found(office(TUESDAY_TEN), TUESDAY_TEN + GONE + HOUR)

    assert (gone.state, gone.until) == (OVER, TUESDAY_TEN + GONE)


def test_on_the_event_clock_time_stands_still_where_everything_is_quiet() -> None:
    now = TUESDAY_TEN + timedelta(days=2)
    mine, others = office(TUESDAY_TEN), office(TUESDAY_TEN + HOUR)

    assert found(mine, TUESDAY_TEN + HOUR / 2, passed=others) == []
    assert found(mine, now, passed=others | mine) != []
    assert found(mine, now, passed=mine) == []


def test_what_was_missed_is_remembered_until_it_is_sent_again() -> None:
    thursday = TUESDAY_TEN + timedelta(days=2)
    lost = office(thursday + 5 * HOUR, lost=(TUESDAY_TEN, thursday))
    replayed = office(thursday + 6 * HOUR)

    def at(hours: dict[int, int], now: datetime, known: list[Silence]) -> list[Silence]:
        upto = {hour: count for hour, count in hours.items() if hour < hour_of(now)}
        return follow(heard(upto, now), time_until(now), since=now - GONE, known=known)

    silent = at(lost, TUESDAY_TEN + 3 * HOUR, [])
    still = at(lost, TUESDAY_TEN + 30 * HOUR, silent)
    over = at(lost, thursday + 4 * HOUR, still)
    filled = at(replayed, thursday + 5 * HOUR, over)

    assert [each.state for each in (*silent, *still, *over, *filled)] == [SILENT, SILENT, OVER, FILLED_UP]
    assert still == silent
    assert (over[0].until, over[0].seen, filled[0].seen) == (thursday, 0, 96)
    assert at(replayed, thursday + 6 * HOUR, filled) == filled


def test_a_replay_before_anything_new_comes_fills_the_gap_too() -> None:
    noticed = TUESDAY_TEN + timedelta(days=2, hours=1)
    silent = follow(heard(office(TUESDAY_TEN), noticed), time_until(noticed), since=noticed - GONE, known=[])
    replay = office(noticed)
    (first,) = follow(heard(replay, noticed), time_until(noticed), since=noticed - GONE, known=silent)
    later = noticed + 2 * HOUR
    (last,) = follow(heard(office(later), later), time_until(later), since=later - GONE, known=[first])

    assert (first.state, first.until) == (SILENT, noticed)
    assert (last.state, last.since, last.until) == (FILLED_UP, TUESDAY_TEN, noticed)


@pytest.mark.parametrize("newest_first", [False, True], ids=["in order", "the newest first"])
def test_a_replay_that_takes_its_time_fills_the_gap_with_its_last_hour(*, newest_first: bool) -> None:
    thursday = TUESDAY_TEN + timedelta(days=2)
    now = thursday + 4 * HOUR
    rest = office(now, lost=(TUESDAY_TEN, thursday))
    missed = sorted(office(now).keys() - rest.keys(), reverse=newest_first)

    def after(count: int, known: list[Silence]) -> list[Silence]:
        hours = rest | dict.fromkeys(missed[:count], 6)
        return follow(heard(hours, now), time_until(now), since=now - GONE, known=known)

    known = after(0, [])
    states = []
    for count in range(len(missed) + 1):
        known = after(count, known)
        states.append([each.state for each in known])

    assert states[:-2] == [[OVER]] * (len(missed) - 1)
    assert states[-1] == [FILLED_UP]


def test_a_replay_that_stops_short_while_the_source_is_silent_ends_nothing() -> None:
    noticed, later = TUESDAY_TEN + 26 * HOUR, TUESDAY_TEN + 30 * HOUR
    silent = follow(heard(office(TUESDAY_TEN), noticed), time_until(noticed), since=noticed - GONE, known=[])
    replay = office(TUESDAY_TEN + 6 * HOUR)
    once = follow(heard(replay, noticed), time_until(noticed), since=noticed - GONE, known=silent)

    assert once == follow(heard(replay, later), time_until(later), since=later - GONE, known=once) == silent


def test_a_source_that_is_late_by_habit_is_waited_for_as_long() -> None:
    day = timedelta(days=1)
    habit = [
        Silence("/crm", start, start + HOUR, start + timedelta(hours=24), 40, 40, FILLED_UP)
        for start in (TUESDAY_TEN - 5 * day, TUESDAY_TEN - 6 * day)
    ]
    hours = office(TUESDAY_TEN)
    now = TUESDAY_TEN + timedelta(hours=24)

    assert follow(heard(hours, now), time_until(now), since=now - GONE, known=habit) == sorted(habit)
    later = TUESDAY_TEN + timedelta(hours=30)
    assert len(follow(heard(hours, later), time_until(later), since=later - GONE, known=habit)) == 3


def test_who_came_is_unknown_until_as_much_time_has_passed_as_was_lost() -> None:
    def lost(hours: float, state: str = OVER) -> Silence:
        return Silence("/crm", TUESDAY_TEN, TUESDAY_TEN, TUESDAY_TEN + hours * HOUR, 9, 0, state)

    assert blind_from([lost(24)], MONDAY) == ((TUESDAY_TEN, TUESDAY_TEN + 48 * HOUR),)
    assert blind_from([lost(24)], TUESDAY_TEN + timedelta(days=2)) == ()
    assert blind_from([lost(24, FILLED_UP), lost(3)], MONDAY) == ()


@pytest.mark.parametrize(
    ("after", "since"),
    [
        pytest.param([], 0, id="it is heard of no more"),
        pytest.param([(0, 9, FILLED_UP)], 0, id="it is filled"),
        pytest.param([(0, 4, OVER)], 4, id="its end is known"),
        pytest.param([(0, 4, OVER), (4, None, SILENT)], None, id="two that follow each other are one"),
        pytest.param([(2, None, SILENT)], 0, id="its beginning is known"),
        pytest.param([(-1, None, SILENT)], None, id="it is longer"),
    ],
)
def test_a_silence_is_let_go_of_from_where_not_all_is_unknown(
    after: list[tuple[int, int | None, str]], since: int | None
) -> None:
    def of(source: str, since: int, until: int | None, state: str) -> Silence:
        start = TUESDAY_TEN + since * HOUR
        return Silence(source, start, start, None if until is None else TUESDAY_TEN + until * HOUR, 9, 0, state)

    before, other = of("/crm", 0, None, SILENT), of("/road", -9, None, SILENT)
    found = let_go([before, other, of("/crm", -9, -3, FILLED_UP)], [other, *(of("/crm", *each) for each in after)])

    assert found == ([] if since is None else [(before, TUESDAY_TEN + since * HOUR)])


@settings(max_examples=20)
@given(
    seed=st.integers(0, 10_000),
    rate=st.sampled_from([0.3, 1.0, 4.0, 20.0]),
    zone=st.sampled_from(["UTC", "Asia/Kathmandu", "America/New_York"]),
)
def test_people_who_work_by_chance_raise_no_alarm(seed: int, rate: float, zone: str) -> None:
    chance, calendar = random.Random(seed), Calendar(ZoneInfo(zone), working=True)
    now = MONDAY + timedelta(days=56 + chance.random() * 14)
    usual = office(now, calendar=calendar)
    hours = {hour: count for hour in usual if (count := sum(chance.random() < rate / 40 for _ in range(40))) > 0}

    assert [each for each in found(hours, now, calendar) if each.until is None] == []


@settings(max_examples=20)
@given(start=st.integers(0, 200), length=st.integers(9, 100), rate=st.sampled_from([3, 8, 100]))
def test_a_lost_working_day_is_found_wherever_it_lies(start: int, length: int, rate: int) -> None:
    begin = MONDAY + timedelta(days=42) + start * HOUR
    end = begin + length * HOUR
    now = MONDAY + timedelta(days=63)
    whole = office(now, rate=rate)
    hours = office(now, rate=rate, lost=(begin, end))
    missing = sorted(set(whole) - set(hours))

    silences = found(hours, now)

    assert len(silences) == bool(missing)
    for each in silences:
        assert each.expected == rate * len(missing)
        assert each.until is None or each.touches(begin, end) == (each.until - each.since > timedelta(hours=4))
