"""What RudderStack's libraries post: traits stand in the context, the channel is stated."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any

from schemas.sources import Source
from services.ingest.vendors.shape import Delivery
from tests.ingest.deliveries import delivery, source

KEY = "2bLqYpuLIUuxSgMPfYRHpwSMG7e"
BASIC = {"authorization": "Basic " + b64encode(f"{KEY}:".encode()).decode()}
BROWSER = {**BASIC, "content-type": "application/json", "anonymousid": "YW5vbnltb3Vz", "sentat": "2026-03-02T12:00:00Z"}
LIBRARY = {"name": "RudderLabs JavaScript SDK", "namespace": "com.rudderlabs.javascript", "version": "3.34.1"}


def track(event: str = "Deal Saved", **changes: Any) -> dict[str, Any]:
    """Return a call of a browser; a change to None takes the attribute away."""
    made = {
        "type": "track",
        "channel": "web",
        "event": event,
        "properties": {"amount": 1200},
        "context": {"traits": {"email": "grace@example.com"}, "library": LIBRARY, "userAgent": "Mozilla/5.0"},
        "originalTimestamp": "2026-03-02T11:59:58.000Z",
        "sentAt": "2026-03-02T12:00:00.000Z",
        "messageId": "1f0c0c9e-55a5-4f0c-8c4b-0a2d7d1b8e11",
        "integrations": {"All": True},
        "anonymousId": "c2f1b2a0-6a3a-4f7d-9d3b-0d1e2f3a4b5c",
        "userId": "u1",
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


def posted(body: Any, path: str = "/v1/batch", headers: Mapping[str, str] = BASIC, **more: Any) -> Delivery:
    return delivery(body, path=path, headers=headers, **more)


def deliveries(text: Callable[[], str]) -> list[tuple[Source, Delivery]]:
    """Return every form, with ``text()`` wherever a property, a trait or other free text stands."""
    context = {"traits": {"email": text(), "name": text()}, "page": {"title": text()}, "library": LIBRARY}
    properties = {"title": text(), "lines": [text(), {"note": text()}]}
    server = {"channel": "server", "originalTimestamp": None, "timestamp": "2026-03-02T11:00:00+00:00"}
    items = [
        track("Signed In", context=context, properties=properties, **server),
        track(type="page", name=text(), properties={"name": text(), "category": text()}, context=context),
        track(type="identify", context=context),
        track(type="group", groupId="g", traits={"name": text()}),
        track(userId="", properties=properties),
    ]
    bodies = [
        posted(track(properties=properties, context=context), "/v1/track", BROWSER),
        posted({"batch": items, "sentAt": "2026-03-02T12:00:00Z"}),
        posted({"batch": items}, "/beacon/v1/batch", {}, query=b"writeKey=" + KEY.encode()),
    ]
    return [(source("rudderstack", KEY), body) for body in bodies]
