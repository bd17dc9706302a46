"""What people and time make of an alert, and the ladder that it climbs while nobody answers."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.aggregator.domain.alerts import TIMED, Alert
from services.aggregator.domain.calendar import Calendar
from services.aggregator.domain.findings import Finding, Recipient, Resolution, Severity, Subject, Tier
from services.aggregator.domain.ladder import Ladder
from services.aggregator.domain.life import Judged, advance
from services.aggregator.domain.scope import NOBODY
from services.rules.life import BY_FACTS, BY_TIME, STATES, after
from tests.aggregator.domain.test_alerts import finding
from tests.aggregator.world import MONDAY, later

BERLIN = Calendar(ZoneInfo("Europe/Berlin"), holidays=frozenset({MONDAY + timedelta(days=4)}))
LADDER = Ladder(BERLIN)
WEDNESDAY = later(2, 12)
"""When the alerts of these tales open."""
CONFIRMED: dict[str, Any] = {"tier": Tier.CONFIRMED, "raised_at": later(8)}
ENDED = finding(closed_at=later(9), resolution=Resolution.RECOVERED)


class Tale:
    """One alert, told of day by day."""

    def __init__(self, found: Finding | None = None, ladder: Ladder | None = LADDER, now: datetime = WEDNESDAY) -> None:
        self.found, self.ladder = found or finding(), ladder
        [(_, self.alert)] = advance("t", [], [self.found], now, ladder=ladder)

    def people(self, **columns: Any) -> None:
        """Let people write ``columns``."""
        self.alert = replace(self.alert, revision=self.alert.revision + 1, **columns)

    def on(self, now: datetime, found: Finding | None = None, judged: Judged | None = None) -> list[str]:
        """Let time pass until ``now``; return what happened."""
        self.found = found or self.found
        findings = [] if judged is not None else [self.found]
        changes = advance("t", [self.alert], findings, now, judged, ladder=self.ladder)
        for change in changes:
            self.alert = change.alert
        return [change.kind for change in changes if change.kind != TIMED]

    @property
    def roles(self) -> list[str]:
        return [str(heard["role"]) for heard in self.alert.audience]


UNJUDGED = Judged(NOBODY)


# ------------------------------------------------------------------ the ladder


@pytest.mark.parametrize("judged", [None, UNJUDGED], ids=["judged again", "not judged"])
def test_nobody_answers_for_two_working_days(judged: Judged | None) -> None:
    tale = Tale()

    assert tale.alert.due_at == later(7, 12)  # Friday is a holiday
    assert tale.on(later(7, 11.99), judged=judged) == []
    assert tale.on(later(7, 12), judged=judged) == ["escalated"]
    assert (tale.alert.escalation, tale.alert.state, tale.alert.due_at) == (1, "open", None)
    assert tale.roles == ["manager", "champion", "manager_of_manager"]
    assert tale.on(later(30), judged=judged) == []


@pytest.mark.parametrize(
    ("fields", "hours", "role"),
    [
        ({"severity": Severity.EMERGENCY, "subject": Subject("wave", "w")}, 2, "steering"),
        ({"severity": Severity.CRITICAL, "subject": Subject("tenant", "all")}, 5 * 24, "crm_owner"),
        ({"severity": Severity.CRITICAL, "subject": Subject("user", "anna")}, 5 * 24, "manager_of_manager"),
        ({"severity": Severity.INFO}, None, None),
        ({"suppressed_by": "another"}, None, None),
    ],
)
def test_who_is_told_next_depends_on_the_alert(fields: dict[str, Any], hours: int | None, role: str | None) -> None:
    tale = Tale(finding(**fields))

    assert tale.alert.due_at == (None if hours is None else WEDNESDAY + timedelta(hours=hours))
    assert tale.on(later(60)) == ([] if role is None else ["escalated"])
    assert role is None or tale.roles[-1] == role


def test_who_hears_of_it_already_is_named_once() -> None:
    tale = Tale(finding(subject=Subject("wave", "w"), audience=(Recipient("crm_owner", "carla"),)))

    assert tale.on(later(7, 12)) == ["escalated"]
    assert tale.alert.audience == [{"role": "crm_owner", "person": "carla"}]


@pytest.mark.parametrize(("hour", "escalation"), [(11.99, 0), (12.01, 1)])
def test_an_answer_stops_it_if_it_came_in_time(hour: float, escalation: int) -> None:
    tale = Tale()
    tale.people(state="acknowledged", acknowledged_at=later(7, hour))
    tale.on(later(9))

    assert (tale.alert.escalation, tale.alert.state) == (escalation, "acknowledged")


def test_a_plan_that_came_to_nothing_is_carried_up_though_somebody_takes_care() -> None:
    tale = Tale()
    tale.people(state="acknowledged", acknowledged_at=later(3), plan_on=MONDAY + timedelta(days=8), due_at=later(3))

    assert tale.on(later(3)) == []
    assert tale.alert.due_at == later(8, 23)
    assert tale.on(later(8, 23)) == ["escalated"]
    assert tale.on(later(20)) == []


def test_it_is_carried_up_twice_at_most() -> None:
    tale = Tale()
    tale.people(plan_on=MONDAY + timedelta(days=3))

    assert tale.on(later(4)) == ["escalated"]
    assert tale.on(later(8)) == ["escalated"]
    tale.people(plan_on=MONDAY + timedelta(days=9))
    assert tale.on(later(30)) == []
    assert tale.alert.escalation == 2


def test_the_wait_begins_when_it_becomes_loud_and_on_the_wall_clock_when_that_was_found_out() -> None:
    suspected = finding(severity=Severity.INFO)
    told = Tale(suspected)
    assert told.on(later(20), finding(**CONFIRMED)) == ["raised"]
    assert (told.alert.loud_since, told.alert.escalation) == (later(8), 1)

    wall = Tale(suspected, Ladder(BERLIN, wall=True))
    assert wall.on(later(20), finding(**CONFIRMED)) == ["raised"]
    assert (wall.alert.loud_since, wall.alert.escalation, wall.alert.due_at) == (later(20), 0, later(22))


def test_what_is_found_out_too_late_on_the_event_clock_is_opened_and_carried_up() -> None:
    changes = advance("t", [], [finding()], later(20), ladder=LADDER)

    assert [(change.kind, change.alert.revision, change.alert.escalation) for change in changes] == [
        ("opened", 0, 0),
        ("escalated", 1, 1),
    ]


# ------------------------------------------------------------------ people


def test_a_snoozed_alert_wakes_by_itself_and_waits_anew() -> None:
    tale = Tale()
    tale.people(state="snoozed", snoozed_until=later(7), snooze_reason="leave", due_at=later(3))

    assert tale.on(later(6.9)) == []
    assert tale.alert.due_at == later(7)
    assert tale.on(later(7), judged=UNJUDGED) == ["woken"]
    assert (tale.alert.state, tale.alert.due_at) == ("open", later(9))
    assert tale.on(later(9)) == ["escalated"]


@pytest.mark.parametrize("louder", [{"tier": Tier.CONFIRMED}, {"severity": Severity.CRITICAL}])
def test_a_snoozed_alert_wakes_when_it_becomes_louder(louder: dict[str, Any]) -> None:
    tale = Tale()
    tale.people(state="snoozed", snoozed_until=later(30), snooze_reason="leave")

    assert tale.on(later(4), finding(evidence={"num": 9})) == ["updated"]
    assert tale.on(later(5), finding(**louder)) == ["raised"]
    assert (tale.alert.state, tale.alert.snoozed_until, tale.alert.snooze_reason) == ("open", None, None)


def test_an_acknowledged_alert_stays_so_when_it_becomes_louder() -> None:
    tale = Tale()
    tale.people(state="acknowledged", acknowledged_at=later(3))

    assert tale.on(later(4), finding(**CONFIRMED)) == ["raised"]
    assert tale.alert.state == "acknowledged"


def test_what_had_not_ended_after_all_is_answered_as_it_was() -> None:
    tale = Tale()
    tale.people(state="acknowledged", acknowledged_at=later(3), assignee="anna")
    assert tale.on(later(10), ENDED) == ["resolved"]

    assert tale.on(later(11), finding()) == ["reopened"]
    assert (tale.alert.state, tale.alert.assignee) == ("acknowledged", "anna")


def test_a_change_of_what_speaks_for_it_is_told_as_such() -> None:
    tale = Tale()

    assert tale.on(later(3), finding(suppressed_by="another")) == ["suppressed"]
    assert tale.alert.due_at is None
    assert tale.on(later(20), finding(raised_at=later(20))) == ["released"]
    assert (tale.alert.loud_since, tale.alert.due_at) == (later(20), later(22))


def test_a_restatement_is_told_once_and_keeps_what_people_said() -> None:
    tale = Tale()
    tale.people(assignee="anna", useful=False)
    changes = advance("t", [tale.alert], [], later(5), ladder=LADDER)

    assert [change.kind for change in changes] == ["resolved"]
    after = changes[0].alert
    assert (after.resolution, after.assignee, after.useful, after.due_at) == ("restated", "anna", False, None)
    assert advance("t", [after], [], later(6), ladder=LADDER) == []


def test_what_was_not_judged_is_neither_opened_nor_withdrawn() -> None:
    tale = Tale()

    assert advance("t", [tale.alert], [], later(3), UNJUDGED, ladder=LADDER) == []
    assert advance("t", [], [finding()], later(3), UNJUDGED, ladder=LADDER) == []


# ------------------------------------------------------------------ the law

moments = st.integers(1, 30 * 24).map(lambda hour: WEDNESDAY + timedelta(hours=hour))
acts = st.sampled_from(
    [
        lambda now: {"state": "acknowledged", "acknowledged_at": now, "snoozed_until": None, "snooze_reason": None},
        lambda now: {"plan_on": (now + timedelta(days=2)).date()},
        lambda now: {
            "state": "snoozed",
            "snoozed_until": now + timedelta(days=3),
            "snooze_reason": "r",
            "acknowledged_at": None,
        },
    ]
)
courses = st.lists(st.tuples(moments, acts), max_size=3, unique_by=lambda act: act[0])
raised = st.one_of(st.none(), moments)
closed = st.one_of(st.none(), moments)
FINAL = later(60)


def known(now: datetime, first: Severity, raised_at: datetime | None, closed_at: datetime | None) -> Finding:
    """Return the episode as the facts show it at ``now``."""
    fields: dict[str, Any] = {"severity": first}
    if raised_at is not None and raised_at <= now and (closed_at is None or raised_at < closed_at):
        asked = {"raised_at": raised_at} if first == Severity.INFO else {}
        fields |= {"severity": Severity.CRITICAL, "tier": Tier.CONFIRMED, **asked}
    if closed_at is not None and closed_at <= now:
        fields |= {"closed_at": closed_at, "resolution": Resolution.RECOVERED}
    return finding(**fields)


@settings(max_examples=150)
@given(
    course=courses,
    looks=st.sets(moments, max_size=12),
    first=st.sampled_from([Severity.INFO, Severity.WARNING]),
    raised_at=raised,
    closed_at=closed,
)
def test_how_often_it_is_looked_at_leaves_no_trace(
    course: list[tuple[datetime, Any]],
    looks: set[datetime],
    first: Severity,
    raised_at: datetime | None,
    closed_at: datetime | None,
) -> None:
    """People act at instants of the tenant's time, on what stands there; between them it is looked at, or not."""

    def play(looks: set[datetime]) -> Alert:
        tale = Tale(known(WEDNESDAY, first, None, None))
        doing = dict(course)
        for now in sorted({*looks, *doing, FINAL}):
            kinds = tale.on(now, known(now, first, raised_at, closed_at))
            assert len(kinds) <= 1
            if now in doing and tale.alert.state != "resolved":
                tale.people(**doing[now](now), due_at=now)
        return replace(tale.alert, updated_at=FINAL, revision=0)

    assert play(looks) == play(set())


@given(kind=st.sampled_from([*BY_FACTS, *BY_TIME]), state=st.sampled_from(STATES))
def test_the_table_names_only_states(kind: str, state: str) -> None:
    assert (BY_FACTS.get(kind, {}) | BY_TIME.get(kind, {})).get(state, state) in STATES


def test_people_cannot_do_what_is_over() -> None:
    assert after("acknowledged", "resolved") is None
    assert after("noted", "resolved") == "resolved"
    assert after("acknowledged", "snoozed") == "acknowledged"


def test_what_is_found_out_after_its_end_is_as_it_would_be_had_it_been_seen() -> None:
    late = finding(closed_at=later(9), resolution=Resolution.RECOVERED)
    [*_, (_, after)] = advance("t", [], [late], later(20), ladder=LADDER)

    assert after.escalation == 1
    assert advance("t", [after], [late], later(21), ladder=LADDER) == []


def test_what_had_ended_before_anybody_was_waited_for_was_never_carried_up() -> None:
    tale = Tale()
    assert tale.on(later(20)) == ["escalated"]

    assert tale.on(later(21), finding(closed_at=later(3), resolution=Resolution.RECOVERED)) == ["resolved"]
    assert (tale.alert.escalation, tale.roles) == (0, ["manager", "champion"])
