"""``/v1/administration``: who made, changed or deleted tenants, keys, sources, rules, subscriptions and feeds.

Written by the tables themselves in the transaction of the change, so that nothing happens unseen, by whatever way. Of
what changed the names are told, never the values.
"""

from datetime import datetime
from typing import Any, Final, Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.api import cursors
from services.api.auth import AdminKey, Named
from services.api.shapes import Cursor, Filter, Limit, Shown, example, page
from services.api.store import administration as store
from services.api.store.sessions import reading

router = APIRouter(prefix="/v1/administration", tags=["keys"])

FIRST: Final = 1 << 62
Kind = Literal["tenant", "key", "source", "rule", "subscription", "feed"]


class Deed(Shown):
    """What somebody administered. ``actor``: the id of a key, or an account of PostgreSQL and the program it ran."""

    at: datetime
    tenant: str | None = None
    actor: str
    action: Literal["made", "changed", "deleted"]
    kind: Kind
    name: str
    parts: list[str]


class DeedPage(Shown):
    """One page of deeds, the latest first."""

    items: list[Deed]
    next: str | None = None


DEED: Final[dict[str, Any]] = {
    "at": "2026-03-08T09:00:00Z",
    "tenant": "acme",
    "actor": "k3v9x0ab",
    "action": "changed",
    "kind": "source",
    "name": "hubspot-eu",
    "parts": ["secrets"],
}


@router.get("", response_model=DeedPage, responses=example({"items": [DEED], "next": None}))
async def show(
    request: Request,
    _principal: AdminKey,
    uptake_tenant: Named = None,
    kind: Kind | None = None,
    actor: Filter = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """List who administered what, the latest first; with Uptake-Tenant, of that tenant."""
    tenant = uptake_tenant or None
    question = cursors.mark("administration", tenant, kind, actor)
    before = cursors.decode(cursor, question, int)
    if before is not None and not 0 < before <= FIRST:
        raise cursors.strange()
    async with reading(request.app.state.pool) as connection:
        rows = await store.page(connection, tenant, before or FIRST, kind=kind, actor=actor, limit=limit + 1)
    more = cursors.encode(question, rows[limit - 1]["seq"]) if len(rows) > limit else None
    return page([{name: row[name] for name in Deed.model_fields} for row in rows[:limit]], more)
