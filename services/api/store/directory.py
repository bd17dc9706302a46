"""Writing the directory: people, their memberships over time, and the queue that tells a shard's owner of a change."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec

from services.api.spells import Spell, Terms
from services.postgres import Connection


@dataclass(frozen=True, slots=True)
class Known:
    """What the directory holds of a person."""

    name: str | None
    email: str | None
    licensed_from: date | None
    licensed_to: date | None
    kind: str
    attributes: dict[str, Any]
    spells: Sequence[Spell]


async def alone(connection: Connection, tenant: str) -> None:
    """Let one import of a tenant run at a time.

    Its tables may be empty at the first chunk and huge at the last, and no statistics tell: so every chunk goes by the
    primary keys, whatever a plan made earlier would prefer.
    """
    await connection.execute(
        """set local statement_timeout = '60s'; set local plan_cache_mode = force_custom_plan;
           set local enable_seqscan = off"""
    )
    await connection.execute("select pg_advisory_xact_lock(hashtextextended('directory' || chr(10) || $1, 0))", tenant)


async def shards(connection: Connection, default: int) -> int:
    """Return the number of shards of this installation."""
    value = await connection.fetchval("select value from installation where name = 'shards'")
    return int(value) if value is not None else default


async def known(connection: Connection, tenant: str, users: list[str]) -> dict[str, Known]:
    """Return what is held of ``users``."""
    spells: dict[str, list[Spell]] = {}
    for row in await connection.fetch(
        """select m.* from unnest($2::text[]) as asked (id) cross join lateral (
               select user_id, valid_from, valid_to, team, role, manager from membership
               where tenant = $1 and user_id = asked.id order by valid_from
           ) m""",
        tenant,
        users,
    ):
        user, start, end, team, role, manager = row
        spells.setdefault(user, []).append(Spell(start, end, Terms(team, role, manager)))
    people = await connection.fetch(
        """select p.* from unnest($2::text[]) as asked (id) cross join lateral (
               select user_id, name, email, licensed_from, licensed_to, kind, attributes from person
               where tenant = $1 and user_id = asked.id limit 1
           ) p""",
        tenant,
        users,
    )
    return {
        user: Known(name, email, start, end, kind, attributes, spells.get(user, []))
        for user, name, email, start, end, kind, attributes in people
    }


async def put_people(connection: Connection, tenant: str, people: Sequence[tuple[str, Known]]) -> None:
    """Insert or replace people."""
    if not people:
        return
    await connection.execute(
        """insert into person (tenant, user_id, name, email, licensed_from, licensed_to, kind, attributes)
           select $1, u, n, e, f, t, k, a::jsonb
           from unnest($2::text[], $3::text[], $4::text[], $5::date[], $6::date[], $7::text[], $8::text[])
                as given (u, n, e, f, t, k, a)
           order by u
           on conflict (tenant, user_id) do update set
               name = excluded.name, email = excluded.email, licensed_from = excluded.licensed_from,
               licensed_to = excluded.licensed_to, kind = excluded.kind, attributes = excluded.attributes,
               updated_at = now()""",
        tenant,
        [user for user, _ in people],
        [person.name for _, person in people],
        [person.email for _, person in people],
        [person.licensed_from for _, person in people],
        [person.licensed_to for _, person in people],
        [person.kind for _, person in people],
        [msgspec.json.encode(person.attributes).decode() for _, person in people],
    )


async def put_spells(connection: Connection, tenant: str, spells: Sequence[tuple[str, Spell]]) -> None:
    """Insert or replace spells of people, each by its first day."""
    if not spells:
        return
    await connection.execute(
        """insert into membership (tenant, user_id, valid_from, valid_to, team, role, manager)
           select $1, * from unnest($2::text[], $3::date[], $4::date[], $5::text[], $6::text[], $7::text[])
           on conflict (tenant, user_id, valid_from) do update set
               valid_to = excluded.valid_to, team = excluded.team, role = excluded.role, manager = excluded.manager""",
        tenant,
        [user for user, _ in spells],
        [spell.start for _, spell in spells],
        [spell.end for _, spell in spells],
        [spell.terms.team for _, spell in spells],
        [spell.terms.role for _, spell in spells],
        [spell.terms.manager for _, spell in spells],
    )


async def drop_spells(connection: Connection, tenant: str, starts: Sequence[tuple[str, date]]) -> None:
    """Delete spells of people, each named by its first day."""
    if not starts:
        return
    await connection.execute(
        """delete from membership where tenant = $1 and user_id = any($2)
           and (user_id, valid_from) in (select * from unnest($2::text[], $3::date[]))""",
        tenant,
        [user for user, _ in starts],
        [start for _, start in starts],
    )


async def queue(connection: Connection, tenant: str, changes: Sequence[tuple[str, int]]) -> None:
    """Queue people for the owners of their shards."""
    await connection.execute(
        """insert into directory_change (tenant, user_id, shard)
           select $1, u, s from unnest($2::text[], $3::smallint[]) as changed (u, s)""",
        tenant,
        [user for user, _ in changes],
        [shard for _, shard in changes],
    )
