"""Deliveries and sources for the adapters, without a process around them."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from schemas.events import decode
from schemas.fields import DEFAULT, FieldRegistry
from schemas.sources import KINDS, Source
from services.ingest.judging import judge
from services.ingest.vendors.catalogue import VENDORS
from services.ingest.vendors.shape import Bad, Delivery

SECRET = "a-secret-of-the-source"
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""The example secret of the specification of Standard Webhooks."""
RECEIVED = datetime(2026, 3, 2, 12, tzinfo=UTC)


def source(kind: str, *secrets: str, **options: Any) -> Source:
    """Return a source of ``kind``; without ``secrets`` it has SECRET."""
    return Source("crm", "acme", kind, secrets or (SECRET,), KINDS[kind].options(**options))


def delivery(
    body: Any = b"",
    *,
    path: str = "",
    secret: str | None = None,
    headers: Mapping[str, str] | None = None,
    method: str = "POST",
    query: bytes = b"",
    url: str = "https://in.example.com/v1/hooks/crm",
    at: datetime = RECEIVED,
) -> Delivery:
    """Return a delivery of ``body`` (JSON-encoded unless bytes or text)."""
    raw = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    steps = tuple(step for step in path.split("/") if step)
    return Delivery(method, steps, secret, query, url, dict(headers or {}), raw, at)


def taken(
    origin: Source, *deliveries: Delivery, fields: FieldRegistry = DEFAULT
) -> tuple[list[dict[str, Any]], list[Bad]]:
    """Return the events as they stand on the log after ``deliveries`` of ``origin``, and what was bad."""
    events: list[dict[str, Any]] = []
    bad: list[Bad] = []
    for each in deliveries:
        reading = VENDORS[origin.kind].parse(origin, each, fields)
        records, unusable = judge(origin, reading, each.received_at)
        for record in records:
            decode(record.value)  # the aggregator can read it
            events.append(json.loads(record.value))
        bad += unusable
    return events, bad


def verified(origin: Source, each: Delivery) -> bool:
    """Return whether ``each`` is taken as one of ``origin``."""
    return VENDORS[origin.kind].verify(origin, each)
