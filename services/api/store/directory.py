"""Writing the directory: people, their memberships and licences over time, and the queues that tell of a change."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

from services.api.changes import FACTS, Known
from services.api.licences import Absence, Licence
from services.api.managers import NEVER, Line
from services.api.spells import Spell, Terms
from services.postgres import Connection

_TERMS: Final = ", ".join(Terms._fields)
_FACTS: Final = ", ".join(FACTS)
_ASKED: Final = "user_id >= asked.id and user_id <= asked.id"
"""By key. As an equality it could go by any index of the tenant: of one that grew within this transaction the
statistics say that it has nobody. Only the primary key also gives the order that is asked for, and sorting is off."""
_DAYS: Final = Terms._fields.index("work_days")


async def alone(connection: Connection, tenant: str) -> None:
    """Let one import of a tenant run at a time. Its statements go by the primary keys, see ``_ASKED``."""
    await connection.execute(
        "set local statement_timeout = '60s'; set local enable_seqscan = off; set local enable_sort = off"
    )
    await connection.execute("select pg_advisory_xact_lock(hashtextextended('directory' || chr(10) || $1, 0))", tenant)


async def shards(connection: Connection, default: int) -> int:
    """Return the number of shards of this installation."""
    value = await connection.fetchval("select value from installation where name = 'shards'")
    return int(value) if value is not None else default


async def known(connection: Connection, tenant: str, users: list[str]) -> dict[str, Known]:
    """Return what is held of ``users``, but for their absences.

    Within an import the tables may be empty at the first chunk and huge at the last, and no statistics tell: so these
    statements are planned anew each time. Those that write are not: that would plan each check of a foreign key, row
    by row.
    """
    await connection.execute("set local plan_cache_mode = force_custom_plan")
    rows = await connection.fetch(
        f"""select p.*, l.* from unnest($2::text[]) as asked (id) cross join lateral (
               select user_id, {_FACTS} from person where tenant = $1 and {_ASKED} order by user_id limit 1
           ) p left join lateral (
               select licensed_from, licensed_to, price from licence
               where tenant = $1 and user_id = asked.id order by licensed_from
           ) l on true""",
        tenant,
        users,
    )
    held: dict[str, tuple[Licence, ...]] = {}
    for row in rows:
        user, start = row["user_id"], row["licensed_from"]
        more = () if start is None else (Licence(start, row["licensed_to"], row["price"]),)
        held[user] = held[user] + more if user in held else more
    spells = await _spells(connection, tenant, list(held))
    await connection.execute("set local plan_cache_mode = auto")
    return {
        row["user_id"]: Known(
            **{name: row[name] for name in FACTS},
            licences=held[row["user_id"]],
            spells=spells.get(row["user_id"], []),
        )
        for row in rows
    }


async def _spells(connection: Connection, tenant: str, users: list[str]) -> dict[str, list[Spell]]:
    found: dict[str, list[Spell]] = {}
    rows = await connection.fetch(
        f"""select m.* from unnest($2::text[]) as asked (id) cross join lateral (
               select user_id, valid_from, valid_to, {_TERMS} from membership
               where tenant = $1 and {_ASKED} order by user_id, valid_from
           ) m""",
        tenant,
        users,
    )
    for row in rows:
        user, start, end, *terms = row
        days = None if terms[_DAYS] is None else tuple(terms[_DAYS])
        found.setdefault(user, []).append(Spell(start, end, Terms._make([*terms[:_DAYS], days])))
    return found


async def licences(connection: Connection, tenant: str, users: list[str]) -> dict[str, list[Licence]]:
    """Return the licences of ``users`` in order."""
    found: dict[str, list[Licence]] = {}
    rows = await connection.fetch(
        """select l.* from unnest($2::text[]) as asked (id) cross join lateral (
               select user_id, licensed_from, licensed_to, price from licence
               where tenant = $1 and user_id = asked.id order by licensed_from
           ) l""",
        tenant,
        users,
    )
    for user, *licence in rows:
        found.setdefault(user, []).append(Licence(*licence))
    return found


async def absences(connection: Connection, tenant: str, users: list[str]) -> dict[str, tuple[Absence, ...]]:
    """Return the absences of ``users`` in order."""
    found: dict[str, tuple[Absence, ...]] = {}
    for user, *absence in await connection.fetch(
        """select user_id, "first", "last", kind from absence
           where tenant = $1 and user_id = any($2) order by user_id, "first" """,
        tenant,
        users,
    ):
        found[user] = (*found.get(user, ()), Absence(*absence))
    return found


_LINES: Final = f"""
    select user_id, valid_from, valid_to, manager from membership
    where tenant = $1 and {_ASKED} and manager is not null and (valid_to is null or valid_to > $3)
    order by user_id, valid_from
"""


async def above(connection: Connection, tenant: str, users: Sequence[str], since: date) -> dict[str, list[Line]]:
    """Return the lines, from ``since`` on, of ``users`` and of everybody whom they report to through others."""
    found: dict[str, list[Line]] = {}
    for user, start, end, manager in await connection.fetch(
        f"""with recursive asked (id) as (
               select * from unnest($2::text[])
               union
               select m.manager from asked cross join lateral ({_LINES}) m
           )
           select m.* from asked cross join lateral ({_LINES}) m""",
        tenant,
        users,
        since,
    ):
        found.setdefault(user, []).append(Line(start, end or NEVER, manager))
    return found


async def strangers(connection: Connection, tenant: str, users: Sequence[str]) -> set[str]:
    """Return those of ``users`` who are not in the directory."""
    rows = await connection.fetch(
        f"""select asked.id from unnest($2::text[]) as asked (id) left join lateral (
               select user_id from person where tenant = $1 and {_ASKED} order by user_id limit 1
           ) p on true where p.user_id is null""",
        tenant,
        users,
    )
    return {row["id"] for row in rows}


async def put_people(connection: Connection, tenant: str, people: Sequence[tuple[str, Known]]) -> None:
    """Insert or replace people."""
    if not people:
        return
    await connection.execute(
        f"""insert into person (tenant, user_id, {_FACTS})
           select $1, * from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::date[], $8::date[])
                as given (u, n, e, z, c, f, t)
           order by u
           on conflict (tenant, user_id) do update set
               name = excluded.name, email = excluded.email, time_zone = excluded.time_zone,
               calendar = excluded.calendar, active_from = excluded.active_from, active_to = excluded.active_to,
               updated_at = now()""",
        tenant,
        [user for user, _ in people],
        *([getattr(person, name) for _, person in people] for name in FACTS),
    )


async def put_spells(connection: Connection, tenant: str, spells: Sequence[tuple[str, Spell]]) -> None:
    """Insert or replace spells of people, each by its first day."""
    if not spells:
        return
    terms = [spell.terms for _, spell in spells]
    sets = ", ".join(f"{name} = excluded.{name}" for name in ("valid_to", *Terms._fields))
    await connection.execute(
        f"""insert into membership (tenant, user_id, valid_from, valid_to, {_TERMS})
           select $1, u, f, t, a, b, c, d, e, g, h, i, j, k, l::smallint[] from unnest(
               $2::text[], $3::date[], $4::date[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
               $10::text[], $11::text[], $12::bool[], $13::bool[], $14::bool[], $15::text[]
           ) as given (u, f, t, a, b, c, d, e, g, h, i, j, k, l)
           on conflict (tenant, user_id, valid_from) do update set {sets}""",
        tenant,
        [user for user, _ in spells],
        [spell.start for _, spell in spells],
        [spell.end for _, spell in spells],
        *([held[place] for held in terms] for place in range(len(Terms._fields) - 1)),
        [None if held.work_days is None else f"{{{','.join(map(str, held.work_days))}}}" for held in terms],
    )


async def drop_spells(connection: Connection, tenant: str, starts: Sequence[tuple[str, date]]) -> None:
    """Delete spells of people, each named by its first day."""
    await _drop(connection, "membership", "valid_from", tenant, starts)


async def drop_licences(connection: Connection, tenant: str, starts: Sequence[tuple[str, date]]) -> None:
    """Delete licences of people, each named by its first day."""
    await _drop(connection, "licence", "licensed_from", tenant, starts)


async def _drop(
    connection: Connection, table: str, column: str, tenant: str, starts: Sequence[tuple[str, date]]
) -> None:
    if not starts:
        return
    await connection.execute(
        f"""delete from {table} where tenant = $1 and user_id = any($2)
           and (user_id, {column}) in (select * from unnest($2::text[], $3::date[]))""",
        tenant,
        [user for user, _ in starts],
        [start for _, start in starts],
    )


async def put_licences(connection: Connection, tenant: str, held: Sequence[tuple[str, Licence]]) -> None:
    """Insert or replace licences of people, each by its first day."""
    if not held:
        return
    await connection.execute(
        """insert into licence (tenant, user_id, licensed_from, licensed_to, price)
           select $1, * from unnest($2::text[], $3::date[], $4::date[], $5::numeric[])
           on conflict (tenant, user_id, licensed_from) do update set
               licensed_to = excluded.licensed_to, price = excluded.price""",
        tenant,
        [user for user, _ in held],
        *([licence[place] for _, licence in held] for place in range(3)),
    )


async def put_absences(connection: Connection, tenant: str, people: Sequence[tuple[str, Sequence[Absence]]]) -> None:
    """Replace the absences of people."""
    if not people:
        return
    users = [user for user, _ in people]
    await connection.execute("delete from absence where tenant = $1 and user_id = any($2)", tenant, users)
    rows = [(user, *absence) for user, absences in people for absence in absences]
    await connection.execute(
        """insert into absence (tenant, user_id, "first", "last", kind)
           select $1, * from unnest($2::text[], $3::date[], $4::date[], $5::text[])""",
        tenant,
        *([row[place] for row in rows] for place in range(4)),
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


async def soil(connection: Connection, tenant: str, people: Iterable[tuple[str, date | None]]) -> None:
    """Queue people whose metrics are to be measured anew, from a day on (None: from the beginning)."""
    rows = list(people)
    await connection.execute(
        """insert into dirty (tenant, kind, subject, low)
           select $1, 'person', u, d from unnest($2::text[], $3::date[]) as changed (u, d)""",
        tenant,
        [user for user, _ in rows],
        [day for _, day in rows],
    )


async def soil_all(connection: Connection, tenant: str) -> None:
    """Queue everything of a tenant to be measured anew."""
    await connection.execute("insert into dirty (tenant, kind, subject) values ($1, 'tenant', $1)", tenant)
