"""Segment: which calls are a person's deeds, when they were done, and how browsers and servers are answered."""

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.ingest.vendors.catalogue import VENDORS, kind_of
from services.ingest.vendors.shape import MalformedError, Reply
from tests.ingest.deliveries import RECEIVED, delivery, source, taken, verified
from tests.ingest.vendors.samples_segment import BASIC, KEY, PHONE, PYTHON, WEB, batch, posted, track

SEGMENT = VENDORS["segment"]


def told(*items: Any, path: str = "/v1/batch", sent: dict[str, Any] | None = None, **options: Any) -> Any:
    events, bad = taken(source("segment", KEY, **options), posted(batch(*items, **(sent or {})), path))
    assert not bad
    return events


def greeted(method: str, path: str, headers: dict[str, str] | None = None, *, key: str = KEY, **options: Any) -> Reply:
    assert SEGMENT.greet is not None
    asked = delivery(method=method, path=path, headers=headers or {}, url=path)
    reply = SEGMENT.greet(source("segment", key, **options) if key else None, asked)
    assert reply is not None
    return reply


def test_a_tracked_event_is_the_use_of_a_feature_by_who_is_identified() -> None:
    [event] = told(track())

    assert event == {
        "specversion": "1.0",
        "tenant": "acme",
        "source": "/hooks/crm",
        "id": event["id"],
        "type": "crm.feature.used",
        "time": "2026-03-02T11:59:58Z",
        "data": {
            "user": "u1",
            "feature": "Deal Saved",
            "origin": "ui",
            "origin_confidence": "inferred",
            "environment": "production",
        },
    }


@pytest.mark.parametrize("name", ["CRM Login", "signed in", " LOGIN ", "Logged In"])
def test_a_declared_name_is_a_login_however_it_is_spelled(name: str) -> None:
    assert [event["type"] for event in told(track(name))] == ["crm.session.login"]
    assert [event["type"] for event in told(track(name), login_events=["Opened"])] == ["crm.feature.used"]


def test_what_an_application_does_by_itself_is_left_out() -> None:
    assert told(track("application backgrounded")) == []
    assert told(track("Nightly Sync"), ignored_events=["nightly sync"]) == []


@pytest.mark.parametrize("kind", ["page", "screen"])
def test_a_view_is_activity_unless_it_is_declared_not_to_be(kind: str) -> None:
    view = track(type=kind, name="Grace's deal", event=None)
    [event] = told(view)

    assert (event["type"], event["data"]["feature"]) == ("crm.feature.used", kind)
    assert "Grace" not in json.dumps(event)
    assert told(view, views_are_activity=False) == []


def test_a_view_that_names_its_record_is_that_of_the_record() -> None:
    [event] = told(track(type="page", properties={"object": "deal", "record": 7}, event=None))

    assert event["type"] == "crm.record.viewed"
    assert (event["data"]["object"], event["data"]["record"]) == ("deal", "7")


@pytest.mark.parametrize("kind", ["identify", "group", "alias"])
def test_what_is_said_about_people_is_no_deed(kind: str) -> None:
    assert told(track(type=kind, traits={"email": "grace@example.com"}, event=None)) == []


def test_who_is_not_identified_is_nobody_and_leaves_no_letter() -> None:
    assert told(track(userId=None), track(userId=""), track(userId=" ")) == []


def test_a_user_id_that_is_an_address_is_an_email_and_a_number_is_a_key() -> None:
    events = told(track(userId="ann@example.com"), track(userId=7, messageId="other"))

    assert [event["data"]["user"] for event in events] == ["ann@example.com", "7"]
    assert [event["data"].get("email") for event in events] == ["ann@example.com", None]


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"context": WEB}, ("ui", "inferred")),
        ({"context": PHONE}, ("mobile", "inferred")),
        ({"context": {"device": {"type": "android"}}}, ("mobile", "inferred")),
        ({"context": {"os": {"name": "iOS"}}}, ("mobile", "inferred")),
        ({"context": {"library": {"name": "analytics-kotlin"}}}, ("mobile", "inferred")),
        ({"context": {**WEB, "device": {"type": "ios"}}}, ("ui", "inferred")),
        ({"context": {"page": {}}}, ("ui", "inferred")),
        ({"context": PYTHON}, ("unknown", "none")),
        ({"context": {**PYTHON, "os": {"name": "Linux"}}}, ("unknown", "none")),
        ({"context": None}, ("unknown", "none")),
        ({"context": PYTHON, "channel": "mobile"}, ("mobile", "stated")),
        ({"context": PYTHON, "channel": "server"}, ("unknown", "none")),
        ({"context": {"library": "x", "device": [], "os": 1, "page": "x"}}, ("unknown", "none")),
    ],
)
def test_the_origin_is_told_from_the_context(changes: dict[str, Any], place: tuple[str, str]) -> None:
    [event] = told(track(**changes))

    assert (event["data"]["origin"], event["data"]["origin_confidence"]) == place


@pytest.mark.parametrize(
    ("behind", "time"),
    [
        (timedelta(seconds=59), "2026-03-02T09:00:00Z"),
        (timedelta(seconds=-59), "2026-03-02T09:00:00Z"),
        (timedelta(seconds=61), "2026-03-02T09:01:00Z"),
        (timedelta(hours=3, seconds=20), "2026-03-02T12:00:00Z"),
        (timedelta(hours=-3, seconds=-20), "2026-03-02T06:00:00Z"),
        (timedelta(days=3650), "2036-02-28T09:00:00Z"),
    ],
)
def test_a_clock_that_is_wrong_by_a_minute_or_more_is_corrected_by_whole_minutes(behind: timedelta, time: str) -> None:
    at = RECEIVED + max(behind, timedelta())
    late = posted(batch(track(timestamp="2026-03-02T09:00:00Z", sentAt=(at - behind).isoformat())), at=at)
    [event] = taken(source("segment", KEY), late)[0]

    assert event["time"] == time


def test_a_repeated_delivery_is_the_same_event_byte_by_byte() -> None:
    origin = source("segment", KEY)
    [first] = taken(origin, posted(batch(track(sentAt=None), sentAt="2026-03-02T12:00:00Z")))[0]
    again = posted(batch(track(sentAt=None), sentAt="2026-03-02T12:00:20Z"), at=RECEIVED + timedelta(seconds=25))

    assert taken(origin, again)[0] == [first]


def test_the_time_is_that_of_the_call_then_that_of_the_library_and_else_that_of_arrival() -> None:
    both = track(timestamp="2026-03-01T09:00:00Z", originalTimestamp="2026-03-02T11:59:00Z")
    original = track(timestamp=None, originalTimestamp="2026-03-02T11:59:00+01:00", messageId="b")
    neither = track(timestamp=None, messageId="c")
    times = [event.get("time") for event in told(both, original, neither)]

    assert times == ["2026-03-01T09:00:00Z", "2026-03-02T10:59:00Z", None]


def test_what_has_been_through_a_collector_has_its_clock_set_already() -> None:
    [event] = told(track(sentAt="2026-03-02T08:00:00Z", receivedAt="2026-03-02T11:59:59Z"))

    assert event["time"] == "2026-03-02T11:59:58Z"


def test_a_message_is_identified_by_its_id_alone() -> None:
    first, again, other = told(track(), track("Other"), track(messageId="other"))

    assert first["id"] == again["id"] != other["id"]


def test_calls_without_an_id_are_the_same_when_all_in_them_is_and_without_a_time_within_a_minute() -> None:
    origin = source("segment", KEY)
    timed, untimed = track(messageId=None), track(messageId=None, timestamp=None)
    ids = []
    for seconds in (0, 30, 90):
        at = RECEIVED + timedelta(seconds=seconds)
        ids.append([event["id"] for event in taken(origin, posted(batch(timed, untimed), at=at))[0]])

    assert len({timed for timed, _ in ids}) == 1
    assert ids[0] == ids[1]
    assert ids[0][1] != ids[2][1]


@pytest.mark.parametrize(
    ("item", "pointer"),
    [
        (None, ""),
        ("track", ""),
        (track(type="trick"), "/type"),
        (track(type=None), "/type"),
        (track(event=None), "/event"),
        (track(event=7), "/event"),
        (track(event=" "), "/event"),
        (track(event="x" * 129), "/event"),
        (track(userId=None, anonymousId=None), "/userId"),
        (track(userId=True, anonymousId=None), "/userId"),
        (track(timestamp="yesterday, in the evening"), "/timestamp"),
        (track(timestamp=1772452798000), "/timestamp"),
        (track(writeKey="of-another-source"), "/writeKey"),
    ],
)
def test_a_bad_call_costs_itself_only_and_is_pointed_at(item: Any, pointer: str) -> None:
    events, bad = taken(source("segment", KEY), posted(batch(track(), item)))

    assert len(events) == 1
    assert [each.pointer for each in bad] == [f"/batch/1{pointer}"]


@pytest.mark.parametrize(
    "path", ["track", "t", "page", "p", "screen", "s", "identify", "i", "group", "g", "alias", "a"]
)
def test_a_single_call_is_that_of_its_path(path: str) -> None:
    events, bad = taken(source("segment", KEY), posted(track(type=None), f"/v1/{path}"))

    assert not bad
    assert len(events) == (path in {"track", "t", "page", "p", "screen", "s"})
    assert kind_of(f"/v1/{path}") == "segment"


@pytest.mark.parametrize("content", ["", "[]", "7", "{}", '{"batch":{}}', '{"batch":[', b"\xff"])
def test_what_is_no_batch_is_malformed(content: str | bytes) -> None:
    with pytest.raises(MalformedError):
        taken(source("segment", KEY), posted(content))


def test_a_flood_of_calls_is_malformed() -> None:
    with pytest.raises(MalformedError):
        taken(source("segment", KEY), posted(batch(*[1] * 2501)))


def test_the_key_stands_in_basic_in_the_body_or_in_its_first_call() -> None:
    origin = source("segment", "older-key", KEY)
    item, bare = track(), track(writeKey=None)

    assert verified(origin, posted(batch(bare, writeKey=None)))
    assert verified(origin, posted(batch(bare), headers={}))
    assert verified(origin, posted(batch(item, writeKey=None), headers={}))
    assert verified(origin, posted(item, "/v1/t", {"content-type": "text/plain"}))
    assert not verified(origin, posted(batch(bare, writeKey=None), headers={}))
    assert not verified(origin, posted(batch(item, writeKey="wrong"), headers={}))
    for wrong in (b"wrong:", b":", b"", KEY.upper().encode() + b":"):
        wrong_basic = {"authorization": f"Basic {b64encode(wrong).decode()}"}
        assert not verified(origin, posted(batch(bare, writeKey=None), headers=wrong_basic))


def test_a_letter_holds_no_key() -> None:
    assert SEGMENT.scrub is not None
    kept = SEGMENT.scrub(json.dumps(batch(track(properties={"writeKey": KEY}))).encode())

    assert KEY.encode() not in kept
    assert json.loads(kept)["batch"][0]["event"] == "Deal Saved"
    assert SEGMENT.scrub(b"{") == b"{"


def test_the_answers_are_those_that_the_libraries_read() -> None:
    manners = SEGMENT.manners
    refusals = (manners.unauthorized, manners.malformed, manners.overloaded, manners.limited, manners.too_large)

    assert (manners.accepted.status, json.loads(manners.accepted.body)) == (200, {"success": True})
    assert [reply.status for reply in refusals] == [401, 400, 429, 429, 413]
    assert all(json.loads(reply.body).keys() == {"code", "message"} for reply in refusals)
    for reply in (manners.accepted, *refusals):
        headers = dict(reply.headers)
        assert headers[b"access-control-allow-origin"] == b"*"
        assert b"access-control-allow-credentials" not in headers
    assert dict(manners.limited.headers)[b"retry-after"].isdigit()


def test_a_browser_may_send_what_the_libraries_send_and_nothing_else() -> None:
    asked = "Authorization, content-type, X-Retry-Count, rsa-first-attempt, x-evil, rsa-\r\nset-cookie"
    reply = greeted("OPTIONS", "/v1/t", {"access-control-request-headers": asked}, key="")
    headers = dict(reply.headers)
    allowed = headers[b"access-control-allow-headers"].decode().split(", ")

    assert (reply.status, headers[b"access-control-allow-origin"]) == (204, b"*")
    assert {"authorization", "content-type", "anonymousid", "sentat", "x-retry-count", "rsa-first-attempt"} <= {
        *allowed
    }
    assert not {name for name in allowed if "evil" in name or "cookie" in name}
    assert b"access-control-allow-credentials" not in headers


@pytest.mark.parametrize(
    ("headers", "options", "base"),
    [
        ({"host": "in.example.com"}, {}, "https://in.example.com/v1"),
        ({"host": "127.0.0.1:8081"}, {}, "http://127.0.0.1:8081/v1"),
        ({"host": "in.example.com", "x-forwarded-proto": "http"}, {}, "http://in.example.com/v1"),
        (
            {"host": "evil.example"},
            {"public_url": "https://in.example.com/uptake/"},
            "https://in.example.com/uptake/v1",
        ),
        ({"host": 'x"/><script>'}, {}, "https:///v1"),
    ],
)
def test_the_settings_send_a_browser_here_and_nowhere_else(
    headers: dict[str, str], options: dict[str, Any], base: str
) -> None:
    reply = greeted("GET", f"/v1/projects/{KEY}/settings", headers, **options)
    told = json.loads(reply.body)["integrations"]

    assert reply.status == 200
    assert told.keys() == {"Segment.io"}
    assert told["Segment.io"]["apiKey"] == KEY
    assert f"{told['Segment.io']['protocol']}://{told['Segment.io']['apiHost']}" == base
    assert kind_of(f"/v1/projects/{KEY}/settings") == "segment"


def test_without_its_key_nobody_is_told_settings() -> None:
    assert SEGMENT.greet is not None
    asked = delivery(method="GET", path="/v1/projects/wrong/settings")

    assert SEGMENT.greet(source("segment", KEY), asked) is None
    assert SEGMENT.greet(None, asked) is None


def test_an_unreadable_body_without_a_key_is_malformed_rather_than_unauthorized() -> None:
    assert greeted("POST", "/v1/b", key="").status == 400


def test_a_deed_of_the_far_future_is_refused_by_its_time() -> None:
    far = track(timestamp="9999-12-31T23:59:59Z", sentAt="1990-01-01T00:00:00Z")
    events, bad = taken(source("segment", KEY), posted(batch(far)))

    assert events == []
    assert [each.pointer for each in bad] == ["/0/time"]


def test_a_body_is_read_once_for_key_proof_and_events() -> None:
    made = posted(batch(track()), headers={})
    assert SEGMENT.key_of is not None
    SEGMENT.key_of(made)
    kept = made.__dict__["document"]
    assert verified(source("segment", KEY), made)
    taken(source("segment", KEY), made)

    assert made.__dict__["document"] is kept
    assert "document" not in msgspec.structs.replace(made, body=b"{}").__dict__


def test_the_clock_of_a_sender_never_makes_the_reader_stumble() -> None:
    for sent in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "not an instant at all"):
        at = datetime(2026, 3, 2, 12, tzinfo=UTC)
        taken(source("segment", KEY), posted(batch(track(sentAt=sent)), at=at, headers=BASIC))
