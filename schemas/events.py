"""The normalised event and its Kafka record: a CloudEvent in structured JSON with ``ce_`` headers beside it.

The value is a function of the event alone (keys sorted, nothing of the delivery in it), so two copies of one event
are the same bytes and a changed copy is recognised. The instant of arrival travels as the record's timestamp.
"""

import hashlib
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final, NamedTuple
from zlib import crc32

import msgspec

from schemas.topics import person_key

EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""No event is older: what claims to be carries a broken clock."""

LOGIN: Final = "crm.session.login"
SESSION_PREFIX: Final = "crm.session."
RECORD_PREFIX: Final = "crm.record."
HUMAN_ORIGINS: Final = frozenset({"ui", "mobile", "unknown"})
ORIGINS: Final = frozenset({"ui", "mobile", "api", "import", "automation", "sync", "unknown"})
CONFIDENCES: Final = frozenset({"stated", "inferred", "none"})
"""How an origin is known: the sender states it, it was inferred from what it sent, or not at all."""

_encode = msgspec.json.Encoder(order="deterministic").encode
_CONTENT_TYPE: Final = ("content-type", b"application/cloudevents+json")
_VERSION: Final = ("ce_specversion", b"1.0")


class Record(NamedTuple):
    """What is appended to the log: key, value, headers."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


class EventData(msgspec.Struct, gc=False):
    """The part of ``data`` that is kept as facts; whatever else the event carries stays on the log."""

    user: str | None = None
    email: str | None = None
    origin: str = "unknown"
    environment: str = "production"
    on_behalf_of: str | None = None
    object: str | None = None
    record: str | None = None
    owner: str | None = None
    stage: str | None = None
    close_date: date | None = None
    forecast: str | float | bool | None = None
    """Its category. Where it was not declared it stands as what any attribute becomes: a state, a number, truth."""
    report: str | None = None
    feature: str | None = None
    task: str | None = None
    module: str | None = None
    bulk: bool | None = None
    automatic: bool | None = None
    rows: Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)] | None = None
    fields: dict[str, str] | None = None
    """The states of the fields that were told."""


class Event(msgspec.Struct, gc=False):
    """A normalised event as the aggregator reads it. ``time`` is None when the sender gave none."""

    tenant: str
    source: str
    id: str
    type: str
    time: datetime | None = None
    data: EventData = msgspec.field(default_factory=EventData)


_decode = msgspec.json.Decoder(Event).decode


class UndecodableError(ValueError):
    """A record on the topic that is no normalised event: it belongs to the dead letters."""


def encode(tenant: str, event: dict[str, Any]) -> Record:
    """Return the record of a normalised ``event`` (CloudEvents attributes and ``data``) of ``tenant``."""
    headers = [
        _CONTENT_TYPE,
        _VERSION,
        ("ce_id", event["id"].encode()),
        ("ce_source", event["source"].encode()),
        ("ce_type", event["type"].encode()),
    ]
    time = event.get("time")
    if time is not None:
        headers.append(("ce_time", time.encode()))
    key = person_key(tenant, event["data"].get("user"))
    return Record(key, _encode({**event, "specversion": "1.0", "tenant": tenant}), headers)


def decode(value: bytes | None) -> Event:
    """Return the event of a record's ``value``.

    Raises:
        UndecodableError: the value is empty, not JSON, not an event, or carries what no table can hold.
    """
    if not value:
        raise UndecodableError("the record is empty")
    if b"\\u0000" in value:
        raise UndecodableError("the record holds a NUL character")
    try:
        event = _decode(value)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise UndecodableError(str(error)) from error
    if not (event.tenant and event.source and event.id and event.type):
        raise UndecodableError("tenant, source, id and type must not be empty")
    if event.time is not None and event.time.tzinfo is None:
        raise UndecodableError("time has no UTC offset")
    return event


def identity(event: Event) -> bytes:
    """Return the 16 bytes that stand for (tenant, source, id): equal exactly for copies of one event."""
    return hashlib.blake2b(f"{event.tenant}\x00{event.source}\x00{event.id}".encode(), digest_size=16).digest()


def payload_mark(value: bytes) -> int:
    """Return a signed 32-bit mark of the payload: a copy with another mark is a conflict."""
    mark = crc32(value)
    return mark - (1 << 32) if mark >= 1 << 31 else mark
