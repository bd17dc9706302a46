"""``/v1/privacy`` and ``/v1/access-log``: what is kept of people and who may see it; and who did look."""

from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.api import cursors
from services.api.auth import Manager, Reader
from services.api.privacy_settings import preset_of
from services.api.privacy_sheet import as_html, as_markdown, sheet
from services.api.shapes import Cursor, Filter, Limit, Shown, example, page, reply
from services.api.store import accesses as store
from services.api.store.sessions import reading

router = APIRouter(prefix="/v1", tags=["privacy"])

FIRST: Final = 1 << 62


class Stored(Shown):
    """A kind of data: for how many days it is kept, or until what happens."""

    what: str
    why: str
    days: int | None = None
    until: str | None = None


class Sheet(Shown):
    """The data sheet of a tenant."""

    tenant: str
    name: str
    preset: str | None = None
    min_group: int
    individual_visibility: str
    instants: str
    stored: list[Stored]
    seen: list[str]
    never_stored: list[str]
    rights: list[str]


class Access(Shown):
    """A look at a person. ``subject`` null: at so many people at once, in a list."""

    at: datetime
    key: str
    route: str
    subject: str | None = None
    people: int


class AccessPage(Shown):
    """One page of looks, the latest first."""

    items: list[Access]
    next: str | None = None


SHOWN: Final[dict[str, Any]] = {
    "tenant": "acme",
    "name": "Acme",
    "preset": "works_council",
    "min_group": 10,
    "individual_visibility": "off",
    "instants": "day",
    "stored": [{"what": "single events", "why": "to count days of use", "days": 90, "until": None}],
    "seen": ["Answers on a person tell times no finer than a day."],
    "never_stored": ["rankings of people"],
    "rights": ["Who opted out counts in no number."],
}
LOOK: Final = {"at": "2026-03-08T09:00:00Z", "key": "k3x9", "route": "/v1/people", "subject": "anna", "people": 1}
_SHEET: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": {
            "application/json": {"example": SHOWN},
            "text/html": {"schema": {"type": "string"}, "example": as_html(SHOWN)},
            "text/markdown": {"schema": {"type": "string"}, "example": as_markdown(SHOWN)},
        }
    }
}


@router.get("/privacy", response_model=Sheet, responses=_SHEET)
async def show(request: Request, caller: Reader) -> Response:
    """Show the data sheet: as JSON, or as HTML or Markdown, to be printed, where `Accept` asks for it."""
    told = sheet(caller.tenant, request.app.state.kept_days, preset_of(caller.tenant))
    wanted = [part.partition(";")[0].strip().lower() for part in request.headers.get("accept", "").split(",")]
    kind = next((kind for kind in wanted if kind in ("application/json", "text/html", "text/markdown")), "")
    headers = {"Vary": "Accept"}
    if kind == "text/html":
        return Response(as_html(told), media_type="text/html; charset=utf-8", headers=headers)
    if kind == "text/markdown":
        return Response(as_markdown(told), media_type="text/markdown; charset=utf-8", headers=headers)
    return reply(told, headers=headers)


@router.get("/access-log", response_model=AccessPage, responses=example({"items": [LOOK], "next": None}))
async def show_accesses(
    caller: Manager, subject: Filter = None, key: Filter = None, cursor: Cursor = None, limit: Limit = 100
) -> Response:
    """List who looked at whom, the latest first."""
    question = cursors.mark("access-log", caller.tenant.id, subject, key)
    before = cursors.decode(cursor, question, int)
    if before is not None and not 0 <= before <= FIRST:
        raise cursors.strange()
    async with reading(caller.pool) as connection:
        rows = await store.page(
            connection, caller.tenant.id, before or FIRST, subject=subject, key=key, limit=limit + 1
        )
    more = cursors.encode(question, rows[limit - 1]["seq"]) if len(rows) > limit else None
    return page([{name: row[name] for name in Access.model_fields} for row in rows[:limit]], more)
