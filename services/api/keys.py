"""``/v1/keys``: a key is shown once, when it is made. Nobody makes a key that may do more than the own one."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from services.api import cursors
from services.api.auth import ManagingKey, Named, Principal, owner_of
from services.api.credentials import derive, fresh_id, mint
from services.api.once import OnceKey, once
from services.api.problems import ProblemError, invalid, not_found
from services.api.shapes import Cursor, Given, Identifier, Instant, Label, Limit, Shown, created, example, page, reply
from services.api.store import keys as store
from services.api.store import tenants
from services.api.store.sessions import Signed, reading, writing
from services.postgres import Connection, Row

router = APIRouter(prefix="/v1/keys", tags=["keys"])

FOR_A_PERSON: Final = frozenset({"read", "manage"})
Scope = Literal["ingest", "read", "manage", "scrape", "admin"]


class NewKey(Given):
    """A key to be made. Bound to a person, it sees that person's reporting line only."""

    tenant: Identifier | None = None
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=5)]
    person: Label | None = None
    expires_at: Instant | None = None


class KeyShown(Shown):
    """A key without its secret."""

    id: str
    tenant: str | None = None
    scopes: list[str]
    person: str | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    created_at: datetime


class KeyMade(KeyShown):
    """A new key, with the one look at its secret."""

    key: str


class KeyPage(Shown):
    """One page of keys."""

    items: list[KeyShown]
    next: str | None = None


SHOWN: Final[dict[str, Any]] = {
    "id": "k3v9x0ab",
    "tenant": "acme",
    "scopes": ["ingest"],
    "person": None,
    "expires_at": None,
    "revoked_at": None,
    "created_at": "2026-03-01T08:00:00Z",
}
MADE: Final = {**SHOWN, "key": "upt_k3v9x0ab_…"}
_BODY: Final = {"requestBody": {"content": {"application/json": {"example": {"tenant": "acme", "scopes": ["ingest"]}}}}}


def shown(row: Row) -> dict[str, Any]:
    """Return a key as JSON shows it."""
    return {name: row[name] for name in KeyShown.model_fields}


def _owner(principal: Principal, body: NewKey, named: str | None) -> str | None:
    """Return the tenant of the new key.

    Raises:
        ProblemError: the maker may not make it, or it fits no tenant.
    """
    if "admin" in body.scopes:
        if not principal.is_admin:
            raise ProblemError(403, "Only an admin key may make an admin key.")
        if body.tenant is not None or body.person is not None:
            raise invalid("An admin key belongs to no tenant and to no person.", pointer="/tenant")
        return None
    tenant = owner_of(principal, body.tenant, named)
    if not all(principal.may(scope) for scope in body.scopes):
        raise ProblemError(403, "A key cannot make a key with more scopes than its own.")
    if body.person is not None and not FOR_A_PERSON.issuperset(body.scopes):
        raise invalid("A key bound to a person has the scopes read and manage at most.", pointer="/scopes")
    return tenant


@router.post("", status_code=201, response_model=KeyMade, responses=example(MADE, 201), openapi_extra=_BODY)
async def create(
    request: Request, body: NewKey, principal: ManagingKey, key: OnceKey, uptake_tenant: Named = None
) -> Response:
    """Make a key. Its secret is in this answer and nowhere else."""
    tenant = _owner(principal, body, uptake_tenant)
    if body.expires_at is not None and body.expires_at <= request.app.state.clock():
        raise invalid("The key would be expired from the start.", pointer="/expires_at")
    async with writing(Signed(request.app.state.pool, principal.key_id)) as connection:

        async def make() -> dict[str, Any]:
            return await _make(connection, principal, body, tenant, key)

        scope = f"{principal.key_id}/keys/{tenant or ''}"
        made = await once(connection, scope, key, body.model_dump(mode="json"), make)
    if key is not None:
        made = {**made, "key": str(derive(principal.secret, made["id"], key))}
    return created(made, router.prefix, {"Cache-Control": "no-store"})


async def _make(
    connection: Connection, principal: Principal, body: NewKey, tenant: str | None, key: str | None
) -> dict[str, Any]:
    if tenant is not None and await tenants.find(connection, tenant) is None:
        raise not_found()
    while True:
        credential = mint() if key is None else derive(principal.secret, fresh_id(), key)
        row = await store.insert(
            connection,
            credential,
            tenant=tenant,
            scopes=sorted(set(body.scopes)),
            person=body.person,
            expires_at=body.expires_at,
        )
        if row is not None:
            return shown(row) if key is not None else {**shown(row), "key": str(credential)}


@router.get("", response_model=KeyPage, responses=example({"items": [SHOWN], "next": None}))
async def show_all(
    request: Request,
    principal: ManagingKey,
    uptake_tenant: Named = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """List the keys of the tenant, the revoked ones too, by id. An admin key sees all, or those of Uptake-Tenant."""
    tenant = principal.tenant or uptake_tenant or None
    question = cursors.mark("keys", tenant)
    after = cursors.decode(cursor, question, str) or ""
    async with reading(request.app.state.pool) as connection:
        rows = await store.page(connection, tenant, after, limit + 1)
    more = cursors.encode(question, rows[limit - 1]["id"]) if len(rows) > limit else None
    return page([shown(row) for row in rows[:limit]], more)


@router.get("/{key_id}", response_model=KeyShown, responses=example(SHOWN))
async def show(request: Request, key_id: str, principal: ManagingKey) -> Response:
    """Show one key, without its secret."""
    async with reading(request.app.state.pool) as connection:
        row = await store.show(connection, key_id, principal.tenant)
    if row is None:
        raise not_found()
    return reply(shown(row))


@router.delete("/{key_id}", status_code=204, responses={204: {"description": "Revoked from the next request on."}})
async def revoke(request: Request, key_id: str, principal: ManagingKey) -> Response:
    """Revoke a key. It opens nothing from the next request on."""
    async with writing(Signed(request.app.state.pool, principal.key_id)) as connection:
        if not await store.revoke(connection, key_id, principal.tenant):
            raise not_found()
    return Response(status_code=204)
