"""``/v1/feeds``: addresses that show alerts to whoever knows them, for readers that cannot send a key.

A feed shows what the key that made it may see now, and nothing once it is revoked or that key is gone.
"""

from datetime import datetime
from typing import Any, Final, Literal

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from services.api import cursors
from services.api.auth import Caller, Reader
from services.api.credentials import derive, fresh_id, mint
from services.api.once import OnceKey, once
from services.api.problems import not_found
from services.api.shapes import Cursor, Given, Label, Limit, Shown, example, page, reply
from services.api.store import feeds as store
from services.api.store.sessions import reading, writing
from services.postgres import Row

router = APIRouter(prefix="/v1/feeds", tags=["alerts"])


class Wanted(Given):
    """What an alert must say to be shown."""

    rule: Label | None = None
    severity: Literal["info", "warning", "critical", "emergency"] | None = None
    tier: Literal["suspected", "confirmed"] | None = None
    state: Literal["open", "acknowledged", "snoozed", "resolved"] | None = None
    subject_kind: Literal["user", "team", "role", "wave", "tenant"] | None = None
    subject: Label | None = None


class NewFeed(Given):
    """A feed to be made."""

    filter: Wanted = Field(default_factory=Wanted)


class FeedShown(Shown):
    """A feed. ``person``: whom the key that made it is bound to."""

    id: str
    key_id: str
    person: str | None = None
    filter: dict[str, str]
    created_at: datetime
    revoked_at: datetime | None = None


class FeedMade(FeedShown):
    """A feed and its addresses, which are shown only now."""

    url_atom: str
    url_json: str
    url_ics: str
    url_stream: str


class FeedPage(Shown):
    """One page of feeds."""

    items: list[FeedShown]
    next: str | None = None


_SHOWN: Final[dict[str, Any]] = {
    "id": "k3v9x2ab",
    "key_id": "4h7g2k9q",
    "person": None,
    "filter": {"severity": "emergency"},
    "created_at": "2026-03-02T08:00:00Z",
    "revoked_at": None,
}
_ADDRESS: Final = "https://uptake.example/feeds/0y4Pq8XkT3mVbN7cRz1LwJ5sHd9FgA2e/alerts"
_MADE: Final = {
    **_SHOWN,
    "url_atom": f"{_ADDRESS}.atom",
    "url_json": f"{_ADDRESS}.json",
    "url_ics": f"{_ADDRESS}.ics",
    "url_stream": f"{_ADDRESS}.stream",
}
_BODY: Final = {"requestBody": {"content": {"application/json": {"example": {"filter": {"severity": "emergency"}}}}}}


def _shown(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in FeedShown.model_fields}


@router.post("", status_code=201, response_model=FeedMade, responses=example(_MADE, 201), openapi_extra=_BODY)
async def create(request: Request, caller: Reader, key: OnceKey, body: NewFeed | None = None) -> Response:
    """Make a feed: Atom, JSON Feed, iCalendar and a stream. Whoever has an address sees what this key may see."""
    tenant, secret = caller.tenant.id, caller.principal.secret
    wanted = (body or NewFeed()).filter.model_dump(exclude_none=True)
    minted: list[str] = []

    async def make() -> dict[str, Any]:
        feed = fresh_id()
        minted.append(mint().secret if key is None else derive(secret, feed, key).secret)
        row = await store.insert(
            connection,
            tenant,
            feed,
            minted[0],
            key_id=caller.principal.key_id,
            person=caller.person,
            wanted=wanted,
        )
        return _shown(row)

    async with writing(caller.pool) as connection:
        made = await once(connection, f"{caller.principal.key_id}/feeds/{tenant}", key, wanted, make)
    token = minted[0] if minted or key is None else derive(secret, made["id"], key).secret
    return reply({**made, **addresses(request, token)}, 201, headers={"Cache-Control": "no-store"})


def outside(request: Request) -> str:
    """Return the base address under which people reach the API: as configured, else as ``request`` has it."""
    return request.app.state.links_url or str(request.base_url).rstrip("/")


def addresses(request: Request, token: str) -> dict[str, str]:
    """Return where a feed is found."""
    base = f"{outside(request)}/feeds/{token}/alerts"
    return {f"url_{ending}": f"{base}.{ending}" for ending in ("atom", "json", "ics", "stream")}


@router.get("", response_model=FeedPage, responses=example({"items": [_SHOWN], "next": None}))
async def show_all(caller: Reader, cursor: Cursor = None, limit: Limit = 100) -> Response:
    """List feeds, without their addresses; a bound key sees those of its person."""
    question = cursors.mark("feeds", caller.tenant.id, caller.person)
    after = cursors.decode(cursor, question, str) or ""
    async with reading(caller.pool) as connection:
        rows = await store.page(connection, caller.tenant.id, caller.person, after, limit + 1)
    more = cursors.encode(question, rows[limit - 1]["id"]) if len(rows) > limit else None
    return page([_shown(row) for row in rows[:limit]], more)


@router.delete("/{feed}", status_code=204)
async def revoke(feed: str, caller: Reader) -> Response:
    """Revoke a feed: from now on its addresses show nothing."""
    if not await _revoked(caller, feed):
        raise not_found()
    return Response(status_code=204)


async def _revoked(caller: Caller, feed: str) -> bool:
    async with writing(caller.pool) as connection:
        return await store.revoke(connection, caller.tenant.id, caller.person, feed, caller.now)
