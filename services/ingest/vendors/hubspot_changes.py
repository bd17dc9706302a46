"""What HubSpot sends, read: the items of a batch, each a change of one property or one thing that happened. Pure."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import msgspec

from schemas.events import EARLIEST
from schemas.fields import FieldRegistry
from services.ingest.decoding import MAX_EVENTS
from services.ingest.normalise import AHEAD
from services.ingest.vendors.documents import json_value
from services.ingest.vendors.hubspot_words import Actor, actor_of, noun_of, object_of
from services.ingest.vendors.places import UnfitError
from services.ingest.vendors.shape import EPOCH, MalformedError, identity

_KNOWN: Final = frozenset(
    {
        *("creation", "deletion", "merge", "restore", "newMessage"),
        *("propertyChange", "associationChange", "privacyDeletion"),
    }
)
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


class Raw(msgspec.Struct, gc=False):
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


_decode = msgspec.json.Decoder(list[Raw]).decode


class Change(msgspec.Struct, gc=False):
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
    raw: Raw

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


def last_instant(received_at: datetime) -> int:
    """Return the last instant that what arrives at ``received_at`` may have, in milliseconds since 1970."""
    return (received_at + AHEAD - EPOCH) // _MILLISECOND


def items_of(body: bytes) -> Sequence[object]:
    """Return the items of a batch, each as Raw where it is an object."""
    items: Sequence[object]
    try:
        items = _decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):  # as it should not be
        found = json_value(body)
        if not isinstance(found, list):
            raise MalformedError("is not an array of events") from None
        items = [msgspec.convert(item, Raw) if isinstance(item, dict) else item for item in found]
    if len(items) > MAX_EVENTS:
        raise MalformedError("holds more than 2,500 events")
    return items


def change_of(raw: object, only: str, latest: int, fields: FieldRegistry) -> Change:
    """Return the change in one item of a batch. ``only``: the one portal that is taken; ``latest``: the last instant.

    Raises:
        UnfitError: it is none, or belongs to another portal.
    """
    if not isinstance(raw, Raw):
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
    return Change(family, action, portal, noun, noun_of(noun, fields), record, at, actor, raw)


@lru_cache(1024)
def _parts(type_: str) -> tuple[str, str] | None:
    """Return the two parts of a type; None when it is none."""
    if not _FIT_TYPE.fullmatch(type_):
        return None
    family, action = type_.rsplit(".", 1)
    return family, action


def _is_id(value: object) -> bool:
    return isinstance(value, str) and _FIT_ID.fullmatch(value) is not None


def _record(action: str, raw: Raw) -> str:
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


def property_of(change: Change) -> str:
    """Return the name of the property that was changed.

    Raises:
        UnfitError: it has none.
    """
    name = change.raw.propertyName
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
        raise UnfitError("/propertyName", "must be the name of a property")
    return name


def value_of(change: Change) -> object:
    """Return the value of a property; one that HubSpot keeps to itself is there all the same."""
    value = change.raw.propertyValue
    return True if value == _REDACTED or (value and change.raw.isSensitive is True) else value
