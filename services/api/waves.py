"""``/v1/waves``: a go-live of a part of the tenant, and how many of it connected within N days (D+N)."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from services.api import cursors
from services.api.auth import Caller, Manager, Reader
from services.api.once import OnceKey, once
from services.api.problems import conflict, not_found
from services.api.shapes import (
    Cursor,
    Day,
    Given,
    Identifier,
    Label,
    Limit,
    Name,
    Shown,
    created,
    example,
    page,
    rate,
    reply,
)
from services.api.store import directory, tenants
from services.api.store import waves as store
from services.api.store.people import log_accesses
from services.api.store.sessions import writing
from services.postgres import Connection, Row
from services.sight import Curtain, curtain

router = APIRouter(prefix="/v1/waves", tags=["waves"])

DAYS: Final = (0, 1, 2, 3, 5, 7, 10, 14)
LONGEST: Final = timedelta(days=2 * max(DAYS))
"""Within which so many working days pass, holidays aside."""
Names = Annotated[list[Label], Field(max_length=20_000)]


class Scope(Given):
    """Whom a wave covers: everyone in one of these teams or roles, and these people. Empty: all."""

    teams: Names = Field(default_factory=list)
    roles: Names = Field(default_factory=list)
    people: Names = Field(default_factory=list)


class NewWave(Given):
    """A wave to be declared."""

    id: Identifier
    name: Name
    go_live: Day
    scope: Scope = Field(default_factory=Scope)
    sponsor: Label | None = None


class WaveShown(Shown):
    """A wave. The ``people`` of its scope are left empty where single persons are not shown."""

    id: str
    name: str
    go_live: date
    scope: dict[str, list[str]]
    sponsor: str | None = None
    created_at: datetime


class WavePage(Shown):
    """One page of waves."""

    items: list[WaveShown]
    next: str | None = None


class Connected(Shown):
    """Who of the cohort connected by D+n; ``settled``: that day is over, and all of it is known.

    ``reason`` says why there is no value. Where logins are not known that far (``login-source-none``,
    ``login-source-stale``), ``num`` counts who is known to have connected all the same, and nobody is missing.
    """

    n: int
    num: int | None = None
    den: int | None = None
    value: float | None = None
    settled: bool
    missing: list[str] | None = None
    reason: str | None = None


class ConnectionShown(Shown):
    """D+N of a wave; a number that is not computed yet is left out."""

    items: list[Connected]


GIVEN: Final[dict[str, Any]] = {
    "id": "north",
    "name": "Sales North",
    "go_live": "2026-03-02",
    "scope": {"teams": ["North"]},
    "sponsor": "dustin",
}
SHOWN: Final = {**GIVEN, "created_at": "2026-02-20T08:00:00Z"}
_BODY: Final = {"requestBody": {"content": {"application/json": {"example": GIVEN}}}}
_CONNECTED: Final = {
    "items": [{"n": 3, "num": 9, "den": 12, "value": 0.75, "settled": True, "missing": ["anna", "bo", "cy"]}]
}


def shown(row: Row) -> dict[str, Any]:
    """Return a wave as JSON shows it."""
    return {name: row[name] for name in WaveShown.model_fields}


@router.post("", status_code=201, response_model=WaveShown, responses=example(SHOWN, 201), openapi_extra=_BODY)
async def create(body: NewWave, caller: Manager, key: OnceKey) -> Response:
    """Declare a wave."""
    async with writing(caller.pool) as connection:

        async def make() -> dict[str, Any]:
            scope = {name: sorted(set(values)) for name, values in body.scope.model_dump().items() if values}
            row = await store.create(
                connection,
                caller.tenant.id,
                body.id,
                name=body.name,
                go_live=body.go_live,
                scope=scope,
                sponsor=body.sponsor,
            )
            if row is None:
                raise conflict("A wave with this id exists.")
            await tenants.bump(connection, caller.tenant.id)
            await tenants.judge(connection, caller.tenant.id)
            await directory.soil_all(connection, caller.tenant.id)
            return shown(row)

        scope = f"{caller.principal.key_id}/waves/{caller.tenant.id}"
        answer = await once(connection, scope, key, body.model_dump(mode="json"), make)
    return created(answer, router.prefix)


@router.get("", response_model=WavePage, responses=example({"items": [SHOWN], "next": None}))
async def show_all(caller: Reader, cursor: Cursor = None, limit: Limit = 100) -> Response:
    """List waves by id. A key bound to a person sees none: a wave is more than a reporting line."""
    question = cursors.mark("waves", caller.tenant.id)
    after = cursors.decode(cursor, question, str) or ""
    if caller.person is not None:
        return page([], None)
    async with writing(caller.pool) as connection:
        rows = await store.page(connection, caller.tenant.id, after, limit + 1)
        items = await _told(connection, caller, rows[:limit])
    more = cursors.encode(question, rows[limit - 1]["id"]) if len(rows) > limit else None
    return page(items, more)


async def _told(connection: Connection, caller: Caller, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return waves as this key may see them. Whom their scopes name is written to the access log."""
    waves = [shown(row) for row in rows]
    if await caller.listed(connection) is not None:
        return [
            {**wave, "scope": wave["scope"] | ({"people": []} if "people" in wave["scope"] else {})} for wave in waves
        ]
    named = sorted({user for wave in waves for user in wave["scope"].get("people", ())})
    await log_accesses(connection, caller.tenant.id, caller.principal.key_id, "/v1/waves", named)
    return waves


@router.get("/{wave}", response_model=WaveShown, responses=example(SHOWN))
async def show(wave: str, caller: Reader) -> Response:
    """Show one wave. Whom its scope names is written to the access log."""
    async with writing(caller.pool) as connection:
        row = await store.find(connection, caller.tenant.id, wave)
        if row is None or caller.person is not None:
            raise not_found()
        told = (await _told(connection, caller, [row]))[0]
    return reply(told)


@router.get("/{wave}/connection", response_model=ConnectionShown, responses=example(_CONNECTED))
async def show_connection(wave: str, caller: Reader) -> Response:
    """Show who of the wave connected by D+0 … D+14. Names follow the tenant's visibility, and are logged.

    Where no single person is shown, neither are the numbers of a wave that is hidden.
    """
    async with writing(caller.pool) as connection:
        found = await store.find(connection, caller.tenant.id, wave)
        if found is None or caller.person is not None:
            raise not_found()
        rows = await store.connection_of(connection, caller.tenant.id, wave, DAYS)
        hidden = await curtain(
            connection, caller.tenant, found["go_live"], found["go_live"] + LONGEST, [("wave", wave)]
        )
        items = [connected(row, caller, hides(hidden, {**found, **row, "wave": wave})) for row in rows]
        missing = sorted({user for item in items for user in item.get("missing", ())})
        await log_accesses(connection, caller.tenant.id, caller.principal.key_id, "/v1/waves", missing)
    return reply({"items": items})


def hides(hidden: Curtain, row: Mapping[str, Any]) -> bool:
    """Return whether D+n of a wave stays hidden: who was expected from ``go_live`` on, ``n`` days long."""
    last = row["go_live"] + timedelta(days=2 * row["n"])
    return hidden.hides(("wave", row["wave"]), row["go_live"], last, row["den"] or None)


def connected(row: Row, caller: Caller, hidden: bool) -> dict[str, Any]:  # noqa: FBT001 - a fact of the row
    """Return D+n as JSON shows it: names only where single persons may be seen, else hidden cohorts not at all."""
    item = {"n": row["n"], "settled": row["settled"]}
    if caller.sees_individuals:
        item["missing"] = row["missing"]
    elif hidden:
        return {**item, "num": None, "den": None, "value": None, "reason": "suppressed"}
    item |= rate(row["num"], row["den"])
    return {**item, "value": None, "reason": row["reason"]} if row["reason"] else item
