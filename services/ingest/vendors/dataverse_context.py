"""What a RemoteExecutionContext says, found wherever Dataverse puts it: the record, its attributes, who and when. Pure.

A missing part is normal: Dataverse takes out of a body beyond 256 KB what was changed. The zero GUID means nobody.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

from schemas.events import EARLIEST
from services.ingest.normalise import AHEAD
from services.ingest.vendors.documents import listing, mapping, text
from services.ingest.vendors.shape import Delivery, MalformedError, from_milliseconds, from_text

_NOBODY: Final = "0" * 32
_GUID: Final = re.compile(r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}")
_DATE: Final = re.compile(r"/Date\((-?[0-9]{1,15})(?:([+-])([0-9]{2})([0-9]{2}))?\)/")


class Change(NamedTuple):
    """What a context says, found wherever it puts it."""

    context: dict[str, Any]
    message: str
    table: str
    record: str | None
    attributes: dict[str, Any] | None
    """The attributes that were sent; None: not told."""
    user: str | None

    def reference(self, name: str) -> str | None:
        """Return the id that the attribute ``name`` refers to."""
        return guid(plain((self.attributes or {}).get(name)))


def change_of(context: dict[str, Any], delivery: Delivery) -> Change:
    """Return what ``context`` tells of; the headers say what it was, too."""
    message = text(context.get("MessageName")) or delivery.headers.get("x-ms-dynamics-request-name", "").strip()
    table = text(context.get("PrimaryEntityName")) or delivery.headers.get("x-ms-dynamics-entity-name", "").strip()
    if not message or not table:
        raise MalformedError("has no MessageName and PrimaryEntityName")
    parameters = pairs(context.get("InputParameters"))
    target = mapping(parameters.get("Target") or parameters.get("EntityMoniker") or parameters.get("UpdateContent"))
    made = pairs(context.get("OutputParameters")).get("id")
    record = guid(context.get("PrimaryEntityId")) or guid(made) or guid(target.get("Id"))
    attributes = pairs(target["Attributes"]) if "Attributes" in target else None
    folded = message.casefold()
    if folded == "assign" and "Assignee" in parameters:
        attributes = {"ownerid": parameters["Assignee"]}
    if folded.startswith("setstate"):
        attributes = {"statecode": parameters.get("State"), "statuscode": parameters.get("Status")}
    if folded == "merge" and "UpdateContent" in parameters:
        attributes = pairs(mapping(parameters["UpdateContent"]).get("Attributes"))
    return Change(context, message, table, record, attributes, guid(context.get("InitiatingUserId")))


def pairs(value: object) -> dict[str, Any]:
    """Return a serialised dictionary, ``[{"key": …, "value": …}]``, as one."""
    return {
        item["key"]: item.get("value") for item in listing(value) if type(item) is dict and type(item.get("key")) is str
    }


def plain(value: object) -> object:
    """Return the bare value of an EntityReference, an OptionSetValue, Money or a list of them; a zero GUID is none."""
    if type(value) is dict:
        value = value.get("Value", value.get("Id", value.get("Entities", value)))
    return None if type(value) is str and value[:1] == "0" and value.replace("-", "") == _NOBODY else value


def guid(value: object) -> str | None:
    """Return a GUID in its usual spelling; the zero GUID is none."""
    if type(value) is not str:
        return None
    bare = value.strip().casefold().strip("{}")
    return bare if _GUID.fullmatch(bare) and bare.strip("0-") else None


def time_of(change: Change, now: datetime) -> datetime | None:
    """Return when it happened: as the record says, else as the operation does; None: unknown."""
    attributes = change.attributes or {}
    given = (attributes.get("modifiedon"), attributes.get("createdon"), change.context.get("OperationCreatedOn"))
    return next((moment for value in given if value is not None for moment in _moments(value, now)), None)


def _moments(value: object, now: datetime) -> Iterator[datetime]:
    """Give the likely instants of a date: its milliseconds as UTC; with the offset only if they lie in the future.

    Dataverse has written local milliseconds beside an offset, though WCF means them to be UTC.
    """
    match = _DATE.fullmatch(text(value).replace("\\", ""))
    if match is None:
        moments = [from_text(value)]
    else:
        milliseconds = int(match[1])
        minutes = int(match[3] or 0) * 60 + int(match[4] or 0)
        shift = minutes * 60_000 * (-1 if match[2] == "-" else 1)
        moments = [from_milliseconds(milliseconds)]
        if moments[0] is None or moments[0] > now:
            moments.append(from_milliseconds(milliseconds + shift))
    yield from (each for each in moments if each is not None and EARLIEST <= each <= now + AHEAD)
