"""Which finding speaks for which, for how long, and who is told all the same."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from services.aggregator.domain.findings import Finding, Recipient, Resolution, Severity, Subject, Tier
from services.aggregator.domain.rules.inhibition import inhibit
from services.rules.grammar import PREDICATES, SIGNAL_NAMES
from services.rules.pack import DEFAULT
from services.rules.shape import Rule
from tests.aggregator.world import MONDAY, later

TENANT, NORTH = Subject("tenant", "all"), Subject("team", "North")
DROP, TARGET, LAGGING = "adoption-drop-vs-week1", "adoption-below-phase-target", "team-lagging"
QUALITY, STALE, SILENT = "data-quality-superficial", "stale-close-dates", "source-silent"
END = later(100)


def finding(
    rule: str, subject: Subject = NORTH, opened: float = 14, closed: float | None = None, **more: Any
) -> Finding:
    known: dict[str, Any] = {
        "family": DEFAULT[rule].family,
        "rule": rule,
        "rule_version": 1,
        "severity": Severity.WARNING,
        "tier": Tier.CONFIRMED,
        "wave": "w",
        "subject": subject,
        "start": MONDAY,
        "title": "",
        "opened_at": later(opened),
        "closed_at": None if closed is None else later(closed),
        "resolution": None if closed is None else Resolution.RECOVERED,
        "window": {},
        "evidence": {},
        "audience": tuple(Recipient(role) for role in DEFAULT[rule].audience),
        "action": "",
    }
    return Finding(**{**known, **more})


def suppressed(parent: Finding, child: Finding, now: datetime = END, rules: Mapping[str, Rule] = DEFAULT) -> bool:
    _, after = inhibit([parent, child], rules, now)
    assert after.suppressed_by in {None, parent.fingerprint}
    return after.suppressed_by is not None


@pytest.mark.parametrize(
    ("parent", "child", "speaks"),
    [
        pytest.param(finding(QUALITY), finding(STALE), True, id="of the same team"),
        pytest.param(finding(QUALITY), finding(STALE, Subject("team", "South")), False, id="of another team"),
        pytest.param(finding(STALE), finding(QUALITY), False, id="not the other way round"),
        pytest.param(finding(DROP), finding(TARGET), True, id="a confirmed drop for the missed target"),
        pytest.param(finding(DROP, tier=Tier.SUSPECTED), finding(TARGET), False, id="a suspected one does not"),
        pytest.param(
            finding("wave-connection-d3-emergency", Subject("wave", "w")), finding(DROP), True, id="of the same wave"
        ),
        pytest.param(
            finding("wave-connection-d3-emergency", Subject("wave", "v"), wave="v"), finding(DROP), False, id="another"
        ),
        pytest.param(
            finding(DROP),
            finding("user-lapsed", Subject("user", "ann"), evidence={"team": "North"}),
            True,
            id="the team for its people",
        ),
        pytest.param(
            finding("adoption-drop-trailing"),
            finding("user-lapsed", Subject("user", "ann"), evidence={"team": "North"}),
            True,
            id="and later on, too",
        ),
        pytest.param(
            finding(DROP),
            finding("user-lapsed", Subject("user", "ann"), evidence={"team": "South"}),
            False,
            id="not for others",
        ),
        pytest.param(finding(SILENT, TENANT, wave=None), finding(STALE), True, id="a silent source for what follows"),
        pytest.param(finding(SILENT, TENANT, 20, wave=None), finding(STALE), False, id="not for what was there before"),
        pytest.param(finding("directory-stale", TENANT), finding(STALE), True, id="an old directory for shares"),
        pytest.param(
            finding("directory-stale", TENANT),
            finding("one-and-done-user", Subject("user", "a")),
            False,
            id="not for people",
        ),
    ],
)
def test_who_speaks_for_whom(parent: Finding, child: Finding, *, speaks: bool) -> None:
    assert suppressed(parent, child) is speaks


def test_when_the_parent_ends_the_child_is_told_after_one_more_window() -> None:
    parent, child = finding(QUALITY, closed=30), finding(STALE, opened=14)

    assert suppressed(parent, child, later(29))
    assert suppressed(parent, child, later(34.9))
    assert not suppressed(parent, child, later(35))
    assert not suppressed(parent, finding(STALE, opened=31), later(32)), "it began when the parent was over"
    assert [each.raised_at for each in inhibit([parent, child], DEFAULT, END)] == [None, later(35)]


def test_what_ended_keeps_who_spoke_for_it_then() -> None:
    child = finding(STALE, opened=14, closed=20)

    assert suppressed(finding(QUALITY, closed=40), child)
    assert not suppressed(finding(QUALITY, opened=21), child)


def told(child: Finding) -> set[str]:
    return {heard.role for heard in child.audience}


@pytest.mark.parametrize(
    ("rule", "lost", "roles"),
    [
        pytest.param(DROP, 5, {"team_lead"}, id="a small part of the loss: only its own leader is told"),
        pytest.param(DROP, 6, {"team_lead", "crm_owner"}, id="most of the loss: it speaks for itself"),
        pytest.param(LAGGING, 0, {"team_lead"}, id="what follows from the tenant's drop"),
    ],
)
def test_the_tenants_drop_takes_the_copies_of_those_above(rule: str, lost: int, roles: set[str]) -> None:
    whole = finding(DROP, TENANT, evidence={"net_loss": 10})
    team = finding(rule, evidence={"net_loss": lost})
    _, after = inhibit([whole, team], DEFAULT, END)
    _, unsure = inhibit([replace(whole, tier=Tier.SUSPECTED), team], DEFAULT, END)

    assert (told(after), after.suppressed_by) == (roles, None)
    assert told(unsure) == {"team_lead", "crm_owner"}


def test_nothing_speaks_for_itself_and_nothing_is_lost() -> None:
    listed = [finding(rule, opened=n) for n, rule in enumerate(DEFAULT)]
    after = inhibit(listed, DEFAULT, END)

    assert [each.fingerprint for each in after] == [each.fingerprint for each in listed]
    assert all(each.suppressed_by != each.fingerprint for each in after)
    assert inhibit(listed[::-1], DEFAULT, END) == after[::-1]


def test_every_title_can_be_told() -> None:
    for rule in DEFAULT.values():
        names = PREDICATES[rule.predicate].names or SIGNAL_NAMES.get(str(rule.params.get("signal")), ())
        assert rule.title.format(**dict.fromkeys(names, 1))
