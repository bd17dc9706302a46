"""``/v1/directory/merge``, ``unmerge`` and ``links``: which identities are one person.

Most are found by e-mail or external id. A decision stands above what is found, can be taken back, and is written down
with whoever made it. The owner of the identity's shard is told in the same transaction.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from schemas.topics import person_key, shard_of
from services.api import cursors
from services.api.auth import Caller, Manager, Reader
from services.api.problems import invalid, not_found
from services.api.shapes import Cursor, Filter, Given, Label, Limit, Shown, example, page, reply
from services.api.store import directory, tenants
from services.api.store import links as store
from services.api.store.people import log_accesses
from services.api.store.sessions import writing
from services.postgres import Connection

router = APIRouter(prefix="/v1/directory", tags=["directory"])

Aliases = Annotated[list[Label], Field(min_length=1, max_length=1000)]
How = Literal["alias", "external_id", "email", "pinned", "ambiguous"]


class Merge(Given):
    """Whom further identities are: ``aliases`` are keys that sources have for ``user``."""

    user: Label
    aliases: Aliases


class Unmerge(Given):
    """Identities that are not who they were taken for."""

    aliases: Aliases


class MergeShown(Shown):
    """How many identities were merged, and how many were so before."""

    merged: int
    unchanged: int


class UnmergeShown(Shown):
    """How many decisions were taken back, and how many identities are nobody else from now on whatever is found."""

    reversed: int
    pinned: int
    unchanged: int


class LinkShown(Shown):
    """Whom an identity counts for, and why. Pinned: for nobody else; ambiguous: it may be any of the candidates."""

    identity: str
    user: str | None = None
    how: How
    candidates: list[str]
    decided_by: str | None = None
    decided_at: datetime | None = None


class LinkPage(Shown):
    """One page of identities."""

    items: list[LinkShown]
    next: str | None = None


LINK: Final[dict[str, Any]] = {
    "identity": "hubspot-4711",
    "user": "anna",
    "how": "email",
    "candidates": [],
    "decided_by": None,
    "decided_at": None,
}


_MERGE: Final = {
    "requestBody": {"content": {"application/json": {"example": {"user": "anna", "aliases": ["hubspot-4711", "005x"]}}}}
}
_UNMERGE: Final = {"requestBody": {"content": {"application/json": {"example": {"aliases": ["hubspot-4711"]}}}}}
_MERGED: Final = example({"merged": 2, "unchanged": 0})
_UNMERGED: Final = example({"reversed": 1, "pinned": 0, "unchanged": 0})


@router.post("/merge", response_model=MergeShown, responses=_MERGED, openapi_extra=_MERGE)
async def merge(request: Request, caller: Manager, given: Merge) -> Response:
    """Decide that identities are a person. Their events count for the person, whenever they came or come.

    An identity that is a person of the directory itself counts nowhere on its own while it is merged.
    """
    tenant, wanted = caller.tenant.id, list(dict.fromkeys(given.aliases))
    async with writing(caller.pool) as connection:
        await store.alone(connection, tenant)
        if not await store.listed(connection, tenant, [given.user]):
            raise not_found()
        before = await store.decided(connection, tenant, [given.user, *wanted])
        await _refuse_chains(connection, tenant, given, before)
        changes = {alias: (before.get(alias), given.user) for alias in wanted if before.get(alias) != given.user}
        await _write(request, connection, caller, changes)
    return reply({"merged": len(changes), "unchanged": len(wanted) - len(changes)})


async def _refuse_chains(connection: Connection, tenant: str, given: Merge, decided: Mapping[str, str]) -> None:
    if decided.get(given.user, given.user) != given.user:
        raise invalid("The person is merged into another one.", pointer="/user")
    followed = await store.followed(connection, tenant, given.aliases)
    for place, alias in enumerate(given.aliases):
        if alias == given.user:
            raise invalid("A person cannot be merged into themselves.", pointer=f"/aliases/{place}")
        if alias in followed:
            raise invalid("Other identities are merged into this one.", pointer=f"/aliases/{place}")


@router.post("/unmerge", response_model=UnmergeShown, responses=_UNMERGED, openapi_extra=_UNMERGE)
async def unmerge(request: Request, caller: Manager, given: Unmerge) -> Response:
    """Take decisions back. An identity of which nothing was decided is nobody else from now on, whatever is found.

    Merging such an identity lets it be somebody again.
    """
    tenant, wanted = caller.tenant.id, list(dict.fromkeys(given.aliases))
    async with writing(caller.pool) as connection:
        await store.alone(connection, tenant)
        before = await store.decided(connection, tenant, wanted)
        listed = await store.listed(connection, tenant, wanted)
        reversed_ = {alias: (before[alias], None) for alias in wanted if before.get(alias, alias) != alias}
        pinned = {alias: (None, alias) for alias in wanted if alias not in before and alias not in listed}
        await _write(request, connection, caller, {**reversed_, **pinned})
    unchanged = len(wanted) - len(reversed_) - len(pinned)
    return reply({"reversed": len(reversed_), "pinned": len(pinned), "unchanged": unchanged})


async def _write(
    request: Request, connection: Connection, caller: Caller, changes: Mapping[str, tuple[str | None, str | None]]
) -> None:
    if not changes:
        return
    tenant = caller.tenant.id
    await store.decide(connection, tenant, changes, caller.principal.key_id)
    shards = await directory.shards(connection, request.app.state.partitions)
    queued = [(identity, shard_of(person_key(tenant, identity), shards)) for identity in sorted(changes)]
    await directory.queue(connection, tenant, queued)
    whose = {user for identity, (before, after) in changes.items() for user in (identity, before, after) if user}
    await directory.soil(connection, tenant, [(user, None) for user in sorted(whose)])
    await tenants.bump(connection, tenant)


@router.get("/links", response_model=LinkPage, responses=example({"items": [LINK], "next": None}))
async def show(
    caller: Reader,
    user: Filter = None,
    how: Annotated[How | None, Query(description="Why the identity counts as it does.")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """List identities by their keys: whom each counts for, and those that could be several people.

    It names whom the list of people does. Whom it names is written to the access log.
    """
    question = cursors.mark("links", caller.tenant.id, user, how)
    after = cursors.decode(cursor, question, str) or ""
    async with writing(caller.pool) as connection:
        line = await caller.listed(connection)
        rows = await store.page(
            connection, caller.tenant.id, after=after, limit=limit + 1, user=user, how=how, line=line
        )
        named = sorted({user for row in rows[:limit] for user in (row["user"], *row["candidates"]) if user is not None})
        await log_accesses(connection, caller.tenant.id, caller.principal.key_id, "/v1/directory/links", named)
    more = cursors.encode(question, rows[limit - 1]["identity"]) if len(rows) > limit else None
    return page([dict(row) for row in rows[:limit]], more)
