"""Salesforce outbound messages: SOAP, up to a hundred notifications, each with a record as it was when sent. Pure.

The only proof is the secret at the end of the address. Who and when are told only where the message holds
LastModifiedById, LastModifiedDate, CreatedById and CreatedDate. Anything but 200 with ``Ack`` true is sent again for a
day. ``SessionId`` opens the sender's own API: it is never read, and taken out of what is kept.
"""

import re
from collections.abc import Container
from typing import Any, Final

from schemas.fields import FieldRegistry
from schemas.sources import Source
from services.ingest.vendors.salesforce import long_id, moment, software_of
from services.ingest.vendors.shape import (
    LIMITED,
    OVERLOADED,
    TOO_LARGE,
    UNAUTHORIZED,
    Bad,
    Delivery,
    MalformedError,
    Manners,
    Reading,
    Reply,
    Vendor,
    identity,
    record_event,
    same,
)
from services.ingest.vendors.soap import Notification, read

_ENVELOPE: Final = (
    b'<?xml version="1.0" encoding="UTF-8"?>'
    b'<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>%s</soapenv:Body>'
    b"</soapenv:Envelope>"
)
_ACK: Final = (
    b'<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack></notificationsResponse>'
)
_FAULT: Final = (
    b"<soapenv:Fault><faultcode>soapenv:Client</faultcode>"
    b"<faultstring>The body is not an outbound message.</faultstring></soapenv:Fault>"
)
_XML: Final = b"text/xml; charset=UTF-8"
_MOST: Final = 2500
_OWN: Final = frozenset(
    {
        *("Id", "CreatedById", "CreatedDate", "LastModifiedById", "LastModifiedDate", "SystemModstamp", "IsDeleted"),
        *("LastViewedDate", "LastReferencedDate"),
    }
)
_SESSION: Final = re.compile(rb"<((?:[\w.-]+:)?SessionId)\b(?:[^>]*/>|.*?(?:</\1\s*>|\Z))", re.DOTALL)
_TICKET: Final = re.compile(rb"00D\w{12,15}(?:!|%21|&#33;|&#x21;)[\w.%-]+")


def _verify(source: Source, delivery: Delivery) -> bool:
    return same(delivery.secret, source.secrets)


def _parse(source: Source, delivery: Delivery, fields: FieldRegistry) -> Reading:
    message = read(delivery.body)
    if not 1 <= len(message.notifications) <= _MOST:
        raise MalformedError("has no notification, or too many")
    events: list[dict[str, Any]] = []
    bad: list[Bad] = []
    organization, software = long_id(message.organization), software_of(source)
    for place, notification in enumerate(message.notifications):
        lacking = _lacking(notification)
        if lacking:
            bad.append(Bad(f"/notifications/{place}", lacking))
        else:
            events.append(_event(source, fields, organization, software, notification))
    return Reading(events, bad)


def _lacking(notification: Notification) -> str:
    if not notification.id:
        return "has no Id"
    return "" if notification.object and notification.fields.get("Id") else "has no sObject with a type and an Id"


def _event(
    source: Source,
    fields: FieldRegistry,
    organization: str | None,
    software: Container[str],
    notification: Notification,
) -> dict[str, Any]:
    told = notification.fields
    modified = moment(told.get("LastModifiedDate"))
    same_text = told.get("CreatedDate") == told.get("LastModifiedDate")
    created = modified if same_text else moment(told.get("CreatedDate"))
    kind = "created" if created is not None and created == modified else "updated"
    kind = "deleted" if told.get("IsDeleted") == "true" else kind
    user = long_id(told.get("LastModifiedById"))
    if user is None and kind == "created":
        user = long_id(told.get("CreatedById"))
    by_software = user is not None and user in software
    return record_event(
        source,
        fields,
        id=identity(organization, long_id(notification.id)),
        kind=kind,
        time=modified or moment(told.get("SystemModstamp")),
        user=user,
        object=notification.object,
        record=long_id(told["Id"]),
        values={name: value for name, value in told.items() if name not in _OWN} if kind != "deleted" else None,
        origin="automation" if by_software else "unknown",
        confidence="inferred" if by_software else "none",
    )


def _scrub(body: bytes) -> bytes:
    """Return ``body`` without credentials; nothing of it where it is written so that they cannot be found."""
    if b"\x00" in body:
        return b""
    return _TICKET.sub(b"", _SESSION.sub(b"", body))


VENDOR: Final = Vendor(
    kind="salesforce-outbound",
    manners=Manners(
        accepted=Reply(200, _ENVELOPE % _ACK, _XML),
        unauthorized=UNAUTHORIZED,
        malformed=Reply(500, _ENVELOPE % _FAULT, _XML),
        overloaded=OVERLOADED,
        limited=LIMITED,
        too_large=TOO_LARGE,
    ),
    verify=_verify,
    parse=_parse,
    scrub=_scrub,
)
