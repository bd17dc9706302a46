"""``/v1/people/{user}``: what is known of one person. Whoever looks is written down, and sees no more than they may."""

from datetime import date, datetime
from typing import Any, Final

from fastapi import APIRouter
from starlette.responses import Response

from services.api.auth import Caller, Reader
from services.api.problems import not_found
from services.api.shapes import Shown, example, reply
from services.api.spells import BEGINNING
from services.api.store import links, waves
from services.api.store import people as store
from services.api.store.sessions import writing
from services.postgres import Connection, Row

router = APIRouter(prefix="/v1/people", tags=["people"])

MOST_IDENTITIES: Final = 1000


class Membership(Shown):
    """A stretch of membership, ``[valid_from, valid_to)``; null: from the beginning, or still."""

    valid_from: date | None = None
    valid_to: date | None = None
    team: str | None = None
    role: str | None = None
    manager: str | None = None


class IdentityShown(Shown):
    """A further key of the person, and why it is theirs."""

    identity: str
    how: str


class PersonShown(Shown):
    """A person. ``day_zero``: the go-live of the first wave, or the start of the licence when that is later.

    What was done under ``identities`` was done by the person. ``merged_into``: it counts for that person instead.
    """

    user: str
    name: str | None = None
    email: str | None = None
    kind: str
    team: str | None = None
    role: str | None = None
    manager: str | None = None
    licensed_from: date | None = None
    licensed_to: date | None = None
    waves: list[str]
    day_zero: date | None = None
    first_login_at: datetime | None = None
    last_login_at: datetime | None = None
    first_activity_at: datetime | None = None
    last_activity_at: datetime | None = None
    active_days: int
    memberships: list[Membership]
    identities: list[IdentityShown]
    merged_into: str | None = None


SHOWN: Final[dict[str, Any]] = {
    "user": "anna",
    "name": "Anna Snelling",
    "email": "anna@acme.example",
    "kind": "human",
    "team": "North",
    "role": "sales",
    "manager": "dustin",
    "licensed_from": "2026-01-05",
    "licensed_to": None,
    "waves": ["north"],
    "day_zero": "2026-03-02",
    "first_login_at": "2026-03-03T07:12:00Z",
    "last_login_at": "2026-03-08T06:58:00Z",
    "first_activity_at": "2026-03-03T07:12:00Z",
    "last_activity_at": "2026-03-08T16:59:12Z",
    "active_days": 4,
    "memberships": [{"valid_from": None, "valid_to": None, "team": "North", "role": "sales", "manager": "dustin"}],
    "identities": [{"identity": "hubspot-4711", "how": "email"}],
    "merged_into": None,
}


@router.get("/{user:path}", response_model=PersonShown, responses=example(SHOWN))
async def show(user: str, caller: Reader) -> Response:
    """Show one person. The access is logged."""
    async with writing(caller.pool) as connection:
        row = await _seen(connection, caller, user)
        if row is None:
            raise not_found()
        spells = await store.spells(connection, caller.tenant.id, user)
        covering = await waves.covering(connection, caller.tenant.id, user)
        activity = await store.activity(connection, caller.tenant.id, user)
        identities = await links.identities(connection, caller.tenant.id, user, MOST_IDENTITIES)
        decided = (await links.decided(connection, caller.tenant.id, [user])).get(user, user)
        await store.log_access(connection, caller.tenant.id, caller.principal.key_id, "/v1/people", user)
    fixed = ("name", "email", "kind", "team", "role", "manager", "licensed_from", "licensed_to")
    return reply(
        {
            "user": user,
            **{name: row[name] for name in fixed},
            "waves": [wave["id"] for wave in covering],
            "day_zero": day_zero(covering[0]["go_live"] if covering else None, row["licensed_from"]),
            **dict(activity),
            "memberships": [_membership(spell) for spell in spells],
            "identities": identities,
            "merged_into": None if decided == user else decided,
        }
    )


async def _seen(connection: Connection, caller: Caller, user: str) -> Row | None:
    if not caller.sees_individuals:
        return None
    line = await caller.line(connection)
    if line is not None and user not in line:
        return None
    return await store.find(connection, caller.tenant.id, await caller.today(connection), user)


def day_zero(go_live: date | None, licensed_from: date | None) -> date | None:
    """Return the day from which a person is expected; None without a wave or a licence."""
    return None if go_live is None or licensed_from is None else max(go_live, licensed_from)


def _membership(spell: Row) -> dict[str, Any]:
    told = dict(spell)
    return {**told, "valid_from": None if told["valid_from"] == BEGINNING else told["valid_from"]}
