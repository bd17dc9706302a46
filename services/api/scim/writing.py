"""How what an identity provider says reaches the directory: by the same write path as an import, under the same lock.

Facts, queue and resource change in one transaction, so the windows follow the directory or neither moves.
"""

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from fastapi import Request

from schemas.topics import person_key, shard_of
from services.api import imports, managers
from services.api.auth import Caller
from services.api.changes import Change, Known, When, decide
from services.api.days import local_day
from services.api.licences import switched
from services.api.people_file import PersonRow
from services.api.people_row import FieldError, values_of
from services.api.scim.attributes import ENTERPRISE
from services.api.scim.errors import invalid_value
from services.api.scim.mapping import Rules, cells, changed, place
from services.api.scim.resources import Person
from services.api.spells import DATED
from services.api.store import directory, erasures, scim, tenants
from services.postgres import Connection

CHUNK: Final = 2000
"""So many people at a time: between two statements Postgres waits for a transaction no longer than some seconds."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a tenant's directory is changed; ``today`` None: nothing has happened there yet."""

    connection: Connection
    tenant: str
    today: date | None
    partitions: int
    rules: Rules


async def today_of(connection: Connection, caller: Caller) -> date | None:
    """Return the tenant's today; None on the clock of events before the first."""
    now = await tenants.now_of(connection, caller.tenant, caller.now)
    return local_day(now, caller.tenant.time_zone) if now else None


async def desk(connection: Connection, caller: Caller, request: Request) -> Desk:
    """Take the lock of the tenant's directory until the transaction ends."""
    tenant = caller.tenant.id
    await scim.alone(connection, tenant)
    today = await today_of(connection, caller)
    rules = await scim.rules(connection, tenant)
    return Desk(connection, tenant, today, request.app.state.partitions, rules)


async def carry(at: Desk, people: Mapping[str, dict[str, Any]], *, recognised_anew: Collection[str] = ()) -> None:
    """Change the columns of people in the directory; ``recognised_anew``: whose events may be other ones now."""
    shards = await directory.shards(at.connection, at.partitions)
    told = list(people.items())
    written: set[str] = set()
    for start in range(0, len(told), CHUNK):
        written |= await _carry(at, dict(told[start : start + CHUNK]), recognised_anew, shards)
    rest = set(recognised_anew) - written
    if rest:
        queued = [(user, shard_of(person_key(at.tenant, user), shards)) for user in sorted(rest)]
        await directory.queue(at.connection, at.tenant, queued)
    if written or rest:
        await tenants.bump(at.connection, at.tenant)


async def _carry(
    at: Desk, people: dict[str, dict[str, Any]], recognised_anew: Collection[str], shards: int
) -> set[str]:
    known = await directory.known(at.connection, at.tenant, list(people))
    changes = await _decided(at, people, known, When(None, at.today))
    changes = [dataclasses.replace(change, anew=change.anew or change.user in recognised_anew) for change in changes]
    await imports.write(at.connection, at.tenant, changes, shards)
    return {change.user for change in changes}


async def _decided(at: Desk, people: dict[str, dict[str, Any]], known: dict[str, Known], when: When) -> list[Change]:
    """Return what changes.

    Raises:
        ScimError: a person would report to themselves through others.
    """
    for decide_one in (_filling, _moving):
        decided = [decide_one(user, values, known.get(user), when) for user, values in people.items()]
        changes = [change for change in decided if change is not None]
        news = {c.user: managers.added(c.before.spells if c.before else (), c.after.spells) for c in changes}
        moved = {user: lines for user, lines in news.items() if lines}
        unwritten = {c.user: managers.lines(c.after.spells) for c in changes}
        closed = await imports.loops(at.connection, at.tenant, moved, unwritten)
        if not closed:
            return changes
    raise invalid_value(f"The manager would close a loop: {next(iter(closed.values()))}.")


def _moving(user: str, values: dict[str, Any], known: Known | None, when: When) -> Change | None:
    return decide(PersonRow(0, user, values), known, when)


def _filling(user: str, values: dict[str, Any], known: Known | None, when: When) -> Change | None:
    """Return what changes. A team, role or manager that was never known holds from the beginning, as in an import.

    Identity providers tell of a person first and of the groups later, and that is no move.
    """
    filled = _filled(known, values) if known is not None else None
    change = _moving(user, values, filled or known, when)
    if filled is None:
        return change
    return Change(user, known, change.after if change is not None else filled, anew=True)


def _filled(known: Known, values: dict[str, Any]) -> Known | None:
    first = {
        column: values[column]
        for column in DATED
        if values.get(column) is not None and all(getattr(spell.terms, column) is None for spell in known.spells)
    }
    if not first:
        return None
    spells = [spell._replace(terms=spell.terms._replace(**first)) for spell in known.spells]
    return dataclasses.replace(known, spells=spells)


async def carry_user(at: Desk, person: Person, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Change a person as their User changed, and write down what was said of them.

    Raises:
        ScimError: the directory cannot hold a value.
    """
    joined = await scim.groups_of(at.connection, at.tenant, [person.user])
    groups = tuple(name for _, name in joined.get(person.user, ()))
    values = changed(cells(before, groups, at.rules), cells(after, groups, at.rules))
    if values.get("manager") is not None:
        boss = await scim.manager(at.connection, at.tenant, values["manager"]) or values["manager"]
        if await erasures.returning(at.connection, at.tenant, [boss]):
            said = {name: value for name, value in after[ENTERPRISE].items() if name != "manager"}
            boss, after = None, {**after, ENTERPRISE: said}
        values["manager"] = None if boss == person.user else boss
    try:
        values = values_of({"user": person.user, **values})
    except FieldError as error:
        raise invalid_value(" ".join(f"{column} {reason}." for column, reason in error.reasons)) from error
    del values["user"]
    held = switched(person.licences, at.today, active=after["active"])
    if held != person.licences:
        values["licences"] = held
    anew = "email" in values or before.get("externalId") != after.get("externalId")
    await carry(at, {person.user: values}, recognised_anew=[person.user] if anew else [])
    rest = {name: value for name, value in after.items() if name not in ("userName", "externalId", "active")}
    await scim.keep(at.connection, at.tenant, person.user, after["userName"], after.get("externalId"), rest)


async def places(at: Desk, people: Mapping[str, Person], rules: Rules) -> dict[str, dict[str, Any]]:
    """Return the team and the role that SCIM gives each of ``people`` at present, read by ``rules``."""
    groups = await scim.groups_of(at.connection, at.tenant, list(people))
    return {
        user: place(person.resource or {}, tuple(name for _, name in groups.get(user, ())), rules)
        for user, person in people.items()
    }


async def carry_places(at: Desk, before: Mapping[str, dict[str, Any]], after: Mapping[str, dict[str, Any]]) -> None:
    """Move people to the teams and roles that are others than before."""
    moved = {user: changed(before[user], there) for user, there in after.items() if before[user] != there}
    await carry(at, moved)
