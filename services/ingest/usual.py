"""The short road for what senders usually send: decoded, checked and encoded by msgspec, almost without Python. Pure.

It takes a body only when every event in it is of the plain form that the contract describes, and then gives the very
records that ``normalise`` and ``encode`` would give (a law that the tests check). Whatever is unusual in any way, good
or bad, it leaves to them.
"""

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from schemas.events import EARLIEST, ORIGINS, Record
from schemas.topics import person_key
from services.ingest.decoding import MAX_EVENT, MAX_EVENTS, has_spaced_colon, part_sizes
from services.ingest.normalise import AHEAD, ID_CHARS, INT64, NAME_CHARS, state_of

_Text = Annotated[str, Meta(min_length=1, max_length=NAME_CHARS)] | UnsetType
_Long = Annotated[str, Meta(min_length=1, max_length=ID_CHARS)]
_Count = Annotated[int, Meta(ge=0, le=INT64 - 1)] | UnsetType
_Extension = Annotated[str, Meta(max_length=256)] | UnsetType
_FieldName = Annotated[str, Meta(max_length=NAME_CHARS)]


class _Data(Struct, gc=False, forbid_unknown_fields=True, kw_only=True):
    """``data`` with nothing in it but what the contract names, in the order of the log."""

    automatic: bool | UnsetType = UNSET
    delivery: _Text = UNSET
    email: _Text = UNSET
    environment: _Text = UNSET
    feature: _Text = UNSET
    fields: dict[_FieldName, str | int | float | bool | None] | UnsetType = UNSET
    fields_filled: _Count = UNSET
    fields_required: _Count = UNSET
    method: _Text = UNSET
    module: _Text = UNSET
    object: _Text = UNSET
    on_behalf_of: _Text = UNSET
    origin: _Text = UNSET
    owner: _Text = UNSET
    record: _Text = UNSET
    report: _Text = UNSET
    rows: _Count = UNSET
    stage: _Text = UNSET
    task: _Text = UNSET
    user: _Text = UNSET


class _Event(Struct, gc=False, forbid_unknown_fields=True, kw_only=True):
    """An event without extensions, in the order of the log."""

    data: _Data
    datacontenttype: Literal["application/json"] | UnsetType = UNSET
    dataschema: _Extension = UNSET
    id: _Long
    source: _Long
    specversion: Literal["1.0"]
    subject: _Extension = UNSET
    tenant: str | UnsetType = UNSET
    time: Annotated[str, Meta(min_length=20, max_length=20)] | UnsetType = UNSET
    type: Annotated[str, Meta(min_length=1, max_length=NAME_CHARS)]


_decode_batch = msgspec.json.Decoder(Annotated[list[_Event], Meta(max_length=MAX_EVENTS)]).decode
_decode_event = msgspec.json.Decoder(_Event).decode
_encode = msgspec.json.Encoder(order="deterministic").encode
_CONTENT_TYPE: Final = ("content-type", b"application/cloudevents+json")
_VERSION: Final = ("ce_specversion", b"1.0")


def records_of(body: bytes, tenant: str, received_at: datetime, *, batch: bool) -> list[Record] | None:
    """Return the records of the events in ``body``, or None when something in it is unusual."""
    if b"\\" in body and b"\\u0000" in body:
        return None
    try:
        events = _decode_batch(body) if batch else [_decode_event(body)]
        if len(body) > MAX_EVENT and max(part_sizes(body), default=0) > MAX_EVENT:
            return None
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None
    latest = received_at + AHEAD
    dropped = 0
    records = []
    for event in events:
        if event.tenant is not UNSET or not (event.time is UNSET or _is_plain_instant(event.time, latest)):
            return None
        dropped += _strip(event)
        event.tenant = tenant
        user = event.data.user
        key = person_key(tenant, None if user is UNSET else user)
        records.append(Record(key, _encode(event), _headers(event)))
    # Each key in a text without blanks before colons is followed by ``":``. So when the body holds as many of these as
    # the records, but for those taken away and added, no key stood twice in it.
    kept = b"".join([record.value for record in records]).count(b'":') - len(records)
    return records if body.count(b'":') == kept + dropped and not has_spaced_colon(body) else None


def _strip(event: _Event) -> int:
    """Take away what is not for the log; return how many keys that were."""
    data = event.data
    if data.origin is not UNSET and data.origin not in ORIGINS:
        data.origin = "unknown"
    fields = data.fields
    if fields is not UNSET:
        data.fields = {name: state_of(value) for name, value in fields.items()}
    if event.datacontenttype is UNSET:
        return 0
    event.datacontenttype = UNSET
    return 1


def _headers(event: _Event) -> list[tuple[str, bytes]]:
    headers = [
        _CONTENT_TYPE,
        _VERSION,
        ("ce_id", event.id.encode()),
        ("ce_source", event.source.encode()),
        ("ce_type", event.type.encode()),
    ]
    if event.time is not UNSET:
        headers.append(("ce_time", event.time.encode()))
    return headers


def _is_plain_instant(text: str, latest: datetime) -> bool:
    """Whether ``text`` is a possible instant in the one spelling that the log knows: whole seconds, in UTC."""
    if not (text[4] == "-" == text[7] and text[10] == "T" and text[13] == ":" == text[16] and text[19] == "Z"):
        return False
    try:
        return EARLIEST <= datetime.fromisoformat(text) <= latest
    except ValueError:
        return False
