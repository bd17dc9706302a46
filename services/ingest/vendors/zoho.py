"""Zoho CRM notifications: one operation on one or many records of a module. Pure.

The proof is the ``token`` of the channel, which Zoho repeats in the body; it is taken out of what is kept. Whether Zoho
sends again is not known, so nothing is left to it. Who did it is told only where Modified_By is among the values.
"""

import re
from typing import Any, Final

import msgspec

from schemas.fields import FieldRegistry
from schemas.sources import Source
from services.ingest.vendors.documents import json_object, key, listing, mapping, number, text
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
    from_milliseconds,
    identity,
    record_event,
    same,
)
from services.ingest.vendors.stages import stage_of

_KINDS: Final = {
    "insert": "created",
    "create": "created",
    "update": "updated",
    "edit": "updated",
    "restore": "updated",
    "delete": "deleted",
}
_STAGES: Final = frozenset({"stage"})
_OWN: Final = frozenset({"id", "Created_By", "Modified_By", "Created_Time", "Modified_Time", "Last_Activity_Time"})
_MOST: Final = 2500
_TOKEN: Final = re.compile(rb'("token"\s*:\s*)"(?:[^"\\]|\\.)*(?:"|\Z)', re.DOTALL)


def _verify(source: Source, delivery: Delivery) -> bool:
    try:
        token = json_object(delivery.body).get("token")
    except MalformedError:
        return False
    return isinstance(token, str) and same(token, source.secrets)


def _parse(source: Source, delivery: Delivery, fields: FieldRegistry) -> Reading:
    body = json_object(delivery.body)
    module = text(body.get("module")) or text(mapping(body.get("module")).get("api_name"))
    records = listing(body.get("ids"))
    if not module or not records or len(records) > _MOST:
        raise MalformedError("has no module and ids, or too many")
    operation = text(body.get("operation")).casefold()
    if operation not in _KINDS:
        return Reading([], [Bad("/operation", "is not known")])
    values = _values(body)
    changed = {
        name: [field for field in listing(names) if isinstance(field, str)]
        for each in listing(body.get("affected_fields"))
        for name, names in mapping(each).items()
    }
    reading = Reading(
        [], [Bad(f"/ids/{place}", "is no id") for place, given in enumerate(records) if key(given) is None]
    )
    for record in filter(None, dict.fromkeys(map(key, records))):
        told = values.get(record, {})
        names = {*changed.get(record, ()), *told}
        reading.events.append(_event(source, fields, body, module, operation, record, told, names))
    return reading


def _values(body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the values that were sent of each record."""
    rows = (mapping(each) for each in listing(body.get("affected_values")))
    return {key(row.get("record_id")) or "": mapping(row.get("values")) for row in rows}


def _event(
    source: Source,
    fields: FieldRegistry,
    body: dict[str, Any],
    module: str,
    operation: str,
    record: str,
    told: dict[str, Any],
    names: set[str],
) -> dict[str, Any]:
    kind = _KINDS[operation]
    values = {name: _plain(value) for name, value in told.items() if name not in _OWN} if kind != "deleted" else {}
    stage = stage_of(names if kind == "updated" else (), values, module, fields, _STAGES)
    actor = told.get("Modified_By") or (told.get("Created_By") if kind == "created" else None)
    channel, moment = key(body.get("channel_id")), number(body.get("server_time"))
    return record_event(
        source,
        fields,
        id=identity(channel, module, record, operation, moment),
        kind=stage.kind(kind),
        time=from_milliseconds(moment),
        user=key(mapping(actor).get("id")) or key(actor),
        object=module,
        record=record,
        values=values,
        email=text(mapping(actor).get("email")),
        bulk=True if len(listing(body["ids"])) > 1 else None,
        **stage.told,
    )


def _plain(value: object) -> object:
    """Return the id of a looked-up record or user; other values as they are."""
    return value["id"] if isinstance(value, dict) and "id" in value else value


def _scrub(body: bytes) -> bytes:
    """Return ``body`` without its token."""
    try:
        told = json_object(body)
    except MalformedError:
        return _TOKEN.sub(rb"\1null", body)
    return msgspec.json.encode({**told, "token": None}) if "token" in told else body


VENDOR: Final = Vendor(
    kind="zoho",
    manners=Manners(
        accepted=OK,
        unauthorized=UNAUTHORIZED,
        malformed=MALFORMED,
        overloaded=OVERLOADED,
        limited=LIMITED,
        too_large=TOO_LARGE,
        never_retries=True,
        seconds=2.0,
    ),
    verify=_verify,
    parse=_parse,
    scrub=_scrub,
)
