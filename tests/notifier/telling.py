"""What tests on telling people are made of: alerts, companies and working hours with all but the point filled in."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from services.hearing.audience import Heard
from services.hearing.batches import Item
from services.hearing.hours import Hours
from services.hearing.shape import Alert, Company, Place, Told, What
from services.notifier.domain.shape import Sending

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
WEEKDAYS = frozenset({1, 2, 3, 4, 5})
HOUSE = Hours(zone=BERLIN, work_days=WEEKDAYS)


def alert(id: str = "a1", **given: Any) -> Alert:  # noqa: A002 - the column's name
    """Return an open, confirmed warning on the person ``ada``."""
    values: dict[str, Any] = {
        "rule": "user-not-connected-d2",
        "severity": "warning",
        "tier": "confirmed",
        "state": "open",
        "suppressed_by": None,
        "subject_kind": "user",
        "subject_key": "ada",
        "wave": "north",
        "title": "North: not connected two days after go-live",
        "opened_at": MONDAY - timedelta(hours=2),
        "resolved_at": None,
        "resolution": None,
        "evidence": {},
        "audience": [{"role": "manager"}],
        "action": "Call today.",
        "escalation": 0,
        "seq": 1,
    }
    return Alert(id=id, **{**values, **given})


def item(what: What = "opened", told: Told | None = None, role: str = "manager", **given: Any) -> Item:
    """Return what a manager is owed of an alert."""
    return Item(alert(**given), what, Heard("mia", role, named=True), told)


def company(**given: Any) -> Company:
    """Return a company in which ada reports to mia, mia to max, both of whom can be reached; mia leads team north."""
    people = {
        "ada": Place("mia", "north", "sales", reachable=True),
        "mia": Place("max", "north", "sales", reachable=True),
        "max": Place(None, None, None, reachable=True),
        "cleo": Place("mia", "north", "sales", reachable=True),
        "sam": Place(None, None, None, reachable=True),
    }
    values: dict[str, Any] = {"people": people, "leads": {"north": ["mia"]}, "functions": {"north": "sales"}}
    return Company(**{**values, **given})


def sending() -> Sending:
    """Return one attempt at a trial."""
    return Sending(
        delivery=1,
        tenant="acme",
        subscription="s",
        kind="email",
        options={},
        url=None,
        secrets=(),
        message="msg_0123",
        message_kind="notice",
        recipient="",
        alerts=(),
        body={"type": "subscription.test", "data": {"tenant": "acme", "subscription": "s"}},
        number=1,
        now=MONDAY,
    )
