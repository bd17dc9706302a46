"""What Zoho CRM posts: notifications of its watch API."""

from collections.abc import Callable
from typing import Any

from schemas.sources import Source
from services.ingest.vendors.shape import Delivery
from tests.ingest.deliveries import SECRET, delivery, source

ONE, TWO = "3652397000009851001", "3652397000009851002"
MAYA = {"name": "Maya", "id": "3652397000000186017", "email": "maya@acme.example"}


def notification(operation: str = "update", values: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Return a notification of one deal with ``values``."""
    told = {"Modified_By": MAYA, "Stage": "Qualification"} if values is None else values
    return {
        "server_time": 1772442000123,
        "affected_values": [{"record_id": ONE, "values": told}],
        "query_params": {},
        "module": "Deals",
        "resource_uri": "https://www.zohoapis.com/crm/v2/Deals",
        "ids": [ONE],
        "affected_fields": [{ONE: sorted(told)}],
        "operation": operation,
        "channel_id": "1105420521",
        "token": SECRET,
        **changes,
    }


def deliveries(text: Callable[[], str]) -> list[tuple[Source, Delivery]]:
    """Return notifications of every operation, with ``text()`` wherever a value of a field stands."""
    owner = {"name": text(), "id": "3652397000000186017"}
    values = {"Modified_By": MAYA, "Deal_Name": text(), "Description": text(), "Owner": owner, "Next_Step": None}
    bodies = [
        notification("update", values),
        notification("insert", {**values, "Stage": "Qualification"}),
        notification("delete", {}),
        notification("update", {}, ids=[ONE, TWO], affected_fields=[{ONE: ["Stage"]}, {TWO: ["Stage"]}]),
        notification("update", {"Account_Name": {"name": text(), "id": ONE}}, module="Contacts", server_time=None),
    ]
    return [(source("zoho"), delivery(body)) for body in bodies]
