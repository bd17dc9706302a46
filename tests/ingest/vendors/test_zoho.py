"""Zoho CRM: from the notifications of its watch API to the events that managers count."""

import json
from typing import Any

import pytest

from services.ingest.vendors.catalogue import VENDORS
from services.ingest.vendors.shape import MalformedError
from tests.ingest.deliveries import SECRET, delivery, source, taken, verified
from tests.ingest.vendors.samples_zoho import MAYA, ONE, TWO, notification

ORIGIN = source("zoho")


def read(body: Any) -> list[dict[str, Any]]:
    """Return the events of ``body``."""
    events, bad = taken(ORIGIN, delivery(body))

    assert not bad
    return events


def test_a_notification_tells_who_changed_which_fields_when() -> None:
    values = {
        "Modified_By": MAYA,
        "Deal_Name": "Smith & Sons",
        "Next_Step": None,
        "Owner": {"id": TWO, "name": "Grace"},
    }

    [event] = read(notification("update", values))

    assert event["type"] == "crm.record.updated"
    assert event["time"] == "2026-03-02T09:00:00.123Z"
    assert event["data"] == {
        "user": MAYA["id"],
        "email": MAYA["email"],
        "object": "opportunity",
        "record": ONE,
        "owner": TWO,
        "origin": "unknown",
        "origin_confidence": "none",
        "environment": "production",
        "fields": {"Deal_Name": "filled", "Next_Step": "empty", "Owner": "filled"},
    }


@pytest.mark.parametrize(
    ("body", "kind", "more"),
    [
        (notification("insert", {"Created_By": MAYA, "Stage": "New"}), "created", {"user": MAYA["id"], "stage": "New"}),
        (notification("update", {"Stage": "Won"}), "stage_changed", {"stage": "Won"}),
        (notification("update", {}, affected_fields=[{ONE: ["Stage"]}]), "stage_changed", {}),
        (notification("update", {}, affected_fields=[{TWO: ["Stage"]}]), "updated", {}),
        (notification("UPDATE", {"Modified_By": ONE}), "updated", {"user": ONE}),
        (notification("delete", {"Stage": "Won"}), "deleted", {}),
        (notification("insert", {}, module="Calls"), "created", {"object": "activity"}),
        (notification("insert", {}, module={"api_name": "Leads", "id": "1"}), "created", {"object": "lead"}),
        (notification("insert", {}, ids=[int(ONE)]), "created", {"record": ONE}),
        (notification("insert", {}, ids=[2**53 + 1]), "created", {"record": "9007199254740993"}),
    ],
)
def test_operations_are_told_by_what_they_do(body: Any, kind: str, more: dict[str, Any]) -> None:
    [event] = read(body)

    assert event["type"] == f"crm.record.{kind}"
    assert more.items() <= event["data"].items()


def test_a_notification_of_many_records_is_an_event_of_each() -> None:
    values = [{"record_id": ONE, "values": {"Stage": "Won"}}, {"record_id": int(TWO), "values": {"Phone": ""}}]

    events = read(notification(ids=[ONE, TWO], affected_values=values, affected_fields=[]))

    assert [(event["data"]["record"], event["data"]["fields"]) for event in events] == [
        (ONE, {"Stage": "filled"}),
        (TWO, {"Phone": "empty"}),
    ]
    assert len({event["id"] for event in events}) == 2
    assert all(event["data"]["bulk"] for event in events)


def test_a_record_that_is_named_twice_is_one_event() -> None:
    assert read(notification(ids=[ONE, ONE, int(ONE)])) == [
        {**event, "data": {**event["data"], "bulk": True}} for event in read(notification())
    ]


def test_a_notification_that_comes_twice_is_one_event() -> None:
    bodies = [
        notification(),
        notification(channel_id=1105420521, server_time="1772442000123"),
        notification(server_time=1772442000124),
        notification(channel_id="2"),
        notification("insert"),
        notification(module="Leads"),
    ]

    assert len({event["id"] for body in bodies for event in read(body)}) == 5


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        (notification("invented"), ["/operation"]),
        (notification(None), ["/operation"]),
        (notification(ids=[ONE, None, "", {}]), ["/ids/1", "/ids/2", "/ids/3"]),
        (notification(server_time=99999999999999), ["/0/time"]),
    ],
)
def test_what_is_no_event_is_shown_to_the_operator(body: Any, pointers: list[str]) -> None:
    assert [each.pointer for each in taken(ORIGIN, delivery(body))[1]] == pointers


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        notification(ids=[]),
        notification(ids=None),
        notification(module=7),
        notification(ids=[1] * 2501),
    ],
)
def test_what_zoho_does_not_send_is_refused(body: Any) -> None:
    with pytest.raises(MalformedError):
        taken(ORIGIN, delivery(body))


@pytest.mark.parametrize(
    "junk", [None, 0, "x", [], [[]], [7], {}, [{}], [{"record_id": [], "values": 7}], [{ONE: 7}], True]
)
def test_values_may_be_anything(junk: Any) -> None:
    read(notification(affected_values=junk, affected_fields=junk, query_params=junk, server_time=None, channel_id=junk))
    read(notification("update", {"Modified_By": junk}))


@pytest.mark.parametrize(
    ("token", "good"),
    [
        (SECRET, True),
        (SECRET[:-1] + "E", False),
        (SECRET + " ", False),
        ("", False),
        (None, False),
        ([SECRET], False),
        (0, False),
        (True, False),
    ],
)
def test_only_the_token_of_the_channel_opens(token: Any, good: bool) -> None:  # noqa: FBT001
    assert verified(ORIGIN, delivery(notification(token=token))) is good
    assert not verified(ORIGIN, delivery(notification(token=token), secret=SECRET)) or good


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"token": "' + SECRET.encode()])
def test_a_body_that_cannot_be_read_proves_nothing(body: bytes) -> None:
    assert not verified(ORIGIN, delivery(body, secret=SECRET))


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(notification()),
        json.dumps(notification()).replace('"token"', '"\\u0074oken"'),
        json.dumps(notification(token='quo"te' + SECRET))[:-1],
        '{"token" : "' + SECRET,
    ],
)
def test_the_token_is_never_kept(body: str) -> None:
    scrub = VENDORS["zoho"].scrub
    assert scrub is not None

    assert SECRET.encode() not in scrub(body.encode())


def test_nothing_is_left_to_zoho_to_send_again() -> None:
    manners = VENDORS["zoho"].manners

    assert (manners.accepted.status, manners.malformed.status, manners.unauthorized.status) == (200, 400, 401)
    assert manners.never_retries
