"""Salesforce Change Data Capture and login events: from what the relay posts to the events that managers count."""

import json
from base64 import b64encode
from typing import Any

import pytest

from services.ingest.vendors.catalogue import VENDORS
from services.ingest.vendors.salesforce import login_identity
from services.ingest.vendors.shape import MalformedError
from tests.ingest.deliveries import SECRET, delivery, source, taken, verified
from tests.ingest.vendors.samples_salesforce_cdc import (
    DEAL,
    LIGHTNING,
    MAYA,
    change,
    login,
    relayed,
    streamed,
    union,
)

ORIGIN = source("salesforce-cdc")


def read(body: Any, **options: Any) -> list[dict[str, Any]]:
    """Return the events of ``body``."""
    events, bad = taken(source("salesforce-cdc", **options), delivery(body))

    assert not bad
    return events


def test_a_change_on_the_screen_tells_who_changed_which_fields_when() -> None:
    payload = change(
        {"StageName": "Negotiation", "NextStep": "Call Grace", "LastModifiedDate": "x"},
        nulledFields=["Description"],
        changedFields=["StageName", "NextStep", "Description", "LastModifiedDate"],
    )

    [event] = read(relayed(payload))

    assert event["type"] == "crm.record.stage_changed"
    assert event["time"] == "2026-03-02T09:00:00Z"
    assert event["data"] == {
        "user": MAYA,
        "object": "opportunity",
        "record": DEAL,
        "stage": "Negotiation",
        "origin": "ui",
        "origin_confidence": "stated",
        "environment": "production",
        "fields": {"StageName": "filled", "NextStep": "filled", "Description": "empty"},
    }


def test_every_spelling_of_a_change_is_the_same_event() -> None:
    payload = change()
    spellings = [
        relayed(payload),
        {**relayed(payload), "detail": payload},
        streamed(payload),
        streamed(payload)["data"],
        payload,
        {"payload": payload},
        {"payload": {"eventId": "8f736b", "replayId": 14094, "event": payload}},
        {"replayId": 14094, "event": payload},
        [payload],
        {**union(change()), "Name": None, "Amount": None},
        change(commitTimestamp="1772442000000", sequenceNumber={"int": 1}, commitUser={"string": MAYA[:15]}),
    ]

    events = [event for body in spellings for event in read(body)]

    assert len(events) == len(spellings)
    assert all(event == events[0] for event in events)


def test_a_change_of_several_records_is_an_event_of_each() -> None:
    others = ["0065e00000ABcdFAAT", "0065e00000ABcdGAAT"]

    events = read(relayed(change(recordIds=[DEAL, *others])))

    assert [event["data"]["record"] for event in events] == [DEAL, *others]
    assert len({event["id"] for event in events}) == 3
    assert all(event["data"]["bulk"] for event in events)
    assert events[:1] == [{**read(relayed(change()))[0], "data": events[0]["data"]}]


@pytest.mark.parametrize(
    ("kind", "expected", "more"),
    [
        ("CREATE", "created", {"StageName": "filled"}),
        ("UPDATE", "stage_changed", {"StageName": "filled"}),
        ("UNDELETE", "updated", {"StageName": "filled"}),
        ("DELETE", "deleted", None),
        ("GAP_CREATE", "created", None),
        ("GAP_UPDATE", "updated", None),
        ("GAP_DELETE", "deleted", None),
        ("GAP_UNDELETE", "updated", None),
        ("GAP_OVERFLOW", "updated", None),
    ],
)
def test_changes_are_told_by_their_type(kind: str, expected: str, more: dict[str, str] | None) -> None:
    [event] = read(change(changeType=kind, recordIds=[DEAL]))

    assert (event["type"], event["data"].get("fields")) == (f"crm.record.{expected}", more)


def test_an_overflow_names_no_record() -> None:
    [event] = read(change({}, changeType="GAP_OVERFLOW", recordIds=["000000000000000AAA"]))

    assert "record" not in event["data"]
    assert event["data"]["bulk"] is True


@pytest.mark.parametrize(
    ("noun", "fields", "expected"),
    [
        ("Opportunity", {"StageName": "Won"}, ("stage_changed", "Won")),
        ("Case", {"Status": "Closed"}, ("stage_changed", "Closed")),
        ("Contract", {"Status": "Signed"}, ("stage_changed", "Signed")),
        ("Opportunity", {"Amount": 12}, ("updated", None)),
        ("Contract", {"Status": "x" * 65}, ("stage_changed", None)),
    ],
)
def test_a_stage_is_a_stage_by_whatever_name(noun: str, fields: dict[str, Any], expected: tuple[str, Any]) -> None:
    [event] = read(change(fields, entityName=noun))

    assert (event["type"].rpartition(".")[2], event["data"].get("stage")) == expected


@pytest.mark.parametrize(
    ("told", "origin", "confidence"),
    [
        (LIGHTNING, "ui", "stated"),
        ("com/salesforce/api/soap/60.0;client=SfdcInternalAPI", "ui", "stated"),
        ("com/salesforce/api/rest/60.0;client=sfdx toolbelt", "api", "stated"),
        ("com/salesforce/api/rest/60.0", "api", "stated"),
        ("com/salesforce/api/bulkapi/60.0;client=SfdcInternalAPI/", "import", "stated"),
        ("com/salesforce/api/bulkapi/60.0", "import", "stated"),
        ("com/salesforce/api/soap/60.0;client=DataLoaderPartnerUI/60.0.0", "import", "stated"),
        ("com/salesforce/api/soap/60.0;client=OurOwnScreen/1", "ui", "stated"),
        ("", "automation", "inferred"),
        (None, "automation", "inferred"),
        ("com/salesforce/api/<soap>/60.0", "unknown", "none"),
        ("anything", "unknown", "none"),
    ],
)
def test_people_are_told_from_software(told: object, origin: str, confidence: str) -> None:
    [event] = read(change(changeOrigin=told), ui_clients=["SfdcInternalAPI", "OurOwnScreen"])

    assert (event["data"]["origin"], event["data"]["origin_confidence"]) == (origin, confidence)


def test_a_declared_user_is_software_whatever_the_client() -> None:
    [event] = read(change(), software_users=[MAYA[:15]])

    assert event["data"]["origin"] == "automation"


def test_a_login_at_the_screen_is_one_by_its_user() -> None:
    [event] = read(relayed(login(), "LoginEventStream"))

    assert (event["type"], event["time"], event["data"]["user"]) == ("crm.session.login", "2026-03-02T08:15:30Z", MAYA)
    assert event["id"] == login_identity("0Ya5e00000Pq1zX") == login_identity("0Ya5e00000Pq1zXCAR")


def test_every_spelling_of_a_login_is_the_same_event() -> None:
    decoded = union(login(EventDate=None)) | {"EventDate": 1772439330000}
    bodies = [relayed(login(), "LoginEventStream"), streamed(login(), "/event/LoginEventStream"), login(), decoded]

    events = [event for body in bodies for event in read(body)]

    assert len(events) == 4
    assert all(event == events[0] for event in events)


@pytest.mark.parametrize(
    ("changes", "name", "expected"),
    [
        ({"LoginType": "Remote Access 2.0"}, "LoginEventStream", []),
        ({"LoginType": "Remote Access 2.0", "Status": "Failed: x"}, "LoginEventStream", []),
        ({"LoginType": "Other Apex API"}, "LoginEventStream", []),
        ({"Application": "Data Loader"}, "LoginEventStream", []),
        ({"LoginType": "SAML Sfdc Initiated SSO"}, "LoginEventStream", ["crm.session.login"]),
        ({"Status": "Failed: Computer activation required"}, "LoginEventStream", ["crm.session.login_failed"]),
        ({"Status": "Invalid Password"}, "LoginEventStream", ["crm.session.login_failed"]),
        ({"LoginHistoryId": None}, "LoginEventStream", ["crm.session.login"]),
        ({"LoginHistoryId": None, "EventIdentifier": None}, "LoginEventStream", []),
        ({"UserId": None}, "LoginEventStream", []),
        ({}, "LoginAsEventStream", []),
        ({"DelegatedUsername": "admin@acme.example"}, "", []),
        ({"LoginAsCategory": "OrgAdmin"}, "LoginEventStream", []),
        ({}, "LogoutEventStream", []),
    ],
)
def test_only_people_who_came_to_the_screen_have_logged_in(
    changes: dict[str, Any], name: str, expected: list[str]
) -> None:
    events = read(relayed(login(**changes), name), login_types=["Application", "SAML Sfdc Initiated SSO"])

    assert [event["type"] for event in events] == expected


def test_a_bad_message_costs_no_neighbour() -> None:
    bodies = [
        change(),
        {"Name": "neither"},
        change(changeType="INVENTED"),
        change(transactionKey=None),
        change(entityName=None),
        change(recordIds=[]),
        change(recordIds=DEAL),
        change(recordIds=[DEAL, None]),
        {"ChangeEventHeader": 7},
        change(sequenceNumber=2),
    ]

    events, bad = taken(ORIGIN, delivery(bodies))

    assert len(events) == 2
    assert [each.pointer for each in bad] == [f"/{place}" for place in range(1, 9)]


@pytest.mark.parametrize("junk", [None, 7, True, "x", [], {}, [[]], {"string": []}, 2**70])
def test_a_header_may_hold_anything(junk: Any) -> None:
    for name in change()["ChangeEventHeader"]:
        taken(ORIGIN, delivery(change(**{name: junk})))
    for name in login():
        taken(ORIGIN, delivery(login(**{name: junk})))


def test_a_change_that_would_be_copied_without_end_is_refused() -> None:
    ids = [f"0065e0000{n:09d}" for n in range(600)]
    wide = change(dict.fromkeys(map(str, range(500)), "x"), recordIds=ids)
    emptied = [change({}, recordIds=ids[:300], nulledFields=list(map(str, range(300)))) for _ in range(3)]

    for body in (wide, emptied):
        with pytest.raises(MalformedError, match="too many"):
            taken(ORIGIN, delivery(body))


def test_a_number_beyond_what_javascript_counts_is_kept_exactly() -> None:
    ids = {read(change(sequenceNumber=number))[0]["id"] for number in (2**53, 2**53 + 1)}

    assert len(ids) == 2
    assert read(change(commitNumber=2**63 + 1))


@pytest.mark.parametrize("body", [b"", b"7", b"null", b"[[]]", b"{", [1], [{}] * 2501, change(recordIds=[DEAL] * 2501)])
def test_what_is_no_message_is_refused(body: Any) -> None:
    with pytest.raises(MalformedError):
        taken(ORIGIN, delivery(body))


@pytest.mark.parametrize(
    ("proof", "good"),
    [
        ({"headers": {"x-api-key": SECRET}}, True),
        ({"headers": {"authorization": SECRET}}, True),
        ({"headers": {"authorization": f"Bearer {SECRET}"}}, True),
        ({"headers": {"authorization": f"bearer  {SECRET}"}}, True),
        ({"headers": {"authorization": f"Basic {SECRET}"}}, True),
        ({"headers": {"authorization": "Basic " + b64encode(SECRET.encode()).decode()}}, True),
        ({"headers": {"authorization": "Basic " + b64encode(f"{SECRET} ".encode()).decode()}}, False),
        ({"headers": {"authorization": "Basic %%%"}}, False),
        ({"headers": {"authorization": ""}}, False),
        ({"headers": {"x-api-key": SECRET[:-1] + "E"}}, False),
        ({"secret": SECRET}, True),
        ({"query": f"code={SECRET}".encode()}, False),
        ({}, False),
    ],
)
def test_the_secret_opens_by_header_or_path(proof: dict[str, Any], good: bool) -> None:  # noqa: FBT001
    assert verified(ORIGIN, delivery(change(), **proof)) is good


def test_event_bridge_is_answered_before_it_gives_up() -> None:
    manners = VENDORS["salesforce-cdc"].manners

    assert manners.seconds < 5
    assert (manners.accepted.status, manners.malformed.status, manners.overloaded.status) == (200, 400, 503)
    assert json.loads(manners.accepted.body) == {}
