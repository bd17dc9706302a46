"""``/v1/subscriptions/{id}/deliveries``: what was told, every attempt, and asking for it once more.

A message keeps its id however often it is delivered, so a receiver that has it already can tell.
"""

import secrets as randomness
from datetime import datetime
from typing import Any, Final, Literal

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from services.api import cursors
from services.api.auth import Caller, Responder
from services.api.once import OnceKey, once
from services.api.problems import conflict, invalid, not_found
from services.api.shapes import Cursor, Given, Instant, Limit, Shown, example, page, reply
from services.api.store import deliveries as store
from services.api.store.sessions import reading, writing
from services.api.subscriptions import found
from services.postgres import Connection, Row

router = APIRouter(prefix="/v1/subscriptions/{subscription}", tags=["subscriptions"])

State = Literal["waiting", "sending", "delivered", "given_up", "withdrawn"]
_LAST: Final = (1 << 62) - 1
_FOR_EVER: Final = datetime.fromisoformat("2200-12-31T00:00:00+00:00")


class AttemptShown(Shown):
    """One attempt. `outcome`: delivered, refused, unreachable, blocked, or unknown: it may have been taken."""

    number: int
    at: datetime
    outcome: str
    status: int | None = None
    error: str | None = None
    milliseconds: int | None = None


class DeliveryShown(Shown):
    """A message of a subscription. `message`: the id it is sent under."""

    id: int
    message: str
    kind: str
    recipient: str
    alerts: list[str]
    changes: list[int]
    state: str
    due_at: datetime
    created_at: datetime
    finished_at: datetime | None = None
    attempts: list[AttemptShown]


class DeliveryWhole(DeliveryShown):
    """A message with what it tells."""

    body: dict[str, Any]


class DeliveryPage(Shown):
    """One page of deliveries, the newest first."""

    items: list[DeliveryShown]
    next: str | None = None


class Span(Given):
    """What to deliver again: what was planned from `from` on, up to `to`; `all`: also what was taken."""

    from_: Instant = Field(alias="from")
    to: Instant | None = None
    all: bool = False


class Redelivered(Shown):
    """How many messages are delivered again."""

    redelivered: int


SHOWN: Final[dict[str, Any]] = {
    "id": 41,
    "message": "msg_0f4be6c0b9d2a1c35d7e8f9a0b1c2d3e",
    "kind": "change",
    "recipient": "",
    "alerts": ["5b0c6c6d7a2f4e1b9a30"],
    "changes": [7],
    "state": "waiting",
    "due_at": "2026-03-05T23:00:06Z",
    "created_at": "2026-03-05T23:00:01Z",
    "finished_at": None,
    "attempts": [
        {
            "number": 1,
            "at": "2026-03-05T23:00:01Z",
            "outcome": "refused",
            "status": 503,
            "error": None,
            "milliseconds": 12,
        }
    ],
}
WHOLE: Final = {**SHOWN, "body": {"type": "alert.opened", "timestamp": "2026-03-05T23:00:01Z", "data": {"seq": 7}}}
_SPAN: Final = {"requestBody": {"content": {"application/json": {"example": {"from": "2026-03-05T00:00:00Z"}}}}}


def _shown(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in DeliveryShown.model_fields}


def _whole(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in DeliveryWhole.model_fields}


async def _found(connection: Connection, caller: Caller, subscription: str, delivery: int) -> Row:
    await found(connection, caller, subscription)
    row = await store.find(connection, caller.tenant.id, subscription, delivery) if 0 < delivery <= _LAST else None
    if row is None:
        raise not_found()
    return row


@router.get("/deliveries", response_model=DeliveryPage, responses=example({"items": [SHOWN], "next": None}))
async def show_all(
    subscription: str, caller: Responder, state: State | None = None, cursor: Cursor = None, limit: Limit = 100
) -> Response:
    """List what a subscription is and was told, the newest first, with every attempt."""
    question = cursors.mark("deliveries", caller.tenant.id, subscription, state)
    before = cursors.decode(cursor, question, int) or _LAST
    if not 0 < before <= _LAST:
        raise cursors.strange()
    async with reading(caller.pool) as connection:
        await found(connection, caller, subscription)
        rows = await store.page(connection, caller.tenant.id, subscription, state, before, limit + 1)
    more = cursors.encode(question, rows[limit - 1]["id"]) if len(rows) > limit else None
    return page([_shown(row) for row in rows[:limit]], more)


@router.get("/deliveries/{delivery}", response_model=DeliveryWhole, responses=example(WHOLE))
async def show(subscription: str, delivery: int, caller: Responder) -> Response:
    """Show one delivery with what it tells."""
    async with reading(caller.pool) as connection:
        row = await _found(connection, caller, subscription, delivery)
    return reply(_whole(row))


@router.post("/deliveries/{delivery}/redeliver", status_code=202, response_model=DeliveryWhole,
             responses=example(WHOLE, 202))  # fmt: skip
async def redeliver(subscription: str, delivery: int, caller: Responder) -> Response:
    """Deliver a message once more, at once and under the same id."""
    async with writing(caller.pool) as connection:
        await _found(connection, caller, subscription, delivery)
        if not await store.again(connection, caller.tenant.id, subscription, delivery, caller.now):
            raise conflict("It is being delivered.")
        row = await _found(connection, caller, subscription, delivery)
    return reply(_whole(row), 202)


@router.post("/redeliver", status_code=202, response_model=Redelivered, responses=example({"redelivered": 3}, 202),
             openapi_extra=_SPAN)  # fmt: skip
async def redeliver_all(subscription: str, body: Span, caller: Responder) -> Response:
    """Deliver once more what was given up, or everything, of a span of time."""
    span = (body.from_, body.to or _FOR_EVER)
    if span[0] >= span[1]:
        raise invalid("It ends before it begins.", pointer="/to")
    states = ("given_up", "delivered") if body.all else ("given_up",)
    async with writing(caller.pool) as connection:
        await found(connection, caller, subscription)
        number = await store.all_again(connection, caller.tenant.id, subscription, span, states, caller.now)
    return reply({"redelivered": number}, 202)


@router.post("/test", status_code=202, response_model=DeliveryWhole, responses=example(WHOLE, 202))
async def test(subscription: str, caller: Responder, key: OnceKey) -> Response:
    """Send a message of the type `subscription.test`, so that it is seen whether it arrives."""
    tenant = caller.tenant.id
    message = f"msg_{randomness.token_hex(16)}"
    told = {"tenant": tenant, "subscription": subscription}
    body = {"type": "subscription.test", "timestamp": caller.now, "data": told}
    async with writing(caller.pool) as connection:
        await found(connection, caller, subscription)

        async def make() -> dict[str, Any]:
            return {"id": await store.plan(connection, tenant, subscription, message, body, caller.now)}

        made = await once(connection, f"{caller.principal.key_id}/tests/{tenant}", key, told, make)
        row = await _found(connection, caller, subscription, made["id"])
    return reply(_whole(row), 202)
