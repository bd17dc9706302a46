"""Reporting lines: a person and everyone who reports to them, directly or through others. Cycles end by themselves."""

from datetime import date

from services.postgres import Connection


async def line(connection: Connection, tenant: str, person: str, day: date) -> list[str]:
    """Return ``person`` and everyone below on ``day``."""
    rows = await connection.fetch(
        """with recursive line (user_id) as (
               select $2::text
               union
               select m.user_id from membership m join line on m.manager = line.user_id
               where m.tenant = $1 and m.valid_from <= $3 and (m.valid_to is null or m.valid_to > $3)
           ) select user_id from line""",
        tenant,
        person,
        day,
    )
    return [row["user_id"] for row in rows]


async def teams(connection: Connection, tenant: str, people: list[str], day: date) -> list[str]:
    """Return the teams in which somebody of ``people`` is on ``day``."""
    rows = await connection.fetch(
        """select distinct team from membership
           where tenant = $1 and user_id = any($2) and team is not null
             and valid_from <= $3 and (valid_to is null or valid_to > $3)""",
        tenant,
        people,
        day,
    )
    return [row["team"] for row in rows]
