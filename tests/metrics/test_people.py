"""What people contribute to a week: each metric by its own rules."""

from collections.abc import Mapping
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.metrics.activity import connects, first_connecting_day
from services.metrics.people import contribute
from services.metrics.shape import Act, Count, Interval, Person, Policy, Role, Spell, WaveStart
from tests.metrics.people import LONG_AGO, MONDAY, act, day, person, span, tenant, through, told

DAYS = [MONDAY + timedelta(days=number) for number in range(7)]
OLD = person(LONG_AGO)
"""Somebody who has been there for long."""


def cells(counts: Mapping[str, Count], metric: str) -> dict[str, Count]:
    """The cells of one metric by what stands behind its code."""
    return {code.removeprefix(metric): count for code, count in counts.items() if code.startswith(metric)}


def met(cadence: Role, *days: int, **more: object) -> bool:
    """Whether somebody of a role met its cadence by activity on these days of the week."""
    who, policy = person(LONG_AGO, **more), tenant(roles={"rep": cadence})
    return told(who, policy, MONDAY, [act(DAYS[number]) for number in days]).counts["M12"] == (1, 1)


# What counts as activity


@pytest.mark.parametrize(
    ("one", "connecting", "by_login"),
    [
        (act(MONDAY), True, False),
        (act(MONDAY, kind="crm.session.login"), True, True),
        (act(MONDAY, kind="crm.session.login", origin="unknown", environment="production"), True, True),
        (act(MONDAY, origin="mobile", kind="crm.anything.else"), True, False),
        (act(MONDAY, kind="crm.session.login_failed"), False, False),
        (act(MONDAY, kind="meeting.held"), False, False),
        (act(MONDAY, origin="sync"), False, False),
        (act(MONDAY, origin="import"), False, False),
        (act(MONDAY, environment="sandbox"), False, False),
        (act(MONDAY, behalf="another"), False, False),
    ],
)
def test_activity_is_what_people_do_themselves_in_production(one: Act, *, connecting: bool, by_login: bool) -> None:
    assert connects(one, Policy()) is connecting
    assert connects(one, Policy(by_login=True)) is by_login
    assert told(OLD, tenant(), MONDAY, [one]).counts["M11"] == (int(connecting), 1)


def test_the_first_connecting_day_is_local_and_not_before_day_zero() -> None:
    auckland = ZoneInfo("Pacific/Auckland")
    who = person(zone=auckland)
    before, after = act(MONDAY, 0, auckland), act(MONDAY + timedelta(days=1), 9, auckland)

    assert first_connecting_day(who, tenant(), [after.at, before.at]) == MONDAY
    assert first_connecting_day(who, tenant(), [before.at - timedelta(seconds=1)]) is None
    assert first_connecting_day(person(waves=[]), tenant(), [after.at]) is None


def test_only_logins_connect_where_the_tenant_says_so_but_all_activity_is_activity() -> None:
    policy = tenant(by_login=True)

    counts = told(person(), policy, MONDAY, [act(MONDAY), act("2026-03-04", kind="crm.session.login")]).counts

    assert cells(counts, "M1:") == {"1@1": (0, 1), "2@2": (1, 1), "3@3": (1, 1)}
    assert cells(counts, "M2:") == {"1@1": (0, 1), "2@2": (1, 1), "3@3": (0, 1)}
    assert counts["M10@0"] == (1, 1)


def test_what_lies_outside_the_reach_of_a_week_is_ignored() -> None:
    far = [act("2026-01-20"), act("2026-03-10"), act("2026-03-09", 0)]

    assert contribute(OLD, tenant(), MONDAY, far, LONG_AGO) == contribute(OLD, tenant(), MONDAY, [], LONG_AGO)


# Access


def test_the_clock_of_the_initial_cohort_tells_by_then_and_on_the_day() -> None:
    found = through(person(), tenant(), MONDAY, 3, [act("2026-03-04"), act("2026-03-09")])

    assert cells(found, "M1:") == {
        "1@2026-03-03": (0, 1),
        "2@2026-03-04": (1, 1),
        "3@2026-03-05": (1, 1),
        "5@2026-03-09": (1, 1),
        "10@2026-03-16": (1, 1),
    }
    assert cells(found, "M2:") == {
        "1@2026-03-03": (0, 1),
        "2@2026-03-04": (1, 1),
        "3@2026-03-05": (0, 1),
        "5@2026-03-09": (1, 1),
        "10@2026-03-16": (0, 1),
    }
    assert not cells(found, "M3")


def test_activity_on_day_zero_itself_connects_and_activity_before_it_does_not() -> None:
    assert through(person(), tenant(), MONDAY, 1, [act(MONDAY, 0)])["M1:1@2026-03-03"] == (1, 1)
    assert through(person(), tenant(), MONDAY, 1, [act("2026-03-01", 23)])["M1:1@2026-03-03"] == (0, 1)


def test_who_joins_later_is_told_apart() -> None:
    joiner = person(licences=[span("2026-03-11")])

    found = through(joiner, tenant(), MONDAY, 4, [act("2026-03-13")])

    assert not cells(found, "M1:")
    assert cells(found, "M3:") == {
        "1@2026-03-12": (0, 1),
        "2@2026-03-13": (1, 1),
        "3@2026-03-16": (1, 1),
        "5@2026-03-18": (1, 1),
        "10@2026-03-25": (1, 1),
    }


@pytest.mark.parametrize(
    "gone",
    [
        {"licences": [Interval(LONG_AGO, day("2026-03-05"))]},
        {"active": Interval(LONG_AGO, day("2026-03-05"))},
        {"spells": [Spell(Interval(date.min, day("2026-03-05"))), Spell(span("2026-03-05"), opted_out=True)]},
        {"spells": [Spell(Interval(date.min, day("2026-03-05"))), Spell(span("2026-03-05"), kind="service")]},
    ],
)
def test_who_is_no_more_there_on_a_day_is_not_in_its_denominator(gone: dict[str, object]) -> None:
    assert cells(through(person(**gone), tenant(), MONDAY, 2), "M1:") == {
        "1@2026-03-03": (0, 1),
        "2@2026-03-04": (0, 1),
    }


def test_never_connected_is_asked_one_working_day_after_day_zero() -> None:
    late = person(day("2026-03-06"))

    assert "M4" not in told(late, tenant(), MONDAY).counts
    assert told(late, tenant(), day("2026-03-09")).counts["M4"] == (1, 1)
    assert told(late, tenant(), day("2026-03-09"), [act("2026-03-15")]).counts["M4"] == (0, 1)
    assert told(late, tenant(), day("2026-03-09"), [act("2026-03-16")]).counts["M4"] == (1, 1)


def test_who_is_on_leave_at_the_end_of_the_week_has_not_stayed_away() -> None:
    assert "M4" not in told(person(LONG_AGO, absences=[span("2026-03-06", "2026-03-09")]), tenant(), MONDAY).counts
    assert "M4" in told(person(LONG_AGO, absences=[span("2026-03-02", "2026-03-06")]), tenant(), MONDAY).counts


@pytest.mark.parametrize(
    ("days", "told_on", "num"),
    [
        (["2026-03-03"], "2026-03-10", 0),
        (["2026-03-03", "2026-03-03"], "2026-03-10", 0),
        (["2026-03-03", "2026-03-10"], "2026-03-10", 1),
        (["2026-03-03", "2026-03-11"], "2026-03-10", 0),
        (["2026-03-07", "2026-03-09"], "2026-03-13", 1),
    ],
)
def test_a_return_is_a_second_day_within_five_working_days(days: list[str], told_on: str, num: int) -> None:
    found = through(person(), tenant(), MONDAY, 3, [act(one) for one in days])

    assert cells(found, "M5@") == {told_on: (num, 1)}


@pytest.mark.parametrize(
    ("back", "expected"),
    [
        ("2026-03-18", {"2026-03-24": (0, 1)}),
        ("2026-03-25", {"2026-03-31": (0, 1)}),
        ("2026-03-26", {}),
        ("2026-04-15", {}),
    ],
)
def test_leave_pauses_the_return_but_not_for_more_than_four_weeks(back: str, expected: dict[str, Count]) -> None:
    away = person(absences=[span("2026-03-04", back)])

    assert cells(through(away, tenant(), MONDAY, 8, [act("2026-03-03")]), "M5@") == expected


def test_retention_looks_at_the_seven_days_up_to_the_day() -> None:
    friday = day("2026-04-01")

    for first, num in ((friday - timedelta(days=7), 0), (friday - timedelta(days=6), 1), (friday, 1)):
        assert cells(through(person(), tenant(), MONDAY, 6, [act(first)]), "M6:") == {"30@2026-04-01": (num, 1)}
    assert not cells(through(person(absences=[span("2026-03-31", "2026-04-01")]), tenant(), MONDAY, 6), "M6:")
    assert through(person(), tenant(), day("2026-05-25"), 1)["M6:90@2026-05-31"] == (0, 1)
    assert through(person(), tenant(), day("2026-12-21"), 1)["M6:300@2026-12-27"] == (0, 1)


def test_a_licence_is_unused_after_thirty_days_without_activity() -> None:
    sunday, edge = DAYS[6], DAYS[6] - timedelta(days=29)

    assert told(OLD, tenant(), MONDAY).counts["M8"] == (1, 1)
    assert told(OLD, tenant(), MONDAY, [act(edge)]).counts["M8"] == (0, 1)
    assert told(OLD, tenant(), MONDAY, [act(edge - timedelta(days=1))]).counts["M8"] == (1, 1)
    assert told(person(licences=[Interval(edge, None)]), tenant(), MONDAY).counts["M8"] == (1, 1)
    for who in (
        person(licences=[Interval(edge + timedelta(days=1), None)]),
        person(licences=[Interval(LONG_AGO, sunday)]),
        person(absences=[Interval(edge, DAYS[6] + timedelta(days=1))]),
        person(kind="service"),
        person(opted_out=True),
    ):
        assert "M8" not in told(who, tenant(), MONDAY).counts


def test_who_left_or_is_not_live_yet_still_holds_a_licence() -> None:
    assert told(person(active=Interval(LONG_AGO, day("2026-01-31"))), tenant(), MONDAY).counts["M8"] == (1, 1)
    assert told(person(waves=[]), tenant(), MONDAY).counts["M8"] == (1, 1)


@pytest.mark.parametrize(("on", "num"), [("2026-02-01", 0), ("2026-02-02", 1), ("2026-03-01", 1), ("2026-03-02", 0)])
def test_the_sandbox_counts_in_the_four_weeks_before_the_go_live(on: str, num: int) -> None:
    assert told(person(), tenant(), MONDAY, [act(on, environment="sandbox")]).counts["M9@0"] == (num, 1)


def test_only_who_was_in_the_wave_by_its_go_live_could_try_the_sandbox() -> None:
    later = person(waves=[WaveStart("w", MONDAY, DAYS[1])])

    assert "M9@0" not in told(later, tenant(), MONDAY).counts
    assert "M9@0" in told(person(licences=[]), tenant(), MONDAY).counts
    assert "M9@0" not in told(person(kind="service"), tenant(), MONDAY).counts
    assert "M9@0" not in told(person(active=span("2026-03-03")), tenant(), MONDAY).counts


# Behaviour


def test_work_on_a_day_off_is_told_beside_the_daily_rate() -> None:
    policy = tenant(holidays=frozenset({DAYS[2]}))

    counts = told(OLD, policy, MONDAY, [act(DAYS[2]), act(DAYS[5]), act(DAYS[0])]).counts

    assert cells(counts, "off@") == {"2": (1, 0), "5": (1, 0)}
    assert cells(counts, "M10@") == {"0": (1, 1), "1": (0, 1), "3": (0, 1), "4": (0, 1)}
    assert counts["M11"] == (1, 1)


def test_work_on_leave_is_work_in_the_week_but_not_of_a_day() -> None:
    counts = told(person(LONG_AGO, absences=[span("2026-03-02", "2026-03-03")]), tenant(), MONDAY, [act(MONDAY)]).counts

    assert "M10@0" not in counts
    assert "off@0" not in counts
    assert counts["M11"] == (1, 1)


def test_the_daily_rate_is_of_daily_roles() -> None:
    policy = tenant(roles={"rep": Role("weekly")})

    assert not cells(told(OLD, policy, MONDAY, [act(MONDAY)]).counts, "M10@")
    assert cells(told(person(LONG_AGO, role=None), policy, MONDAY).counts, "M10@")


def test_activity_before_day_zero_or_without_a_licence_is_none_of_the_week() -> None:
    joined = person(day("2026-03-04"))
    lapsed = person(LONG_AGO, licences=[Interval(LONG_AGO, DAYS[3])])

    assert told(joined, tenant(), MONDAY, [act(MONDAY)]).counts["M11"] == (0, 1)
    assert told(lapsed, tenant(), MONDAY, [act(DAYS[3])]).counts["M11"] == (0, 1)
    assert told(lapsed, tenant(), MONDAY, [act(DAYS[2])]).counts["M11"] == (1, 1)
    for who, on, num in ((joined, DAYS[1], 0), (joined, DAYS[2], 1), (lapsed, DAYS[3], 0), (lapsed, DAYS[2], 1)):
        assert told(who, tenant(), MONDAY, [act(on, object="contact")]).counts["M15"] == (num, 1)


def test_a_daily_cadence_is_met_on_four_of_five_expected_days() -> None:
    assert met(Role("daily"), 0, 1, 2, 3)
    assert not met(Role("daily"), 0, 1, 2)
    assert not met(Role("daily"), 0, 1, 2, 5, 6)
    assert met(Role("daily"), 0, 1, 2, work_days=frozenset({1, 2, 3}))
    assert not met(Role("daily"), 0, 1, work_days=frozenset({1, 2, 3}))
    assert met(Role("daily"), 1, 2, 3, 4, absences=[span("2026-03-02", "2026-03-03")])
    assert not met(Role("daily"), 1, 2, 3, absences=[span("2026-03-02", "2026-03-03")])


def test_a_cadence_of_so_many_days_a_week_asks_for_no_more_than_are_expected() -> None:
    assert met(Role("per_week", 3), 0, 1, 5)
    assert not met(Role("per_week", 3), 0, 1)
    assert met(Role("per_week", 3), 0, 1, work_days=frozenset({1, 2}))


def test_a_weekly_cadence_is_met_once_on_any_day() -> None:
    assert met(Role("weekly"), 6)
    assert not met(Role("weekly"))


@pytest.mark.parametrize(("on", "num"), [("2026-02-08", 0), ("2026-02-09", 1), ("2026-03-08", 1)])
def test_a_monthly_cadence_is_met_within_28_days(on: str, num: int) -> None:
    counts = told(OLD, tenant(roles={"rep": Role("monthly")}), MONDAY, [act(on)]).counts

    assert counts["M12"] == (num, 1)
    assert counts["M11"] == (int(on >= "2026-03-02"), 1)


def test_a_month_does_not_begin_before_day_zero() -> None:
    policy = tenant(roles={"rep": Role("monthly")})

    assert told(person(), policy, MONDAY, [act("2026-02-27")]).counts["M12"] == (0, 1)


@pytest.mark.parametrize(
    ("one", "num"),
    [
        (act(MONDAY), 1),
        (act(MONDAY, object="contact"), 0),
        (act(MONDAY, kind="crm.report.viewed", object=None), 1),
        (act(MONDAY, kind="crm.record.viewed"), 0),
        (act(MONDAY, origin="sync"), 0),
        (act("2026-03-01"), 0),
        (act("2026-03-09", 0), 0),
    ],
)
def test_a_core_action_is_one_of_the_role_in_the_week(one: Act, num: int) -> None:
    core = frozenset({("crm.record.updated", "opportunity"), ("crm.report.viewed", "")})

    assert told(OLD, tenant(roles={"rep": Role(core=core)}), MONDAY, [one]).counts["M15"] == (num, 1)


def test_leaders_are_to_be_active_in_the_week() -> None:
    leader = person(LONG_AGO, leadership=True)

    assert told(leader, tenant(), MONDAY, [act(DAYS[1])]).counts["M23"] == (1, 1)
    assert told(leader, tenant(), MONDAY).counts["M23"] == (0, 1)
    assert "M23" not in told(OLD, tenant(), MONDAY, [act(DAYS[1])]).counts


def test_software_is_told_only_of_who_does_nothing_themselves() -> None:
    sync = act(DAYS[1], origin="automation")

    assert told(OLD, tenant(), MONDAY, [sync]).counts["A"] == (1, 0)
    assert "A" not in told(OLD, tenant(), MONDAY, [sync, act(DAYS[2])]).counts
    assert "A" not in told(OLD, tenant(), MONDAY, [sync._replace(environment="sandbox")]).counts
    assert "A" not in told(OLD, tenant(), MONDAY, [act("2026-02-27", origin="sync")]).counts


def test_single_acts_count_on_days_that_count() -> None:
    created = [act(one, kind="crm.record.created") for one in DAYS[:4]]
    who: Person = person(day("2026-03-03"), licences=[Interval(LONG_AGO, DAYS[3])])

    counts = told(who, tenant(), MONDAY, created).counts

    assert cells(counts, "M16:opportunity@") == {"1": (1, 1), "2": (1, 1)}
    assert not cells(told(person(opted_out=True), tenant(), MONDAY, created).counts, "M16")


def test_who_the_directory_does_not_know_contributes_nothing() -> None:
    assert contribute(person(spells=[Spell(span("2026-03-09"))]), tenant(), MONDAY, [act(MONDAY)], None) is None


def test_why_somebody_is_left_out_is_counted() -> None:
    found = told(person(licences=[]), tenant(), MONDAY, [act(MONDAY)])

    assert found.reason == "unlicensed"
    assert {code for code in found.counts if not code.startswith("M9@")} == {"X:unlicensed"}


def test_what_an_unused_licence_costs_is_counted_where_it_is_known() -> None:
    held, before = span("2025-01-01"), span("2025-01-01", "2025-06-01")
    costly = person(prices=[(before, 100_000), (held, 499_000)])

    assert "M8c" not in told(person(), tenant(), MONDAY).counts
    assert told(costly, tenant(), MONDAY).counts["M8c"] == (499_000, 499_000)
    assert told(costly, tenant(), MONDAY, [act(MONDAY)]).counts["M8c"] == (0, 499_000)
