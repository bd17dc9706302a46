"""What people do to an alert: take it on, put it off, plan, note, resolve it, and say whether it was of use.

Each is one row of its history, with the key that did it. What the state of the alert does not allow is a conflict; what
stands already changes nothing. What people write goes with the change to who follows it: no metric and no log holds it.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal, NamedTuple

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from schemas.alerts import item
from services.api.alerts import SHOWN, AlertShown, published, sight_of, told_to
from services.api.auth import Caller, Responder
from services.api.days import local_day
from services.api.once import OnceKey, once
from services.api.problems import conflict, invalid, not_found
from services.api.shapes import Day, Given, Instant, Label, Plain, example, reply
from services.api.store import alerts as store
from services.api.store import directory, tenants
from services.api.store.sessions import writing
from services.postgres import Connection, Row
from services.rules.life import ACKNOWLEDGED, HANDLED, RESOLVED, after

router = APIRouter(prefix="/v1/alerts", tags=["alerts"])

Reason = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"\S"), Plain]
Note = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"\S"), Plain]
_NO_SNOOZE: Final = {"snoozed_until": None, "snooze_reason": None}


class Snooze(Given):
    """Until when an alert is to be left alone, and why."""

    until: Instant
    reason: Reason


class Assignment(Given):
    """Who takes care; null: nobody any more."""

    person: Label | None


class Remark(Given):
    """What is to be remembered with an alert."""

    text: Note


class Plan(Given):
    """By which day somebody agreed to act; null: there is no plan any more."""

    on: Day | None


class Resolve(Given):
    """Why an alert is over for whoever answers to it."""

    reason: Reason
    resolution: Literal["handled", "accepted", "false_alarm", "duplicate"] = HANDLED


class Usefulness(Given):
    """Whether an alert was worth looking at; null: that is not said any more."""

    useful: bool | None


class Act(NamedTuple):
    """What somebody does: the columns that change, and what is told with it. ``kept``: also when none changes."""

    kind: str
    columns: Mapping[str, object]
    detail: Mapping[str, object]
    kept: bool = False


Check = Callable[[Caller, Connection], Awaitable[None]]


def _body(given: Mapping[str, object]) -> dict[str, Any]:
    return {"requestBody": {"content": {"application/json": {"example": given}}}}


_ACKNOWLEDGED: Final = {**SHOWN, "state": "acknowledged", "acknowledged_at": "2026-03-06T08:00:00Z", "revision": 1}
_SNOOZE: Final = {"until": "2026-03-09T08:00:00Z", "reason": "The sponsor speaks to both teams on Monday."}
_SNOOZED: Final = {
    **SHOWN,
    "state": "snoozed",
    "snoozed_until": _SNOOZE["until"],
    "snooze_reason": _SNOOZE["reason"],
    "revision": 1,
}
_RESOLVE: Final = {"reason": "The licences were ordered too early.", "resolution": "false_alarm"}
_RESOLVED: Final = {**SHOWN, "state": "resolved", "resolved_at": "2026-03-06T08:00:00Z", "resolution": "false_alarm"}


async def _do(
    caller: Caller, alert: str, key: str | None, act: Act, given: Given | None = None, check: Check | None = None
) -> Response:
    """Do ``act`` to an alert that the key may see, where its state allows that; ``check`` refuses what cannot be."""
    async with writing(caller.pool) as connection:

        async def make() -> dict[str, Any]:
            if check is not None:
                await check(caller, connection)
            await store.order(connection, caller.tenant.id)
            return await _done(caller, connection, alert, act)

        scope = f"{caller.principal.key_id}/alerts/{caller.tenant.id}/{alert}/{act.kind}"
        answer = await once(connection, scope, key, given.model_dump(mode="json") if given else {}, make)
    return reply(answer)


async def _done(caller: Caller, connection: Connection, alert: str, act: Act) -> dict[str, Any]:
    tenant = caller.tenant
    row = await store.find(connection, tenant.id, alert, await sight_of(caller, connection), lock=True)
    if row is None:
        raise not_found()
    state = after(act.kind, row["state"])
    if state is None:
        raise conflict(f"This alert is {row['state']}.")
    if act.kept or state != row["state"] or any(row[name] != value for name, value in act.columns.items()):
        row = await _write(caller, connection, row, act._replace(columns={**_marks(row, state, act), "state": state}))
    [shown] = await told_to(connection, caller, [published(row)])
    return shown


async def _write(caller: Caller, connection: Connection, row: Row, act: Act) -> Row:
    tenant, alert = caller.tenant, row["id"]
    now = await _now(caller, connection)
    columns = {name: now if value is _NOW else value for name, value in act.columns.items()}
    living = columns["state"] != RESOLVED
    row = await store.change(connection, tenant.id, alert, columns, now, again=living)
    actor, detail = caller.principal.key_id, {**act.detail}
    await store.remember(
        connection, tenant.id, alert, kind=act.kind, actor=actor, as_of=now, body=item(row), detail=detail
    )
    return row


_NOW: Final = object()
"""Stands for the tenant's now."""


def _marks(row: Row, state: str, act: Act) -> dict[str, object]:
    """Return what changes with ``act``, and with the state that it leads to."""
    entered = state != row["state"]
    found: dict[str, object] = dict(act.columns)
    if entered and state == ACKNOWLEDGED:
        found |= {"acknowledged_at": _NOW, **_NO_SNOOZE}
    if entered and state == RESOLVED:
        found |= {"resolved_at": _NOW}
    if act.kind == "snoozed":
        found |= {"acknowledged_at": None}
    return found


async def _now(caller: Caller, connection: Connection) -> datetime:
    return await tenants.now_of(connection, caller.tenant, caller.now) or caller.now


@router.post("/{alert}/acknowledge", response_model=AlertShown, responses=example(_ACKNOWLEDGED))
async def acknowledge(alert: str, caller: Responder, key: OnceKey) -> Response:
    """Say that somebody takes care: it is carried up no further. What is resolved cannot be acknowledged."""
    return await _do(caller, alert, key, Act("acknowledged", {}, {}))


@router.post("/{alert}/snooze", response_model=AlertShown, responses=example(_SNOOZED), openapi_extra=_body(_SNOOZE))
async def snooze(alert: str, body: Snooze, caller: Responder, key: OnceKey) -> Response:
    """Leave an alert alone until a time of the tenant, with a reason. It wakes earlier when it becomes louder."""

    async def check(caller: Caller, connection: Connection) -> None:
        if body.until <= await _now(caller, connection):
            raise invalid("An alert is snoozed until a time to come.", pointer="/until")

    columns = {"snoozed_until": body.until, "snooze_reason": body.reason}
    return await _do(caller, alert, key, Act("snoozed", columns, body.model_dump()), body, check)


@router.post(
    "/{alert}/assign",
    response_model=AlertShown,
    responses=example({**SHOWN, "assignee": "dustin", "revision": 1}),
    openapi_extra=_body({"person": "dustin"}),
)
async def assign(alert: str, body: Assignment, caller: Responder, key: OnceKey) -> Response:
    """Say who takes care: a person of the directory, for a bound key one of the own line."""

    async def check(caller: Caller, connection: Connection) -> None:
        line = await caller.listed(connection)
        wanted = [] if body.person is None else [body.person]
        hidden = line is not None and not set(wanted) <= set(line)
        if hidden or await directory.strangers(connection, caller.tenant.id, wanted):
            raise invalid("There is no such person that this key may see.", pointer="/person")

    return await _do(caller, alert, key, Act("assigned", {"assignee": body.person}, body.model_dump()), body, check)


@router.post(
    "/{alert}/note",
    response_model=AlertShown,
    responses=example({**SHOWN, "revision": 1}),
    openapi_extra=_body({"text": "Two of them work from the old list; visit on Friday."}),
)
async def note(alert: str, body: Remark, caller: Responder, key: OnceKey) -> Response:
    """Add a note to the history of an alert, also of one that is resolved."""
    return await _do(caller, alert, key, Act("noted", {}, body.model_dump(), kept=True), body)


@router.post(
    "/{alert}/plan",
    response_model=AlertShown,
    responses=example({**SHOWN, "plan_on": "2026-03-09", "revision": 1}),
    openapi_extra=_body({"on": "2026-03-09"}),
)
async def plan(alert: str, body: Plan, caller: Responder, key: OnceKey) -> Response:
    """Say by which day somebody agreed to act. If the alert is still there when that day is over, it is carried up."""

    async def check(caller: Caller, connection: Connection) -> None:
        today = local_day(await _now(caller, connection), caller.tenant.time_zone)
        if body.on is not None and body.on < today:
            raise invalid("A plan is for today or a day to come.", pointer="/on")

    return await _do(caller, alert, key, Act("planned", {"plan_on": body.on}, body.model_dump()), body, check)


@router.post("/{alert}/resolve", response_model=AlertShown, responses=example(_RESOLVED), openapi_extra=_body(_RESOLVE))
async def resolve(alert: str, body: Resolve, caller: Responder, key: OnceKey) -> Response:
    """Say that an alert is over, and why. It stays so, whatever its facts show; a new episode is a new alert."""
    act = Act("resolved", {"resolution": body.resolution}, body.model_dump())
    return await _do(caller, alert, key, act, body)


@router.post(
    "/{alert}/label",
    response_model=AlertShown,
    responses=example({**SHOWN, "useful": True, "revision": 1}),
    openapi_extra=_body({"useful": True}),
)
async def label(alert: str, body: Usefulness, caller: Responder, key: OnceKey) -> Response:
    """Say whether an alert was worth looking at: what its rule is worth is counted from it."""
    return await _do(caller, alert, key, Act("labelled", body.model_dump(), body.model_dump()), body)
