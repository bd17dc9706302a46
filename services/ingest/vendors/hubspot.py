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
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from schemas.events import EARLIEST
from schemas.fields import FieldRegistry
from schemas.sources import HubspotOptions, Source
from services.ingest.decoding import MAX_EVENTS
from services.ingest.normalise import AHEAD
from services.ingest.vendors.documents import json_value
from services.ingest.vendors.hubspot_words import Actor, actor_of, noun_of, object_of
from services.ingest.vendors.places import UnfitError
from services.ingest.vendors.shape import (
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
from services.ingest.vendors.stages import stage_of

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
_REDACTED: Final = "REDACTED"
_LONGEST_NAME: Final = 256
_FIT_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FIT_TYPE: Final = re.compile(r"[A-Za-z_]{1,32}(\.[A-Za-z_]{1,32}){1,2}")


class _Change(NamedTuple):
    """One event of HubSpot, read."""

    family: str
    action: str
    """The two parts of its type: contact, company, object, …; creation, propertyChange, …"""
    portal: int
    object: str
    record: str
    time: datetime
    actor: Actor
    raw: Mapping[str, Any]

    @property
    def minute(self) -> datetime:
        return self.time.replace(second=0, microsecond=0)

    def session(self, kind: str) -> str:
        """Return the identity that all changes of a ``kind`` share which belong to one edit session."""
        return identity(kind, self.portal, self.object, self.record, *self.actor, self.minute)

    @property
    def own(self) -> str:
        """Return the identity of HubSpot's event; its eventId alone is not unique."""
        numbers = map(self.raw.get, ("subscriptionId", "eventId"))
        return identity(self.action, self.portal, *numbers, self.record, self.time)


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
    body = json_value(delivery.body)
    if not isinstance(body, list):
        raise MalformedError("is not an array of events")
    if len(body) > MAX_EVENTS:
        raise MalformedError("holds more than 2,500 events")
    bad: list[Bad] = []
    events: list[dict[str, Any]] = []
    sessions: dict[str, list[_Change]] = {}
    for number, raw in enumerate(body):
        try:
            change = _change(source, raw, delivery.received_at)
            if not _is_edit(change, fields):
                events.append(_single(source, change, fields))
                continue
        except UnfitError as unfit:
            bad.append(Bad(f"/{number}{unfit.place}", unfit.reason))
        else:
            sessions.setdefault(change.session(change.action), []).append(change)
    events += [_session(source, id_, changes, fields) for id_, changes in sessions.items()]
    return Reading(events, bad)


def _change(source: Source, raw: object, received_at: datetime) -> _Change:
    """Return the change in one item of a batch.

    Raises:
        UnfitError: it is none, or belongs to another portal.
    """
    if not isinstance(raw, dict):
        raise UnfitError("", "must be an object")
    type_ = raw.get("subscriptionType") or raw.get("eventType")
    if not isinstance(type_, str) or not _FIT_TYPE.fullmatch(type_):
        raise UnfitError("/subscriptionType", "must be a type such as contact.creation")
    portal, only = raw.get("portalId"), options(source, HubspotOptions).portal
    if type(portal) is not int:
        raise UnfitError("/portalId", "must be a whole number")
    if only and str(portal) != only:
        raise UnfitError("/portalId", "is not the portal of this source")
    family, action = type_.rsplit(".", 1)
    return _Change(
        family=family,
        action=action,
        portal=portal,
        object=_object(family, raw),
        record=_record(action, raw),
        time=_time(raw, received_at),
        actor=actor_of(raw.get("changeSource"), raw.get("sourceId")),
        raw=raw,
    )


def _object(family: str, raw: Mapping[str, Any]) -> str:
    """Return the object's old-style name, or its type id where it has none."""
    type_id = raw.get("objectTypeId")
    if type_id is not None and not _is_id(type_id):
        raise UnfitError("/objectTypeId", "must be the id of an object type")
    return object_of(family, type_id)


def _is_id(value: object) -> bool:
    return isinstance(value, str) and _FIT_ID.fullmatch(value) is not None


def _record(action: str, raw: Mapping[str, Any]) -> str:
    for name in _RECORDS.get(action, ("objectId",)):
        value = raw.get(name)
        if value is None:
            continue
        if type(value) is int or _is_id(value):
            return str(value)
        raise UnfitError(f"/{name}", "must be an id")
    if action in _KNOWN:
        raise UnfitError("/objectId", "is needed")
    return ""


def _time(raw: Mapping[str, Any], received_at: datetime) -> datetime:
    time = from_milliseconds(raw.get("occurredAt"))
    if time is None or not EARLIEST <= time <= received_at + AHEAD:
        raise UnfitError("/occurredAt", "must be milliseconds between the year 2000 and now")
    return time


def _is_edit(change: _Change, fields: FieldRegistry) -> bool:
    """Whether a change is part of an edit session, and no event of its own."""
    if change.action == "propertyChange":
        name = _property(change)
        return not stage_of([name], {}, noun_of(change.object, fields), fields, _STAGES).moved
    return change.action == "associationChange"


def _property(change: _Change) -> str:
    name = change.raw.get("propertyName")
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
        raise UnfitError("/propertyName", "must be the name of a property")
    return name


def _value(change: _Change) -> object:
    """Return the value of a property; one that HubSpot keeps to itself is there all the same."""
    value = change.raw.get("propertyValue")
    return True if value == _REDACTED or (value and change.raw.get("isSensitive") is True) else value


def _single(source: Source, change: _Change, fields: FieldRegistry) -> dict[str, Any]:
    """Return the event of a change that stands for itself."""
    if change.action == "propertyChange":
        values = {_property(change): _value(change)}
        told = stage_of(values, values, noun_of(change.object, fields), fields, _STAGES).told
        return _of_record(source, change, fields, change.own, "stage_changed", change.time, values=values, **told)
    kind = _SINGLE.get(change.action)
    if kind is not None:
        return _of_record(source, change, fields, change.own, kind, change.time)
    return _other(source, change, fields)


def _other(source: Source, change: _Change, fields: FieldRegistry) -> dict[str, Any]:
    """Return the event of a request for erasure, or of a type that is not known here: that keeps its name."""
    is_request = change.action == "privacyDeletion"
    actor = Actor(None, "automation", "stated", bulk=False) if is_request else change.actor
    return event(
        source,
        id=change.own,
        type="privacy.deletion.requested" if is_request else f"hubspot.{change.family}.{change.action}",
        time=change.time,
        user=actor.user,
        origin=actor.origin,
        confidence=actor.confidence,
    )(object=noun_of(change.object, fields), record=change.record)


def _session(source: Source, id_: str, changes: list[_Change], fields: FieldRegistry) -> dict[str, Any]:
    """Return the event of an edit session: each property as it was last."""
    ordered = sorted(changes, key=lambda change: change.time)
    values = {_property(change): _value(change) for change in ordered if change.action == "propertyChange"}
    first = ordered[0]
    return _of_record(source, first, fields, id_, "updated", first.minute, values=values)


def _of_record(
    source: Source,
    change: _Change,
    fields: FieldRegistry,
    id_: str,
    kind: str,
    time: datetime,
    **more: Any,  # noqa: ANN401 - attributes of data
) -> dict[str, Any]:
    return record_event(
        source,
        fields,
        id=id_,
        kind=kind,
        time=time,
        user=change.actor.user,
        object=noun_of(change.object, fields),
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
