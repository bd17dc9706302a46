"""Odoo: from the notifications of its automation rules to the events that managers count."""

from datetime import timedelta
from typing import Any

import pytest

from schemas.sources import Source
from services.ingest.vendors.catalogue import VENDORS
from services.ingest.vendors.shape import MalformedError
from tests.ingest.deliveries import RECEIVED, SECRET, delivery, source, taken, verified
from tests.ingest.vendors.samples_odoo import lead, login


def read(body: Any, path: str = "lead-save/save", origin: Source | None = None, **options: Any) -> dict[str, Any]:
    """Return the one event of ``body``."""
    [event], bad = taken(origin or source("odoo"), delivery(body, path=path, secret=SECRET, **options))

    assert not bad
    return event


def test_a_saved_lead_tells_who_changed_it_when_and_how_it_stands() -> None:
    event = read(lead(partner_name="Smith & Sons", phone=False, tag_ids=[3], activity_ids=[], active=True))

    assert event["type"] == "crm.record.updated"
    assert event["time"] == "2026-03-02T09:00:00.123456Z"
    assert event["data"] == {
        "user": "14",
        "object": "opportunity",
        "record": "7",
        "stage": "3",
        "origin": "unknown",
        "origin_confidence": "none",
        "environment": "production",
        "fields": {
            "stage_id": "filled",
            "partner_name": "filled",
            "phone": "empty",
            "tag_ids": "filled",
            "activity_ids": "empty",
            "active": "filled",
        },
    }


@pytest.mark.parametrize(
    ("path", "changes", "kind", "user", "time"),
    [
        ("r/save", {"write_date": "2026-03-02 08:15:30"}, "created", "12", "2026-03-02T08:15:30Z"),
        ("r/save", {}, "updated", "14", "2026-03-02T09:00:00.123456Z"),
        ("save", {}, "updated", "14", "2026-03-02T09:00:00.123456Z"),
        ("r", {"write_date": "2026-03-02 08:15:30"}, "created", "12", "2026-03-02T08:15:30Z"),
        ("r/create", {}, "created", "12", "2026-03-02T08:15:30Z"),
        ("r/write", {"write_date": "2026-03-02 08:15:30"}, "updated", "14", "2026-03-02T08:15:30Z"),
        ("r/stage", {}, "stage_changed", "14", "2026-03-02T09:00:00.123456Z"),
        ("r/unlink", {}, "deleted", None, None),
        ("r/write", {"write_uid": None, "write_date": None}, "updated", None, None),
        ("r/create", {"create_uid": False, "write_uid": [15, "Maya"]}, "created", "15", "2026-03-02T08:15:30Z"),
    ],
)
def test_the_address_says_what_happened(
    path: str, changes: dict[str, Any], kind: str, user: str | None, time: str | None
) -> None:
    event = read(lead(**changes), path)

    assert (event["type"], event["data"].get("user"), event.get("time")) == (f"crm.record.{kind}", user, time)


def test_one_save_that_comes_twice_is_one_event_and_the_next_is_another() -> None:
    again = read(lead(), at=RECEIVED + timedelta(hours=3))

    assert read(lead())["id"] == again["id"]
    assert len({read(body)["id"] for body in (lead(), lead(write_date="2026-03-02 09:00:01"), lead(_id=8))}) == 3
    assert read(lead())["id"] != read(lead(), "other-rule/save")["id"]


def test_without_its_time_the_same_body_within_a_minute_is_one_event() -> None:
    bare = lead(write_date=None, create_date=None)
    times = [RECEIVED, RECEIVED + timedelta(seconds=59), RECEIVED + timedelta(seconds=60)]

    first, same, later = (read(bare, at=at)["id"] for at in times)

    assert first == same != later


@pytest.mark.parametrize(
    ("record", "known"),
    [("NewId_0x7f3a5c", None), ("NewId_7", "7"), (9007199254740993, "9007199254740993"), ("7", "7")],
)
def test_records_that_are_not_saved_have_no_id(record: Any, known: str | None) -> None:
    event = read(lead(_id=record, _action=f"Preview(#{record})"))

    assert event["data"].get("record") == known


@pytest.mark.parametrize("action", [None, "no number", "two\nlines(#1)", 7, "(#)"])
def test_the_action_may_be_anything(action: Any) -> None:
    assert read(lead(_action=action), "")["type"] == "crm.record.updated"


def test_a_row_of_the_log_of_logins_is_a_login() -> None:
    event = read(login(), "logins/login")

    assert (event["type"], event["data"]["user"], event["time"]) == (
        "crm.session.login",
        "12",
        "2026-03-02T08:15:30.5Z",
    )
    assert read(login(), "whatever")["type"] == "crm.session.login"


def test_a_rule_on_the_users_themselves_tells_whose_row_it_is() -> None:
    row = login(_model="res.users", _id=14, create_uid=1, login_date="2026-03-02 08:15:30", create_date=None)

    event = read(row, "logins/login")

    assert (event["data"]["user"], event["time"]) == ("14", "2026-03-02T08:15:30Z")


def test_a_login_of_nobody_is_shown_to_the_operator() -> None:
    events, [bad] = taken(source("odoo"), delivery(login(create_uid=None), path="logins/login"))

    assert (events, bad.pointer) == ([], "/create_uid")


@pytest.mark.parametrize("path", ["logins/login", "r/save"])
def test_odoobot_and_declared_users_are_software(path: str) -> None:
    body = login if path == "logins/login" else lead
    origin = source("odoo", software_users=["1", "99"])

    for user, expected in ((1, "automation"), (99, "automation"), (12, "unknown")):
        assert read(body(create_uid=user, write_uid=user), path, origin)["data"]["origin"] == expected


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"7", b"\xff\xfe", {"_id": 7}, {"_model": "x"}, {"_model": 7, "_id": 7}, {"_id": True}]
)
def test_what_odoo_does_not_send_is_refused(body: Any) -> None:
    with pytest.raises(MalformedError):
        taken(source("odoo"), delivery(body))


def test_only_the_whole_secret_opens() -> None:
    shown = [SECRET, SECRET[:-1] + "E", SECRET[:-1], SECRET + "x", "", None]

    assert [verified(source("odoo"), delivery({}, secret=each)) for each in shown] == [True, *[False] * 5]


def test_odoo_waits_a_second_and_is_never_told_to_come_again() -> None:
    manners = VENDORS["odoo"].manners

    assert (manners.never_retries, manners.seconds) == (True, 0.3)
    assert (manners.accepted.status, manners.unauthorized.status, manners.malformed.status) == (200, 401, 400)
