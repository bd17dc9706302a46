"""``/scim/v2/Users``: the people of the directory as identity providers know them.

The person's key is the first userName; later ones change the name by which SCIM finds them, never the key, since the
events of the past are counted under it.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.api.auth import Caller, Manager
from services.api.scim import attributes, exchange, operations, patching
from services.api.scim.attributes import ENTERPRISE, USER, USERS
from services.api.scim.errors import gone, invalid_value, taken
from services.api.scim.exchange import PageWanted, ScimResponse, ShapeWanted, described, taken_body
from services.api.scim.filters import Filter
from services.api.scim.matching import matches, narrowed
from services.api.scim.resources import Person, content, user
from services.api.scim.writing import Desk, carry_user, desk, today_of
from services.api.store import directory, erasures
from services.api.store import scim as store
from services.api.store.sessions import reading, writing
from services.postgres import Connection

router = APIRouter(prefix="/scim/v2/Users", tags=["scim"], default_response_class=ScimResponse)

Resource = dict[str, Any]
Change = Callable[[Resource], Resource]

GIVEN: Final[Resource] = {
    "schemas": [USER, ENTERPRISE],
    "userName": "anna@acme.example",
    "externalId": "00ujl29u0le5T6Aj10h7",
    "name": {"givenName": "Anna", "familyName": "Snelling"},
    "displayName": "Anna Snelling",
    "emails": [{"value": "anna@acme.example", "type": "work", "primary": True}],
    "title": "Account Executive",
    "active": True,
    ENTERPRISE: {"department": "North", "manager": {"value": "23a35c27-23d3-4c03-b4c5-6443c09e7173"}},
}
SHOWN: Final[Resource] = {
    **GIVEN,
    "id": "8c0b4d2e-7d5b-4a0e-9d1c-0c1e3f0b6a11",
    "groups": [],
    "meta": {
        "resourceType": "User",
        "created": "2026-03-02T08:00:00.000Z",
        "lastModified": "2026-03-02T08:00:00.000Z",
        "location": "https://uptake.example/scim/v2/Users/8c0b4d2e-7d5b-4a0e-9d1c-0c1e3f0b6a11",
        "version": 'W/"3f1c"',
    },
}
PAGE: Final[Resource] = {
    "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
    "totalResults": 1,
    "startIndex": 1,
    "itemsPerPage": 1,
    "Resources": [SHOWN],
}
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
PATCH: Final[Resource] = {
    "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
    "Operations": [{"op": "replace", "path": "active", "value": False}],
}


@router.get("", responses=described(PAGE))
async def show_all(request: Request, caller: Manager, wanted: PageWanted) -> Response:
    """List Users in order of their keys, page by page."""
    condition, base = wanted.condition(USERS), exchange.base_of(request)
    async with reading(caller.pool) as connection:
        seek = _all if condition is None else _those(condition)
        people, total = await seek(connection, caller, wanted.start - 1, wanted.most)
        shown = await _shown(connection, caller, people, base)
    return exchange.page(shown, total, wanted, USERS)


async def _all(connection: Connection, caller: Caller, skip: int, limit: int) -> tuple[list[Person], int]:
    tenant = caller.tenant.id
    return await store.page(connection, tenant, skip, limit), await store.count(connection, tenant)


def _those(condition: Filter) -> Callable[..., Awaitable[tuple[list[Person], int]]]:
    by = narrowed(condition, "userName", "externalId", "id", "emails")

    async def seek(connection: Connection, caller: Caller, skip: int, limit: int) -> tuple[list[Person], int]:
        today, found, total = await today_of(connection, caller), [], 0
        if by is not None:
            candidates = await store.found_by(connection, caller.tenant.id, *by)
            hits = await _satisfying(connection, caller, candidates, condition, today)
            return hits[skip : skip + limit], len(hits)
        async for part in store.every(connection, caller.tenant.id):
            hits = await _satisfying(connection, caller, part, condition, today)
            found += hits[max(0, skip - total) : max(0, skip + limit - total)]
            total += len(hits)
        return found, total

    return seek


async def _satisfying(
    connection: Connection,
    caller: Caller,
    people: list[Person],
    condition: Filter,
    today: date | None,
) -> list[Person]:
    groups = await store.groups_of(connection, caller.tenant.id, [person.user for person in people])
    return [p for p in people if matches(condition, user(p, groups.get(p.user, []), today, ""))]


async def _shown(connection: Connection, caller: Caller, people: list[Person], base: str) -> list[Resource]:
    today = await today_of(connection, caller)
    groups = await store.groups_of(connection, caller.tenant.id, [person.user for person in people])
    return [user(person, groups.get(person.user, []), today, base) for person in people]


@router.get("/{scim_id}", responses=described(SHOWN))
async def show(request: Request, scim_id: str, caller: Manager, wanted: ShapeWanted) -> Response:
    """Show one User."""
    async with reading(caller.pool) as connection:
        resource = await _one(connection, caller, request, scim_id)
    if exchange.unchanged(request, resource):
        return exchange.not_modified(resource)
    return exchange.answer(resource, wanted.selection(USERS))


async def _one(connection: Connection, caller: Caller, request: Request, scim_id: str) -> Resource:
    person = await store.find(connection, caller.tenant.id, scim_id)
    if person is None:
        raise gone("User")
    return (await _shown(connection, caller, [person], exchange.base_of(request)))[0]


@router.post("", status_code=201, responses=described(SHOWN, 201), openapi_extra=taken_body(GIVEN))
async def create(request: Request, caller: Manager, wanted: ShapeWanted) -> Response:
    """Create a User. A person whom an import brought and who has this address or key becomes this User."""
    given = _complete(attributes.canonical(USERS, await exchange.body_of(request)), {"active": True})
    async with writing(caller.pool) as connection:
        at = await desk(connection, caller, request)
        if await store.name_is_taken(connection, at.tenant, given["userName"], ""):
            raise taken("A User with this userName exists.")
        if await erasures.returning(connection, at.tenant, [given["userName"]]):
            raise taken("A person with this userName was erased and is not taken again.")
        person = await _adopted(at, given) or await _unknown(at, given["userName"])
        before = content(person, at.today) if person.scim_id else {}
        await carry_user(at, person, before, given)
        made = await store.people(connection, at.tenant, [person.user])
        resource = (await _shown(connection, caller, [made[person.user]], exchange.base_of(request)))[0]
    return exchange.answer(resource, wanted.selection(USERS), 201)


async def _adopted(at: Desk, given: Resource) -> Person | None:
    addresses = [given["userName"], *(entry["value"] for entry in given.get("emails", ()))]
    found = await store.adoptable(at.connection, at.tenant, given["userName"], given.get("externalId"), addresses)
    return await store.revive(at.connection, at.tenant, found[0]) if len(found) == 1 else None


async def _unknown(at: Desk, user_name: str) -> Person:
    """Return a person who is not in the directory yet: under ``user_name``, or beside it when somebody has that key."""
    key, number = user_name, 1
    while await directory.known(at.connection, at.tenant, [key]):
        number += 1
        key = f"{user_name[:240]}~{number}"
    return Person(key, "", None, None, None, None, "human", (), None, _NEVER, _NEVER)


def _complete(resource: Resource, before: Resource) -> Resource:
    """Return ``resource`` with what a client need not repeat: whether it is active, and the key that joins identities.

    Raises:
        ScimError: it has no name.
    """
    if not resource.get("userName"):
        raise invalid_value("userName is missing.")
    kept: Resource = {
        name: before[name] for name in ("active", "externalId") if name in before and resource.get(name) is None
    }
    return {**resource, **kept}


@router.put("/{scim_id}", responses=described(SHOWN), openapi_extra=taken_body(GIVEN))
async def replace(request: Request, scim_id: str, caller: Manager, wanted: ShapeWanted) -> Response:
    """Replace a User. What is absent is cleared, but `active` and `externalId`."""
    given = attributes.canonical(USERS, await exchange.body_of(request))
    resource = await _change(request, scim_id, caller, lambda before: _complete(given, before))
    return exchange.answer(resource, wanted.selection(USERS))


@router.patch("/{scim_id}", responses=described(SHOWN), openapi_extra=taken_body(PATCH))
async def change(request: Request, scim_id: str, caller: Manager, wanted: ShapeWanted) -> Response:
    """Change a User by operations; all of them hold, or none."""
    listed = operations.operations(await exchange.body_of(request))

    def after(before: Resource) -> Resource:
        patched = patching.applied(before, listed)
        return _complete(patched, {"active": before["active"]})

    resource = await _change(request, scim_id, caller, after)
    return exchange.answer(resource, wanted.selection(USERS))


async def _change(request: Request, scim_id: str, caller: Manager, after: Change) -> Resource:
    async with writing(caller.pool) as connection:
        at = await desk(connection, caller, request)
        person = await store.find(connection, at.tenant, scim_id)
        if person is None:
            raise gone("User")
        exchange.unmet(request, (await _shown(connection, caller, [person], exchange.base_of(request)))[0])
        before = content(person, at.today)
        changed = after(before)
        if await store.name_is_taken(connection, at.tenant, changed["userName"], person.user):
            raise taken("A User with this userName exists.")
        if changed != before:
            await carry_user(at, person, before, changed)
        return await _one(connection, caller, request, scim_id)


@router.delete("/{scim_id}", status_code=204, responses=described(None))
async def delete(request: Request, scim_id: str, caller: Manager) -> Response:
    """Delete a User: the licence ends. The person stays in the directory, and what was counted stays counted."""
    async with writing(caller.pool) as connection:
        at = await desk(connection, caller, request)
        person = await store.find(connection, at.tenant, scim_id)
        if person is None:
            raise gone("User")
        exchange.unmet(request, (await _shown(connection, caller, [person], exchange.base_of(request)))[0])
        before = content(person, at.today)
        await carry_user(at, person, before, {**before, "active": False})
        await store.forget(connection, at.tenant, person.user)
    return exchange.empty()
