"""Pipedrive: from its webhooks, new and old, to the events that managers count."""

from base64 import b64encode
from typing import Any

import pytest

from schemas.sources import Source
from services.ingest.vendors.catalogue import VENDORS
from services.ingest.vendors.shape import MalformedError
from tests.ingest.deliveries import delivery, source, taken, verified
from tests.ingest.vendors.samples_pipedrive import HEADERS, SECRET, deal, hook, meta, old, posted, user

ORIGIN = source("pipedrive", SECRET)
MAYA = "17658032"


def read(body: Any, origin: Source = ORIGIN) -> dict[str, Any]:
    """Return the one event of ``body``."""
    [event], bad = taken(origin, posted(body))

    assert not bad
    return event


def test_a_change_tells_who_changed_which_fields_when() -> None:
    previous = {"title": "old", "lost_reason": "too dear", "update_time": "x", "custom_fields": {"2f1a": None}}

    event = read(hook(previous))

    assert event["type"] == "crm.record.updated"
    assert event["time"] == "2026-03-02T09:00:00.123Z"
    assert event["data"] == {
        "user": MAYA,
        "object": "opportunity",
        "record": "42",
        "origin": "ui",
        "origin_confidence": "stated",
        "environment": "production",
        "fields": {"title": "filled", "lost_reason": "empty", "2f1a": "filled"},
    }


def test_a_new_deal_tells_of_all_its_fields() -> None:
    data = read(hook(None, deal(origin="Import"), action="create"))["data"]

    assert (data["stage"], data["owner"], data["close_date"]) == ("3", MAYA, "2026-04-30")
    assert (data["origin"], data["origin_confidence"]) == ("import", "inferred")
    assert data["fields"]["lost_reason"] == data["fields"]["9b3c"] == "empty"
    assert data["fields"]["2f1a"] == "filled"


def test_addresses_without_a_value_are_empty() -> None:
    person = {"id": 9, "email": [{"label": "work", "value": "", "primary": True}], "phone": [{"value": "555"}]}

    data = read(hook(None, person, action="create", entity="person", entity_id="9"))["data"]

    assert (data["object"], data["fields"]) == ("contact", {"email": "empty", "phone": "filled"})


@pytest.mark.parametrize(
    ("body", "kind", "more"),
    [
        pytest.param(hook({"stage_id": 2}), "stage_changed", {"stage": "3"}, id="a new stage is a change of stage"),
        pytest.param(hook({"stage_id": 3}), "updated", {}, id="the same stage is none"),
        pytest.param(hook(None), "updated", {}, id="a change that tells of no field is a change"),
        pytest.param(hook({"title": "x"}, is_bulk_edit=True), "updated", {"bulk": True}, id="a bulk edit is one"),
        pytest.param(
            hook({"title": "x"}, change_source="api"), "updated", {"origin": "api"}, id="the API is no person"
        ),
        pytest.param(
            hook({"title": "x"}, type="application"), "updated", {"origin": "api"}, id="nor is an application"
        ),
        pytest.param(
            hook({"title": "x"}, change_source=None),
            "updated",
            {"origin": "unknown"},
            id="without a source it is unknown",
        ),
        pytest.param(hook(deal(), action="delete") | {"data": None}, "deleted", {"record": "42"}, id="deleted"),
        pytest.param(hook(None, action="delete", merged_to_id=43), "merged", {}, id="merged into another"),
        pytest.param(hook(None, merged_from_id="41"), "merged", {}, id="merged from another"),
        pytest.param(
            hook(None, {"id": 5, "done": False}, action="create", entity="activity", entity_id="5"),
            "created",
            {"object": "activity", "record": "5"},
            id="a planned activity is created",
        ),
        pytest.param(
            hook({"done": False}, {"id": 5, "done": True}, entity="activity", entity_id="5"),
            "stage_changed",
            {"object": "activity", "stage": "done"},
            id="an activity that is done has moved on",
        ),
        pytest.param(
            hook({"done": 1}, {"id": 5, "done": 0}, entity="activity", entity_id="5"),
            "stage_changed",
            {"stage": "open"},
            id="an activity that was opened again has moved back",
        ),
        pytest.param(old(), "stage_changed", {"stage": "3", "user": MAYA}, id="v1: a new stage"),
        pytest.param(old("added"), "created", {"record": "42"}, id="v1: added"),
        pytest.param(old("merged"), "merged", {}, id="v1: merged"),
        pytest.param(old("deleted") | {"current": None}, "deleted", {}, id="v1: deleted"),
        pytest.param(old(is_bulk_update=True), "stage_changed", {"bulk": True}, id="v1: in bulk"),
    ],
)
def test_webhooks_are_told_by_what_happened(body: Any, kind: str, more: dict[str, Any]) -> None:
    event = read(body)

    assert event["type"] == f"crm.record.{kind}"
    assert more.items() <= event["data"].items()


@pytest.mark.parametrize(
    ("given", "time"),
    [
        ("2026-03-02T09:00:00.123Z", "2026-03-02T09:00:00.123Z"),
        (1772442000, "2026-03-02T09:00:00Z"),
        ("1772442000", "2026-03-02T09:00:00Z"),
        (1772442000123, "2026-03-02T09:00:00.123Z"),
        ("2026-03-02 09:00:00", "2026-03-02T09:00:00Z"),
        (None, None),
        ({}, None),
        (True, None),
        (2**70, None),
    ],
)
def test_times_come_as_text_and_as_numbers(given: Any, time: str | None) -> None:
    assert read(hook(None, timestamp=given)).get("time") == time


def test_a_delivery_that_is_tried_again_is_the_same_event() -> None:
    again = hook({"title": "x"}, attempt=3)

    assert read(again)["id"] == read(hook({"title": "x"}))["id"]
    assert read(hook({"title": "x"}, id="another"))["id"] != read(again)["id"]
    assert read(old() | {"retry": 2}) == read(old())
    assert read(old(timestamp_micro=1772442000123457))["id"] != read(old())["id"]


def test_changes_of_a_user_have_no_id_of_their_own() -> None:
    ids = {
        read(body)["id"]
        for body in (
            user({"last_login": "2026-03-01 08:00:00"}),
            user({"last_login": "2026-03-01 08:00:00"}, attempt=2),
            user({"last_login": "2026-03-01 08:00:00"}, timestamp=1772439332),
            user({"last_login": "2026-03-01 08:00:00"}, webhook_id="2"),
        )
    }

    assert len(ids) == 3


@pytest.mark.parametrize("before", ["2026-03-01 08:00:00", None, "", "2026-03-02 08:15:29"])
def test_a_user_whose_last_login_is_newer_has_logged_in(before: Any) -> None:
    for body in (user({"last_login": before}), user({"last_login": before}, user_id=None)):
        event = read(body)

        assert (event["type"], event["time"]) == ("crm.session.login", "2026-03-02T08:15:30Z")
        assert (event["data"]["user"], event["data"]["email"]) == ("17658033", "maya@acme.example")


def test_users_in_an_array_are_found_by_their_id() -> None:
    body = user({})
    body["data"] = [{"id": 1, "last_login": "2026-03-02 11:00:00"}, body["data"]]
    body["previous"] = [{"id": 17658033, "last_login": "2026-03-01 11:00:00"}]

    assert read(body)["time"] == "2026-03-02T08:15:30Z"


@pytest.mark.parametrize(
    ("previous", "changes"),
    [
        ({"name": "May"}, {}),
        ({"last_login": "2026-03-02 08:15:30"}, {}),
        ({"last_login": "2026-03-02 09:15:30"}, {}),
        ({"last_login": "2026-03-01 08:00:00"}, {"user_id": MAYA}),
        ({"last_login": "2026-03-01 08:00:00"}, {"action": "create"}),
        ({"modified": "2026-03-02 08:15:30"}, {}),
    ],
)
def test_other_changes_of_a_user_are_the_work_of_who_made_them(previous: Any, changes: dict[str, Any]) -> None:
    event = read(user(previous, **changes))

    assert event["type"] in ("crm.record.updated", "crm.record.created")
    assert event["data"]["user"] == changes.get("user_id", "17658033")


def test_another_company_is_a_dead_letter() -> None:
    origin = source("pipedrive", SECRET, company="11846390")

    assert read(hook(), origin) == read(hook(company_id=11846390), origin)
    assert taken(origin, posted(hook(company_id="7")))[1][0].pointer == "/meta/company_id"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", {"meta": []}, {"meta": meta(action="x")}, {"meta": meta(entity=None)}, b'{"meta": {"action"'],
)
def test_what_pipedrive_does_not_send_is_refused(body: Any) -> None:
    with pytest.raises(MalformedError):
        taken(ORIGIN, posted(body))


@pytest.mark.parametrize("junk", [None, 0, "x", [], [[]], [7], {}, {"custom_fields": 7}, True])
def test_data_may_be_anything(junk: Any) -> None:
    for action in ("create", "change", "delete"):
        read({"meta": meta(action=action), "data": junk, "previous": junk})
        taken(
            ORIGIN, posted({"meta": meta(action=action, entity="user"), "data": junk, "previous": {"last_login": junk}})
        )


def _basic(credentials: str) -> dict[str, str]:
    return {"authorization": "Basic " + b64encode(credentials.encode()).decode()}


@pytest.mark.parametrize(
    ("headers", "good"),
    [
        (HEADERS, True),
        (_basic(SECRET[:-1] + "E"), False),
        (_basic("uptake:"), False),
        (_basic(SECRET.partition(":")[2]), False),
        ({"authorization": SECRET}, False),
        ({"authorization": f"Bearer {SECRET}"}, False),
        ({"authorization": HEADERS["authorization"] + "!"}, False),
        ({}, False),
    ],
)
def test_only_user_and_password_open(headers: dict[str, str], good: bool) -> None:  # noqa: FBT001
    assert verified(ORIGIN, delivery(hook(), headers=headers)) is good
    assert verified(source("pipedrive", "old:one", SECRET), delivery(hook(), headers=headers)) is good


def test_pipedrive_is_never_given_a_reason_to_ban_us() -> None:
    manners = VENDORS["pipedrive"].manners

    assert (manners.accepted.status, manners.malformed.status, manners.unauthorized.status) == (200, 200, 401)
    assert manners.never_retries
    assert manners.seconds <= 5
