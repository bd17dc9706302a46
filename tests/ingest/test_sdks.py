"""The senders' own libraries against a running ingest: told a host and a key, and nothing else.

Each is asked twice: the library itself whether it has succeeded, and the log what is on it.
"""

import gzip
import json
import os
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import posthog
import pytest
import rudderstack.analytics.client
import segment.analytics.client
from cloudevents.v1.conversion import to_binary, to_structured
from cloudevents.v1.http import CloudEvent
from posthog.capture_mode import CaptureMode
from standardwebhooks.webhooks import Webhook

from services.embedded import Broker
from tests.ingest import npm
from tests.ingest.deliveries import KEY
from tests.ingest.service import Ingest, on_the_log
from tests.ingest.vendors import samples_posthog, samples_rudderstack, samples_segment

PRIVATE = "quite private"
POSTHOG, RUDDER, SEGMENT = samples_posthog.KEY, samples_rudderstack.KEY, samples_segment.KEY


@pytest.fixture
def person() -> str:
    """Somebody whom no other test speaks of."""
    return f"person-{uuid.uuid4().hex[:8]}"


async def done_by(broker: Broker, person: str, *, at_least: int) -> list[tuple[str, str | None, str]]:
    """Return what is on the log of ``person``, sorted: type, feature and source. Nothing private is there."""
    records = await on_the_log(broker.address, at_least=at_least, containing=person.encode())
    assert PRIVATE.encode() not in b"".join(record.value for record in records)
    events: list[dict[str, Any]] = [json.loads(record.value) for record in records]
    assert all(abs(datetime.fromisoformat(it["time"]) - datetime.now(UTC)).total_seconds() < 3600 for it in events)
    return sorted((it["type"], it["data"].get("feature"), it["source"]) for it in events)


@pytest.mark.parametrize("mode", [CaptureMode.V0, CaptureMode.V1])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
async def test_posthogs_python_library_succeeds(
    house: Ingest, house_broker: Broker, person: str, mode: CaptureMode, *, packed: bool
) -> None:
    failed: list[Exception] = []
    client = posthog.Posthog(
        POSTHOG, host=house.url, on_error=lambda error, _: failed.append(error), gzip=packed, capture_mode=mode
    )
    client.capture("Signed In", distinct_id=person, properties={"title": PRIVATE})
    client.set(distinct_id=person, properties={"email": PRIVATE})
    client.capture("Deal Saved", distinct_id=person)
    client.capture("Deal Saved", properties={"of": "nobody"})
    flags = client.evaluate_flags(person)
    client.shutdown()

    assert failed == []
    assert flags.keys == []
    assert await done_by(house_broker, person, at_least=2) == [
        ("crm.feature.used", "Deal Saved", "/hooks/posthog-web"),
        ("crm.session.login", None, "/hooks/posthog-web"),
    ]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
async def test_segments_python_library_succeeds(
    house: Ingest, house_broker: Broker, person: str, *, packed: bool
) -> None:
    failed: list[Exception] = []
    client = segment.analytics.client.Client(
        SEGMENT, host=house.url, on_error=lambda error, _: failed.append(error), gzip=packed, max_retries=0
    )
    client.identify(person, {"email": PRIVATE})
    client.track(person, "Signed In", {"title": PRIVATE})
    client.page(person, name=PRIVATE)
    client.group(person, "team", {"name": PRIVATE})
    client.shutdown()

    assert failed == []
    assert await done_by(house_broker, person, at_least=2) == [
        ("crm.feature.used", "page", "/hooks/segment-web"),
        ("crm.session.login", None, "/hooks/segment-web"),
    ]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
async def test_rudderstacks_python_library_succeeds(
    house: Ingest, house_broker: Broker, person: str, *, packed: bool
) -> None:
    failed: list[Exception] = []
    client = rudderstack.analytics.client.Client(
        RUDDER, host=house.url, on_error=lambda error, _: failed.append(error), gzip=packed, max_retries=0
    )
    client.identify(person, {"email": PRIVATE})
    client.track(person, "Signed In", {"title": PRIVATE})
    client.screen(person, name=PRIVATE)
    client.join()
    client.flush()

    assert failed == []
    assert await done_by(house_broker, person, at_least=2) == [
        ("crm.feature.used", "screen", "/hooks/rudder-web"),
        ("crm.session.login", None, "/hooks/rudder-web"),
    ]


def test_libraries_with_a_wrong_key_are_told_so_in_words_that_they_read(house: Ingest) -> None:
    told: list[Exception] = []

    def note(error: Exception, _: object) -> None:
        told.append(error)

    for client in (
        segment.analytics.client.Client("wrong-key", host=house.url, on_error=note),
        rudderstack.analytics.client.Client("wrong-key", host=house.url, on_error=note),
    ):
        client.track("u1", "Signed In")
        client.flush()
        client.join()
    client = posthog.Posthog("wrong-key", host=house.url, on_error=note)
    client.capture("Signed In", distinct_id="u1")
    client.shutdown()

    assert [getattr(error, "status", None) for error in told] == [401, 401, 401]
    assert all("not that of a source" in str(error) for error in told)


@pytest.mark.parametrize("convert", [to_structured, to_binary])
async def test_the_cloudevents_library_succeeds_in_both_modes(
    house: Ingest, house_broker: Broker, person: str, convert: Any
) -> None:
    event = CloudEvent(
        {"type": "crm.record.updated", "source": "/crm/sdk", "id": person},
        {"user": person, "object": "deal", "fields": {"title": PRIVATE}},
    )
    headers, body = convert(event)
    answer = house.post(body, headers={"content-type": "application/json", **headers})

    assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "rejected": []})
    assert await done_by(house_broker, person, at_least=1) == [("crm.record.updated", None, "/crm/sdk")]


async def test_the_standard_webhooks_library_signs_what_is_taken(
    house: Ingest, house_broker: Broker, person: str
) -> None:
    at = datetime.now(UTC)
    data = {"user": person, "object": "deal", "fields": {"title": PRIVATE}}
    body = json.dumps({"type": "crm.record.updated", "timestamp": at.isoformat(), "data": data})
    headers = {
        "webhook-id": f"msg_{person}",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(KEY).sign(f"msg_{person}", at, body),
    }

    assert house.deliver("signed-tool", body.encode(), headers=headers).status_code == 202
    assert await done_by(house_broker, person, at_least=1) == [("crm.record.updated", None, "/hooks/signed-tool")]


def _say(house: Ingest, script: str) -> Any:
    """Return what the libraries from npm say in ``script``, each of which has sent."""
    keys = {"posthog": POSTHOG, "segment": SEGMENT, "rudderstack": RUDDER, "standardwebhooks": KEY}
    done = subprocess.run(
        ["node", npm.HERE / script, house.url, json.dumps(keys)],
        env={"PATH": os.environ["PATH"], "SDK_MODULES": str(npm.modules())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def sent(house: Ingest) -> Any:
    return _say(house, "send.mjs")


@pytest.fixture(scope="module")
def browsed(house: Ingest) -> Any:
    return _say(house, "browse.mjs")


def login(source: str) -> tuple[str, str | None, str]:
    return "crm.session.login", None, f"/hooks/{source}"


def used(feature: str, source: str) -> tuple[str, str | None, str]:
    return "crm.feature.used", feature, f"/hooks/{source}"


@pytest.mark.npm
@pytest.mark.parametrize(
    ("library", "success", "person", "events"),
    [
        (
            "posthog",
            {"flushed": 3, "errors": [], "flags": {}},
            "node-posthog",
            [used("Deal Saved", "posthog-web"), login("posthog-web")],
        ),
        (
            "segment",
            {"delivered": 3, "errors": []},
            "node-segment",
            [used("page", "segment-web"), login("segment-web")],
        ),
        ("rudderstack", {"delivered": 2, "errors": []}, "node-rudder", [login("rudder-web")]),
        (
            "standardwebhooks",
            {"status": 202, "errors": []},
            "node-webhook",
            [("crm.record.updated", None, "/hooks/signed-tool")],
        ),
    ],
    ids=["posthog-node", "@segment/analytics-node", "@rudderstack/rudder-sdk-node", "standardwebhooks"],
)
async def test_the_libraries_for_servers_from_npm_succeed(
    sent: dict[str, Any],
    house_broker: Broker,
    library: str,
    success: dict[str, Any],
    person: str,
    events: list[tuple[str, str | None, str]],
) -> None:
    assert sent[library] == success
    assert await done_by(house_broker, person, at_least=len(events)) == events


@pytest.mark.npm
@pytest.mark.parametrize(
    ("library", "answers", "person", "events"),
    [
        (
            "posthog",
            [f"GET /array/{POSTHOG}/config 200", "POST /e/ 200", "POST /e/ 200", "POST /flags/ 200"],
            "browser-posthog",
            [used("page", "posthog-web"), login("posthog-web")],
        ),
        (
            "segment",
            [
                f"GET /v1/projects/{SEGMENT}/settings 200",
                *("POST /v1/i 200", "POST /v1/p 200", "POST /v1/p 200", "POST /v1/t 200"),
            ],
            "browser-segment",
            [used("page", "segment-web"), login("segment-web")],
        ),
        (
            "rudderstack",
            ["GET /sourceConfig/ 200", "POST /v1/identify 200", "POST /v1/page 200", "POST /v1/track 200"],
            "browser-rudder",
            [login("rudder-web")],
        ),
    ],
    ids=["posthog-js", "@segment/analytics-next", "@rudderstack/analytics-js"],
)
async def test_the_libraries_for_browsers_succeed_from_a_page_of_another_origin(
    browsed: dict[str, Any],
    house_broker: Broker,
    library: str,
    answers: list[str],
    person: str,
    events: list[tuple[str, str | None, str]],
) -> None:
    assert browsed[library] == answers
    assert await done_by(house_broker, person, at_least=len(events)) == events


# ---------------------------------------------------------------- what no library does here


def test_a_key_opens_its_own_kind_of_source_only_and_stands_in_no_log(house: Ingest) -> None:
    posthog_event = samples_posthog.of_server()
    segment_call = samples_segment.track(writeKey=None)
    answers = [
        httpx.post(f"{house.url}{path}", json=body, auth=auth).status_code
        for path, body, auth in (
            ("/v1/track", segment_call, (SEGMENT, "")),
            ("/v1/track", segment_call, (POSTHOG, "")),
            ("/v1/track", segment_call, ("unknown", "")),
            ("/v1/track", segment_call, None),
            ("/i/v0/e/", {"api_key": POSTHOG, **posthog_event}, None),
            ("/i/v0/e/", {"api_key": SEGMENT, **posthog_event}, None),
            ("/i/v0/e/", posthog_event, None),
        )
    ]

    assert answers == [200, 401, 401, 401, 200, 401, 401]
    assert not any(key in house.log for key in (SEGMENT, POSTHOG, RUDDER))


def test_answers_are_in_the_words_of_each_kind_and_any_page_may_read_them(house: Ingest) -> None:
    packed = gzip.compress(json.dumps(samples_posthog.batch(samples_posthog.of_browser())).encode())
    bad_item = samples_segment.batch(samples_segment.track(), {"type": "unknown"})
    text = {"content-type": "text/plain"}
    told = [
        httpx.post(f"{house.url}{path}", content=content, headers=headers)
        for path, content, headers in (
            ("/e/", packed, text),
            ("/e/", packed[:-9], text),
            ("/e/", b"{", text),
            ("/e/", b"x" * (5 * 1024 * 1024 + 1), text),
            ("/v1/b", json.dumps(bad_item).encode(), text),
            ("/v1/b", b"{", {**text, **samples_segment.BASIC}),
            ("/v1/batch", b'{"batch":[]}', samples_rudderstack.BASIC),
        )
    ]

    assert [answer.status_code for answer in told] == [200, 400, 400, 413, 200, 400, 200]
    assert [told[place].text for place in (0, 4, 6)] == ['{"status":1}', '{"success":true}', "OK"]
    assert [answer.json().keys() >= {"code", "message"} for answer in (told[5],)] == [True]
    assert all(answer.headers["access-control-allow-origin"] == "*" for answer in told if answer.status_code != 413)
    assert not any("access-control-allow-credentials" in answer.headers for answer in told)


def test_who_sends_too_fast_is_told_when_to_come_back(house: Ingest) -> None:
    with (
        ThreadPoolExecutor(max_workers=24) as many,
        httpx.Client(base_url=house.url, auth=("a-slow-key", "")) as client,
    ):
        answers = list(many.map(lambda _: client.post("/v1/batch", json={"batch": []}), range(24)))
    refused = next(answer for answer in answers if answer.status_code == 429)

    assert refused.headers["retry-after"].isdigit()
    assert refused.headers["access-control-allow-origin"] == "*"
