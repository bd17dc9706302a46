"""``/scim/v2/Groups``: groups of identity providers. The tenant says which are teams and which are roles."""

from collections.abc import Callable, Collection
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.api.auth import Caller, Manager
from services.api.scim import exchange, membership, operations
from services.api.scim.attributes import GROUP, GROUPS
from services.api.scim.errors import gone, invalid_value, taken
from services.api.scim.exchange import PageWanted, ScimResponse, ShapeWanted, described, taken_body
from services.api.scim.mapping import standing
from services.api.scim.matching import matches, mentions, narrowed
from services.api.scim.membership import Group
from services.api.scim.resources import GroupRow, group
from services.api.scim.writing import Desk, carry_places, desk, places
from services.api.store import scim
from services.api.store import scim_groups as store
from services.api.store.sessions import reading, writing
from services.postgres import Connection

router = APIRouter(prefix="/scim/v2/Groups", tags=["scim"], default_response_class=ScimResponse)

Resource = dict[str, Any]
MOST_MEMBERS_OF_PAGE: Final = 50_000

GIVEN: Final[Resource] = {
    "schemas": [GROUP],
    "displayName": "Team: North",
    "members": [{"value": "8c0b4d2e-7d5b-4a0e-9d1c-0c1e3f0b6a11"}],
}
SHOWN: Final[Resource] = {
    **GIVEN,
    "id": "abf4dd94-a4c0-4f67-89c9-76b03340cb9b",
    "meta": {
        "resourceType": "Group",
        "created": "2026-03-02T08:00:00.000Z",
        "lastModified": "2026-03-02T08:00:00.000Z",
        "location": "https://uptake.example/scim/v2/Groups/abf4dd94-a4c0-4f67-89c9-76b03340cb9b",
        "version": 'W/"91aa"',
    },
}
PAGE: Final[Resource] = {
    "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
    "totalResults": 1,
    "startIndex": 1,
    "itemsPerPage": 1,
    "Resources": [SHOWN],
}
PATCH: Final[Resource] = {
    "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
    "Operations": [{"op": "Remove", "path": "members", "value": [{"value": "8c0b4d2e-7d5b-4a0e-9d1c-0c1e3f0b6a11"}]}],
}


@router.get("", responses=described(PAGE))
async def show_all(request: Request, caller: Manager, wanted: PageWanted) -> Response:
    """List groups by name, page by page. A page ends early where its groups have very many members."""
    condition, tenant = wanted.condition(GROUPS), caller.tenant.id
    base = exchange.base_of(request)
    async with reading(caller.pool) as connection:
        by = narrowed(condition, "displayName") if condition is not None else None
        rows = await store.every(connection, tenant, by[1] if by else None)
        if condition is not None:
            members = await _members(connection, caller, rows) if mentions(condition, "members") else {}
            rows = [row for row in rows if matches(condition, group(row, members.get(row.id), base))]
        shown = rows[wanted.start - 1 : wanted.start - 1 + wanted.most]
        within = wanted.selection(GROUPS).shows("members")
        if within:
            shown = await _bounded(connection, caller, shown)
            members = await _members(connection, caller, shown)
        resources = [group(row, members[row.id] if within else None, base) for row in shown]
    return exchange.page(resources, len(rows), wanted, GROUPS)


async def _bounded(connection: Connection, caller: Caller, rows: list[GroupRow]) -> list[GroupRow]:
    sizes = await store.sizes(connection, caller.tenant.id, [row.id for row in rows])
    kept: list[GroupRow] = []
    members = 0
    for row in rows:
        members += sizes.get(row.id, 0)
        if kept and members > MOST_MEMBERS_OF_PAGE:
            break
        kept.append(row)
    return kept


async def _members(connection: Connection, caller: Caller, rows: list[GroupRow]) -> dict[str, list[tuple[str, str]]]:
    return await store.shown_members(connection, caller.tenant.id, [row.id for row in rows])


async def _shown(connection: Connection, caller: Caller, request: Request, row: GroupRow) -> Resource:
    members = await _members(connection, caller, [row])
    return group(row, members[row.id], exchange.base_of(request))


@router.get("/{group_id}", responses=described(SHOWN))
async def show(request: Request, group_id: str, caller: Manager, wanted: ShapeWanted) -> Response:
    """Show one group; `excludedAttributes=members` leaves its members out."""
    chosen = wanted.selection(GROUPS)
    async with reading(caller.pool) as connection:
        row = await _found(connection, caller, group_id)
        members = (await _members(connection, caller, [row]))[row.id] if chosen.shows("members") else None
    resource = group(row, members, exchange.base_of(request))
    if exchange.unchanged(request, resource):
        return exchange.not_modified(resource)
    return exchange.answer(resource, chosen)


async def _found(connection: Connection, caller: Caller, group_id: str) -> GroupRow:
    row = await store.find(connection, caller.tenant.id, group_id)
    if row is None:
        raise gone("Group")
    return row


@router.post("", status_code=201, responses=described(SHOWN, 201), openapi_extra=taken_body(GIVEN))
async def create(request: Request, caller: Manager, wanted: ShapeWanted) -> Response:
    """Create a group."""
    given = membership.given(await exchange.body_of(request))
    async with writing(caller.pool) as connection:
        at = await desk(connection, caller, request)
        if await store.name_is_taken(connection, at.tenant, given.name, ""):
            raise taken("A Group with this displayName exists.")
        row = await store.create(connection, at.tenant, given.name, given.external_id)
        row = await _write(at, row, {}, given)
        resource = await _shown(connection, caller, request, row)
    return exchange.answer(resource, wanted.selection(GROUPS), 201)


@router.put("/{group_id}", responses=described(SHOWN), openapi_extra=taken_body(GIVEN))
async def replace(request: Request, group_id: str, caller: Manager, wanted: ShapeWanted) -> Response:
    """Replace a group and its members."""
    body = await exchange.body_of(request)
    given = membership.given(body)
    keeps = all(name.lower() != "externalid" for name in body)

    def after(before: Group) -> Group:
        return Group(given.name, before.external_id if keeps else given.external_id, given.members)

    async with writing(caller.pool) as connection:
        row = await _change(connection, request, group_id, caller, after)
        resource = await _shown(connection, caller, request, row)
    return exchange.answer(resource, wanted.selection(GROUPS))


@router.patch("/{group_id}", status_code=204, responses=described(None), openapi_extra=taken_body(PATCH))
async def change(request: Request, group_id: str, caller: Manager) -> Response:
    """Change a group by operations; all of them hold, or none. The answer has no body."""
    listed = operations.operations(await exchange.body_of(request))
    async with writing(caller.pool) as connection:
        await _change(connection, request, group_id, caller, lambda before: membership.applied(before, listed))
    return exchange.empty()


async def _change(
    connection: Connection, request: Request, group_id: str, caller: Caller, after: Callable[[Group], Group]
) -> GroupRow:
    at = await desk(connection, caller, request)
    row = await _found(connection, caller, group_id)
    exchange.unmet(request, group(row, None, exchange.base_of(request)))
    members = await store.members(connection, at.tenant, group_id)
    before = Group(row.name, row.external_id, frozenset(members))
    changed = after(before)
    if await store.name_is_taken(connection, at.tenant, changed.name, group_id):
        raise taken("A Group with this displayName exists.")
    return row if changed == before else await _write(at, row, members, changed)


async def _write(at: Desk, row: GroupRow, members: dict[str, str], after: Group) -> GroupRow:
    """Write a group, and move the people whose team or role is another one now."""
    joins = await _users(at, after.members - members.keys())
    leaves = [user for scim_id, user in members.items() if scim_id not in after.members]
    renamed = standing(row.name, at.rules) != standing(after.name, at.rules)
    moved = await scim.people(at.connection, at.tenant, {*joins, *leaves, *(members.values() if renamed else ())})
    before = await places(at, moved, at.rules)
    written = await store.change(
        at.connection,
        at.tenant,
        row.id,
        name=after.name,
        external_id=after.external_id,
        joins=joins,
        leaves=leaves,
    )
    await carry_places(at, before, await places(at, moved, at.rules))
    return written


async def _users(at: Desk, scim_ids: Collection[str]) -> list[str]:
    found = await scim.users_of(at.connection, at.tenant, list(scim_ids))
    if len(found) < len(scim_ids):
        raise invalid_value(f"{len(scim_ids) - len(found)} of the members are no Users here.")
    return list(found.values())


@router.delete("/{group_id}", status_code=204, responses=described(None))
async def delete(request: Request, group_id: str, caller: Manager) -> Response:
    """Delete a group. Its people stay, in the team or role of another group or of their department or title."""
    async with writing(caller.pool) as connection:
        at = await desk(connection, caller, request)
        row = await _found(connection, caller, group_id)
        exchange.unmet(request, group(row, None, exchange.base_of(request)))
        members = await store.members(connection, at.tenant, group_id)
        people = await scim.people(connection, at.tenant, members.values())
        before = await places(at, people, at.rules)
        await store.delete(connection, at.tenant, group_id)
        await carry_places(at, before, await places(at, people, at.rules))
    return exchange.empty()
