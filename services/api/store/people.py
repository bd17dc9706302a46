"""Reading people: the directory as of a day, and what is known of one person.

A person's spell is the one that holds on that day, or the next one; so is the licence, or else it is the last one.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

from services.api.spells import Terms
from services.postgres import Connection, Row

_TERMS: Final = ", ".join(f"m.{name}" for name in Terms._fields)
MOST_NAMED: Final = 100
"""Whoever is shown more people at once has seen a list, and is written down once."""
_SPELL: Final = f"""
    cross join lateral (
        select m.valid_from, m.valid_to, {_TERMS} from membership m
        where m.tenant = p.tenant and m.user_id = p.user_id and (m.valid_to is null or m.valid_to > $2)
        order by m.valid_from limit 1
    ) m
    left join lateral (
        select l.licensed_from, l.licensed_to, l.price from licence l cross join lateral (
            select l.licensed_to is null or l.licensed_to >= $2 as lasts
        ) o
        where l.tenant = p.tenant and l.user_id = p.user_id
        order by o.lasts desc, case when o.lasts then l.licensed_from end, l.licensed_from desc limit 1
    ) l on true
"""
_PERSON: Final = f"""p.user_id, p.name, p.email, p.time_zone, p.calendar, p.active_from, p.active_to, {_TERMS},
    l.licensed_from, l.licensed_to, l.price"""


async def page(
    connection: Connection,
    tenant: str,
    day: date,
    *,
    after: str,
    limit: int,
    team: str | None,
    role: str | None,
    line: list[str] | None,
) -> list[Row]:
    """Return people by id, from the one after ``after`` on; ``line``: none but these."""
    rows: list[Row] = await connection.fetch(
        f"""select {_PERSON} from person p {_SPELL}
            where p.tenant = $1 and p.user_id > $3
              and ($5::text is null or (m.team = $5 and p.user_id in (
                    select x.user_id from membership x where x.tenant = $1 and x.team = $5)))
              and ($6::text is null or m.role = $6)
              and ($7::text[] is null or p.user_id = any($7))
            order by p.user_id limit $4""",
        tenant,
        day,
        after,
        limit,
        team,
        role,
        line,
    )
    return rows


async def groups(
    connection: Connection,
    tenant: str,
    day: date,
    column: str,
    *,
    after: str,
    limit: int,
    line: list[str] | None,
) -> list[Row]:
    """Return the teams or roles (``column``) by name with the number of people in each."""
    if column not in ("team", "role"):
        raise ValueError(column)
    rows: list[Row] = await connection.fetch(
        f"""select m.{column} as key, count(*) as people from membership m
            where m.tenant = $1 and m.{column} > $3 and m.valid_from <= $2 and (m.valid_to is null or m.valid_to > $2)
              and ($5::text[] is null or m.user_id = any($5))
            group by 1 order by 1 limit $4""",
        tenant,
        day,
        after,
        limit,
        line,
    )
    return rows


async def find(connection: Connection, tenant: str, day: date, user: str) -> Row | None:
    """Return one person as of ``day``."""
    return await connection.fetchrow(
        f"select {_PERSON} from person p {_SPELL} where p.tenant = $1 and p.user_id = $3", tenant, day, user
    )


async def spells(connection: Connection, tenant: str, user: str) -> list[Row]:
    """Return the memberships of a person in order."""
    rows: list[Row] = await connection.fetch(
        f"""select valid_from, valid_to, {_TERMS} from membership m
           where tenant = $1 and user_id = $2 order by valid_from""",
        tenant,
        user,
    )
    return rows


async def merged(connection: Connection, tenant: str, user: str) -> list[Row]:
    """Return the other people of the directory who are counted as ``user``."""
    rows: list[Row] = await connection.fetch(
        """select p.user_id, p.time_zone, p.calendar, p.active_from, p.active_to
           from alias a join person p on p.tenant = a.tenant and p.user_id = a.identity
           where a.tenant = $1 and a.user_id = $2 and a.identity <> a.user_id order by 1""",
        tenant,
        user,
    )
    return rows


async def activity(connection: Connection, tenant: str, user: str) -> Row:
    """Return the first and last instants of a person, and the number of days with an event."""
    return await connection.fetchrow(
        """select min(first_login_at) as first_login_at, max(last_login_at) as last_login_at,
                  min(first_at) as first_activity_at, max(last_at) as last_activity_at, count(*) as active_days
           from person_day where tenant = $1 and user_id = $2 and events > 0""",
        tenant,
        user,
    )


async def last_seen(connection: Connection, tenant: str, user: str, *, by_login: bool) -> datetime | None:
    """Return an instant of the last day on which a person connected; ``by_login``: only logins connect."""
    column = "last_login_at" if by_login else "first_qualifying_at"
    instant: datetime | None = await connection.fetchval(
        f"""select {column} from person_day where tenant = $1 and user_id = $2 and {column} is not null
            order by day desc limit 1""",
        tenant,
        user,
    )
    return instant


async def names(connection: Connection, tenant: str, users: Sequence[str]) -> dict[str, str]:
    """Return what those of ``users`` are called of whom the directory knows it."""
    if not users:
        return {}
    rows = await connection.fetch(
        "select user_id, name from person where tenant = $1 and user_id = any($2) and name <> ''", tenant, list(users)
    )
    return {row["user_id"]: row["name"] for row in rows}


async def log_access(connection: Connection, tenant: str, key_id: str, route: str, subject: str) -> None:
    """Write down who looked at whom."""
    await connection.execute(
        "insert into access_log (tenant, key_id, route, subject) values ($1, $2, $3, $4)",
        tenant,
        key_id,
        route,
        subject,
    )


async def log_accesses(connection: Connection, tenant: str, key_id: str, route: str, subjects: Sequence[str]) -> None:
    """Write down who looked at all of ``subjects``: by name, or as one row with their number when they are many."""
    if subjects:
        await connection.execute(
            "insert into access_log (tenant, key_id, route, subject, people) select $1, $2, $3, unnest($4::text[]), $5",
            tenant,
            key_id,
            route,
            list(subjects) if len(subjects) <= MOST_NAMED else [""],
            1 if len(subjects) <= MOST_NAMED else len(subjects),
        )
