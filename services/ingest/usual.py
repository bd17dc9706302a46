"""The short road for what senders usually send: decoded, checked and encoded by msgspec, almost without Python. Pure.

It takes a body only when every event in it is of the plain form that the contract describes, and then gives the very
records that ``normalise`` and ``encode`` would give (a law that the tests check). Whatever is unusual in any way, good
or bad, it leaves to them.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final, Literal

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
_record: Final[Callable[[tuple[bytes, bytes, list[tuple[str, bytes]]]], Record]] = partial(tuple.__new__, Record)


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
    records = []
    dropped = 0
    for event in events:
        data, time, user = event.data, event.time, event.data.user
        if event.tenant is not UNSET or not (time is UNSET or _is_plain_instant(time, latest)):
            return None
        if data.origin is not UNSET and data.origin not in ORIGINS:
            data.origin = "unknown"
        if data.fields is not UNSET:
            _to_states(data.fields)
        if event.datacontenttype is not UNSET:
            event.datacontenttype = UNSET
            dropped += 1
        event.tenant = tenant
        headers = [
            _CONTENT_TYPE,
            _VERSION,
            ("ce_id", event.id.encode()),
            ("ce_source", event.source.encode()),
            ("ce_type", event.type.encode()),
        ]
        if time is not UNSET:
            headers.append(("ce_time", time.encode()))
        records.append(_record((person_key(tenant, None if user is UNSET else user), _encode(event), headers)))
    return records if _kept_all_keys(body, records, tenant, dropped) else None


def _kept_all_keys(body: bytes, records: Sequence[Record], tenant: str, dropped: int) -> bool:
    """Whether no key stood twice in ``body``, of whose keys ``dropped`` were taken away and one a record was added.

    Besides the tenant the records hold no colon that the body does not hold, unless an escape hid it there. So with as
    many colons none was lost. Where a field's value had one, which is not in its record, keys are counted instead: in a
    text without blanks before colons each is followed by ``":``.
    """
    values = b"".join([value for _, value, _ in records])
    added = len(records)
    if body.count(b":") == values.count(b":") - added * (1 + tenant.count(":")) + dropped and b"\\" not in body:
        return True
    return body.count(b'":') == values.count(b'":') - added + dropped and not has_spaced_colon(body)


def _to_states(fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        fields[name] = state_of(value)


def _is_plain_instant(text: str, latest: datetime) -> bool:
    """Whether ``text`` is a possible instant in the one spelling that the log knows: whole seconds, in UTC."""
    if text[4::3] != "--T::Z":
        return False
    try:
        return EARLIEST <= datetime.fromisoformat(text) <= latest
    except ValueError:
        return False
