"""What PostHog's libraries post, in all their encodings."""

import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from schemas.sources import Source
from services.ingest.vendors.shape import Delivery
from tests.ingest.deliveries import delivery, source

KEY = "phc_uVkFX6JbnUqJtzQ8mVgqL2cX0bZrYd1eS3aH5kT7wPo"
SENT = "2026-03-02T12:00:00.000Z"
DEVICE = "0195f3a0-7b1c-7d2e-8f3a-4b5c6d7e8f90"
PLAIN = {"content-type": "text/plain"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


def of_server(event: str = "deal saved", **changes: Any) -> dict[str, Any]:
    """Return an event of a server's library; a change to None takes the attribute away."""
    made = {
        "event": event,
        "distinct_id": "u1",
        "properties": {"amount": 1200, "$lib": "posthog-python", "$lib_version": "7.91.1"},
        "timestamp": "2026-03-02T11:59:58.123456+00:00",
        "uuid": str(uuid5(NAMESPACE_URL, f"{event}")),
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


def of_browser(event: str = "$pageview", properties: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Return an event of posthog-js, which has the person among the ``properties``."""
    known = {
        "token": KEY,
        "distinct_id": "u1",
        "$device_id": DEVICE,
        "$is_identified": True,
        "$process_person_profile": True,
        "$lib": "web",
        "$current_url": "https://crm.example.com/deals/7",
        **(properties or {}),
    }
    made = {
        "uuid": "0195f3a0-2222-7d2e-8f3a-4b5c6d7e8f90",
        "event": event,
        "properties": known,
        "timestamp": "2026-03-02T11:59:58.000Z",
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


def batch(*events: Any, **changes: Any) -> dict[str, Any]:
    return {"api_key": KEY, "batch": list(events), "sent_at": SENT, **changes}


def form(body: Any) -> bytes:
    """Return ``body`` as sendBeacon carries it."""
    return b"data=" + quote(b64encode(json.dumps(body).encode()).decode(), safe="").encode()


def posted(body: Any, path: str = "/batch/", **more: Any) -> Delivery:
    return delivery(body, path=path, **more)


def deliveries(text: Callable[[], str]) -> list[tuple[Source, Delivery]]:
    """Return every form, with ``text()`` wherever a property or other free text stands."""
    properties = {"title": text(), "list": [text()], "$set": {"email": text()}, "$current_url": text()}
    plain = of_server(properties={**properties, "$lib": "posthog-node"}, **{"$set": {"name": text()}})
    view = of_browser(properties=properties, **{"$set_once": {"$initial_referrer": text()}})
    record = of_browser(properties={**properties, "object": "deal", "record": 7})
    others = [
        of_browser("$identify", properties=properties, **{"$set": {"email": text()}}),
        of_browser("$groupidentify", properties={"$group_type": "team", "$group_set": {"name": text()}}),
        of_browser("$set", properties={"$set": {"phone": text()}}),
        of_browser("$autocapture", properties={"$elements": [{"$el_text": text()}]}),
        of_browser("deal saved", properties={**properties, "$is_identified": False}),
    ]
    v1 = {**plain, "options": {"process_person_profile": True}}
    bearer = {"authorization": f"Bearer {KEY}", "posthog-request-timestamp": SENT}
    bodies = [
        posted(batch(plain, of_server("login", properties=properties), historical_migration=False)),
        posted(batch(view, record, *others), "/e/", headers=PLAIN),
        posted(form(view), "/e/", headers=FORM, query=b"compression=base64"),
        posted([view, *others], "/e/", headers=PLAIN, query=b"compression=gzip-js"),
        posted({"api_key": KEY, **plain}, "/i/v0/e/"),
        posted({"token": KEY, **plain}, "/capture/"),
        posted({"created_at": SENT, "batch": [v1]}, "/i/v1/analytics/events", headers=bearer),
    ]
    return [(source("posthog", KEY), body) for body in bodies]
