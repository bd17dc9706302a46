"""Deliveries that are read by a mapping: the templates of the guide, with the bodies that their CRMs send."""

from collections.abc import Callable
from typing import Any

from schemas.sources import Source
from services.ingest.vendors.shape import Delivery
from tests.ingest.deliveries import SECRET, delivery, source

HEADERS = {"x-uptake-secret": SECRET}

FRAPPE: dict[str, Any] = {
    "time_zone": "Asia/Kolkata",
    "mapping": {
        "id": "/doctype /name /modified /event",
        "type": "/event",
        "time": "/modified",
        "user": "/modified_by",
        "email": "/modified_by",
        "object": "/doctype",
        "record": "/name",
        "owner": "/owner",
        "fields": "/fields",
    },
    "types": {
        "after_insert": "crm.record.created",
        "on_update": "crm.record.updated",
        "on_trash": "crm.record.deleted",
    },
}
SUGAR: dict[str, Any] = {
    "mapping": {
        "id": "/event /bean /data/id /data/date_modified",
        "type": "/event /isUpdate",
        "time": "/data/date_modified",
        "user": "/data/modified_user_id",
        "object": "/bean",
        "record": "/data/id",
        "owner": "/data/assigned_user_id",
        "fields": "/data",
    },
    "types": {
        "after_save true": "crm.record.updated",
        "after_save false": "crm.record.created",
        "after_delete": "crm.record.deleted",
        "*": "",
    },
}
FRESHSALES: dict[str, Any] = {
    "mapping": {
        "id": "/record /updated_at",
        "type": "/event",
        "time": "/updated_at",
        "user": "/user",
        "email": "/user",
        "object": "=deal",
        "record": "/record",
        "stage": "/stage",
        "fields": "/fields",
        "origin": "/origin",
    },
    "types": {"created": "crm.record.created", "updated": "crm.record.updated", "moved": "crm.record.stage_changed"},
    "origins": {"workflow": "automation"},
}


def frappe(text: Callable[[], str], **changes: Any) -> dict[str, Any]:
    """Return what the Frappe template of the guide sends."""
    return {
        "event": "on_update",
        "doctype": "Opportunity",
        "name": "CRM-OPP-2026-00012",
        "modified": "2026-03-02 14:31:07.123456",
        "modified_by": "ann@example.com",
        "owner": "bob@example.com",
        "fields": {"status": text(), "opportunity_amount": 1200.5, "contact_email": text(), "probability": None},
        **changes,
    }


def sugar(text: Callable[[], str], **changes: Any) -> dict[str, Any]:
    """Return what a Web Logic Hook of SugarCRM sends."""
    return {
        "isUpdate": True,
        "dataChanges": [],
        "bean": "Account",
        "data": {
            "id": "e0623cdb-ac4b-e7ff-f681-5242e9116892",
            "name": text(),
            "date_modified": "2026-03-01T21:16:06-04:00",
            "modified_user_id": "1",
            "modified_by_name": text(),
            "description": "",
            "deleted": False,
            "assigned_user_id": "seed_will_id",
            "email": [{"email_address": text(), "primary_address": True}],
        },
        "event": "after_save",
        **changes,
    }


def freshsales(text: Callable[[], str], **changes: Any) -> dict[str, Any]:
    """Return what the Freshsales template of the guide sends."""
    return {
        "event": "moved",
        "record": "901234",
        "user": "ann@example.com",
        "stage": "Negotiation",
        "updated_at": "2026-03-02T10:31:07Z",
        "fields": {"amount": text(), "expected_close": text()},
        **changes,
    }


def custom(*secrets: str, **options: Any) -> Source:
    """Return a source that is read by a mapping."""
    return source("custom", *secrets, **options)


def sent(body: Any, **more: Any) -> Delivery:
    """Return a delivery with the secret in the usual header."""
    return delivery(body, **{"headers": HEADERS, **more})


def deliveries(text: Callable[[], str]) -> list[tuple[Source, Delivery]]:
    """Return deliveries for each template and for the shape of the contract, ``text()`` wherever a value stands."""
    contract = {
        "id": "e-1",
        "type": "crm.record.updated",
        "time": "2026-03-02T10:00:00Z",
        "data": {"user": "u1", "object": "deal", "record": "7", "fields": {"name": text()}, "remark": text()},
    }
    listed = {"account": text(), "rows": [freshsales(text), freshsales(text, event="created")]}
    return [
        (custom(**FRAPPE), sent(frappe(text))),
        (custom(**SUGAR), delivery(sugar(text), secret=SECRET)),
        (custom(**FRESHSALES, header="Authorization"), sent(freshsales(text), headers={"authorization": SECRET})),
        (custom(**FRESHSALES, items="/rows"), sent(listed)),
        (custom(), sent([contract])),
    ]
