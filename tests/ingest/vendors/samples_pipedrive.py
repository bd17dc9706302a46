"""What Pipedrive posts: webhooks of version 2, and of version 1."""

from base64 import b64encode
from collections.abc import Callable
from typing import Any

from schemas.sources import Source
from services.ingest.vendors.shape import Delivery
from tests.ingest.deliveries import delivery, source

SECRET = "uptake:a-password"
HEADERS = {"user-agent": "Pipedrive Webhooks", "authorization": "Basic " + b64encode(SECRET.encode()).decode()}


def meta(**changes: Any) -> dict[str, Any]:
    return {
        "action": "change",
        "entity": "deal",
        "entity_id": "42",
        "company_id": "11846390",
        "correlation_id": "5a3f1a4e-7c3f-4b57-9c3a-1b2c3d4e5f60",
        "id": "e0c1f3a2-5b1d-4a38-9b7d-8a8d1f6a1f11",
        "is_bulk_edit": False,
        "timestamp": "2026-03-02T09:00:00.123Z",
        "type": "general",
        "user_id": "17658032",
        "version": "2.0",
        "webhook_id": "513461",
        "webhook_owner_id": "17658032",
        "change_source": "app",
        "attempt": 1,
        "host": "acme.pipedrive.com",
        "permitted_user_ids": ["17658032", "17658033"],
        **changes,
    }


def deal(**changes: Any) -> dict[str, Any]:
    return {
        "id": 42,
        "title": "Grace's deal",
        "stage_id": 3,
        "status": "open",
        "owner_id": 17658032,
        "value": 1200,
        "expected_close_date": "2026-04-30",
        "lost_reason": None,
        "origin": "ManuallyCreated",
        "add_time": "2026-03-01T10:00:00Z",
        "update_time": "2026-03-02T09:00:00Z",
        "custom_fields": {"2f1a": {"type": "varchar", "value": "Oslo"}, "9b3c": None},
        **changes,
    }


def hook(previous: Any = None, data: Any = None, **changes: Any) -> dict[str, Any]:
    """Return a webhook of version 2; ``changes`` are those of its meta."""
    return {"meta": meta(**changes), "data": deal() if data is None else data, "previous": previous}


def user(previous: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return the webhook of a changed user, whose last login was on 2 March."""
    told = {"entity": "user", "entity_id": "17658033", "id": 17658033, "user_id": "17658033", "timestamp": 1772439331}
    row = {"id": 17658033, "name": "Maya", "email": "maya@acme.example", "last_login": "2026-03-02 08:15:30"}
    return {"meta": meta(**{**told, **changes}), "data": row, "previous": previous}


def old(action: str = "updated", **changes: Any) -> dict[str, Any]:
    """Return a webhook of version 1, which has the whole object before the change."""
    told = {
        "v": 1,
        "action": action,
        "object": "deal",
        "id": 42,
        "company_id": 11846390,
        "user_id": 17658032,
        "timestamp": 1772442000,
        "timestamp_micro": 1772442000123456,
        "is_bulk_update": False,
        "permitted_user_ids": [17658032],
        **changes,
    }
    before = {"id": 42, "title": "t", "stage_id": 2, "user_id": 17658032, "person_id": {"name": "x", "value": 9}}
    return {
        "v": 1,
        "matches_filters": {"current": []},
        "meta": told,
        "current": {**before, "stage_id": 3},
        "previous": before,
        "retry": 0,
        "event": f"{action}.deal",
    }


def posted(body: Any) -> Delivery:
    return delivery(body, headers=HEADERS)


def deliveries(text: Callable[[], str]) -> list[tuple[Source, Delivery]]:
    """Return webhooks of every form, with ``text()`` wherever a value of a field or other free text stands."""
    person = {"id": 9, "name": text(), "emails": [{"label": "work", "value": text(), "primary": True}], "phones": []}
    custom = {"2f1a": {"type": "varchar", "value": text()}}
    version1 = old()
    version1["current"]["title"], version1["previous"]["title"] = text(), text()
    login = user({"last_login": "2026-03-01 08:00:00"})
    login["data"]["name"] = text()
    bodies = [
        hook({"title": text(), "lost_reason": text()}, deal(title=text(), lost_reason=text())),
        hook({"stage_id": 2}, deal(title=text())),
        hook(None, deal(title=text(), custom_fields=custom), action="create"),
        hook({"custom_fields": {"2f1a": {"type": "varchar", "value": text()}}}, deal(custom_fields=custom)),
        hook(deal(title=text()), {}, action="delete") | {"data": None},
        hook(None, person, action="create", entity="person", entity_id="9"),
        hook({"done": False}, {"id": 5, "done": True, "note": text()}, entity="activity", entity_id="5"),
        login,
        version1,
    ]
    return [(source("pipedrive", SECRET), posted(body)) for body in bodies]
