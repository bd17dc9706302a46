"""The senders' own libraries against a running ingest: told a host and a key, and nothing else.

Each is asked twice: the library itself whether it has succeeded, and the log what is on it.
"""

import json
import os
import subprocess
import uuid
from datetime import UTC, datetime
from typing import Any

import posthog
import pytest
import rudderstack.analytics.client
import segment.analytics.client
from cloudevents.v1.conversion import to_binary, to_structured
from cloudevents.v1.http import CloudEvent
from posthog.capture_mode import CaptureMode
from standardwebhooks.webhooks import Webhook

from services.embedded import Broker
from tests.builders import SHARDS
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
    records = await on_the_log(broker.address, partitions=SHARDS, at_least=at_least, containing=person.encode())
    assert PRIVATE.encode() not in b"".join(record.value for record in records)
    events: list[dict[str, Any]] = [json.loads(record.value) for record in records]
    assert all(abs(datetime.fromisoformat(it["time"]) - datetime.now(UTC)).total_seconds() < 60 for it in events)
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


@pytest.fixture(scope="module")
def node(house: Ingest) -> Any:
    """What the libraries from npm say, each of which has sent."""
    keys = {"posthog": POSTHOG, "segment": SEGMENT, "rudderstack": RUDDER, "standardwebhooks": KEY}
    done = subprocess.run(
        ["node", npm.SCRIPT, house.url, json.dumps(keys)],
        env={"PATH": os.environ["PATH"], "SDK_MODULES": str(npm.modules())},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.npm
@pytest.mark.parametrize(
    ("library", "success", "person", "events"),
    [
        (
            "posthog",
            {"flushed": 3, "errors": [], "flags": {}},
            "node-posthog",
            [
                ("crm.feature.used", "Deal Saved", "/hooks/posthog-web"),
                ("crm.session.login", None, "/hooks/posthog-web"),
            ],
        ),
        (
            "segment",
            {"delivered": 3, "errors": []},
            "node-segment",
            [("crm.feature.used", "page", "/hooks/segment-web"), ("crm.session.login", None, "/hooks/segment-web")],
        ),
        (
            "rudderstack",
            {"delivered": 2, "errors": []},
            "node-rudder",
            [("crm.session.login", None, "/hooks/rudder-web")],
        ),
        (
            "standardwebhooks",
            {"status": 202, "errors": []},
            "node-webhook",
            [("crm.record.updated", None, "/hooks/signed-tool")],
        ),
    ],
    ids=["posthog-node", "@segment/analytics-node", "@rudderstack/rudder-sdk-node", "standardwebhooks"],
)
async def test_the_libraries_from_npm_succeed(
    node: dict[str, Any],
    house_broker: Broker,
    library: str,
    success: dict[str, Any],
    person: str,
    events: list[tuple[str, str | None, str]],
) -> None:
    assert node[library] == success
    assert await done_by(house_broker, person, at_least=len(events)) == events
