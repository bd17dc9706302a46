"""Alerts: findings with a life, and the law that order and timing of arrival leave no trace in it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.aggregator.domain.alerts import Alert, alert_id
from services.aggregator.domain.findings import Finding, Recipient, Resolution, Severity, Subject, Tier
from services.aggregator.domain.life import advance
from services.aggregator.domain.waves import Wave
from tests.aggregator.world import MONDAY, Book, World, crew, later, users

D2 = "user-not-connected-d2 north-00"
D3 = "user-never-logged-in-d3 north-00"
OPENED = later(2, 12)


def finding(**fields: Any) -> Finding:
    standard: dict[str, Any] = {
        "family": "f",
        "rule": "r",
        "rule_version": 1,
        "severity": Severity.WARNING,
        "tier": Tier.SUSPECTED,
        "wave": "w",
        "subject": Subject("team", "North"),
        "start": MONDAY,
        "title": "t",
        "opened_at": OPENED,
        "closed_at": None,
        "resolution": None,
        "window": {"from": MONDAY},
        "evidence": {"num": 1, "den": 2, "value": Fraction(1, 2)},
        "audience": (Recipient("manager", "boss"), Recipient("champion")),
        "action": "a",
    }
    return Finding(**(standard | fields))


def play(*steps: tuple[float, Sequence[Finding]]) -> list[tuple[float, str]]:
    """Advance by each (day, findings); return (day, kind) of what happened."""
    book, happened = Book(), []
    for day, findings in steps:
        happened += [(day, line.split()[0]) for line in book.advance(findings, later(day))]
    return happened


CLOSED = finding(closed_at=later(5), resolution=Resolution.RECOVERED)


def test_a_lasting_finding_opens_once_and_resolves_once() -> None:
    assert play((3, [finding()]), (4, [finding()]), (5, [CLOSED]), (6, [CLOSED])) == [(3, "opened"), (5, "resolved")]


def test_an_episode_seen_only_after_its_end_is_opened_and_resolved() -> None:
    assert play((9, [CLOSED])) == [(9, "opened"), (9, "resolved")]


def test_what_the_facts_no_longer_show_is_restated() -> None:
    book = Book()
    book.advance([finding()], later(3))
    book.advance([], later(4))

    [alert] = book.alerts.values()
    assert (alert.state, alert.resolution, alert.resolved_at) == ("resolved", "restated", later(4))
    assert book.advance([], later(5)) == []


def test_what_the_facts_show_again_is_reopened() -> None:
    assert play((3, [finding()]), (4, []), (5, [finding()]))[-1] == (5, "reopened")


def test_a_resolved_alert_that_was_never_true_changes_its_reason_only() -> None:
    book = Book()
    book.advance([CLOSED], later(6))
    book.advance([], later(8))

    [alert] = book.alerts.values()
    assert (alert.resolution, alert.resolved_at, book.history[-1].kind) == ("restated", later(5), "restated")


@pytest.mark.parametrize(
    ("after", "kind"),
    [
        pytest.param(finding(tier=Tier.CONFIRMED), "raised", id="suspected becomes confirmed"),
        pytest.param(finding(severity=Severity.CRITICAL, rule="louder"), "raised", id="a louder rule of the family"),
        pytest.param(finding(severity=Severity.INFO), "updated", id="a quieter one"),
        pytest.param(finding(evidence={"num": 2}), "updated", id="other evidence"),
    ],
)
def test_a_change_has_its_kind(after: Finding, kind: str) -> None:
    assert play((3, [finding()]), (4, [after])) == [(3, "opened"), (4, kind)]


@pytest.mark.parametrize("state", ["acknowledged", "snoozed"])
def test_what_a_person_decided_is_kept_until_the_end(state: str) -> None:
    book = Book()
    book.advance([finding()], later(3))
    [alert] = book.alerts.values()
    book.alerts[alert.fingerprint] = replace(alert, state=state)

    assert book.advance([finding()], later(4)) == []
    book.advance([finding(evidence={"num": 2})], later(5))
    assert [alert.state for alert in book.alerts.values()] == [state]
    book.advance([CLOSED], later(6))
    assert [alert.state for alert in book.alerts.values()] == ["resolved"]


def test_what_a_person_resolved_stays_resolved() -> None:
    book = Book()
    book.advance([finding()], later(3))
    [alert] = book.alerts.values()
    book.alerts[alert.fingerprint] = replace(alert, state="resolved", resolution="known and accepted")

    assert book.advance([finding(tier=Tier.CONFIRMED)], later(4)) == []
    assert book.advance([], later(5)) == []


def test_a_suppressed_alert_points_at_the_alert_that_speaks_for_it() -> None:
    parent = finding()
    child = finding(start=MONDAY + timedelta(days=7), suppressed_by=parent.fingerprint)
    book = Book()
    book.advance([parent, child], later(9))

    assert book.alerts[child.fingerprint].suppressed_by == book.alerts[parent.fingerprint].id


def test_ids_are_stable_and_differ_by_tenant() -> None:
    assert alert_id("acme", "x") == alert_id("acme", "x") != alert_id("other", "x")
    assert len(alert_id("acme", "x")) == 20


def test_the_life_of_a_person_alert() -> None:
    world, book, lines = World(crew(1)), Book(), []
    for day in (1, 2, 3, 4, 5):
        lines += [(day, line) for line in book.advance(world.judge(later(day, 13)), later(day, 13))]
    world.visit(["north-00"], later(6))
    lines += [(6, line) for line in book.advance(world.judge(later(6, 13)), later(6, 13))]

    assert lines == [(2, f"opened {D2}"), (4, f"raised {D3}"), (6, f"resolved {D3}")]


def test_a_late_delivery_withdraws_the_alert_it_disproves() -> None:
    world, book = World(crew(1)), Book()
    book.advance(world.judge(later(5)), later(5))
    world.visit(["north-00"], later(1))

    assert book.advance(world.judge(later(6)), later(6)) == [f"resolved {D3}"]
    assert [alert.resolution for alert in book.alerts.values()] == ["restated"]


def test_a_wave_recovers_step_by_step() -> None:
    world, book, lines = World(crew(10)), Book(), []
    for day in range(12):
        world.visit(users(world.members)[: max(0, day - 1)], later(day))
        for line in book.advance(world.judge(later(day + 1, 0)), later(day + 1, 0)):
            kind, rule, _ = line.split()
            lines += [(day, f"{kind} {rule}")] if rule.startswith("wave") and kind != "updated" else []

    assert lines == [
        (1, "opened wave-connection-d1-below-target"),
        (3, "resolved wave-connection-d1-below-target"),
        (3, "opened wave-connection-d3-emergency"),
        (5, "opened wave-connection-d5-below-target"),
        (9, "resolved wave-connection-d3-emergency"),
        (10, "resolved wave-connection-d5-below-target"),
    ]


# ------------------------------------------------------------------ the law

Visit = tuple[int, datetime]
PEOPLE = [*crew(7), *crew(5, "South", licensed_to=MONDAY + timedelta(days=40))]
WAVES = (Wave("all", "All", MONDAY), Wave("south", "South", MONDAY + timedelta(days=5), teams=("South",)))
FINAL = later(120)

visits = st.lists(
    st.tuples(st.integers(0, len(PEOPLE) - 1), st.integers(-24, 60 * 24).map(lambda hour: later(0, hour))), max_size=120
)


def outcome(alerts: Mapping[str, Alert]) -> dict[str, Alert]:
    """Return the alerts less what tells of the way: those withdrawn, the time of the last change, their count."""
    return {
        fingerprint: replace(alert, updated_at=FINAL, revision=0, loud_since=None)
        for fingerprint, alert in alerts.items()
        if alert.resolution != "restated"
    }


def told_at_once(everything: Sequence[Visit]) -> dict[str, Alert]:
    world, book = World(PEOPLE, WAVES), Book()
    for person, instant in everything:
        world.visit([PEOPLE[person].user], instant)
    book.advance(world.judge(FINAL), FINAL)
    return outcome(book.alerts)


@settings(max_examples=80)
@given(everything=visits, data=st.data())
def test_order_and_timing_of_arrival_leave_no_trace(everything: list[Visit], data: st.DataObject) -> None:
    arriving = data.draw(st.permutations(everything))
    pauses = data.draw(st.lists(st.integers(1, 25), max_size=8))
    world, book, now, place = World(PEOPLE, WAVES), Book(), later(0), 0
    for pause in pauses:
        for person, instant in arriving[place : place + pause]:
            world.visit([PEOPLE[person].user], instant)
        place, now = place + pause, now + timedelta(days=pause)
        book.advance(world.judge(now), now)
        assert book.advance(world.judge(now), now) == []
    for person, instant in arriving[place:]:
        world.visit([PEOPLE[person].user], instant)
    book.advance(world.judge(FINAL), FINAL)

    assert outcome(book.alerts) == told_at_once(everything)


@settings(max_examples=40)
@given(everything=visits, days=st.sets(st.integers(0, 110)))
def test_every_history_is_a_lawful_life(everything: list[Visit], days: set[int]) -> None:
    world, book = World(PEOPLE, WAVES), Book()
    for person, instant in everything:
        world.visit([PEOPLE[person].user], instant)
    for day in sorted(days):
        book.advance(world.judge(later(day)), later(day))

    lives: dict[str, list[str]] = {}
    for kind, alert in book.history:
        assert alert.revision == len(lives.setdefault(alert.id, []))
        lives[alert.id].append(kind)
    for kinds in lives.values():
        assert kinds[0] == "opened"
        assert kinds.count("opened") == 1
        assert "restated" not in kinds
        assert "resolved" not in kinds[:-1]


def test_findings_come_in_no_order() -> None:
    findings = [finding(start=MONDAY + timedelta(days=n)) for n in range(5)]

    assert advance("t", [], findings, later(9)) == advance("t", [], findings[::-1], later(9))


def test_dates_and_fractions_are_plain_json_in_an_alert() -> None:
    [change] = advance("t", [], [finding(evidence={"value": Fraction(1, 3), "on": date(2026, 3, 2)})], later(9))

    assert change.alert.evidence == {"value": 1 / 3, "on": "2026-03-02"}
    assert change.alert.audience == [{"role": "manager", "person": "boss"}, {"role": "champion"}]
