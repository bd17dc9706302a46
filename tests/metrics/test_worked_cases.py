"""The worked cases of the definition of the metrics, as they stand there, as far as they are about one person."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from services.metrics.calendar import counted_day_after, local_day
from services.metrics.presence import day_zero, is_initial
from services.metrics.shape import Act, Interval, Person, Policy, Spell, week_of
from tests.metrics.people import (
    FOREVER,
    MONDAY,
    SUNDAY_TO_THURSDAY,
    act,
    day,
    group,
    person,
    span,
    tenant,
    through,
    told,
)


def checkpoints(who: Person, policy: Policy, *numbers: int) -> list[date | None]:
    zero = day_zero(who, policy)
    assert zero is not None
    return [counted_day_after(who, policy, zero, n) for n in numbers]


def test_working_days_of_a_week_from_sunday_to_thursday() -> None:
    policy = tenant(zone=ZoneInfo("Asia/Bahrain"), work_days=SUNDAY_TO_THURSDAY, first_day_of_week=7)

    days = checkpoints(person(day("2026-03-02")), policy, 1, 3, 5)

    assert days == [day("2026-03-03"), day("2026-03-05"), day("2026-03-09")]


def test_holidays_before_the_go_live_or_after_the_day_move_nothing() -> None:
    who = person(day("2026-05-04"))
    plain = checkpoints(who, tenant(), 1, 2, 3, 4, 5, 6, 7)
    closed = tenant(holidays=frozenset({day("2026-05-01"), day("2026-05-14")}))

    assert checkpoints(who, closed, 1, 2, 3, 4, 5, 6, 7) == plain
    assert checkpoints(who, closed, 8) == [day("2026-05-15")]
    assert checkpoints(who, tenant(), 8) == [day("2026-05-14")]


def test_leave_over_the_go_live_moves_day_zero_to_the_return_and_the_person_to_the_joiners() -> None:
    who = person(absences=[span("2026-03-02", "2026-03-05")])
    zero = day_zero(who, tenant())

    assert zero == day("2026-03-05")
    assert checkpoints(who, tenant(), 1, 3) == [day("2026-03-06"), day("2026-03-10")]
    assert not is_initial(who, tenant(), zero)
    cells = through(who, tenant(), MONDAY, 3, [act("2026-03-09")])
    assert not [code for code in cells if code.startswith("M1:")]
    assert cells["M3:1@2026-03-06"] == (0, 1)
    assert cells["M3:3@2026-03-10"] == (1, 1)


def test_leave_within_the_span_pauses_the_clock() -> None:
    who = person(absences=[span("2026-03-03", "2026-03-04")])

    cells = told(who, tenant(), MONDAY, [act("2026-03-02")]).counts

    assert checkpoints(who, tenant(), 1) == [day("2026-03-04")]
    assert "M1:1@1" not in cells, "at the end of Tuesday they are not in the denominator"
    assert cells["M1:1@2"] == (1, 1)


def test_an_instant_before_the_clocks_change_is_on_its_local_day_and_counts_once() -> None:
    lisbon = ZoneInfo("Europe/Lisbon")
    instant = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    who, policy = person(zone=lisbon, work_days=frozenset(range(1, 8))), tenant()

    assert local_day(instant, lisbon) == day("2026-03-29")
    cells = through(who, policy, day("2026-03-23"), 2, [Act(instant, "crm.record.viewed", "ui")])
    assert {code for code, (num, _) in cells.items() if code.startswith("M10@") and num} == {"M10@2026-03-29"}


def test_who_moves_to_another_team_on_wednesday_counts_there_for_the_week() -> None:
    wednesday = MONDAY + timedelta(days=2)
    who = person(
        day("2026-01-05"),
        spells=[Spell(Interval(date.min, wednesday), team="A"), Spell(Interval(wednesday, None), team="B")],
    )

    found = told(who, tenant(), MONDAY, [act("2026-03-02"), act("2026-03-03")])

    assert found.groups.team == "B"
    assert {offset: groups.team for offset, groups in found.moves.items()} == {0: "A", 1: "A"}
    assert found.counts["M11"] == (1, 1), "once, in B"
    assert [found.counts[f"M10@{offset}"] for offset in range(5)] == [(1, 1), (1, 1), (0, 1), (0, 1), (0, 1)]


def test_what_arrives_after_an_outage_gives_the_numbers_of_a_week_without_one() -> None:
    people, policy = [person(day("2026-01-05"))] * 20, tenant()
    days = [[act(MONDAY + timedelta(days=number)) for number in range(5)]] * 20
    lost = [done[:1] for done in days]

    assert group(people, policy, MONDAY, lost)["M10@2"] == (0, 20), "which is why the window is unknown meanwhile"
    replayed = [
        [*some, *(one for one in all_of_it if one not in some)] for some, all_of_it in zip(lost, days, strict=True)
    ]
    assert group(people, policy, MONDAY, replayed) == group(people, policy, MONDAY, days)


def test_two_keys_of_one_person_are_one_person_once_they_are_merged() -> None:
    done, policy = [act("2026-03-02")], tenant()

    apart = group([person(), person()], policy, MONDAY, [done, []])
    merged = group([person()], policy, MONDAY, [done])

    assert apart["M1:1@1"] == apart["M11"] == (1, 2)
    assert merged["M1:1@1"] == merged["M11"] == (1, 1)


def test_a_licence_that_ends_on_wednesday_leaves_two_days_and_no_week() -> None:
    who = person(day("2026-01-05"), licences=[span("2025-01-01", "2026-03-04")])

    found = told(who, tenant(), MONDAY, [act("2026-03-02")])

    assert found.reason == "short_presence"
    assert found.counts["X:short_presence"] == (1, 0)
    assert "M11" not in found.counts
    assert [code for code in sorted(found.counts) if code.startswith("M10")] == ["M10@0", "M10@1"]


def test_who_is_active_by_software_only_is_not_active_and_this_is_said() -> None:
    people = [person(day("2026-01-05"))] * 20

    sums = group(people, tenant(), MONDAY, [[act("2026-03-03", origin="sync")]] * 20)

    assert sums["M10@1"] == sums["M11"] == (0, 20)
    assert sums["A"] == (20, 0)


def test_the_first_day_of_the_week_is_the_tenants() -> None:
    policy = tenant(work_days=SUNDAY_TO_THURSDAY, first_day_of_week=7)
    week = week_of(day("2026-03-05"), 7)
    who = person(day("2026-01-05"), spells=[Spell(FOREVER, team="A")])

    found = told(who, policy, week, [act("2026-03-01")])

    assert week == day("2026-03-01")
    assert [code for code in sorted(found.counts) if code.startswith("M10")] == [f"M10@{n}" for n in range(5)]
    assert found.counts["M10@0"] == (1, 1)
