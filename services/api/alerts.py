"""``/v1/alerts``: what the rules found, with its evidence and its history."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from schemas.alerts import item
from services.api import cursors
from services.api.auth import Caller, Reader
from services.api.problems import invalid, not_found
from services.api.shapes import Cursor, Limit, Shown, bound_of, example, page, reply
from services.api.store import alerts as store
from services.api.store.alerts import Place, Sight
from services.api.store.people import log_accesses
from services.api.store.sessions import writing
from services.postgres import Connection, Row
from services.sight import curtain_of, named
from services.sight import told as seen_of
from services.sight.store import lines

router = APIRouter(prefix="/v1/alerts", tags=["alerts"])

Words = Annotated[str, Field(max_length=256)]
Bound = Annotated[str | None, Field(max_length=64, description="A time, or a day of the tenant.")]


class Subject(Shown):
    """What an alert is about."""

    kind: str
    key: str


class AlertShown(Shown):
    """An alert."""

    id: str
    rule: str
    rule_version: int
    severity: str
    tier: str
    state: str
    suppressed_by: str | None = None
    subject: Subject
    title: str
    opened_at: datetime
    updated_at: datetime
    resolved_at: datetime | None = None
    resolution: str | None = None
    window: Any
    evidence: dict[str, Any]
    audience: list[dict[str, Any]]
    action: str
    links: dict[str, str]
    acknowledged_at: datetime | None = None
    snoozed_until: datetime | None = None
    snooze_reason: str | None = None
    assignee: str | None = None
    plan_on: date | None = None
    escalation: int = 0
    useful: bool | None = None
    episode: int
    revision: int


class AlertPage(Shown):
    """One page of alerts."""

    items: list[AlertShown]
    next: str | None = None


class ChangeShown(Shown):
    """One change of an alert, and the alert after it. ``actor`` is the evaluator or the id of a key.

    ``detail``: what somebody said with it: a note, a reason, until when, by which day.
    """

    seq: int
    kind: str
    state: str
    actor: str
    as_of: datetime
    at: datetime
    detail: dict[str, Any]
    alert: AlertShown


class ChangePage(Shown):
    """One page of changes, the oldest first."""

    items: list[ChangeShown]
    next: str | None = None


class Filters(Shown):
    """Which alerts to list."""

    state: Literal["open", "acknowledged", "snoozed", "resolved"] | None = None
    rule: Words | None = None
    severity: Literal["info", "warning", "critical", "emergency"] | None = None
    tier: Literal["suspected", "confirmed"] | None = None
    subject_kind: Literal["user", "team", "role", "wave", "tenant"] | None = None
    subject: Words | None = None
    wave: Words | None = None
    opened_from: Bound = None
    opened_to: Bound = None
    cursor: str | None = Field(default=None, description="`next` of the page before.")
    limit: int = Field(default=100, ge=1, le=1000, description="The most items of one page.")


EXACT: Final = {"state", "rule", "severity", "tier", "subject_kind", "wave"}


SHOWN: Final[dict[str, Any]] = {
    "id": "5b0c6c6d7a2f4e1b9a30",
    "rule": "wave-connection-d3-emergency",
    "rule_version": 1,
    "severity": "emergency",
    "tier": "confirmed",
    "state": "open",
    "suppressed_by": None,
    "subject": {"kind": "wave", "key": "north"},
    "title": "Sales North: 6 of 12 people connected by D+3",
    "opened_at": "2026-03-05T23:00:00Z",
    "updated_at": "2026-03-05T23:00:00Z",
    "resolved_at": None,
    "resolution": None,
    "window": {"from": "2026-03-02", "to": "2026-03-05"},
    "evidence": {"num": 6, "den": 12, "value": 0.5, "threshold": 0.7},
    "audience": [{"role": "sponsor", "person": "dustin"}],
    "action": "The sponsor speaks to the managers of the lowest teams today.",
    "links": {"self": "/v1/alerts/5b0c6c6d7a2f4e1b9a30", "history": "/v1/alerts/5b0c6c6d7a2f4e1b9a30/history"},
    "acknowledged_at": None,
    "snoozed_until": None,
    "snooze_reason": None,
    "assignee": None,
    "plan_on": None,
    "escalation": 0,
    "useful": None,
    "episode": 1,
    "revision": 0,
}
_CHANGE: Final = {
    "seq": 7,
    "kind": "opened",
    "state": "open",
    "actor": "evaluator",
    "as_of": "2026-03-05T23:00:00Z",
    "at": "2026-03-05T23:00:01Z",
    "detail": {},
    "alert": SHOWN,
}


async def sight_of(caller: Caller, connection: Connection) -> Sight:
    """Return which alerts this key may see."""
    line, teams = await caller.line(connection), None
    if line is not None:
        teams = await lines.teams(connection, caller.tenant.id, line, await caller.today(connection))
    return Sight(caller.sees_individuals, line, teams, caller.person, caller.tenant.min_group)


def _bound(text: str | None, caller: Caller, parameter: str) -> datetime | None:
    try:
        return bound_of(text, caller.tenant.time_zone, end=parameter == "opened_to")
    except ValueError as error:
        raise invalid(f"{parameter} {error}.", parameter=parameter) from error


def published(row: Row) -> dict[str, Any]:
    """Return an alert as it is published, with what is shown here only: why it is left alone."""
    return {**item(row), "snooze_reason": row["snooze_reason"]}


async def told_to(connection: Connection, caller: Caller, bodies: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return alerts as this key may see them. Whom they name is written to the access log."""
    hidden = await curtain_of(connection, caller.tenant, bodies)
    seen = [seen_of(body, hidden, individuals=caller.sees_individuals) for body in bodies]
    people = {body["assignee"] for body in seen if body.get("assignee")}.union(*map(named, seen))
    await log_accesses(connection, caller.tenant.id, caller.principal.key_id, "/v1/alerts", sorted(people))
    return seen


@router.get("", response_model=AlertPage, responses=example({"items": [SHOWN], "next": None}))
async def show_all(caller: Reader, asked: Annotated[Filters, Query()]) -> Response:
    """List alerts, newest first. `opened_from` and `opened_to` take a time (up to it) or a day (all of it)."""
    opened = (_bound(asked.opened_from, caller, "opened_from"), _bound(asked.opened_to, caller, "opened_to"))
    filters = {**asked.model_dump(include=EXACT), "subject_key": asked.subject}
    question = cursors.mark("alerts", caller.tenant.id, filters, opened)
    after = cursors.decode(asked.cursor, question, Place)
    if after is not None and after.opened_at.tzinfo is None:
        raise cursors.strange()
    limit, more = asked.limit, None
    async with writing(caller.pool) as connection:
        sight = await sight_of(caller, connection)
        rows = await store.page(
            connection, caller.tenant.id, sight, filters, opened=opened, after=after, limit=limit + 1
        )
        items = await told_to(connection, caller, [published(row) for row in rows[:limit]])
    if len(rows) > limit:
        more = cursors.encode(question, Place(rows[limit - 1]["opened_at"], rows[limit - 1]["id"]))
    return page(items, more)


@router.get("/{alert}", response_model=AlertShown, responses=example(SHOWN))
async def show(alert: str, caller: Reader) -> Response:
    """Show one alert."""
    async with writing(caller.pool) as connection:
        row = await store.find(connection, caller.tenant.id, alert, await sight_of(caller, connection))
        if row is None:
            raise not_found()
        shown = (await told_to(connection, caller, [published(row)]))[0]
    return reply(shown)


@router.get("/{alert}/history", response_model=ChangePage, responses=example({"items": [_CHANGE], "next": None}))
async def show_history(alert: str, caller: Reader, cursor: Cursor = None, limit: Limit = 100) -> Response:
    """List the changes of an alert, the oldest first; nothing is ever taken out."""
    question = cursors.mark("history", caller.tenant.id, alert)
    after = cursors.decode(cursor, question, int) or 0
    if not 0 <= after < 1 << 62:
        raise cursors.strange()
    async with writing(caller.pool) as connection:
        if await store.find(connection, caller.tenant.id, alert, await sight_of(caller, connection)) is None:
            raise not_found()
        rows = await store.history(connection, caller.tenant.id, alert, after, limit + 1)
        bodies = await told_to(connection, caller, [row["body"] for row in rows[:limit]])
    more = cursors.encode(question, rows[limit - 1]["seq"]) if len(rows) > limit else None
    return page([_change(row, body, caller) for row, body in zip(rows, bodies, strict=False)], more)


def _change(row: Row, body: dict[str, Any], caller: Caller) -> dict[str, Any]:
    told = {name: row[name] for name in ("seq", "kind", "state", "actor", "as_of", "at", "detail")}
    if not caller.sees_individuals:
        told["detail"] = {name: value for name, value in row["detail"].items() if name != "person"}
    return {**told, "alert": body}
