"""``/v1/dead-letters``: what was authenticated but could not be used, and what became of it.

The list says where and why. What was delivered is opened for one letter at a time, and whoever looks is written down.
"""

import base64
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from schemas import letters
from services.api import cursors
from services.api.auth import Caller, Manager
from services.api.problems import conflict, invalid, not_found
from services.api.shapes import Cursor, Filter, Given, Limit, Plain, Shown, bound_of, example, page, reply
from services.api.store import dead_letters as store
from services.api.store import people
from services.api.store.sessions import reading, writing
from services.postgres import Row
from services.sealing import SealError, seal_of

router = APIRouter(prefix="/v1/dead-letters", tags=["dead letters"])

State = Literal["open", "replayed", "still-bad"]
_Told = Annotated[str, Field(max_length=1000), Plain]
_BIGGEST: Final = 1 << 62


class Bad(Given):
    """Where in the delivery (a JSON pointer), and why."""

    pointer: _Told
    reason: _Told


class Outcome(Given):
    """What a replay made of a letter: how many events are on the log, and what is still bad."""

    accepted: Annotated[int, Field(ge=0, le=1_000_000)]
    bad: Annotated[list[Bad], Field(max_length=10_000)] = Field(default_factory=list)


class Reason(Shown):
    """Where in the delivery (a JSON pointer), and why."""

    pointer: str
    reason: str


class LetterShown(Shown):
    """A dead letter. One without a source is a record that stood on the events topic; it cannot be replayed."""

    id: str
    source: str | None = None
    kind: str | None = None
    state: str
    reasons: list[Reason]
    received_at: datetime | None = None
    replayable: bool
    replayed_at: datetime | None = None
    outcome: dict[str, Any] | None = None


class LetterOpened(LetterShown):
    """A dead letter with what was delivered; credentials are not in it."""

    method: str | None = None
    steps: list[str]
    headers: dict[str, str]
    body_base64: str


class LetterPage(Shown):
    """One page of dead letters."""

    items: list[LetterShown]
    next: str | None = None


SHOWN: Final[dict[str, Any]] = {
    "id": "5b0c6c6d7a2f4e1b9a305b0c6c6d7a2f",
    "source": "odoo-sales",
    "kind": "odoo",
    "state": "open",
    "reasons": [{"pointer": "", "reason": "has no _model and _id"}],
    "received_at": "2026-03-02T09:00:00Z",
    "replayable": True,
    "replayed_at": None,
    "outcome": None,
}
OPENED: Final[dict[str, Any]] = {
    **SHOWN,
    "method": "POST",
    "steps": ["lead-save", "write"],
    "headers": {"content-type": "application/json"},
    "body_base64": "e30=",
}
REPLAYED: Final[dict[str, Any]] = {
    **SHOWN,
    "state": "replayed",
    "replayed_at": "2026-03-03T08:00:00Z",
    "outcome": {"accepted": 1, "bad": [], "by": "k3v9x0ab"},
}
_BODY: Final = {"requestBody": {"content": {"application/json": {"example": {"accepted": 1, "bad": []}}}}}


def shown(row: Row) -> dict[str, Any]:
    """Return a letter as JSON shows it."""
    return {
        "id": row["letter"] or f"log-{row['id']}",
        **{name: row[name] for name in ("source", "kind", "state", "received_at", "replayed_at", "outcome")},
        "reasons": row["reasons"] or [{"pointer": "", "reason": row["reason"]}],
        "replayable": row["letter"] is not None,
    }


def _bound(text: str | None, caller: Caller, parameter: str) -> datetime | None:
    try:
        return bound_of(text, caller.tenant.time_zone, end=parameter == "to")
    except ValueError as error:
        raise invalid(f"{parameter} {error}.", parameter=parameter) from error


@router.get("", response_model=LetterPage, responses=example({"items": [SHOWN], "next": None}))
async def show_all(
    caller: Manager,
    source: Filter = None,
    reason: Filter = None,
    state: State | None = None,
    received_from: Annotated[str | None, Query(alias="from", max_length=64, description="A time or a day.")] = None,
    received_to: Annotated[str | None, Query(alias="to", max_length=64, description="A time or a day.")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """List dead letters, the newest first, without what was delivered."""
    received = (_bound(received_from, caller, "from"), _bound(received_to, caller, "to"))
    question = cursors.mark("dead-letters", caller.tenant.id, source, reason, state, received)
    before = cursors.decode(cursor, question, int)
    if before is not None and not 0 <= before < _BIGGEST:
        raise cursors.strange()
    async with reading(caller.pool) as connection:
        rows = await store.page(
            connection,
            caller.tenant.id,
            source=source,
            reason=reason,
            state=state,
            received=received,
            before=before,
            limit=limit + 1,
        )
    more = cursors.encode(question, rows[limit - 1]["id"]) if len(rows) > limit else None
    return page([shown(row) for row in rows[:limit]], more)


@router.get("/{letter}", response_model=LetterOpened, responses=example(OPENED))
async def show(letter: str, request: Request, caller: Manager) -> Response:
    """Show one dead letter with what was delivered. The access is logged."""
    async with writing(caller.everywhere) as connection:
        row = await store.find(connection, caller.tenant.id, letter)
        if row is None:
            raise not_found()
        seal = await seal_of(connection, request.app.state.seal_key)
        await people.log_access(connection, caller.tenant.id, caller.principal.key_id, "/v1/dead-letters", letter)
    if row["letter"] is None:
        kept: dict[str, Any] = {"method": None, "steps": [], "headers": {}, "body_base64": _base64(row["value"] or b"")}
        return reply({**shown(row), **kept})
    try:
        opened = letters.unpack(seal.open(row["value"], letters.context(caller.tenant.id)))
    except (SealError, ValueError) as error:
        raise conflict("This letter was sealed with a key that this installation does not have.") from error
    kept = {"method": opened.method, "steps": list(opened.steps), "headers": opened.headers}
    exact = {"received_at": opened.received_at, "body_base64": _base64(opened.body)}
    return reply({**shown(row), **kept, **exact})


@router.post("/{letter}/replayed", response_model=LetterShown, responses=example(REPLAYED), openapi_extra=_BODY)
async def note_replay(letter: str, body: Outcome, caller: Manager) -> Response:
    """Note what a replay made of a letter: `replayed`, or `still-bad` when something still is."""
    async with writing(caller.pool) as connection:
        row = await store.find(connection, caller.tenant.id, letter, lock=True)
        if row is None:
            raise not_found()
        if row["letter"] is None:
            raise conflict("A record that stood on the events topic cannot be replayed.")
        row = await store.note(
            connection,
            caller.tenant.id,
            letter,
            state="still-bad" if body.bad else "replayed",
            at=caller.now,
            outcome={**body.model_dump(), "by": caller.principal.key_id},
        )
    return reply(shown(row))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
