"""``/v1/people/{user}``: what is known of one person. Whoever looks is written down, and sees no more than they may."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from fastapi import APIRouter
from starlette.responses import Response

from services.api import imports
from services.api.absences import AbsenceShown, absence_shown
from services.api.auth import Caller, Reader
from services.api.changes import Known
from services.api.days import day_start, local_day
from services.api.expected import days_unseen, expected_from, person_of
from services.api.licences import Licence
from services.api.problems import not_found
from services.api.shapes import Shown, example, reply
from services.api.spells import BEGINNING
from services.api.store import links, tenants, waves
from services.api.store import people as store
from services.api.store.sessions import writing
from services.metrics.presence import united
from services.metrics.shape import Person
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
    kind: str
    function: str | None = None
    location: str | None = None
    segment: str | None = None
    champion: bool
    leadership: bool
    opted_out: bool
    work_days: list[int] | None = None


class LicenceShown(Shown):
    """A licence, both days included; ``licensed_to`` null: open. ``price``: a month."""

    licensed_from: date
    licensed_to: date | None = None
    price: float | None = None


class IdentityShown(Shown):
    """A further key of the person, and why it is theirs."""

    identity: str
    how: str


class PersonShown(Shown):
    """A person. ``day_zero``: from when on something is expected of them; null: not yet, or never.

    ``last_seen_days``: their working days since they last connected, today included; null: they have not.
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
    last_seen_days: int | None = None
    active_days: int
    time_zone: str | None = None
    calendar: str | None = None
    active_from: date | None = None
    active_to: date | None = None
    memberships: list[Membership]
    licences: list[LicenceShown]
    absences: list[AbsenceShown]
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
    "last_seen_days": 1,
    "active_days": 4,
    "time_zone": "Europe/Berlin",
    "calendar": "DE-BY",
    "active_from": None,
    "active_to": None,
    "memberships": [
        {
            "valid_from": None,
            "valid_to": None,
            "team": "North",
            "role": "sales",
            "manager": "dustin",
            "kind": "human",
            "function": None,
            "location": "Munich",
            "segment": None,
            "champion": False,
            "leadership": False,
            "opted_out": False,
            "work_days": [1, 2, 3],
        }
    ],
    "licences": [{"licensed_from": "2026-01-05", "licensed_to": None, "price": 49.9}],
    "absences": [{"from": "2026-04-06", "to": "2026-04-10", "kind": "leave"}],
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
        merged = await store.merged(connection, caller.tenant.id, user)
        known = await imports.with_absences(connection, caller.tenant.id, [user, *(one["user_id"] for one in merged)])
        held = known[user]
        declared = await waves.every(connection, caller.tenant.id)
        covering = await waves.covering(connection, caller.tenant.id, user)
        activity = await store.activity(connection, caller.tenant.id, user)
        seen = await store.last_seen(connection, caller.tenant.id, user, by_login=caller.tenant.connected_by == "login")
        now = await tenants.now_of(connection, caller.tenant, caller.now)
        identities = await links.identities(connection, caller.tenant.id, user, MOST_IDENTITIES)
        decided = (await links.decided(connection, caller.tenant.id, [user])).get(user, user)
        await store.log_access(connection, caller.tenant.id, caller.principal.key_id, "/v1/people", user)
    fixed = ("name", "email", "kind", "team", "role", "manager", "licensed_from", "licensed_to")
    working = ("time_zone", "calendar", "active_from", "active_to")
    person, *others = (_person(facts, known[facts["user_id"]], declared) for facts in (row, *merged))
    return reply(
        {
            "user": user,
            **{name: row[name] for name in fixed},
            "waves": [wave["id"] for wave in covering],
            "day_zero": expected_from(united(person, others), _settings(caller), waves=bool(declared)),
            **_exact(activity, caller),
            "last_seen_days": days_unseen(person, _settings(caller), seen, now) if seen and now else None,
            **{name: row[name] for name in working},
            "memberships": [_membership(spell) for spell in spells],
            "licences": [_licence(one) for one in held.licences],
            "absences": [absence_shown(one) for one in held.absences or ()],
            "identities": identities,
            "merged_into": None if decided == user else decided,
        }
    )


def _person(facts: Row, held: Known, declared: Sequence[Mapping[str, Any]]) -> Person:
    return person_of(facts, held.spells, held.licences, held.absences or (), declared)


async def _seen(connection: Connection, caller: Caller, user: str) -> Row | None:
    if not await caller.sees(connection, user):
        return None
    return await store.find(connection, caller.tenant.id, await caller.today(connection), user)


def _exact(activity: Row, caller: Caller) -> dict[str, Any]:
    """Return what somebody did first and last, no finer than the tenant tells it: as the start of a local day."""
    zone = caller.tenant.time_zone
    if caller.tenant.instants == "exact":
        return dict(activity)
    return {
        name: day_start(local_day(value, zone), zone) if isinstance(value, datetime) else value
        for name, value in activity.items()
    }


def _settings(caller: Caller) -> dict[str, Any]:
    return {name: getattr(caller.tenant, name) for name in tenants.MEASURED_BY}


def _membership(spell: Row) -> dict[str, Any]:
    told = dict(spell)
    return {**told, "valid_from": None if told["valid_from"] == BEGINNING else told["valid_from"]}


def _licence(held: Licence) -> dict[str, Any]:
    price = None if held.price is None else float(held.price)
    return {"licensed_from": held.start, "licensed_to": held.last, "price": price}
