"""Any JSON into events, by a mapping that the operator declares. Pure.

A mapping leads from the attributes of an event to places in a body, or to constants. What does not fit is named by
its place and never repeated. Without a mapping a body is read as an event in the shape of the contract:
``{type, id?, time? or timestamp?, data}``.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from schemas.events import ORIGINS
from schemas.fields import FieldRegistry
from schemas.sources import ATTRIBUTES, CONSTANT, CustomOptions, Source, pointers
from services.ingest.decoding import MAX_EVENTS
from services.ingest.vendors.documents import json_value
from services.ingest.vendors.places import UnfitError, at, instant, joined, pointer_of, typed
from services.ingest.vendors.shape import (
    Bad,
    Delivery,
    MalformedError,
    Reading,
    event,
    identity,
    record_event,
)

_RECORD: Final = "crm.record."
_TYPE: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")
_OTHERS: Final = "*"
_READ_APART: Final = frozenset({"type", "origin", "id", "time", "fields"})
_DATA: Final = {name: f"/data/{name}" for name in ATTRIBUTES - {"type", "id", "time"}}


class _Item(NamedTuple):
    """One event of a body, and what is known of it beside its own text."""

    value: Any
    identity: str | None
    time: datetime | None


def read(
    source: Source,
    delivery: Delivery,
    options: CustomOptions,
    fields: FieldRegistry,
    *,
    message: str | None = None,
    sent_at: datetime | None = None,
) -> Reading:
    """Return the events of a body. ``message`` and ``sent_at``: the identity and time of the delivery, if it has them.

    Raises:
        MalformedError: the body is not JSON, or holds no events where the mapping says.
    """
    events: list[dict[str, Any]] = []
    bad: list[Bad] = []
    for number, (place, value) in enumerate(_items(options, delivery.body)):
        item = _Item(value, None if message is None else identity(source.id, message, number), sent_at)
        try:
            made = _event(source, options, fields, item, delivery.received_at)
        except UnfitError as unfit:
            bad.append(Bad(place + unfit.place, unfit.reason))
        else:
            events += [made] if made is not None else []
    return Reading(events, bad)


def _items(options: CustomOptions, text: bytes) -> list[tuple[str, Any]]:
    found = at(json_value(text), options.items)
    if not options.items and isinstance(found, dict):
        return [("", found)]
    if not isinstance(found, list):
        raise MalformedError("holds no array of events where the mapping says")
    if len(found) > MAX_EVENTS:
        raise MalformedError("holds more than 2,500 events")
    return [(f"{options.items}/{number}", value) for number, value in enumerate(found)]


def _event(
    source: Source, options: CustomOptions, fields: FieldRegistry, item: _Item, received_at: datetime
) -> dict[str, Any] | None:
    """Return the event of ``item``; None when its type is not wanted."""
    mapping = options.mapping or _contract(item)
    kind = _type(options, mapping, item.value)
    if not kind:
        return None
    time = _time(options, mapping, item)
    origin, confidence = _origin(options, mapping, item.value)
    known = {name: typed(name, place, item.value) for name, place in mapping.items() if name not in _READ_APART}
    data = {name: value for name, value in known.items() if value is not None and value != ""}
    id_ = _identity(source, mapping, item, time, received_at)
    user = data.pop("user", None)
    if not kind.startswith(_RECORD):
        made = event(source, id=id_, type=kind, time=time, user=user, origin=origin, confidence=confidence)(**data)
    else:
        made = record_event(
            source,
            fields,
            id=id_,
            kind=kind.removeprefix(_RECORD),
            time=time,
            user=user,
            object=data.pop("object", ""),
            record=data.pop("record", None),
            values=_fields(mapping, item.value),
            origin=origin,
            confidence=confidence,
            **data,
        )
    if not options.mapping:
        _add_others(made["data"], item.value.get("data") or {})
    return made


def _contract(item: _Item) -> dict[str, str]:
    """Return the mapping of an event that already has the shape of the contract."""
    if not isinstance(item.value, dict):
        raise UnfitError("", "must be an object")
    data = item.value.get("data")
    if not isinstance(data, dict | None):
        raise UnfitError("/data", "must be an object")
    mapping = {name: _DATA[name] for name in data or () if name in _DATA}
    mapping["type"] = "/type"
    mapping["time"] = "/time" if "time" in item.value else "/timestamp"
    if item.identity is None:
        mapping["id"] = "/id"
    return mapping


def _add_others(data: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Add what the contract does not name; of it normalising keeps numbers and states only."""
    for name in given.keys() - ATTRIBUTES:
        data.setdefault(name, given[name])


def _type(options: CustomOptions, mapping: Mapping[str, str], item: object) -> str:
    place = mapping["type"]
    given = joined("type", place, item)
    where = "" if place.startswith(CONSTANT) else pointers("type", place)[0]
    if given is None:
        raise UnfitError(where, "is needed: it tells the type of the event")
    if place.startswith(CONSTANT):
        return given
    if options.types:
        named = options.types.get(given, options.types.get(_OTHERS))
        if named is None:
            raise UnfitError(where, "is none of the types that are declared")
        return named
    if not _TYPE.fullmatch(given):
        raise UnfitError(where, "is not the name of a type")
    return given


def _origin(options: CustomOptions, mapping: Mapping[str, str], item: object) -> tuple[str, str]:
    """Return the origin and how it is known: stated by the sender, or inferred by the one who wrote the mapping."""
    place = mapping.get("origin")
    given = None if place is None else joined("origin", place, item)
    if place is None or given is None:
        return "unknown", "none"
    origin = options.origins.get(given, options.origins.get(_OTHERS, given))
    if origin not in ORIGINS or origin == "unknown":
        return "unknown", "none"
    stated = not place.startswith(CONSTANT) and (given == origin or given in options.origins)
    return origin, "stated" if stated else "inferred"


def _identity(
    source: Source, mapping: Mapping[str, str], item: _Item, time: datetime | None, received_at: datetime
) -> str:
    """Return the identity of an event. Without any, the same text is the same event; without a time, in one minute."""
    place = mapping.get("id")
    if place is not None:
        given = joined("id", place, item.value)
        if given is not None:
            return identity(source.id, given)
    if item.identity is not None:
        return item.identity
    text = msgspec.json.encode(item.value, order="deterministic").hex()
    return identity(source.id, text, time or received_at.replace(second=0, microsecond=0))


def _time(options: CustomOptions, mapping: Mapping[str, str], item: _Item) -> datetime | None:
    place = mapping.get("time")
    given = None if place is None else typed("time", place, item.value)
    if place is None or given is None or given == "":
        return item.time
    moment = instant(given, options.time_zone)
    if moment is None:
        raise UnfitError(pointer_of(place), "is no instant; one without an offset needs the option time_zone")
    return moment


def _fields(mapping: Mapping[str, str], item: object) -> Mapping[str, Any]:
    place = mapping.get("fields")
    given = None if place is None else at(item, place)
    if given is None or given == []:  # how PHP writes an empty object
        return {}
    if not isinstance(given, dict):
        raise UnfitError(place, "must be an object of field names and values")
    return given
