"""What Segment's libraries post: batches of servers, and the single calls of browsers."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any

from schemas.sources import Source
from services.ingest.vendors.shape import Delivery
from tests.ingest.deliveries import delivery, source

KEY = "gVRUYpuLIUuxSgMPfYRHpwSMG7eYiQzH"
BASIC = {"authorization": "Basic " + b64encode(f"{KEY}:".encode()).decode()}
SENT = "2026-03-02T11:59:59.000Z"
PAGE = {"path": "/deals/7", "url": "https://crm.example.com/deals/7", "title": "Deals", "referrer": ""}
WEB = {"page": PAGE, "userAgent": "Mozilla/5.0", "library": {"name": "analytics.js", "version": "npm:next-1.84.3"}}
PHONE = {"device": {"type": "ios"}, "os": {"name": "iOS"}, "library": {"name": "analytics-swift", "version": "1.5"}}
PYTHON = {"library": {"name": "analytics-python", "version": "2.4.0"}}


def track(event: str = "Deal Saved", **changes: Any) -> dict[str, Any]:
    """Return a call of a browser; a change to None takes the attribute away."""
    made = {
        "type": "track",
        "event": event,
        "properties": {"amount": 1200, "title": "Grace's deal"},
        "userId": "u1",
        "anonymousId": "507f191e-810c-4197-a7a1-0f1c3a2b4c5d",
        "context": WEB,
        "integrations": {},
        "messageId": "ajs-next-1772452798000-507f191e",
        "timestamp": "2026-03-02T11:59:58.000Z",
        "writeKey": KEY,
        "sentAt": SENT,
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


def batch(*items: Any, **changes: Any) -> dict[str, Any]:
    """Return a batch of a server's library."""
    return {"batch": list(items), "sentAt": SENT, "writeKey": KEY, **changes}


def posted(body: Any, path: str = "/v1/batch", headers: Mapping[str, str] = BASIC, **more: Any) -> Delivery:
    return delivery(body, path=path, headers=headers, **more)


def deliveries(text: Callable[[], str]) -> list[tuple[Source, Delivery]]:
    """Return every form, with ``text()`` wherever a property, a trait or other free text stands."""
    properties = {"title": text(), "note": text(), "products": [{"name": text()}], "nested": {"a": {"b": text()}}}
    context = {
        **WEB,
        "page": {**PAGE, "title": text(), "search": text()},
        "traits": {"email": text(), "name": text()},
        "campaign": {"name": text()},
        "userAgent": text(),
    }
    page = track(type="page", name=text(), category=text(), properties=properties, context=context, event=None)
    viewed = track(type="page", properties={**properties, "object": "deal", "record": "d-7"}, event=None)
    people: list[dict[str, Any]] = [
        track(type="identify", traits={"name": text(), "email": text()}, context=context, event=None),
        track(type="group", groupId="g1", traits={"name": text()}, event=None),
        track(type="alias", previousId="old", event=None),
    ]
    prose = track(type="page", properties={"object": f"A {text()}", "record": f"B {text()}"}, event=None)
    bodies = [
        posted(track(properties=properties, context=context), "/v1/t", {**BASIC, "content-type": "text/plain"}),
        posted(page, "/v1/p", {}),
        posted(batch(track("Signed In", properties=properties, context=PYTHON), viewed, *people, prose)),
        posted(batch(track(writeKey=None), page, sentAt=None), "/v1/import"),
        posted(batch(track(type="screen", name=text(), context=PHONE, event=None), writeKey=None), "/v1/b", {}),
        posted(track(userId=None, properties=properties), "/v1/track"),
    ]
    return [(source("segment", KEY), body) for body in bodies]
