"""Importing people: what each row changes, decided in memory, and written chunk by chunk in one transaction.

A row that changes nothing writes nothing. Whoever's counting may change is queued for the owner of the shard in the
same transaction, and so is what is to be measured anew: the numbers follow the directory or neither moves. A manager
is judged when all rows are in: those that are refused are left out, and the file is taken again.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import islice
from typing import Any, Final, TypeAlias, TypeVar

from schemas.topics import person_key, shard_of
from services.api import managers
from services.api.changes import FACTS, Change, Known, When, decide
from services.api.managers import Line
from services.api.people_file import PersonRow, Reading, RowError, Rows
from services.api.problems import clean
from services.api.spells import BEGINNING
from services.api.store import directory as store
from services.api.store import erasures, tenants
from services.postgres import Connection

CHUNK: Final = 1000
MOST_ROUNDS: Final = 4
"""So often loops are looked for in one file: what was left as it is may close another one."""

T = TypeVar("T", bound=tuple[Any, ...])
Refusals: TypeAlias = Mapping[str, str]
"""By user why the manager that their row names is not taken."""


@dataclass(slots=True)
class Outcome:
    """What an import did, or would do; ``named``: by manager who reports to them, ``moved``: the lines that are new."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    errors: list[RowError] = field(default_factory=list)
    named: dict[str, list[str]] = field(default_factory=dict)
    moved: dict[str, list[Line]] = field(default_factory=dict)


def _decided(rows: list[PersonRow], known: dict[str, Known], when: When, outcome: Outcome) -> list[Change]:
    changes: list[Change] = []
    for row in rows:
        try:
            change = decide(row, known.get(row.user), when)
        except ValueError as error:
            outcome.errors.append(RowError(row.row, _blamed(row), str(error)))
            continue
        if row.values.get("manager") is not None:
            outcome.named.setdefault(row.values["manager"], []).append(row.user)
        if change is None:
            outcome.unchanged += 1
            continue
        outcome.created += change.before is None
        outcome.updated += change.before is not None
        if news := managers.added(change.before.spells if change.before else (), change.after.spells):
            outcome.moved[row.user] = news
        changes.append(change)
    return changes


def _blamed(row: PersonRow) -> str:
    return next(name for name in ("licences", "licensed_to", "licensed_from", "price") if name in row.values)


async def run(
    connection: Connection,
    tenant: str,
    read: Rows,
    *,
    when: When,
    partitions: int,
    dry: bool,
) -> Outcome:
    """Import people within the caller's transaction; ``dry``: only say what would change.

    ``read`` yields the rows anew each time that it is called.
    """
    await store.alone(connection, tenant)
    shards = await store.shards(connection, partitions)
    refusals: dict[str, str] = {}
    for rounds in range(MOST_ROUNDS + 2):
        attempt = connection.transaction()
        await attempt.start()
        outcome = await _take(connection, tenant, read, refusals, when=when, shards=shards)
        news = await _refusals(connection, tenant, outcome)
        if news and rounds >= MOST_ROUNDS:
            news = dict.fromkeys(outcome.moved, "was left as it is: there are too many loops of managers in this file")
        if dry or news:
            await attempt.rollback()
        else:
            await attempt.commit()
        if not news:
            break
        refusals |= news
    if not dry and outcome.created + outcome.updated:
        await tenants.bump(connection, tenant)
    return outcome


async def _take(
    connection: Connection,
    tenant: str,
    read: Rows,
    refusals: Refusals,
    *,
    when: When,
    shards: int,
) -> Outcome:
    reading, outcome = Reading(), Outcome()
    people = _without(read(reading), refusals, outcome)
    while rows := list(islice(people, CHUNK)):
        rows = await _living(connection, tenant, rows, outcome)
        known = await _known(connection, tenant, rows)
        await write(connection, tenant, _decided(rows, known, when, outcome), shards)
    outcome.errors = sorted([*reading.errors, *outcome.errors], key=lambda error: error.row)
    return outcome


async def _living(connection: Connection, tenant: str, rows: list[PersonRow], outcome: Outcome) -> list[PersonRow]:
    """Leave out who was erased: they are not to come back by the next import."""
    gone = await erasures.returning(connection, tenant, [row.user for row in rows])
    outcome.errors += [
        RowError(row.row, "user", "was erased and is not taken again") for row in rows if row.user in gone
    ]
    return [row for row in rows if row.user not in gone]


def _without(people: Iterator[PersonRow], refusals: Refusals, outcome: Outcome) -> Iterator[PersonRow]:
    for row in people:
        if row.user in refusals:
            outcome.errors.append(RowError(row.row, "manager", refusals[row.user]))
            del row.values["manager"]
        yield row


async def _refusals(connection: Connection, tenant: str, outcome: Outcome) -> dict[str, str]:
    """Return of whom the manager cannot be taken: nobody knows the manager, or the line would close a loop."""
    unknown = await store.strangers(connection, tenant, list(outcome.named)) if outcome.named else set()
    found = {user: "is not in the directory, nor in this file" for one in unknown for user in outcome.named[one]}
    closed = await loops(connection, tenant, outcome.moved)
    return found | {user: clean(f"would close a loop: {loop}") for user, loop in closed.items()}


async def loops(
    connection: Connection,
    tenant: str,
    moved: Mapping[str, list[Line]],
    unwritten: Mapping[str, list[Line]] | None = None,
) -> dict[str, managers.Loop]:
    """Return by person the loop that their new line would close, on any day on which it holds.

    ``unwritten``: all lines of the people whose lines are not written yet.
    """
    if not moved:
        return {}
    bosses = {line.manager for news in moved.values() for line in news}
    since = min(line.start for news in moved.values() for line in news)
    above = await store.above(connection, tenant, list(bosses), since)
    return await asyncio.to_thread(managers.refused, above | dict(unwritten or {}), moved)


async def _known(connection: Connection, tenant: str, rows: list[PersonRow]) -> dict[str, Known]:
    known = await store.known(connection, tenant, [row.user for row in rows])
    looked_at = [row.user for row in rows if "absences" in row.values and row.user in known]
    return known | await with_absences(connection, tenant, looked_at) if looked_at else known


async def with_absences(connection: Connection, tenant: str, users: list[str]) -> dict[str, Known]:
    """Return what is held of ``users``, with their absences."""
    found = await store.absences(connection, tenant, users)
    known = await store.known(connection, tenant, users)
    return {user: replace(held, absences=found.get(user, ())) for user, held in known.items()}


async def write(connection: Connection, tenant: str, changes: list[Change], shards: int) -> None:
    """Write what was decided, and queue those whose windows must follow; under the lock of ``store.alone``."""
    if not changes:
        return
    told = [(c.user, c.after) for c in changes if c.before is None or _facts(c.before) != _facts(c.after)]
    await store.put_people(connection, tenant, told)
    gone, put = _replaced([(c.user, c.before.spells if c.before else (), c.after.spells) for c in changes])
    await store.drop_spells(connection, tenant, gone)
    await store.put_spells(connection, tenant, put)
    over, held = _replaced([(c.user, c.before.licences if c.before else (), c.after.licences) for c in changes])
    await store.drop_licences(connection, tenant, over)
    await store.put_licences(connection, tenant, held)
    away = [(c.user, c.after.absences) for c in changes if c.after.absences is not None]
    await store.put_absences(connection, tenant, away)
    queued = [(c.user, shard_of(person_key(tenant, c.user), shards)) for c in changes if c.recount]
    await store.queue(connection, tenant, queued)
    soiled = [(c.user, c.since) for c in changes]
    await store.soil(
        connection, tenant, [(user, None if day == BEGINNING else day) for user, day in soiled if day is not None]
    )


def _facts(person: Known) -> tuple[object, ...]:
    return (*(getattr(person, name) for name in FACTS), *person.licences)


def _replaced(
    people: Sequence[tuple[str, Sequence[T], Sequence[T]]],
) -> tuple[list[tuple[str, date]], list[tuple[str, T]]]:
    """Return of stretches, each named by its first day, which are no more, and which are new or others than before."""
    gone: list[tuple[str, date]] = []
    put: list[tuple[str, T]] = []
    for user, before, after in people:
        if before:
            starts = {stretch[0] for stretch in after}
            gone += [(user, stretch[0]) for stretch in before if stretch[0] not in starts]
        put += [(user, stretch) for stretch in after if stretch not in before]
    return gone, put
