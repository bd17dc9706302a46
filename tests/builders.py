"""What tests are made of: events, tenants and people with everything but the point of the test filled in.

Builders write what the services' own code would have written; nothing here stands in for an engine.
"""

import itertools
from datetime import UTC, date, datetime
from typing import Any, TypeAlias
from uuid import UUID, uuid4

from deploy.kafka.node import Node
from schemas.events import Event, EventData, Record, encode
from schemas.topics import EVENTS, person_key, shard_of
from services import kafka, postgres
from services.aggregator.domain.facts import Claimed
from services.aggregator.store import activity, partitions
from services.embedded import Broker
from tests.oracle import Entry

LogServer: TypeAlias = Broker | Node

SHARDS = 4
"""Into how many shards the tests divide people."""

START = date(1, 1, 1)
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
"""A Monday."""

_numbers = itertools.count(1)


def event(
    user: str | None = "ada",
    type: str = "crm.record.updated",  # noqa: A002 - the attribute's name
    time: datetime | None = NOON,
    **data: Any,
) -> dict[str, Any]:
    """Return a normalised event with an id of its own; ``source``, ``id`` and ``data`` fields as given."""
    made: dict[str, Any] = {
        "specversion": "1.0",
        "source": data.pop("source", "crm"),
        "id": data.pop("id", f"event-{next(_numbers)}"),
        "type": type,
        "data": {"origin": "ui", "environment": "production", **data},
    }
    if user is not None:
        made["data"]["user"] = user
    if time is not None:
        made["time"] = time.isoformat()
    return made


def record(tenant: str = "acme", **attributes: Any) -> Record:
    """Return the log's record of an event."""
    return encode(tenant, event(**attributes))


async def append(
    bootstrap: str, records: list[Record], *, topic: str = EVENTS, shards: int = SHARDS, received_at: datetime = NOON
) -> None:
    """Append ``records`` as ingest would: by their keys, with the instant of arrival as their timestamp."""
    appender = kafka.Appender(bootstrap, client_id="tests")
    await appender.start()
    try:
        for shard in range(shards):
            mine = [entry for entry in records if shard_of(entry.key, shards) == shard]
            while mine:
                batch = appender.batch()
                while mine and batch.append(timestamp=int(received_at.timestamp() * 1000), **mine[0]._asdict()):
                    mine.pop(0)
                await appender.append(topic, shard, batch)
    finally:
        await appender.stop()


async def keep(
    tx: postgres.Connection,
    at: datetime = NOON,
    kind: str = "crm.record.updated",
    *,
    tenant: str = "acme",
    identity: UUID | None = None,
    source: str = "crm",
    **data: Any,
) -> None:
    """Keep an event as the owner of a shard does, and count it nowhere."""
    await partitions.make(tx, [at.date()])
    told = EventData(**{"user": "ada", "origin": "ui", **data})
    claimed = Claimed(Event(tenant, source, "", kind, at, told), at, (identity or uuid4()).bytes, at)
    await activity.keep(tx, [claimed])


async def add_tenant(connection: postgres.Connection, tenant: str = "acme", **settings: Any) -> None:
    """Insert a tenant with the given columns."""
    columns = {"id": tenant, "name": tenant.title(), "clock": "event", **settings}
    places = ", ".join(f"${n}" for n in range(1, len(columns) + 1))
    await connection.execute(f"insert into tenant ({', '.join(columns)}) values ({places})", *columns.values())


async def add_person(
    connection: postgres.Connection,
    user: str,
    *,
    tenant: str = "acme",
    team: str | None = "north",
    role: str | None = "seller",
    manager: str | None = None,
    licensed_from: date | None = START,
    licensed_to: date | None = None,
    shards: int = SHARDS,
) -> None:
    """Insert a person with one membership from the beginning, and tell the owner of the shard."""
    await connection.execute(
        """with licensed as (
               insert into licence (tenant, user_id, licensed_from, licensed_to)
               select $1, $2, $3, $4 where $3::date <= coalesce($4, $3)
           ) insert into person (tenant, user_id, name) values ($1, $2, $2)""",
        tenant,
        user,
        licensed_from,
        licensed_to,
    )
    await connection.execute(
        "insert into membership (tenant, user_id, valid_from, team, role, manager) values ($1, $2, $3, $4, $5, $6)",
        tenant,
        user,
        START,
        team,
        role,
        manager,
    )
    await connection.execute(
        "insert into directory_change (tenant, user_id, shard) values ($1, $2, $3)",
        tenant,
        user,
        shard_of(person_key(tenant, user), shards),
    )


async def measured(
    connection: postgres.Connection, tenant: str = "acme", *hidden: str, week: date | None = None
) -> None:
    """Write, as the measurer does, which groups (``team:North``) are hidden in ``week`` (None: that of NOON)."""
    week = week or NOON.date()
    await connection.execute(
        "insert into measured_week (tenant, week, known_at) values ($1, $2, now()) on conflict do nothing", tenant, week
    )
    await connection.executemany(
        "insert into hidden_group (tenant, week, dimension, key, reason) values ($1, $2, $3, $4, 'complement')",
        [(tenant, week, *group.split(":", 1)) for group in hidden],
    )


async def enter(pool: postgres.Pool, user: str, entry: Entry, shards: int, tenant: str = "acme") -> None:
    """Write a directory entry, or replace it, and tell the owner of the shard: as the API does."""
    async with postgres.transaction(pool) as tx:
        await tx.execute("insert into person (tenant, user_id) values ($1, $2) on conflict do nothing", tenant, user)
        await tx.execute("delete from licence where tenant = $1 and user_id = $2", tenant, user)
        await tx.execute(
            "insert into licence (tenant, user_id, licensed_from, licensed_to) values ($1, $2, $3, $4)",
            tenant,
            user,
            entry.licensed_from,
            entry.licensed_to,
        )
        await tx.execute("delete from membership where tenant = $1 and user_id = $2", tenant, user)
        await tx.executemany(
            "insert into membership (tenant, user_id, valid_from, valid_to, team, role)"
            " values ($1, $2, $3, $4, $5, $6)",
            [(tenant, user, *spell) for spell in entry.spells],
        )
        await tx.execute(
            "insert into directory_change (tenant, user_id, shard) values ($1, $2, $3)",
            tenant,
            user,
            shard_of(person_key(tenant, user), shards),
        )
