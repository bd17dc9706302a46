"""``/v1/worklists``: open records that are not ready for a review, and why: by the names of fields, never their values.

It tells how records stand now, of those that were counted in this week or the last. What a key may not know of single
persons it does not show: then a record is without its owner.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from schemas import places
from schemas.fields import DEFAULT, FieldRegistry
from services.api import cursors
from services.api.auth import Caller, Reader
from services.api.days import local_day
from services.api.problems import not_found
from services.api.shapes import Shown, example, reply
from services.api.store import fields, people, tenants
from services.api.store import worklists as store
from services.api.store.sessions import writing
from services.api.store.worklists import Asked, Told
from services.metrics.histories import OPEN, WON, State, Timeline
from services.metrics.policies import RecordPolicy, policies
from services.metrics.standing import Reason, handoff_reasons, reasons
from services.postgres import Connection
from services.sight import curtain
from services.sight.store import hidden as hiding

router = APIRouter(prefix="/v1/worklists", tags=["metrics"])

Why = Literal["missing", "placeholder", "stale_close_date", "no_next_step", "old_next_step", "no_evidence", "handoff"]
WEEK: Final = timedelta(days=7)
HANDED_OVER: Final = timedelta(days=28)
"""How long after it was won a deal is to be completed for whoever takes it over."""
CHUNK: Final = 500
MOST: Final = 2000
"""How many records one request looks at; the next one goes on."""


class ReasonShown(Shown):
    """What is wrong: with which field, and which role fills it where that is not the owner of the record."""

    reason: Why
    field: str | None = None
    role: str | None = None


class RecordShown(Shown):
    """A record that waits, whose it is, and where it stands in the CRM. ``owner`` is null where it may not be shown."""

    object: str
    record: str
    owner: str | None = None
    link: str | None = None
    reasons: list[ReasonShown]


class Worklist(Shown):
    """One page of a work list; it may be shorter than asked for, also where there is a next one.

    `reason` is `suppressed` where the team is too small to be shown.
    """

    items: list[RecordShown]
    next: str | None = None
    reason: str | None = None


class Filters(Shown):
    """Whose records, and which."""

    owner: str | None = Field(default=None, max_length=256, description="A person.")
    team: str | None = Field(default=None, max_length=256)
    object: str | None = Field(default=None, max_length=256, description="A kind of record, such as opportunity.")
    reason: Why | None = Field(default=None, description="Only records with this reason.")
    cursor: str | None = Field(default=None, description="`next` of the page before.")
    limit: int = Field(default=100, ge=1, le=1000, description="The most items of one page.")


SHOWN: Final[dict[str, Any]] = {
    "items": [
        {
            "object": "opportunity",
            "record": "0065g00000ABCDE",
            "owner": "anna",
            "link": "https://acme.lightning.force.com/lightning/r/Opportunity/0065g00000ABCDE/view",
            "reasons": [
                {"reason": "missing", "field": "budget", "role": "sales"},
                {"reason": "stale_close_date", "field": None, "role": None},
                {"reason": "old_next_step", "field": "NextStep", "role": None},
            ],
        }
    ],
    "next": None,
    "reason": None,
}


@dataclass(frozen=True, slots=True)
class _Desk:
    """What a page is made with."""

    caller: Caller
    asked: Asked
    why: str | None
    now: datetime
    known: Mapping[str, RecordPolicy]
    links: Mapping[str, str]


@router.get("", response_model=Worklist, responses=example(SHOWN))
async def show(caller: Reader, filters: Annotated[Filters, Query()]) -> Response:
    """List open records that are not ready for a review, and won ones whose handover is incomplete. Logged.

    A key that is bound to a person sees the records of their line; where single persons are not shown, only their own.
    """
    question = cursors.mark("worklists", caller.tenant.id, filters.model_dump(exclude={"cursor", "limit"}))
    after = cursors.decode(filters.cursor, question, str) or ""
    async with writing(caller.pool) as connection:
        asked = await _asked(connection, caller, filters)
        weeks = await hiding.measured(connection, caller.tenant.id)
        if weeks is None:
            return reply({"items": [], "next": None, "reason": None})
        if await _is_hidden(connection, caller, filters.team):
            return reply({"items": [], "next": None, "reason": "suppressed"})
        desk = await _desk(connection, caller, asked, filters.reason)
        items: list[dict[str, Any]] = []
        more: str | None = after
        for _ in range(MOST // CHUNK):
            found = await store.candidates(
                connection, caller.tenant.id, asked, weeks[1] - WEEK, after=more or "", limit=CHUNK
            )
            more = found[-1] if len(found) == CHUNK else None
            items += await _items(connection, desk, found)
            if more is None or len(items) > filters.limit:
                break
        if len(items) > filters.limit:
            items = items[: filters.limit]
            more = f"{items[-1]['object']}\t{items[-1]['record']}"
        owners = sorted({item["owner"] for item in items if item["owner"] not in (None, caller.person)})
        await people.log_accesses(connection, caller.tenant.id, caller.principal.key_id, "/v1/worklists", owners)
    return reply({"items": items, "next": None if more is None else cursors.encode(question, more), "reason": None})


async def _asked(connection: Connection, caller: Caller, filters: Filters) -> Asked:
    """Return whose records the caller gets.

    Raises:
        ProblemError: those of somebody whom the key may not look at.
    """
    if filters.owner is not None:
        if filters.owner != caller.person and not await caller.sees(connection, filters.owner):
            raise not_found()
        return Asked([filters.owner], filters.team, filters.object)
    line = await caller.line(connection)
    if line is not None and not caller.sees_individuals:
        line = [person for person in line if person == caller.person]
    return Asked(line, filters.team, filters.object)


async def _is_hidden(connection: Connection, caller: Caller, team: str | None) -> bool:
    """Whether a team is too small for a caller who sees no single persons."""
    if team is None or caller.sees_individuals or caller.person is not None:
        return False
    group, today = ("team", team), await caller.today(connection)
    hidden = await curtain(connection, caller.tenant, today - WEEK, today, [group])
    return hidden.hides(group, today - WEEK, today)


async def _desk(connection: Connection, caller: Caller, asked: Asked, why: str | None) -> _Desk:
    tenant = caller.tenant.id
    kept = await fields.find(connection, tenant)
    registry = DEFAULT if kept is None else msgspec.convert(kept, FieldRegistry)
    now = await tenants.now_of(connection, caller.tenant, caller.now) or caller.now
    return _Desk(caller, asked, why, now, policies(registry), await store.links(connection, tenant))


async def _items(connection: Connection, desk: _Desk, subjects: list[str]) -> list[dict[str, Any]]:
    """Return those of ``subjects`` that wait for somebody, as JSON shows them."""
    tenant = desk.caller.tenant
    just_after = desk.now + timedelta.resolution
    cases = []
    for subject, told in (await store.told(connection, tenant.id, subjects, desk.now)).items():
        policy = desk.known.get(subject.partition("\t")[0])
        if policy is not None:
            cases.append((subject, told, policy, Timeline(told.changes, policy, told.base).state_at(just_after)))
    holders = sorted({state.holder for _, _, _, state in cases if state.holder is not None})
    owners = await store.people(connection, tenant.id, holders)
    zones = await store.zones(connection, tenant.id, sorted({user for user in owners.values() if user is not None}))
    items = []
    for subject, told, policy, state in cases:
        owner = None if state.holder is None else owners[state.holder] or state.holder
        if desk.asked.owners is not None and owner not in desk.asked.owners:
            continue
        zone = zones.get(owner or "", tenant.time_zone)
        found = [reason._asdict() for reason in _reasons(state, policy, zone, desk.now)]
        if found and (desk.why is None or any(reason["reason"] == desk.why for reason in found)):
            items.append({**_told(desk, subject, told, policy), "owner": _name(desk.caller, owner), "reasons": found})
    return items


def _told(desk: _Desk, subject: str, told: Told, policy: RecordPolicy) -> dict[str, Any]:
    noun, _, record = subject.partition("\t")
    template = policy.link or desk.links.get(told.source or "", "")
    return {"object": noun, "record": record, "link": places.link(template, policy.name, record)}


def _name(caller: Caller, owner: str | None) -> str | None:
    return owner if caller.sees_individuals or owner == caller.person else None


def _reasons(state: State, policy: RecordPolicy, zone: str, now: datetime) -> Iterator[Reason]:
    """Yield why a record waits, as it stands now."""
    if not state.alive:
        return
    if state.outcome == OPEN:
        yield from reasons(state, policy, local_day(now, zone), now)
    elif state.outcome == WON and state.ended is not None and state.ended >= now - HANDED_OVER:
        yield from handoff_reasons(state, policy)
