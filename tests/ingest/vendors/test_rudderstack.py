"""RudderStack: Segment's calls with a stated channel, a configuration asked for first, and beacons."""

import json
from typing import Any

import pytest

from services.ingest.vendors.catalogue import VENDORS, kind_of
from tests.ingest.deliveries import delivery, source, taken, verified
from tests.ingest.vendors.samples_rudderstack import BASIC, BROWSER, KEY, posted, track

RUDDERSTACK = VENDORS["rudderstack"]
RUDDER = source("rudderstack", KEY)


def told(*items: Any) -> list[dict[str, Any]]:
    events, bad = taken(RUDDER, posted({"batch": items}))
    assert not bad
    return events


@pytest.mark.parametrize(
    ("channel", "place"),
    [("web", ("ui", "stated")), ("mobile", ("mobile", "stated")), ("server", ("unknown", "none"))],
)
def test_the_channel_states_where_it_was_done(channel: str, place: tuple[str, str]) -> None:
    [event] = told(track(channel=channel, context={"library": {"name": "rudder-sdk"}}))

    assert (event["data"]["origin"], event["data"]["origin_confidence"]) == place


def test_the_event_is_the_use_of_a_feature_and_traits_are_dropped() -> None:
    [event] = told(track())

    assert (event["type"], event["time"], event["data"]["user"]) == ("crm.feature.used", "2026-03-02T11:59:58Z", "u1")
    assert "grace@example.com" not in json.dumps(event)


def test_the_clock_is_told_from_the_header_when_no_call_says_when_it_was_sent() -> None:
    single = track(originalTimestamp="2026-03-02T06:00:00Z", sentAt=None)
    [event] = taken(RUDDER, posted(single, "/v1/track", {**BROWSER, "sentat": "2026-03-02T07:00:00Z"}))[0]

    assert event["time"] == "2026-03-02T11:00:00Z"


def test_anonymous_calls_are_left_out() -> None:
    assert told(track(userId=""), track(userId=None)) == []


def test_a_beacon_shows_its_key_in_the_address() -> None:
    beacon = posted({"batch": [track()]}, "/beacon/v1/batch", {}, query=f"writeKey={KEY}".encode())

    assert kind_of("/beacon/v1/batch") == "rudderstack"
    assert verified(RUDDER, beacon)
    assert len(taken(RUDDER, beacon)[0]) == 1
    assert not verified(RUDDER, posted({"batch": []}, "/beacon/v1/batch", {}, query=b"writeKey=wrong"))


@pytest.mark.parametrize(("headers", "query"), [(BASIC, b"p=npm&v=3.34.1"), ({}, b"writeKey=" + KEY.encode())])
def test_the_configuration_has_no_destinations_and_the_key_that_was_shown(
    headers: dict[str, str], query: bytes
) -> None:
    assert RUDDERSTACK.greet is not None
    reply = RUDDERSTACK.greet(RUDDER, delivery(method="GET", path="/sourceConfig", headers=headers, query=query))
    assert reply is not None
    configured = json.loads(reply.body)["source"]

    assert kind_of("/sourceConfig/") == kind_of("/sourceConfig") == "rudderstack"
    assert (configured["id"], configured["enabled"], configured["destinations"]) == ("crm", True, [])
    assert configured["writeKey"] == KEY
    assert isinstance(configured["config"], dict)


def test_the_servers_word_for_taken_is_ok() -> None:
    accepted = RUDDERSTACK.manners.accepted

    assert (accepted.status, accepted.body) == (200, b"OK")
    assert json.loads(RUDDERSTACK.manners.unauthorized.body)["code"] == "unauthorized"


def test_headers_of_the_browser_library_may_be_sent() -> None:
    assert RUDDERSTACK.greet is not None
    asked = {"access-control-request-headers": "anonymousid,authorization,content-type,rsa-retry-attempt,sentat"}
    reply = RUDDERSTACK.greet(None, delivery(method="OPTIONS", path="/v1/batch", headers=asked))
    assert reply is not None
    allowed = dict(reply.headers)[b"access-control-allow-headers"].decode().split(", ")

    assert set(asked["access-control-request-headers"].split(",")) <= set(allowed)
