"""The days of people, as the rules on single persons see them. Each statement costs by the people asked for."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from services.postgres import Connection


class Days(NamedTuple):
    """On which days a person was active, and logged in; in the tenant's time zone, in order."""

    active: Sequence[date]
    logins: Sequence[date]


async def users(tx: Connection, tenant: str) -> list[str]:
    """Return everybody in the directory who did not turn out to be somebody else."""
    rows = await tx.fetch(
        """select p.user_id from person p where p.tenant = $1 and not exists (
               select from person_link l where l.tenant = $1 and l.identity = p.user_id and l.user_id <> l.identity)
           order by 1""",
        tenant,
    )
    return [row["user_id"] for row in rows]


async def days(tx: Connection, tenant: str, asked: Sequence[str]) -> dict[str, Days]:
    """Return the days of ``asked``."""
    rows = await tx.fetch(
        """select user_id, array_agg(day order by day) filter (where qualifying > 0) as active,
                  array_agg(day order by day) filter (where logins > 0) as logins
           from person_day where tenant = $1 and user_id = any($2) group by 1""",
        tenant,
        list(asked),
    )
    return {row["user_id"]: Days(row["active"] or (), row["logins"] or ()) for row in rows}


async def met(tx: Connection, tenant: str, asked: Sequence[str]) -> dict[str, set[date]]:
    """Return the weeks in which ``asked`` were as active as their role wants."""
    rows = await tx.fetch(
        """select subject, array_agg(week) as weeks from contribution
           where tenant = $1 and kind = 'person' and subject = any($2) and (counts -> 'M12' ->> 0)::int > 0
           group by 1""",
        tenant,
        list(asked),
    )
    return {row["subject"]: set(row["weeks"]) for row in rows}
