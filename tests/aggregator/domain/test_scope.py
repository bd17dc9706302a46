"""Whom an evaluation judges, and when time alone makes it everybody."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.aggregator.domain.findings import Subject
from services.aggregator.domain.life import Judged
from services.aggregator.domain.scope import EVERYTHING, NOBODY, TENANT, Scope, a_day_began, noon_passed, scope_of

BERLIN, KOLKATA = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata")
MIDNIGHT = datetime(2026, 3, 29, 22, tzinfo=UTC)
"""The end of the day in Berlin on which the clocks were put forward."""
SECOND = timedelta(seconds=1)


def test_the_tenant_is_meant_whenever_a_group_is() -> None:
    scope = scope_of([Subject("team", "North"), Subject("user", "anna"), Subject("wave", "w")])

    assert scope == Scope(
        groups=frozenset({Subject("team", "North"), TENANT}), users=frozenset({"anna"}), waves=frozenset({"w"})
    )
    assert scope_of([Subject("user", "anna")]).groups == frozenset()
    assert scope_of([TENANT]).groups == {TENANT}
    assert scope_of([]) == NOBODY
    assert not NOBODY


def test_all_is_everybody_and_a_launch_is_a_wave_of_which_only_that_is_judged() -> None:
    assert scope_of([Subject("all", "")]).everything
    launch = scope_of([Subject("launch", "w")])
    assert (launch.launches, launch.waves) == ({"w"}, frozenset())


@pytest.mark.parametrize(
    ("subject", "held"),
    [
        (Subject("team", "North"), True),
        (Subject("team", "South"), False),
        (Subject("role", "North"), False),
        (Subject("user", "anna"), True),
        (Subject("user", "North"), False),
        (Subject("wave", "w"), True),
        (TENANT, True),
    ],
)
def test_a_subject_is_held_by_its_kind(subject: Subject, *, held: bool) -> None:
    scope = scope_of([Subject("team", "North"), Subject("user", "anna"), Subject("wave", "w")])

    assert scope.holds(subject) is held
    assert EVERYTHING.holds(subject)


def test_what_asks_who_connected_is_judged_by_wave_and_sources_always() -> None:
    judged = Judged(scope_of([Subject("user", "anna"), Subject("launch", "w")]), launch={"f"}, always={"silent"})

    assert judged.reaches("f", "w", Subject("user", "bo"))
    assert not judged.reaches("f", "x", Subject("user", "anna"))
    assert judged.reaches("g", "x", Subject("user", "anna"))
    assert judged.reaches("silent", None, TENANT)
    assert not judged.reaches("g", None, TENANT)


@pytest.mark.parametrize("delay", [timedelta(), timedelta(hours=2)])
def test_a_day_begins_at_midnight_and_is_judged_two_hours_later(delay: timedelta) -> None:
    instant = MIDNIGHT + delay

    assert a_day_began(instant - SECOND, instant, [BERLIN])
    assert not a_day_began(instant, instant + SECOND, [BERLIN])
    assert not a_day_began(instant - SECOND, instant - SECOND, [BERLIN])


def test_a_day_begins_wherever_people_are() -> None:
    noon = datetime(2026, 3, 29, 18, 30, tzinfo=UTC)

    assert a_day_began(noon - SECOND, noon, [BERLIN, KOLKATA])
    assert not a_day_began(noon - SECOND, noon, [BERLIN])


def test_long_pauses_and_the_first_evaluation_judge_everybody() -> None:
    assert a_day_began(None, MIDNIGHT, [BERLIN])
    assert a_day_began(MIDNIGHT, MIDNIGHT + timedelta(days=300), [BERLIN])
    assert a_day_began(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), [BERLIN])
    assert not a_day_began(datetime.max.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), [BERLIN])


def test_noon_is_that_of_the_tenant_also_when_the_clocks_change() -> None:
    noon = datetime(2026, 3, 29, 10, tzinfo=UTC)

    assert noon_passed(noon - SECOND, noon, BERLIN)
    assert not noon_passed(noon, noon + SECOND, BERLIN)
    assert noon_passed(noon + SECOND, noon + timedelta(days=1), BERLIN)
    assert noon_passed(None, noon, BERLIN)
