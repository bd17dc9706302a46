"""Importing people: what each row changes, decided in memory, and written chunk by chunk in one transaction.

A row that changes nothing writes nothing. Whoever's counting may change is queued for the owner of the shard in the
same transaction, so the windows follow the directory or neither moves.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Any, Final

from schemas.topics import person_key, shard_of
from services.api.people_file import PersonRow, Reading, RowError
from services.api.people_row import ATTRIBUTES
from services.api.spells import Spell, Terms, changed, counted, current, first
from services.api.store import directory as store
from services.api.store import tenants
from services.api.store.directory import Known
from services.postgres import Connection

CHUNK: Final = 1000
NOBODY: Final = Known(None, None, None, None, "human", {}, ())


@dataclass(frozen=True, slots=True)
class When:
    """From when an import holds: as told, or from the tenant's today (None: nothing has happened yet)."""

    effective_from: date | None
    today: date | None


@dataclass(frozen=True, slots=True)
class Change:
    """What one row changes.

    ``spells`` None: the memberships stay; ``gone``: the first days of those that are no more; ``recount``: the windows
    must follow; ``moves_only``: nothing but the memberships changes.
    """

    user: str
    person: Known
    spells: list[Spell] | None
    gone: list[date]
    recount: bool
    new: bool
    moves_only: bool = False


@dataclass(slots=True)
class Outcome:
    """What an import did, or would do."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0


def decide(row: PersonRow, known: Known | None, when: When) -> Change | None:
    """Return what ``row`` changes of ``known``; None: nothing. What the row does not say stays as it is."""
    before = known or NOBODY
    person = _person(row.values, before)
    if known is None:
        return Change(row.user, person, first(_terms(row, None), when.effective_from), [], recount=True, new=True)
    standing = current(known.spells, when.effective_from or when.today or date.min)
    spells = changed(known.spells, _terms(row, standing), effective_from=when.effective_from, today=when.today)
    moved = spells != list(known.spells)
    gone = sorted({spell.start for spell in known.spells} - {spell.start for spell in spells})
    if person == before and not moved:
        return None
    recount = _counting(person) != _counting(before) or counted(spells) != counted(known.spells)
    return Change(
        row.user, person, spells if moved else None, gone, recount=recount, new=False, moves_only=person == before
    )


def _person(values: dict[str, Any], before: Known) -> Known:
    attributes = dict(before.attributes)
    for name in ATTRIBUTES:
        if name in values:
            value = values[name]
            attributes[name] = value.isoformat() if isinstance(value, date) else value
    return Known(
        values.get("name", before.name),
        values.get("email", before.email),
        values.get("licensed_from", before.licensed_from),
        values.get("licensed_to", before.licensed_to),
        values.get("kind", before.kind),
        {name: value for name, value in attributes.items() if value is not None},
        before.spells,
    )


def _terms(row: PersonRow, standing: Spell | None) -> Terms:
    held = standing.terms if standing is not None else Terms(None, None, None)
    return Terms(*(row.values.get(name, getattr(held, name)) for name in Terms._fields))


def _counting(person: Known) -> tuple[object, ...]:
    """Return what the windows rest on; by the e-mail other identities of the person are recognised."""
    return person.licensed_from, person.licensed_to, person.kind, person.email


def _decided(
    rows: list[PersonRow], known: dict[str, Known], when: When, reading: Reading, outcome: Outcome
) -> list[Change]:
    changes: list[Change] = []
    for row in rows:
        change = decide(row, known.get(row.user), when)
        if change is None:
            outcome.unchanged += 1
        elif _inverted(change.person):
            reading.errors.append(RowError(row.row, "licensed_to", "lies before licensed_from"))
        else:
            outcome.created += change.new
            outcome.updated += not change.new
            changes.append(change)
    return changes


def _inverted(person: Known) -> bool:
    start, end = person.licensed_from, person.licensed_to
    return start is not None and end is not None and end < start


async def run(
    connection: Connection,
    tenant: str,
    people: Iterator[PersonRow],
    reading: Reading,
    *,
    when: When,
    partitions: int,
    dry: bool,
) -> Outcome:
    """Import ``people`` within the caller's transaction; ``dry``: only say what would change."""
    outcome = Outcome()
    await store.alone(connection, tenant)
    shards = await store.shards(connection, partitions)
    while rows := list(islice(people, CHUNK)):
        known = await store.known(connection, tenant, [row.user for row in rows])
        changes = _decided(rows, known, when, reading, outcome)
        if not dry:
            await write(connection, tenant, changes, shards)
    if not dry and outcome.created + outcome.updated:
        await tenants.bump(connection, tenant)
    return outcome


async def write(connection: Connection, tenant: str, changes: list[Change], shards: int) -> None:
    """Write what was decided, and queue those whose windows must follow; under the lock of ``store.alone``."""
    await store.put_people(connection, tenant, [(c.user, c.person) for c in changes if not c.moves_only])
    gone = [(change.user, start) for change in changes for start in change.gone]
    await store.drop_spells(connection, tenant, gone)
    held = [(change.user, spell) for change in changes for spell in change.spells or ()]
    await store.put_spells(connection, tenant, held)
    queued = [(c.user, shard_of(person_key(tenant, c.user), shards)) for c in changes if c.recount]
    await store.queue(connection, tenant, queued)
