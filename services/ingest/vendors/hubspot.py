"""HubSpot: signed batches of changes, one for each property. Pure.

A form that is saved with eight fields arrives as eight changes, in any order and perhaps in several batches. They are
one edit session: all changes of properties that one actor made to one record within one minute (UTC) are one
``crm.record.updated``, whose identity and time are functions of portal, object, record, actor and minute alone. So
however HubSpot batches and repeats, the copies are one event; when a batch is split, the first part to arrive stands
with its fields, and the others are copies of it. A move to another stage is an event of its own, as are creation,
deletion, merge and restoration: their identity is that of HubSpot's event.

A signature of exactly the version that the source requires must be there. Everything after it is answered with 200,
since HubSpot repeats whatever it is refused for a day.
"""

import re
from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final

import msgspec

from schemas.events import EARLIEST
from schemas.fields import FieldRegistry
from schemas.sources import HubspotOptions, Source
from services.ingest.decoding import MAX_EVENTS
from services.ingest.normalise import AHEAD
from services.ingest.vendors.documents import json_value
from services.ingest.vendors.hubspot_words import Actor, actor_of, noun_of, object_of
from services.ingest.vendors.places import UnfitError
from services.ingest.vendors.shape import (
    EPOCH,
    LIMITED,
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
    event,
    from_milliseconds,
    identity,
    options,
    record_event,
)
from services.ingest.vendors.signatures import hubspot_is_signed
from services.ingest.vendors.stages import is_stage, stage_of

_STAGES: Final = frozenset({"dealstage", "hs_pipeline_stage", "lifecyclestage"})
_SINGLE: Final = {
    "creation": "created",
    "deletion": "deleted",
    "merge": "merged",
    "restore": "updated",
    "newMessage": "updated",
}
_KNOWN: Final = _SINGLE.keys() | {"propertyChange", "associationChange", "privacyDeletion"}
_RECORDS: Final = {"merge": ("newObjectId", "primaryObjectId", "objectId"), "associationChange": ("fromObjectId",)}
_RECORD: Final = ("objectId",)
_MILLISECOND: Final = timedelta(milliseconds=1)
_EARLIEST: Final = (EARLIEST - EPOCH) // _MILLISECOND
_MINUTE: Final = 60_000
_REDACTED: Final = "REDACTED"
_LONGEST_NAME: Final = 256
_LONGEST_TYPE: Final = 100
_FIT_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FIT_TYPE: Final = re.compile(r"[A-Za-z_]{1,32}(\.[A-Za-z_]{1,32}){1,2}")


class _Raw(msgspec.Struct, gc=False):
    """One event of HubSpot as it was sent: any type may stand anywhere."""

    subscriptionType: Any = None  # noqa: N815 - the names are HubSpot's
    eventType: Any = None  # noqa: N815
    portalId: Any = None  # noqa: N815
    objectTypeId: Any = None  # noqa: N815
    objectId: Any = None  # noqa: N815
    newObjectId: Any = None  # noqa: N815
    primaryObjectId: Any = None  # noqa: N815
    fromObjectId: Any = None  # noqa: N815
    occurredAt: Any = None  # noqa: N815
    changeSource: Any = None  # noqa: N815
    sourceId: Any = None  # noqa: N815
    subscriptionId: Any = None  # noqa: N815
    eventId: Any = None  # noqa: N815
    propertyName: Any = None  # noqa: N815
    propertyValue: Any = None  # noqa: N815
    isSensitive: Any = None  # noqa: N815


_decode = msgspec.json.Decoder(list[_Raw]).decode


class _Change(msgspec.Struct, gc=False):
    """One event of HubSpot, read."""

    family: str
    action: str
    """The two parts of its type: contact, company, object, …; creation, propertyChange, …"""
    portal: int
    object: str
    noun: str
    """What HubSpot, and what the registry calls the kind of record."""
    record: str
    at: int
    """When it happened, in milliseconds since 1970."""
    actor: Actor
    raw: _Raw

    @property
    def minute(self) -> int:
        """Return the beginning of its minute."""
        return self.at - self.at % _MINUTE

    @property
    def session(self) -> tuple[Any, ...]:
        """What all changes share that belong to one edit session."""
        return self.action, self.portal, self.object, self.record, self.actor, self.minute

    @property
    def own(self) -> str:
        """Return the identity of HubSpot's event; its eventId alone is not unique."""
        raw = self.raw
        return identity(self.action, self.portal, raw.subscriptionId, raw.eventId, self.record, self.at)


def _verify(source: Source, delivery: Delivery) -> bool:
    return hubspot_is_signed(
        options(source, HubspotOptions).signature,
        source.secrets,
        delivery.headers,
        method=delivery.method,
        url=delivery.url,
        body=delivery.body,
        received_at=delivery.received_at,
    )


def _parse(source: Source, delivery: Delivery, fields: FieldRegistry) -> Reading:
    bad: list[Bad] = []
    events: list[dict[str, Any]] = []
    sessions: dict[tuple[Any, ...], list[_Change]] = {}
    only = options(source, HubspotOptions).portal
    latest = (delivery.received_at + AHEAD - EPOCH) // _MILLISECOND
    for number, raw in enumerate(_items(delivery.body)):
        try:
            change = _change(raw, only, latest, fields)
            if _is_edit(change, fields):
                sessions.setdefault(change.session, []).append(change)
            else:
                events.append(_single(source, change, fields))
        except UnfitError as unfit:
            bad.append(Bad(f"/{number}{unfit.place}", unfit.reason))
    events += [_session(source, changes, fields) for changes in sessions.values()]
    return Reading(events, bad)


def _items(body: bytes) -> Sequence[object]:
    """Return the items of a batch, each as _Raw where it is an object."""
    items: Sequence[object]
    try:
        items = _decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):  # as it should not be
        found = json_value(body)
        if not isinstance(found, list):
            raise MalformedError("is not an array of events") from None
        items = [msgspec.convert(item, _Raw) if isinstance(item, dict) else item for item in found]
    if len(items) > MAX_EVENTS:
        raise MalformedError("holds more than 2,500 events")
    return items


def _change(raw: object, only: str, latest: int, fields: FieldRegistry) -> _Change:
    """Return the change in one item of a batch. ``only``: the one portal that is taken; ``latest``: the last instant.

    Raises:
        UnfitError: it is none, or belongs to another portal.
    """
    if not isinstance(raw, _Raw):
        raise UnfitError("", "must be an object")
    type_, portal = raw.subscriptionType or raw.eventType, raw.portalId
    parts = _parts(type_) if isinstance(type_, str) and len(type_) <= _LONGEST_TYPE else None
    if parts is None:
        raise UnfitError("/subscriptionType", "must be a type such as contact.creation")
    if type(portal) is not int:
        raise UnfitError("/portalId", "must be a whole number")
    if only and str(portal) != only:
        raise UnfitError("/portalId", "is not the portal of this source")
    family, action = parts
    at = raw.occurredAt
    type_id = raw.objectTypeId
    if type_id is not None and not _is_id(type_id):
        raise UnfitError("/objectTypeId", "must be the id of an object type")
    record = _record(action, raw)
    if type(at) is not int or not _EARLIEST <= at <= latest:
        raise UnfitError("/occurredAt", "must be milliseconds between the year 2000 and now")
    noun = object_of(family, type_id)
    actor = actor_of(raw.changeSource, raw.sourceId)
    return _Change(family, action, portal, noun, noun_of(noun, fields), record, at, actor, raw)


@lru_cache(1024)
def _parts(type_: str) -> tuple[str, str] | None:
    """Return the two parts of a type; None when it is none."""
    if not _FIT_TYPE.fullmatch(type_):
        return None
    family, action = type_.rsplit(".", 1)
    return family, action


def _is_id(value: object) -> bool:
    return isinstance(value, str) and _FIT_ID.fullmatch(value) is not None


def _record(action: str, raw: _Raw) -> str:
    for name in _RECORDS.get(action, _RECORD):
        value = getattr(raw, name)
        if value is None:
            continue
        if type(value) is int or _is_id(value):
            return str(value)
        raise UnfitError(f"/{name}", "must be an id")
    if action in _KNOWN:
        raise UnfitError("/objectId", "is needed")
    return ""


def _is_edit(change: _Change, fields: FieldRegistry) -> bool:
    """Whether a change is part of an edit session, and no event of its own."""
    if change.action == "propertyChange":
        return not is_stage(_property(change), change.noun, fields, _STAGES)
    return change.action == "associationChange"


def _property(change: _Change) -> str:
    name = change.raw.propertyName
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
        raise UnfitError("/propertyName", "must be the name of a property")
    return name


def _value(change: _Change) -> object:
    """Return the value of a property; one that HubSpot keeps to itself is there all the same."""
    value = change.raw.propertyValue
    return True if value == _REDACTED or (value and change.raw.isSensitive is True) else value


def _single(source: Source, change: _Change, fields: FieldRegistry) -> dict[str, Any]:
    """Return the event of a change that stands for itself."""
    if change.action == "propertyChange":
        values = {_property(change): _value(change)}
        told = stage_of(values, values, change.noun, fields, _STAGES).told
        return _of_record(source, change, fields, change.own, "stage_changed", change.at, values=values, **told)
    kind = _SINGLE.get(change.action)
    if kind is not None:
        return _of_record(source, change, fields, change.own, kind, change.at)
    return _other(source, change)


def _other(source: Source, change: _Change) -> dict[str, Any]:
    """Return the event of a request for erasure, or of a type that is not known here: that keeps its name."""
    is_request = change.action == "privacyDeletion"
    actor = Actor(None, "automation", "stated", bulk=False) if is_request else change.actor
    return event(
        source,
        id=change.own,
        type="privacy.deletion.requested" if is_request else f"hubspot.{change.family}.{change.action}",
        time=from_milliseconds(change.at),
        user=actor.user,
        origin=actor.origin,
        confidence=actor.confidence,
    )(object=change.noun, record=change.record)


def _session(source: Source, changes: list[_Change], fields: FieldRegistry) -> dict[str, Any]:
    """Return the event of an edit session: each property as it was last."""
    if len(changes) > 1:
        changes = sorted(changes, key=lambda change: change.at)
    values = {change.raw.propertyName: _value(change) for change in changes if change.action == "propertyChange"}
    first = changes[0]
    id_ = identity(first.action, first.portal, first.object, first.record, *first.actor, first.minute)
    return _of_record(source, first, fields, id_, "updated", first.minute, values=values)


def _of_record(
    source: Source,
    change: _Change,
    fields: FieldRegistry,
    id_: str,
    kind: str,
    at: int,
    **more: Any,  # noqa: ANN401 - attributes of data
) -> dict[str, Any]:
    return record_event(
        source,
        fields,
        id=id_,
        kind=kind,
        time=from_milliseconds(at),
        user=change.actor.user,
        object=change.noun,
        record=change.record,
        origin=change.actor.origin,
        confidence=change.actor.confidence,
        bulk=change.actor.bulk or None,
        **more,
    )


VENDOR: Final = Vendor(
    kind="hubspot",
    manners=Manners(
        accepted=OK,
        unauthorized=UNAUTHORIZED,
        malformed=OK,
        overloaded=OVERLOADED,
        limited=LIMITED,
        too_large=TOO_LARGE,
        seconds=3.0,
    ),
    verify=_verify,
    parse=_parse,
)
