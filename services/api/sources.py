"""``/v1/sources``: the CRMs and collectors that may send, each with its kind, secrets and options.

A source made here works at ingest at once. Secrets go in and are never shown again, but for the set-up of the source.
"""

import re
import secrets as randomness
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Request
from pydantic import AfterValidator, Field
from starlette.responses import Response

from schemas.sources import KINDS, Kind, Options
from services.api import cursors
from services.api.auth import Manager, ManagingKey, Named, owner_of
from services.api.once import OnceKey, once
from services.api.problems import ProblemError, conflict, invalid, not_found
from services.api.setups import SETUPS
from services.api.shapes import Anything, Cursor, Given, Identifier, Limit, Plain, Shown, created, example, page, reply
from services.api.store import people, tenants
from services.api.store import sources as store
from services.api.store.sessions import Signed, reading, writing
from services.postgres import Connection, Row
from services.sealing import Seal, seal_of

router = APIRouter(prefix="/v1/sources", tags=["sources"])

MOST_SECRETS: Final = 2
"""The new one and the old one, while senders change over."""
MOST_OPTIONS: Final = 32 * 1024
"""How many bytes the options of a source may have: ingest goes through them for every event."""
_IN_PATH: Final = re.compile(r"[A-Za-z0-9._~-]+")


def _known(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"must be one of {', '.join(sorted(KINDS))}")
    return kind


Secret = Annotated[str, Field(min_length=8, max_length=512, pattern=r"^[\x21-\x7e]+$"), Plain]
Secrets = Annotated[list[Secret], Field(max_length=MOST_SECRETS)]
KindName = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": sorted(KINDS)})]


class NewSource(Given):
    """A source to be made. Without ``secrets`` one is made, unless the CRM makes it."""

    id: Identifier
    kind: KindName
    secrets: Secrets = Field(default_factory=list)
    options: Anything = Field(default_factory=dict)
    tenant: Identifier | None = None


class SourceChange(Given):
    """What to change; what is absent stays. ``rotate``: make a new secret, the newest old one stays active."""

    secrets: Annotated[Secrets | None, Field(min_length=1)] = None
    options: Anything | None = None
    rotate: bool = False


class SourceShown(Shown):
    """A source. ``secrets``: how many are active."""

    id: str
    tenant: str
    kind: str
    secrets: int
    options: dict[str, Any]
    created_at: datetime
    updated_at: datetime


class SourcePage(Shown):
    """One page of sources."""

    items: list[SourceShown]
    next: str | None = None


class SetupShown(Shown):
    """How the CRM is connected: the address it sends to, the steps there, and how logins come in."""

    url: str
    secret: str | None = None
    steps: list[str]
    logins: str


GIVEN: Final[dict[str, Any]] = {
    "id": "hubspot-eu",
    "kind": "hubspot",
    "secrets": ["client-secret-of-the-app"],
    "options": {"portal": "62515"},
}
SHOWN: Final[dict[str, Any]] = {
    "id": "hubspot-eu",
    "tenant": "acme",
    "kind": "hubspot",
    "secrets": 1,
    "options": {"portal": "62515"},
    "created_at": "2026-03-01T08:00:00Z",
    "updated_at": "2026-03-01T08:00:00Z",
}
SETUP: Final = {
    "url": "https://in.example.com/v1/hooks/odoo-sales/{rule}/{trigger}/n2hA",
    "secret": "n2hA",
    "steps": ["Settings > Technical > Automation Rules > New, model Lead/Opportunity, trigger On save."],
    "logins": "A second rule on the model Users Log, trigger On create.",
}
_BODY: Final = {"requestBody": {"content": {"application/json": {"example": GIVEN}}}}
_CHANGE: Final = {"requestBody": {"content": {"application/json": {"example": {"rotate": True}}}}}


def _checked_options(kind: Kind, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options as they are kept.

    Raises:
        ProblemError: one is not known for the kind, or of another type, or they are too many.
    """
    if len(msgspec.json.encode(given)) > MOST_OPTIONS:
        raise invalid(f"The options have at most {MOST_OPTIONS >> 10} KiB.", pointer="/options")
    try:
        options: Options = msgspec.convert(given, kind.options)
    except msgspec.ValidationError as error:
        told = [{"pointer": "/options", "detail": str(error)}]
        raise ProblemError(422, "The options do not fit the kind of the source.", errors=told) from error
    if not 0 <= options.requests_per_second <= 1_000_000:  # noqa: PLR2004 - more is not measured
        told = [{"pointer": "/options/requests_per_second", "detail": "must lie between 0 and 1,000,000"}]
        raise ProblemError(422, "The options do not fit the kind of the source.", errors=told)
    kept: dict[str, Any] = msgspec.to_builtins(options)
    return {name: value for name, value in kept.items() if name in given}


async def _checked_secrets(connection: Connection, seal: Seal, source: str, kind: Kind, given: list[str]) -> list[str]:
    """Return the secrets that a source shall have.

    Raises:
        ProblemError: one is missing, cannot stand in an address, or leads to another source.
    """
    if not given:
        if kind.secret_given:
            told = [{"pointer": "/secrets", "detail": "the CRM makes the secret: copy it from there"}]
            raise ProblemError(422, "The source needs a secret.", errors=told)
        given = [_made(kind)]
    if kind.in_path and not all(_IN_PATH.fullmatch(secret) for secret in given):
        told = [{"pointer": "/secrets", "detail": "stands in an address: letters, digits and ._~- only"}]
        raise ProblemError(422, "The secret cannot stand in an address.", errors=told)
    if kind.by_key:
        await store.alone(connection)
        led = await store.secrets_of(connection, seal, [name for name, each in KINDS.items() if each.by_key])
        if any(led.get(secret, source) != source for secret in given):
            raise conflict("This key leads to another source.")
    return given


def _made(kind: Kind) -> str:
    return kind.secret_form.format(secret=randomness.token_urlsafe(24))


def shown(row: Row) -> dict[str, Any]:
    """Return a source as JSON shows it."""
    return {name: row[name] for name in SourceShown.model_fields}


@router.post("", status_code=201, response_model=SourceShown, responses=example(SHOWN, 201), openapi_extra=_BODY)
async def create(
    request: Request,
    body: NewSource,
    principal: ManagingKey,
    key: OnceKey,
    uptake_tenant: Named = None,
) -> Response:
    """Make a source. Its address and the steps in the CRM stand in its set-up."""
    kind = KINDS[body.kind]
    options = _checked_options(kind, body.options)
    tenant = owner_of(principal, body.tenant, uptake_tenant)
    async with writing(Signed(request.app.state.pool, principal.key_id)) as connection:
        if await tenants.find(connection, tenant) is None:
            raise not_found()
        seal = await seal_of(connection, request.app.state.seal_key)

        async def make() -> dict[str, Any]:
            secrets = await _checked_secrets(connection, seal, body.id, kind, body.secrets)
            row = await store.create(
                connection, seal, tenant, body.id, kind=body.kind, secrets=secrets, options=options
            )
            if row is None:
                raise conflict("A source with this id exists.")
            return shown(row)

        scope = f"{principal.key_id}/sources/{tenant}"
        answer = await once(connection, scope, key, body.model_dump(mode="json"), make)
    return created(answer, router.prefix)


@router.get("", response_model=SourcePage, responses=example({"items": [SHOWN], "next": None}))
async def show_all(caller: Manager, cursor: Cursor = None, limit: Limit = 100) -> Response:
    """List the sources of the tenant, by id."""
    question = cursors.mark("sources", caller.tenant.id)
    after = cursors.decode(cursor, question, str) or ""
    async with reading(caller.pool) as connection:
        rows = await store.page(connection, caller.tenant.id, after, limit + 1)
    more = cursors.encode(question, rows[limit - 1]["id"]) if len(rows) > limit else None
    return page([shown(row) for row in rows[:limit]], more)


@router.get("/{source}", response_model=SourceShown, responses=example(SHOWN))
async def show(source: str, caller: Manager) -> Response:
    """Show one source, without its secrets."""
    async with reading(caller.pool) as connection:
        row = await store.find(connection, caller.tenant.id, source)
    if row is None:
        raise not_found()
    return reply(shown(row))


@router.patch("/{source}", response_model=SourceShown, responses=example(SHOWN), openapi_extra=_CHANGE)
async def change(request: Request, source: str, body: SourceChange, caller: Manager) -> Response:
    """Change secrets or options. Two secrets may be active at once, so that senders can change over."""
    async with writing(caller.everywhere) as connection:
        row = await store.find(connection, caller.tenant.id, source, lock=True)
        if row is None:
            raise not_found()
        kind = KINDS[row["kind"]]
        seal = await seal_of(connection, request.app.state.seal_key)
        secrets = body.secrets
        if body.rotate and secrets is None:
            if kind.secret_given:
                raise ProblemError(422, "The CRM makes the secret: send the new one beside the old one.")
            present = await store.secrets_of(connection, seal, [kind.name], source)
            secrets = [_made(kind), *list(present)[: MOST_SECRETS - 1]]
        if secrets is not None:
            secrets = await _checked_secrets(connection, seal, source, kind, secrets)
        options = row["options"] if body.options is None else _checked_options(kind, body.options)
        changed = await store.change(connection, seal, source, secrets=secrets, options=options)
    return reply(shown(changed))


@router.delete("/{source}", status_code=204, responses={204: {"description": "It sends nothing any more."}})
async def delete(source: str, caller: Manager) -> Response:
    """Delete a source. What it sent stays."""
    async with writing(caller.pool) as connection:
        if not await store.delete(connection, caller.tenant.id, source):
            raise not_found()
    return Response(status_code=204)


@router.get("/{source}/setup", response_model=SetupShown, responses=example(SETUP))
async def show_setup(request: Request, source: str, caller: Manager) -> Response:
    """Show how the CRM is connected: address, secret and steps. The look is logged."""
    async with writing(caller.everywhere) as connection:
        row = await store.find(connection, caller.tenant.id, source)
        if row is None:
            raise not_found()
        kind = KINDS[row["kind"]]
        seal = await seal_of(connection, request.app.state.seal_key)
        present = list(await store.secrets_of(connection, seal, [kind.name], source))
        await people.log_access(connection, caller.tenant.id, caller.principal.key_id, "/v1/sources/{id}/setup", source)
    secret = None if kind.secret_given or not present else present[0]
    base = row["options"].get("public_url") or request.app.state.ingest_url
    told = SETUPS[kind.name].told(base.rstrip("/"), source, secret)
    return reply(told, headers={"Cache-Control": "no-store"})
