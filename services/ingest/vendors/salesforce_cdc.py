"""Salesforce Change Data Capture and login events, however they come: by Event Relay, CometD or the Pub/Sub API. Pure.

One change may name several records: each is an event. A change that Salesforce could not describe (``GAP_…``) is one
without fields. Who came to the screen is told by LoginEventStream; an administrator who logs in as somebody is nobody's
login.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

from schemas.fields import FieldRegistry
from schemas.sources import Source
from services.ingest.vendors.documents import authorization, json_value, key, listing, mapping, raw, text
from services.ingest.vendors.salesforce import login_of, long_id, moment, origin_of
from services.ingest.vendors.shape import (
    LIMITED,
    MALFORMED,
    OK,
    OVERLOADED,
    TOO_LARGE,
    UNAUTHORIZED,
    Bad,
    Delivery,
    MalformedError,
    Manners,
    Reading,
    Vendor,
    identity,
    record_event,
    same,
)
from services.ingest.vendors.stages import stage_of

_KINDS: Final = {
    "CREATE": "created",
    "UPDATE": "updated",
    "DELETE": "deleted",
    "UNDELETE": "updated",
    "GAP_CREATE": "created",
    "GAP_UPDATE": "updated",
    "GAP_DELETE": "deleted",
    "GAP_UNDELETE": "updated",
    "GAP_OVERFLOW": "updated",
}
_WHOLE: Final = frozenset({"CREATE", "UNDELETE"})
"""What names every field; the others name those that changed."""
_STAGES: Final = frozenset({"stagename", "status"})
_OWN: Final = frozenset(
    {
        *("ChangeEventHeader", "CreatedById", "CreatedDate", "LastModifiedById", "LastModifiedDate"),
        *("SystemModstamp", "IsDeleted", "LastViewedDate", "LastReferencedDate"),
    }
)
_MOST: Final = 2500
_MOST_STATES: Final = 250_000
_BITMAP: Final = re.compile(r"([0-9]+-)?0x[0-9A-Fa-f]*")
_UNION: Final = frozenset({"string", "int", "long", "float", "double", "boolean", "bytes", "array", "map"})


class _Told(NamedTuple):
    """One message, out of its envelope."""

    payload: dict[str, Any]
    header: dict[str, Any] | None
    """Its ChangeEventHeader; None where it is no change."""
    name: str
    """How the envelope calls it (``AccountChangeEvent``, ``LoginEventStream``)."""
    at: datetime | None
    """When the envelope was written."""


def _verify(source: Source, delivery: Delivery) -> bool:
    """Whether the header X-Api-Key, Authorization (its value, token, or user:password) or the path has the secret."""
    found = same(delivery.secret, source.secrets)
    for given in (raw(delivery.headers.get("x-api-key", "")), *authorization(delivery.headers)):
        found |= same(given, source.secrets)
    return found


def _parse(source: Source, delivery: Delivery, fields: FieldRegistry) -> Reading:
    body = json_value(delivery.body)
    items = body if isinstance(body, list) else [body]
    if len(items) > _MOST or not all(isinstance(item, dict) for item in items):
        raise MalformedError("is no message and no array of them")
    messages = [_opened(item) for item in items]
    if sum(map(_states, messages)) > _MOST_STATES:
        raise MalformedError("names too many records and fields")
    reading = Reading([], [])
    for place, told in enumerate(messages):
        lacking = _lacking(told)
        if lacking:
            reading.bad.append(Bad(f"/{place}", lacking))
        else:
            reading.events.extend(_events(source, fields, told))
    if len(reading.events) > _MOST:
        raise MalformedError("names too many records")
    return reading


def _opened(item: dict[str, Any]) -> _Told:
    """Return what is in the envelope of EventBridge or CometD, or the payload that came without one."""
    inner = mapping(item.get("detail")) or mapping(item.get("data")) or item
    payload = mapping(_plain(inner.get("payload"))) or inner
    if "ChangeEventHeader" not in payload:
        payload = mapping(payload.get("event")) or payload  # beside its replayId
    name = text(item.get("detail-type")) or text(item.get("channel")).rpartition("/")[2]
    header = payload.get("ChangeEventHeader", payload)
    plain = None if header is payload else {name: _plain(value) for name, value in mapping(_plain(header)).items()}
    return _Told(payload, plain, name, moment(item.get("time")) if "detail" in item else None)


def _plain(value: object) -> object:
    """Return the value in an Avro union, ``{"string": …}``; other values as they are."""
    if type(value) is dict and len(value) == 1:
        [(branch, inner)] = value.items()
        if branch in _UNION or branch.startswith("com.sforce."):
            return inner
    return value


def _lacking(told: _Told) -> str:
    """Return what keeps a message from being understood; nothing when it is."""
    header = told.header
    if header is None:
        known = told.name in ("LoginEventStream", "LoginAsEventStream", "LogoutEventStream")
        return "" if known or "LoginType" in told.payload else "is neither a change nor a login"
    if text(header.get("changeType")) not in _KINDS:
        return "has no changeType that is known"
    if not (text(header.get("transactionKey")) and _object(told, header)):
        return "has no transactionKey and entityName"
    records = header.get("recordIds")
    return "" if isinstance(records, list) and records and all(key(each) for each in records) else "has no recordIds"


def _states(told: _Told) -> int:
    """Return how many states of fields a message may become: each record that it names gets all its fields."""
    header = told.header or {}
    names = len(told.payload) + len(listing(header.get("nulledFields")))
    return names * max(1, len(listing(header.get("recordIds"))))


def _object(told: _Told, header: dict[str, Any]) -> str:
    return text(header.get("entityName")) or told.name.removesuffix("ChangeEvent")


def _events(source: Source, fields: FieldRegistry, told: _Told) -> Iterator[dict[str, Any]]:
    if told.header is not None:
        yield from _changes(source, fields, told, told.header)
        return
    row = {name: _plain(value) for name, value in told.payload.items()}
    impersonated = told.name == "LoginAsEventStream" or "LoginAsCategory" in row or "DelegatedUsername" in row
    login = None if impersonated or told.name == "LogoutEventStream" else login_of(source, row, told.at)
    if login is not None:
        yield login


def _changes(source: Source, fields: FieldRegistry, told: _Told, header: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give the event of each record that a change names."""
    change, noun = text(header["changeType"]), _object(told, header)
    user = long_id(header.get("commitUser"))
    origin, confidence = origin_of(source, text(header.get("changeOrigin")), user)
    values = _values(told.payload, header) if change in ("CREATE", "UPDATE", "UNDELETE") else None
    stage = stage_of(values or {} if change == "UPDATE" else {}, values or {}, noun, fields, _STAGES)
    kind, told_stage = stage.kind(_KINDS[change]), stage.told
    time = moment(header.get("commitTimestamp")) or told.at
    transaction, number = text(header["transactionKey"]), key(header.get("sequenceNumber"))
    records = [long_id(key(each)) for each in listing(header["recordIds"])]
    for record in records:
        yield record_event(
            source,
            fields,
            id=identity(transaction, number, record or noun),
            kind=kind,
            time=time,
            user=user,
            object=noun,
            record=record,
            values=values,
            origin=origin,
            confidence=confidence,
            bulk=True if len(records) > 1 or change == "GAP_OVERFLOW" else None,
            **told_stage,
        )


def _values(payload: dict[str, Any], header: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that a change names, with nothing (None) for those it emptied.

    What the Pub/Sub API decodes has every field, with null for those that did not change.
    """
    emptied = _names(header.get("nulledFields"))
    changed = emptied | _names(header.get("changedFields"))
    whole = text(header["changeType"]) in _WHOLE
    values = {
        name: value if type(value) is str else _plain(value)
        for name, value in payload.items()
        if name not in _OWN and (whole or value is not None or name in changed)
    }
    return values | dict.fromkeys(emptied - _OWN) if emptied else values


def _names(value: object) -> set[str]:
    """Return the names of fields in a list; the Pub/Sub API has bitmaps there until they are decoded."""
    return {each for each in listing(_plain(value)) if type(each) is str and not _BITMAP.fullmatch(each)}


VENDOR: Final = Vendor(
    kind="salesforce-cdc",
    manners=Manners(
        accepted=OK,
        unauthorized=UNAUTHORIZED,
        malformed=MALFORMED,
        overloaded=OVERLOADED,
        limited=LIMITED,
        too_large=TOO_LARGE,
        seconds=3.0,
    ),
    verify=_verify,
    parse=_parse,
)
