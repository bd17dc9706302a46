"""``/v1/directory/quality``: how far the directory can be relied on, before numbers of groups are.

Metrics of teams, roles and other groups are shown when nine in ten people have what a group is made of, or somebody
has approved the directory as it is.
"""

import asyncio
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final, NamedTuple

from fastapi import APIRouter
from starlette.responses import Response

from services.api import managers
from services.api.auth import Caller, Manager, Reader
from services.api.problems import not_found
from services.api.shapes import Rate, Shown, example, rate, reply
from services.api.store import quality as store
from services.api.store import tenants
from services.api.store.people import log_accesses
from services.api.store.sessions import reading, writing
from services.postgres import Connection

router = APIRouter(prefix="/v1/directory/quality", tags=["directory"])

ENOUGH: Final = 90
"""So many percent of the people must have what the groups are made of."""
GATES: Final = ("manager", "team", "role", "licence", "known_manager")
"""Calendar and e-mail are no gates: without its own a person has the tenant's calendar."""
SHARES: Final = ("manager", "known_manager", "team", "role", "calendar", "licence", "email")


class GroupViews(NamedTuple):
    """Whether numbers of groups are shown, and what stands against it."""

    enabled: bool
    below: tuple[str, ...]
    approved_at: datetime | None

    @property
    def reason(self) -> str | None:
        """Why they are not shown."""
        return None if self.enabled else "directory_incomplete"


class Shares(Shown):
    """Of how many people the directory knows what. Whoever leads others needs no manager of their own.

    ``known_manager``: of those with a manager, how many have one who is in the directory.
    """

    manager: Rate
    known_manager: Rate
    team: Rate
    role: Rate
    calendar: Rate
    licence: Rate
    email: Rate


class Unmapped(Shown):
    """Who acts in the CRM and is nobody of the directory."""

    actors: int
    events: int


class Duplicates(Shown):
    """Signs that one person is several: identities with several candidates, e-mails of several people."""

    ambiguous_identities: int
    shared_emails: int


class GroupViewsShown(Shown):
    """Whether metrics of groups are shown; ``below``: the shares under 90 %."""

    enabled: bool
    reason: str | None = None
    below: list[str]
    approved_at: datetime | None = None


class QualityShown(Shown):
    """How complete the directory is, of the human people who have not left."""

    people: int
    shares: Shares
    unmapped: Unmapped
    duplicates: Duplicates
    cycles: int
    group_views: GroupViewsShown


_VIEWS: Final = {"enabled": False, "reason": "directory_incomplete", "below": ["team"], "approved_at": None}
SHOWN: Final[dict[str, Any]] = {
    "people": 120,
    "shares": {
        name: {"num": 96 if name == "team" else 120, "den": 120, "value": 0.8 if name == "team" else 1.0}
        for name in SHARES
    },
    "unmapped": {"actors": 3, "events": 410},
    "duplicates": {"ambiguous_identities": 1, "shared_emails": 0},
    "cycles": 0,
    "group_views": _VIEWS,
}
_latest: Final[dict[str, tuple[tuple[datetime, int, date], Mapping[str, int]]]] = {}
"""By tenant the last figures, and of which tenant, version and day they are: a request must not count people."""


async def group_views(connection: Connection, caller: Caller, approved_at: datetime | None, version: int) -> GroupViews:
    """Return whether metrics of groups are shown to ``caller``; cheap while the directory stays as it is.

    ``approved_at``: when it was approved as it is; ``version``: how often it was written.
    """
    if approved_at is not None:
        return GroupViews(enabled=True, below=(), approved_at=approved_at)
    return _judged(await _figures(connection, caller, version), None)


def _judged(figures: Mapping[str, int], approved_at: datetime | None) -> GroupViews:
    below = tuple(name for name in GATES if 100 * figures[name] < ENOUGH * _of(figures, name))
    return GroupViews(not below or approved_at is not None, below, approved_at)


def _of(figures: Mapping[str, int], name: str) -> int:
    return figures["managed" if name == "known_manager" else "people"]


async def _figures(connection: Connection, caller: Caller, version: int) -> Mapping[str, int]:
    tenant, today = caller.tenant.id, await caller.today(connection)
    at = caller.tenant.created_at, version, today
    known = _latest.get(tenant)
    if known is None or known[0] != at:
        calendar = bool(caller.tenant.holidays)
        known = _latest[tenant] = at, await store.figures(connection, tenant, today, calendar=calendar)
    return known[1]


@router.get("", response_model=QualityShown, responses=example(SHOWN))
async def show(caller: Reader) -> Response:
    """Show how complete the directory is. A key bound to a person does not see it: it is of everybody."""
    if caller.person is not None:
        raise not_found()
    tenant = caller.tenant.id
    async with reading(caller.pool) as connection:
        figures = await _figures(connection, caller, await store.version(connection, tenant))
        views = _judged(figures, await store.approved_at(connection, tenant))
        ends = await store.loose_ends(connection, tenant)
        actors = await store.strangers(connection, tenant) if ends["events"] else 0
        lines = await store.lines(connection, tenant, await caller.today(connection))
    loops = await asyncio.to_thread(managers.refused, lines, lines)
    return reply(
        {
            "people": figures["people"],
            "shares": {name: rate(figures[name], _of(figures, name)) for name in SHARES},
            "unmapped": {"actors": actors, "events": ends["events"]},
            "duplicates": {"ambiguous_identities": ends["ambiguous"], "shared_emails": ends["shared_emails"]},
            "cycles": len(loops),
            "group_views": _shown(views),
        }
    )


def _shown(views: GroupViews) -> dict[str, Any]:
    return {**views._asdict(), "reason": views.reason}


@router.post("/approve", response_model=GroupViewsShown, responses=example({**_VIEWS, "enabled": True, "reason": None}))
async def approve(caller: Manager) -> Response:
    """Approve the directory as it is: metrics of groups are shown from now on, whatever is missing."""
    async with writing(caller.pool) as connection:
        await store.approve(connection, caller.tenant.id, caller.now)
        await tenants.bump(connection, caller.tenant.id)
        await tenants.judge(connection, caller.tenant.id)
        approved_at = await store.approved_at(connection, caller.tenant.id)
        figures = await _figures(connection, caller, await store.version(connection, caller.tenant.id))
        views = _judged(figures, approved_at)
    return reply(_shown(views))


class SuspectedShown(Shown):
    """A day on which a person was active in so many hours that it was rather software."""

    user: str
    day: date
    hours: int


class SuspectedPage(Shown):
    """The newest such days."""

    items: list[SuspectedShown]


_SUSPECTED: Final = example({"items": [{"user": "interface", "day": "2026-03-05", "hours": 24}]})


@router.get("/suspected", response_model=SuspectedPage, responses=_SUSPECTED)
async def suspected(caller: Reader) -> Response:
    """List human people who were active in sixteen hours of one of the last 28 days: set their `kind`, if so.

    It names whom the list of people does. Whom it names is written to the access log.
    """
    if caller.person is not None:
        raise not_found()
    tenant = caller.tenant
    async with writing(caller.pool) as connection:
        line, today = await caller.listed(connection), await caller.today(connection)
        rows = [] if line == [] else await store.tireless(connection, tenant.id, today, tenant.time_zone)
        named = sorted({row["user"] for row in rows})
        await log_accesses(connection, tenant.id, caller.principal.key_id, "/v1/directory/quality/suspected", named)
    return reply({"items": [dict(row) for row in rows]})
