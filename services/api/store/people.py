"""Reading people: the directory as of a day, and what is known of one person.

A person's spell is the one that holds on that day, or the next one.
"""

from datetime import date
from typing import Final

from services.postgres import Connection, Row

_SPELL: Final = """
    cross join lateral (
        select m.valid_from, m.valid_to, m.team, m.role, m.manager from membership m
        where m.tenant = p.tenant and m.user_id = p.user_id and (m.valid_to is null or m.valid_to > $2)
        order by m.valid_from limit 1
    ) m
"""
_PERSON: Final = (
    "p.user_id, p.name, p.email, p.licensed_from, p.licensed_to, p.kind, p.attributes, m.team, m.role, m.manager"
)


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
        """select valid_from, valid_to, team, role, manager from membership
           where tenant = $1 and user_id = $2 order by valid_from""",
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


async def log_access(connection: Connection, tenant: str, key_id: str, route: str, subject: str) -> None:
    """Write down who looked at whom."""
    await connection.execute(
        "insert into access_log (tenant, key_id, route, subject) values ($1, $2, $3, $4)",
        tenant,
        key_id,
        route,
        subject,
    )
