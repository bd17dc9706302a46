"""Who counts from when on, why others do not, and where a week counts."""

from datetime import date, timedelta

import pytest

from services.metrics.presence import (
    REASONS,
    day_zero,
    days_of,
    is_initial,
    presence,
    united,
    wave_of,
    why_not_expected,
)
from services.metrics.shape import Groups, Interval, Person, Policy, Spell, WaveStart
from tests.metrics.people import FOREVER, LONG_AGO, MONDAY, day, person, span, tenant


def why(who: Person, policy: Policy, week: date = MONDAY) -> str | None:
    return why_not_expected(days_of(who, policy, week, day_zero(who, policy)))


# Day zero: each of its terms


def test_day_zero_is_the_go_live_of_who_was_there_all_along() -> None:
    assert day_zero(person(), tenant()) == MONDAY


def test_day_zero_is_the_start_of_the_licence_when_that_comes_later() -> None:
    who = person(licences=[span("2025-01-01", "2025-06-01"), span("2026-03-10"), span("2026-03-20")])

    assert day_zero(who, tenant()) == day("2026-03-10")


def test_day_zero_is_not_moved_by_a_licence_that_covers_the_go_live_and_is_renewed() -> None:
    who = person(licences=[span("2025-01-01", "2026-03-09"), span("2026-03-09")])

    assert day_zero(who, tenant()) == MONDAY


def test_day_zero_is_the_first_day_of_who_joins_the_company_later() -> None:
    assert day_zero(person(active=span("2026-03-16")), tenant()) == day("2026-03-16")


def test_day_zero_is_the_earliest_of_who_turned_out_to_be_one() -> None:
    april, june = WaveStart("april", day("2026-04-06"), LONG_AGO), WaveStart("june", day("2026-06-01"), LONG_AGO)
    first = person(waves=[april], licences=[span("2026-05-04", "2026-06-01")])
    main = person(waves=[june], licences=[span("2026-05-20")])

    both = united(main, [first])

    assert [day_zero(who, tenant()) for who in (first, main, both)] == [
        day(f"2026-0{it}") for it in ("5-04", "6-01", "5-04")
    ]
    assert both.licences == (span("2026-05-04"),)
    assert wave_of(both) == april
    assert united(main, []) is main


def test_day_zero_is_the_day_of_joining_the_wave_when_that_comes_later() -> None:
    assert day_zero(person(waves=[WaveStart("w", MONDAY, day("2026-03-12"))]), tenant()) == day("2026-03-12")


def test_there_is_no_day_zero_without_a_wave_a_licence_or_a_return() -> None:
    assert day_zero(person(waves=[]), tenant()) is None
    assert day_zero(person(licences=[]), tenant()) is None
    assert day_zero(person(licences=[span("2025-01-01", "2026-03-02")]), tenant()) is None
    assert day_zero(person(absences=[span("2026-02-01")]), tenant()) is None


def test_without_waves_everybody_begins_with_their_licence() -> None:
    who = person(waves=[], licences=[span("2026-02-04")])

    assert day_zero(who, Policy()) == day("2026-02-04")
    assert not is_initial(who, Policy(), day("2026-02-04")), "there was no go-live to be there for"


def test_leave_that_covers_day_zero_moves_it_to_the_first_working_day_after() -> None:
    until_friday = person(absences=[span("2026-02-20", "2026-03-06"), span("2026-03-06", "2026-03-07")])

    assert day_zero(until_friday, tenant()) == day("2026-03-09")
    assert day_zero(person(absences=[span("2026-03-03", "2026-03-30")]), tenant()) == MONDAY


def test_a_day_zero_on_a_day_off_stays_there() -> None:
    assert day_zero(person(day("2026-03-07")), tenant()) == day("2026-03-07")


def test_of_several_waves_the_one_counts_in_which_the_person_goes_live_first() -> None:
    early, late = WaveStart("early", MONDAY, day("2026-06-01")), WaveStart("late", day("2026-04-06"), LONG_AGO)
    who = person(waves=[early, late])

    assert wave_of(who) == late
    assert day_zero(who, tenant()) == day("2026-04-06")
    assert wave_of(person(waves=[late, early._replace(since=LONG_AGO)])) == early._replace(since=LONG_AGO)


@pytest.mark.parametrize(
    ("go_live", "zero", "initial"),
    [
        ("2026-03-02", "2026-03-02", True),
        ("2026-03-02", "2026-03-03", True),
        ("2026-03-02", "2026-03-04", False),
        ("2026-03-06", "2026-03-09", True),
        ("2026-03-06", "2026-03-10", False),
    ],
)
def test_the_initial_cohort_ends_one_working_day_after_the_go_live(go_live: str, zero: str, *, initial: bool) -> None:
    who = person(day(go_live), licences=[span(zero)])

    assert is_initial(who, tenant(), day(zero)) is initial


# Why nothing is expected


def test_everything_that_stands_against_a_week_is_told_in_the_order_of_the_reasons() -> None:
    off = {"kind": "service", "opted_out": True}
    spell, absent = [Spell(FOREVER, **off)], [span("2026-01-05", "2026-04-01")]  # type: ignore[arg-type]
    lapsed, left = [span("2025-01-01", "2026-01-31")], span("2025-01-01", "2026-01-31")
    early = day("2025-12-01")

    found = [
        why(person(day("2026-05-04"), spells=spell, absences=absent, licences=lapsed, active=left), tenant()),
        why(person(early, spells=spell, absences=absent, licences=lapsed, active=left), tenant()),
        why(person(early, spells=spell, absences=absent, active=left), tenant()),
        why(person(early, spells=spell, absences=absent), tenant()),
        why(person(early, spells=spell), tenant()),
        why(person(early, kind="service"), tenant()),
        why(person(early, absences=[span("2026-03-02", "2026-03-05")]), tenant()),
        why(person(early), tenant()),
    ]

    assert found == ["unlicensed", *REASONS[1:], None]
    later = person(day("2026-05-04"), spells=spell, absences=absent, active=left)
    assert why(later, tenant()) == "not_live"


def test_who_is_in_no_wave_is_not_live_and_who_never_had_a_licence_is_unlicensed() -> None:
    assert why(person(waves=[]), tenant()) == "not_live"
    assert why(person(licences=[]), tenant()) == "unlicensed"
    assert why(person(licences=[], waves=[]), Policy()) == "unlicensed"


def test_the_reason_of_a_week_is_the_first_that_holds_on_one_of_its_working_days() -> None:
    who = person(absences=[span("2026-03-05", "2026-03-30")], active=Interval(LONG_AGO, day("2026-03-12")))

    assert why(who, tenant(), day("2026-03-09")) == "leaver"
    weekend = person(
        LONG_AGO, absences=[span("2026-03-02", "2026-03-07")], active=Interval(LONG_AGO, day("2026-03-07"))
    )
    assert why(weekend, tenant()) == "on_leave", "they left on a Saturday they would not have worked on"


def test_a_leaver_counts_until_their_last_working_day() -> None:
    who = person(LONG_AGO, active=Interval(LONG_AGO, day("2026-03-05")))
    days = days_of(who, tenant(), MONDAY, LONG_AGO)

    assert [one.eligible for one in days] == [True] * 3 + [False] * 4
    assert [one.reason for one in days] == [None] * 3 + ["leaver"] * 4
    assert why(who, tenant()) is None
    assert why(who, tenant(), day("2026-03-09")) == "leaver"


def test_who_the_directory_does_not_know_yet_is_not_live_and_who_it_knows_no_more_has_left() -> None:
    who = person(LONG_AGO, spells=[Spell(span("2026-03-04", "2026-03-18"))])

    reasons = [one.reason for one in days_of(who, tenant(), MONDAY, LONG_AGO)]

    assert reasons == ["not_live"] * 2 + [None] * 5
    assert why(who, tenant(), day("2026-03-23")) == "leaver"
    assert presence(who, tenant(), day("2026-03-23"), LONG_AGO) is None


@pytest.mark.parametrize(
    ("contract", "holidays", "days_of_leave", "expected"),
    [
        ({1, 2, 3, 4, 5}, 0, 2, True),
        ({1, 2, 3, 4, 5}, 0, 3, False),
        ({1, 2, 3, 4, 5}, 1, 2, False),
        ({1, 2, 3, 4, 5}, 1, 1, True),
        ({3, 4, 5}, 0, 0, True),
        ({1, 4, 5}, 0, 1, True),
        ({1, 2, 5}, 0, 2, False),
        ({1, 5}, 0, 1, False),
        ({1}, 0, 1, False),
        ({1, 2, 3, 4, 5, 6}, 0, 2, True),
        ({1, 2, 3, 4, 5, 6}, 0, 3, False),
    ],
)
def test_present_is_who_is_there_on_three_of_five_contracted_days(
    contract: set[int], holidays: int, days_of_leave: int, *, expected: bool
) -> None:
    closed = frozenset(MONDAY + timedelta(days=4 - number) for number in range(holidays))
    away = [Interval(MONDAY, MONDAY + timedelta(days=days_of_leave))] if days_of_leave else []

    who = person(LONG_AGO, work_days=frozenset(contract), absences=away)

    assert (why(who, tenant(holidays=closed)) is None) is expected


def test_nobody_is_expected_in_a_week_of_holidays() -> None:
    closed = frozenset(MONDAY + timedelta(days=number) for number in range(5))

    assert why(person(LONG_AGO), tenant(holidays=closed)) == "short_presence"
    assert why(person(LONG_AGO, kind="service"), tenant(holidays=closed)) == "non_human"


# Where a week counts


def where(*teams: tuple[str, str | None], **more: object) -> tuple[Groups, dict[int, str | None]]:
    """The groups of the week, and the teams of other days, of who was in ``teams``, each from a day on."""
    starts = [(date.min if not on else day(on), team) for team, on in teams]
    ends = [*(start for start, _ in starts[1:]), None]
    spells = [Spell(Interval(start, end), team=team) for (start, team), end in zip(starts, ends, strict=True)]
    found = presence(person(LONG_AGO, spells=spells, **more), tenant(), MONDAY, LONG_AGO)
    assert found is not None
    return found.groups, {offset: groups.team for offset, groups in found.moves.items()}


def test_a_week_counts_in_the_team_of_most_expected_days() -> None:
    groups, moves = where(("A", None), ("B", "2026-03-05"))

    assert groups.team == "A"
    assert moves == {3: "B", 4: "B", 5: "B", 6: "B"}


def test_of_as_many_expected_days_in_two_teams_the_later_team_counts() -> None:
    groups, moves = where(("A", None), ("B", "2026-03-04"), absences=[span("2026-03-06", "2026-03-07")])

    assert groups.team == "B"
    assert moves == {0: "A", 1: "A"}


def test_days_of_leave_weigh_nothing_unless_there_are_no_others() -> None:
    tuesday_to_friday, whole = [span("2026-03-03", "2026-03-07")], [span("2026-03-02", "2026-03-09")]

    assert where(("A", None), ("B", "2026-03-03"), absences=tuesday_to_friday)[0].team == "A"
    assert where(("A", None), ("B", "2026-03-03"), absences=whole)[0].team == "B"


def test_each_dimension_counts_by_itself() -> None:
    who = person(
        LONG_AGO,
        spells=[
            Spell(Interval(date.min, day("2026-03-04")), team="A", role="rep", leadership=True),
            Spell(span("2026-03-04", "2026-03-05"), team="B", role="rep", leadership=True),
            Spell(span("2026-03-05"), team="B", role="boss"),
        ],
    )

    found = presence(who, tenant(), MONDAY, LONG_AGO)

    assert found is not None
    assert found.groups == Groups("w", "B", "rep")
    assert found.leads
    assert found.moves[0] == Groups("w", "A", "rep")
    assert found.moves[4] == Groups("w", "B", "boss")
    assert 2 not in found.moves


def test_a_person_is_in_their_wave_from_joining_it_and_before_its_go_live() -> None:
    who = person(waves=[WaveStart("w", day("2026-04-06"), day("2026-03-04"))])

    found = presence(who, tenant(), MONDAY, day("2026-04-06"))

    assert found is not None
    assert found.groups.wave == "w"
    assert {offset: groups.wave for offset, groups in found.moves.items()} == {0: None, 1: None}
    without = presence(who, Policy(), MONDAY, LONG_AGO)
    assert without is not None
    assert without.groups.wave is None
