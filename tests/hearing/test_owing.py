"""What somebody is still owed of an alert, and how soon."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.hearing.batches import digest, interruption
from services.hearing.owing import STANDING, owed
from services.hearing.pace import Budget, Pace, Spent, pace
from services.hearing.shape import Told
from tests.notifier.telling import HOUSE, MONDAY, alert, item

OPEN = Told("open", "warning", "confirmed", "manager")
OVER = Told("resolved", "warning", "confirmed", "manager")
WRONG = Told("corrected", "warning", "confirmed", "manager")
ENDED = {"state": "resolved", "resolution": "connected", "resolved_at": MONDAY}
RESTATED = {**ENDED, "resolution": "restated"}
HOLD = timedelta(seconds=60)
NIGHT = MONDAY.replace(hour=1)


@pytest.mark.parametrize(
    ("state", "told", "what"),
    [
        ({}, None, "opened"),
        ({}, OPEN, None),
        ({"severity": "critical"}, OPEN, "raised"),
        ({"severity": "info"}, OPEN, None),
        ({"tier": "suspected"}, OPEN, None),
        ({}, OPEN._replace(tier="suspected"), "raised"),
        ({}, OVER, "reopened"),
        ({}, WRONG, "reopened"),
        (ENDED, None, None),
        (ENDED, OPEN, "resolved"),
        (ENDED, OVER, None),
        (RESTATED, None, None),
        (RESTATED, OPEN, "corrected"),
        (RESTATED, OVER, "corrected"),
        (RESTATED, WRONG, None),
        ({"suppressed_by": "other"}, None, None),
        ({"suppressed_by": "other", **ENDED}, OPEN, "resolved"),
        ({"state": "snoozed"}, None, None),
        ({"state": "acknowledged"}, None, "opened"),
    ],
)
def test_what_is_owed_is_the_difference_to_what_was_told(state: dict[str, Any], told: Told | None, what: str) -> None:
    assert owed(alert(**state), told, hears=True) == what


def test_who_hears_no_longer_of_it_still_hears_of_the_end_and_nothing_else() -> None:
    assert owed(alert(severity="critical"), OPEN, hears=False) is None
    assert owed(alert(**ENDED), OPEN, hears=False) == "resolved"


def test_who_takes_over_is_told_that_it_was_open_before() -> None:
    assert owed(alert(), None, hears=True, heard_before=True) == "handed_over"


STATES = st.lists(
    st.tuples(
        st.sampled_from(["open", "acknowledged", "snoozed", "resolved", "restated"]),
        st.sampled_from(["info", "warning", "critical", "emergency"]),
        st.sampled_from([None, "parent"]),
        st.booleans(),
        st.booleans(),
    ),
    max_size=30,
)


@settings(max_examples=100)
@given(STATES)
def test_whatever_happens_to_an_alert_nobody_is_told_the_same_twice_and_an_end_follows_an_opening(
    story: list[tuple[str, str, str | None, bool, bool]],
) -> None:
    """``looked``: somebody plans at that moment; often enough nobody does."""
    told, heard = None, []
    for state, severity, parent, hears, looked in story:
        ends = state in {"resolved", "restated"}
        now = alert(
            state="resolved" if ends else state,
            resolution=("restated" if state == "restated" else "recovered") if ends else None,
            severity=severity,
            suppressed_by=parent,
        )
        what = owed(now, told, hears=hears) if looked else None
        if what is not None:
            heard.append(what)
            told = Told(STANDING[what], now.severity, now.tier, "manager")
            assert owed(now, told, hears=hears) is None

    for before, after in zip([None, *heard], heard, strict=False):
        allowed = {
            None: {"opened"},
            "opened": {"raised", "resolved", "corrected"},
            "raised": {"raised", "resolved", "corrected"},
            "reopened": {"raised", "resolved", "corrected"},
            "resolved": {"reopened", "corrected"},
            "corrected": {"reopened"},
        }
        assert after in allowed[before]


@pytest.mark.parametrize(
    ("what", "given_", "told", "role", "soon"),
    [
        ("opened", {"severity": "emergency"}, None, "sponsor", Pace.AT_ONCE),
        ("opened", {"severity": "critical"}, None, "manager", Pace.HOURS),
        ("opened", {"severity": "warning"}, None, "manager", Pace.MORNING),
        ("opened", {"severity": "info"}, None, "manager", Pace.WEEK),
        ("opened", {"severity": "warning", "escalation": 1}, None, "manager_of_manager", Pace.HOURS),
        ("opened", {"severity": "warning", "escalation": 1}, None, "manager", Pace.MORNING),
        ("handed_over", {"severity": "critical"}, None, "manager", Pace.MORNING),
        ("resolved", {"severity": "critical", **ENDED}, OPEN, "manager", Pace.MORNING),
        ("resolved", {"severity": "info", **ENDED}, OPEN, "manager", Pace.WEEK),
        (
            "resolved",
            {"severity": "emergency", **ENDED},
            OPEN._replace(severity="emergency"),
            "sponsor",
            Pace.HOURS,
        ),
        ("corrected", RESTATED, OPEN._replace(severity="critical"), "manager", Pace.HOURS),
        ("corrected", RESTATED, OPEN, "manager", Pace.MORNING),
        ("corrected", RESTATED, OPEN._replace(severity="emergency"), "manager", Pace.HOURS),
    ],
)
def test_how_soon(what: Any, given_: dict[str, Any], told: Told | None, role: str, soon: Pace) -> None:
    assert pace(alert(**given_), what, told, role) == soon


def test_an_emergency_is_told_at_night_at_once_and_never_counts() -> None:
    batch = interruption([item(severity="emergency")], HOUSE, Spent(9, 99), Budget(), NIGHT, HOLD)

    assert batch is not None
    assert (batch.due_at, batch.counted, batch.kind) == (NIGHT, False, "change")


def test_what_is_critical_waits_at_night_and_is_held_for_a_moment_by_day() -> None:
    critical = [item(severity="critical")]

    assert interruption(critical, HOUSE, Spent(), Budget(), NIGHT, HOLD) is None
    by_day = interruption(critical, HOUSE, Spent(), Budget(), MONDAY, HOLD)
    assert by_day is not None
    assert (by_day.due_at, by_day.counted) == (MONDAY + HOLD, True)


@settings(max_examples=100)
@given(st.integers(0, 6), st.integers(0, 12), st.integers(0, 4), st.integers(0, 12))
def test_nobody_is_interrupted_more_often_than_the_budget_allows(
    day: int, week: int, most: int, most_week: int
) -> None:
    batch = interruption([item(severity="critical")], HOUSE, Spent(day, week), Budget(most, most_week), MONDAY, HOLD)

    assert (batch is not None) == (day < most and week < most_week)


def test_twelve_alerts_are_one_message_and_warnings_are_no_part_of_it() -> None:
    items = [item(id=f"a{n}", severity="critical", subject_key=f"u{n}") for n in range(12)]
    batch = interruption([*items, item(id="w")], HOUSE, Spent(), Budget(), MONDAY, HOLD)

    assert batch is not None
    assert batch.kind == "group"
    assert {one.alert.id for one in batch.items} == {f"a{n}" for n in range(12)}


def test_the_end_of_an_emergency_does_not_count_but_keeps_to_working_hours() -> None:
    over = item("resolved", OPEN._replace(severity="emergency"), severity="emergency", **ENDED)

    assert interruption([over], HOUSE, Spent(), Budget(), NIGHT, HOLD) is None
    by_day = interruption([over], HOUSE, Spent(9, 99), Budget(), MONDAY, HOLD)
    assert by_day is not None
    assert not by_day.counted


def test_mistakes_alone_are_a_correction() -> None:
    wrong = item("corrected", OPEN._replace(severity="critical"), **RESTATED)
    batch = interruption([wrong], HOUSE, Spent(), Budget(), MONDAY, HOLD)

    assert batch is not None
    assert batch.kind == "correction"


def test_a_morning_brings_all_but_what_waits_for_the_week_and_an_empty_one_nothing() -> None:
    items = [item(id="w"), item(id="c", severity="critical"), item(id="i", severity="info")]

    daily, weekly = digest(items, MONDAY, Pace.MORNING), digest(items, MONDAY, Pace.WEEK)

    assert daily is not None
    assert weekly is not None
    assert [one.alert.id for one in daily.items] == ["c", "w"]
    assert [one.alert.id for one in weekly.items] == ["c", "w", "i"]
    assert digest([item(severity="info")], MONDAY, Pace.MORNING) is None
