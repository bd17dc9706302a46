"""Messages in the convention of Standard Webhooks and Svix, signed by the official library."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from standardwebhooks.webhooks import Webhook

from schemas.sources import Source
from services.ingest.vendors.shape import Delivery
from tests.ingest.deliveries import KEY, RECEIVED, delivery, source

MESSAGE = "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"


def signed(
    body: Any,
    *,
    secret: str = KEY,
    message: str = MESSAGE,
    at: datetime = RECEIVED,
    prefix: str = "webhook",
    more: str = "",
) -> Delivery:
    """Return a delivery of ``body`` (JSON-encoded unless text), signed at ``at``; ``more``: signatures before it."""
    text = body if isinstance(body, str) else json.dumps(body)
    headers = {
        f"{prefix}-id": message,
        f"{prefix}-timestamp": str(int(at.timestamp())),
        f"{prefix}-signature": f"{more}{Webhook(secret).sign(message, at, text)}",
    }
    return delivery(text, headers=headers)


def sender(*secrets: str, **options: Any) -> Source:
    """Return a source of signed messages."""
    return source("standard-webhooks", *(secrets or (KEY,)), **options)


def saved(**changes: Any) -> dict[str, Any]:
    """Return a message in the shape of the contract, with ``changes`` of its data."""
    data = {
        "user": "u1",
        "origin": "ui",
        "object": "deal",
        "record": 7,
        "fields": {"amount": "1200", "dealstage": "won", "note": ""},
    }
    return {"type": "crm.record.updated", "timestamp": "2026-03-02T10:00:00.5Z", "data": {**data, **changes}}


def deliveries(text: Callable[[], str]) -> list[tuple[Source, Delivery]]:
    """Return messages in both spellings, with and without a mapping, and ``text()`` wherever a value stands."""
    fields = {"amount": text(), "closedate": text(), "note": text()}
    mapped = {
        "type": "contact.changed",
        "timestamp": "2026-03-02T10:00:00Z",
        "data": {"id": "c7", "by": 12, "values": {"name": text(), "phone": text()}, "comment": text()},
    }
    mapping = {
        "type": "/type",
        "user": "/data/by",
        "object": "=contact",
        "record": "/data/id",
        "fields": "/data/values",
    }
    mapping["time"] = "/timestamp"
    return [
        (sender(), signed(saved(fields=fields, comment=text()))),
        (sender(), signed({"type": "crm.session.login", "data": {"user": "u1", "browser": text()}}, prefix="svix")),
        (sender(), signed({"type": "invoice.paid", "timestamp": "2026-03-02T10:00:00Z", "data": {"note": text()}})),
        (sender(mapping=mapping, types={"contact.changed": "crm.record.updated"}), signed(mapped)),
    ]
