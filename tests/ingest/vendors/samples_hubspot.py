"""HubSpot's deliveries: the examples of its guides and SDKs, and batches put together from them."""

import itertools
import json
from collections.abc import Callable
from typing import Any

from schemas.sources import Source
from services.ingest.vendors.shape import Delivery
from services.ingest.vendors.signatures import hubspot_v1, hubspot_v2, hubspot_v3
from tests.ingest.deliveries import RECEIVED, delivery, source

CLIENT = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
URL = "https://in.example.com/v1/hooks/crm"
OCCURRED = 1_772_445_600_000
"""2026-03-02T10:00:00Z."""
NOW = int(RECEIVED.timestamp() * 1000)
PUBLISHED = (
    '[{"eventId":1,"subscriptionId":12345,"portalId":62515,"occurredAt":1564113600000,'
    '"subscriptionType":"contact.creation","attemptNumber":0,"objectId":123,"changeSource":"CRM",'
    '"changeFlag":"NEW","appId":54321}]'
)
"""The body in HubSpot's guide and in the tests of its SDK for Node."""

_numbers = itertools.count(1)


def change(kind: str = "deal.propertyChange", **changes: Any) -> dict[str, Any]:
    """Return one event of HubSpot with ``changes``; a change to None takes the field away."""
    made = {
        "eventId": next(_numbers),
        "subscriptionId": 1160452,
        "portalId": 62515,
        "appId": 54321,
        "occurredAt": OCCURRED,
        "subscriptionType": kind,
        "attemptNumber": 0,
        "objectId": 65059681032,
        "changeSource": "CRM_UI",
        "sourceId": "userId:45678",
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


def edit(name: str = "dealname", value: str | None = "Renewal", **changes: Any) -> dict[str, Any]:
    """Return the change of one property."""
    return change(**{"propertyName": name, "propertyValue": value, **changes})


def signed(body: Any, *, secret: str = CLIENT, url: str = URL, at: int = NOW, version: str = "v3") -> Delivery:
    """Return a delivery with all the signatures that HubSpot sends; ``version`` is that of the old header."""
    raw = body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else json.dumps(body).encode()
    old = hubspot_v2(secret, "POST", url, raw) if version == "v2" else hubspot_v1(secret, raw)
    headers = {
        "x-hubspot-signature": old,
        "x-hubspot-signature-version": version if version == "v2" else "v1",
        "x-hubspot-signature-v3": hubspot_v3(secret, "POST", url, raw, str(at)),
        "x-hubspot-request-timestamp": str(at),
    }
    return delivery(raw, headers=headers, url=url)


def portal(*secrets: str, **options: Any) -> Source:
    """Return a source of HubSpot."""
    return source("hubspot", *(secrets or (CLIENT,)), **options)


def deliveries(text: Callable[[], str]) -> list[tuple[Source, Delivery]]:
    """Return signed deliveries in every form, with ``text()`` wherever a value stands."""
    texts = ("dealname", "amount", "closedate", "description")
    batch = [
        *(edit(name, text()) for name in texts),
        edit("dealstage", "presentationscheduled"),
        edit("hs_lead_status", text(), kind="contact.propertyChange", isSensitive=True),
        edit("email", "REDACTED", kind="object.propertyChange", objectTypeId="0-1", isSensitive=True),
        edit("hs_call_body", text(), kind="object.propertyChange", objectTypeId="0-48"),
        edit("name", text(), kind="company.propertyChange", changeSource="IMPORT", sourceId=text()),
        edit("subject", text(), kind="ticket.propertyChange", changeSource="WORKFLOWS", sourceId=text()),
        change("object.creation", objectTypeId="0-3", changeFlag="CREATED"),
        change("deal.deletion", changeSource="CRM_UI_BULK_ACTION"),
        change("contact.merge", primaryObjectId=1, mergedObjectIds=[2, 3], newObjectId=4, numberOfPropertiesMoved=7),
        change("company.restore"),
        change(
            "contact.associationChange",
            objectId=None,
            associationType="CONTACT_TO_COMPANY",
            fromObjectId=11,
            toObjectId=12,
            associationRemoved=False,
            isPrimaryAssociation=False,
            changeSource="USER",
        ),
        change("contact.privacyDeletion", changeSource=None, sourceId=None),
        change("conversation.newMessage", messageId=text(), messageType="MESSAGE", changeFlag="NEW_MESSAGE"),
        change("event.completed", properties={"hs_page_title": text()}),
    ]
    batch = [{**each, "eventId": number} for number, each in enumerate(batch)]
    old = [
        {
            "eventType" if name == "subscriptionType" else name: value
            for name, value in edit("x", text(), eventId=1).items()
        }
    ]
    return [
        (portal(), signed(batch)),
        (portal(), signed(old)),
        (portal(signature="v2"), signed([edit("dealname", text(), eventId=1)], version="v2")),
        (portal(signature="v1", portal="62515"), signed(PUBLISHED)),
    ]
