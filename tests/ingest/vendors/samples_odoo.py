"""What Odoo posts: the chosen fields of one record, as ``json.dumps(vals, sort_keys=True, default=str)`` has them."""

from collections.abc import Callable
from typing import Any

from schemas.sources import Source
from services.ingest.vendors.shape import Delivery
from tests.ingest.deliveries import SECRET, delivery, source


def lead(**changes: Any) -> dict[str, Any]:
    """Return the notification of a saved lead; a change to None takes the field away."""
    body = {
        "_action": "Lead saved(#41)",
        "_id": 7,
        "_model": "crm.lead",
        "create_date": "2026-03-02 08:15:30",
        "create_uid": 12,
        "id": 7,
        "stage_id": 3,
        "write_date": "2026-03-02 09:00:00.123456",
        "write_uid": 14,
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


def login(**changes: Any) -> dict[str, Any]:
    """Return the notification of a new row of ``res.users.log``."""
    body = {
        "_action": "Logged in(#43)",
        "_id": 901,
        "_model": "res.users.log",
        "create_date": "2026-03-02 08:15:30.5",
        "create_uid": 12,
        "id": 901,
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


def deliveries(text: Callable[[], str]) -> list[tuple[Source, Delivery]]:
    """Return deliveries of every trigger, with ``text()`` wherever a value of a field stands."""
    values = {
        "partner_name": text(),
        "description": text(),
        "phone": False,
        "expected_revenue": 1200.5,
        "tag_ids": [3, 4],
        "activity_ids": [],
        "is_rainbowman": True,
        "date_deadline": "2026-03-31",
    }
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("lead-save/save", lead(**values)),
        ("lead-save/create", lead(write_date="2026-03-02 08:15:30", **values)),
        ("lead-stage/stage", lead(name=text())),
        ("lead-gone/unlink", lead(name=text())),
        ("lead-save/write", lead(_id="NewId_0x7f3a5c", _action=f"{text()}(#NewId_0x7f3a5c)", id=None, name=text())),
        ("bare", {"_action": text(), "_id": 7, "_model": "crm.lead", "name": text()}),
        ("note/create", lead(_model="mail.message", body=text(), stage_id=None)),
        ("logins/login", login()),
    ]
    return [(source("odoo"), delivery(body, path=path, secret=SECRET)) for path, body in bodies]
