"""PostHog: every encoding, who is identified, and which of its events are a person's deeds."""

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from services.ingest.vendors.catalogue import VENDORS, kind_of
from services.ingest.vendors.shape import Delivery, MalformedError, Reply
from tests.ingest.deliveries import RECEIVED, delivery, source, taken, verified
from tests.ingest.vendors.samples_posthog import DEVICE, KEY, batch, form, of_browser, of_server, posted

POSTHOG = VENDORS["posthog"]
TIME_ORDERED = "0195f3a0-9999-7d2e-8f3a-4b5c6d7e8f90"
RANDOM = "0f3c9f0a-9999-4d2e-8f3a-4b5c6d7e8f90"


def told(*events: Any, **options: Any) -> list[dict[str, Any]]:
    found, bad = taken(source("posthog", KEY, **options), posted(batch(*events)))
    assert not bad
    return found


def greeted(path: str, method: str = "POST", body: bytes = b"{}") -> Reply | None:
    assert POSTHOG.greet is not None
    return POSTHOG.greet(None, delivery(body, method=method, path=path))


def test_a_captured_event_is_the_use_of_a_feature() -> None:
    [event] = told(of_server())

    assert event == {
        "specversion": "1.0",
        "tenant": "acme",
        "source": "/hooks/crm",
        "id": event["id"],
        "type": "crm.feature.used",
        "time": "2026-03-02T11:59:58.123456Z",
        "data": {
            "user": "u1",
            "feature": "deal saved",
            "origin": "unknown",
            "origin_confidence": "none",
            "environment": "production",
        },
    }


@pytest.mark.parametrize(
    "made",
    [
        posted(batch(of_browser()), "/e/", headers={"content-type": "text/plain"}),
        posted(form(of_browser()), "/e/", query=b"compression=base64"),
        posted(form([of_browser()]), "/e/"),
        posted([of_browser()], "/e/"),
        posted(of_browser(), "/capture/"),
        posted({"api_key": KEY, **of_browser()}, "/i/v0/e/"),
        posted({"batch": [of_browser()]}, "/i/v1/analytics/events", headers={"authorization": f"Bearer {KEY}"}),
    ],
    ids=["batch", "form", "form of an array", "array", "single", "single with api_key", "version 1"],
)
def test_every_encoding_gives_the_same_event(made: Delivery) -> None:
    origin = source("posthog", KEY)
    [event] = taken(origin, made)[0]

    assert verified(origin, made)
    assert [event] == told(of_browser())
    assert (event["data"]["user"], event["data"]["feature"], event["data"]["origin"]) == ("u1", "page", "ui")


@pytest.mark.parametrize(
    ("event", "properties", "counts"),
    [
        ("$pageview", {}, True),
        ("$screen", {}, True),
        ("$autocapture", {}, True),
        ("deal saved", {}, True),
        ("$pageleave", {}, False),
        ("$identify", {"$anon_distinct_id": DEVICE}, False),
        ("$groupidentify", {}, False),
        ("$set", {}, False),
        ("$feature_flag_called", {}, False),
        ("$web_vitals", {}, False),
        ("$create_alias", {}, False),
    ],
)
def test_of_posthogs_own_events_views_and_clicks_are_deeds(
    event: str, properties: dict[str, Any], *, counts: bool
) -> None:
    assert len(told(of_browser(event, properties))) == counts
    assert told(of_browser(event, properties), views_are_activity=False) == [] or event == "deal saved"


@pytest.mark.parametrize(
    ("properties", "counts"),
    [
        ({}, True),
        ({"$is_identified": False}, False),
        ({"distinct_id": DEVICE, "$is_identified": True}, False),
        ({"distinct_id": TIME_ORDERED, "$is_identified": None}, False),
        ({"distinct_id": TIME_ORDERED, "$is_identified": True}, True),
        ({"distinct_id": RANDOM, "$is_identified": None}, True),
        ({"distinct_id": RANDOM, "$is_identified": None, "$process_person_profile": False}, False),
        ({"distinct_id": "u1", "$is_identified": None, "$process_person_profile": False}, True),
        ({"distinct_id": TIME_ORDERED, "$is_identified": None, "$lib": "posthog-ios"}, False),
        ({"distinct_id": TIME_ORDERED, "$is_identified": None, "$lib": "posthog-python"}, True),
        ({"distinct_id": 7}, True),
    ],
)
def test_who_is_not_identified_is_nobody_and_leaves_no_letter(properties: dict[str, Any], *, counts: bool) -> None:
    assert len(told(of_browser("deal saved", properties))) == counts


def test_a_declared_name_is_a_login() -> None:
    events = told(of_server("Signed In"), of_server("opened", uuid="other"), login_events=["signed in"])

    assert [event["type"] for event in events] == ["crm.session.login", "crm.feature.used"]


@pytest.mark.parametrize(
    ("library", "place"),
    [
        ("web", ("ui", "inferred")),
        ("posthog-android", ("mobile", "inferred")),
        ("posthog-react-native", ("mobile", "inferred")),
        ("posthog-node", ("unknown", "none")),
        (7, ("unknown", "none")),
    ],
)
def test_the_origin_is_told_from_the_library(library: Any, place: tuple[str, str]) -> None:
    [event] = told(of_browser(properties={"$lib": library}))

    assert (event["data"]["origin"], event["data"]["origin_confidence"]) == place


def test_a_view_that_names_its_record_is_that_of_the_record() -> None:
    [event] = told(of_browser(properties={"object": "deal", "record": "d-7"}))

    assert event["type"] == "crm.record.viewed"
    assert (event["data"]["object"], event["data"]["record"]) == ("deal", "d-7")


def test_a_clock_that_is_wrong_is_corrected_unless_the_event_says_not_to() -> None:
    slow = {"sent_at": "2026-03-02T09:00:00Z", "timestamp": "2026-03-02T08:00:00Z"}
    ignoring = of_server(properties={"$ignore_sent_at": True}, timestamp=slow["timestamp"], uuid="b")
    body = batch(of_server(timestamp=slow["timestamp"]), ignoring, sent_at=slow["sent_at"])
    events = taken(source("posthog", KEY), posted(body))[0]

    assert [event["time"] for event in events] == ["2026-03-02T11:00:00Z", "2026-03-02T08:00:00Z"]


def test_version_1_says_in_a_header_when_it_was_sent() -> None:
    headers = {"authorization": f"Bearer {KEY}", "posthog-request-timestamp": "2026-03-02T09:00:00Z"}
    v1 = posted({"batch": [of_server(timestamp="2026-03-02T08:00:00Z")]}, "/i/v1/analytics/events", headers=headers)

    assert [event["time"] for event in taken(source("posthog", KEY), v1)[0]] == ["2026-03-02T11:00:00Z"]
    assert POSTHOG.accept is not None
    assert json.loads(POSTHOG.accept(v1).body) == {"results": {}}


def test_an_event_is_identified_by_its_uuid_and_else_by_all_that_is_in_it() -> None:
    first, again, other, bare, same = told(
        of_server(),
        of_server("x", uuid=of_server()["uuid"]),
        of_server(uuid="b"),
        of_server(uuid=None),
        of_server(uuid=None, api_key=KEY),
    )

    assert first["id"] == again["id"]
    assert len({first["id"], other["id"], bare["id"]}) == 3
    assert bare["id"] == same["id"]


def test_a_repeated_delivery_is_the_same_event_byte_by_byte() -> None:
    later = posted(batch(of_server(), sent_at="2026-03-02T12:00:30Z"), at=RECEIVED + timedelta(seconds=31))

    assert taken(source("posthog", KEY), later)[0] == told(of_server())


@pytest.mark.parametrize(
    ("item", "pointer"),
    [
        (None, ""),
        ([], ""),
        (of_server(event=None), "/event"),
        (of_server(event="y" * 129), "/event"),
        (of_server(distinct_id=None), "/distinct_id"),
        (of_server(distinct_id=""), "/distinct_id"),
        (of_server(distinct_id=[1]), "/distinct_id"),
        (of_server(timestamp="now and then, again"), "/timestamp"),
        (of_server(api_key="of-another-source"), "/api_key"),
        (of_browser(properties={"token": "of-another-source"}), "/properties/token"),
    ],
)
def test_a_bad_event_costs_itself_only_and_is_pointed_at(item: Any, pointer: str) -> None:
    events, bad = taken(source("posthog", KEY), posted(batch(of_server(), item)))

    assert len(events) == 1
    assert [each.pointer for each in bad] == [f"/batch/1{pointer}"]


@pytest.mark.parametrize("content", ["", "{}", "7", "data=", "data=%%%", "data=e30", "data=é", '{"batch":7}', b"\x00"])
def test_what_holds_no_events_is_malformed(content: str | bytes) -> None:
    with pytest.raises(MalformedError):
        taken(source("posthog", KEY), posted(content))


@pytest.mark.parametrize(
    "body",
    [
        batch(of_server()),
        {"token": KEY, **of_server()},
        [of_browser()],
        [{"api_key": KEY, **of_server()}],
        {"batch": [of_browser()]},
        of_browser(),
    ],
)
def test_the_key_is_found_wherever_a_library_puts_it(body: Any) -> None:
    assert verified(source("posthog", "older-key", KEY), posted(body))
    assert not verified(source("posthog", "another-key"), posted(body))


def test_without_a_key_nothing_opens() -> None:
    bare = of_server()

    assert not verified(source("posthog", KEY), posted({"batch": [bare]}))
    assert verified(source("posthog", KEY), posted({"batch": [bare]}, query=b"token=" + KEY.encode()))


@pytest.mark.parametrize("body", [json.dumps(batch(of_browser())).encode(), form(of_browser()), form([of_browser()])])
def test_a_letter_holds_no_key_and_can_be_read_again(body: bytes) -> None:
    assert POSTHOG.scrub is not None
    kept = POSTHOG.scrub(body)

    assert KEY.encode() not in kept
    again = msgspec.structs.replace(posted(body), body=kept)
    assert taken(source("posthog", KEY), again) == taken(source("posthog", KEY), posted(body))


def test_a_form_that_cannot_be_read_is_not_kept() -> None:
    assert POSTHOG.scrub is not None
    assert POSTHOG.scrub(b"data=%%%" + KEY.encode()) == b""


@pytest.mark.parametrize("path", ["/flags/", "/decide/", f"/array/{KEY}/config"])
def test_there_are_no_flags_and_no_remote_settings(path: str) -> None:
    for method in ("GET", "POST"):
        reply = greeted(path, method)
        assert reply is not None
        assert (reply.status, json.loads(reply.body)["flags"]) == (200, {})
    assert kind_of(path) == "posthog"


def test_there_is_no_script_to_load() -> None:
    reply = greeted(f"/array/{KEY}/config.js", "GET")

    assert reply is not None
    assert reply.status == 404


@pytest.mark.parametrize(
    "path", ["/batch/", "/batch", "/e/", "/i/v0/e/", "/capture/", "/track/", "/i/v1/analytics/events"]
)
def test_the_paths_of_all_libraries_are_known(path: str) -> None:
    assert kind_of(path) == "posthog"
    assert kind_of(path + "x") is None


def test_taken_is_exactly_200_with_a_status_and_refusals_have_a_detail() -> None:
    manners = POSTHOG.manners

    assert (manners.accepted.status, manners.accepted.body) == (200, b'{"status":1}')
    assert POSTHOG.accept is not None
    assert POSTHOG.accept(posted(batch(of_server()))) == manners.accepted
    for reply in (manners.unauthorized, manners.malformed, manners.limited, manners.overloaded, manners.too_large):
        assert json.loads(reply.body)["detail"]


def test_an_unreadable_body_is_malformed_rather_than_unauthorized() -> None:
    for body in (b"{", b"data=%%%"):
        reply = greeted("/e/", body=body)
        assert reply is not None
        assert reply.status == 400
    assert greeted("/e/") is None
    preflight = greeted("/e/", "OPTIONS")
    assert preflight is not None
    assert preflight.status == 204
