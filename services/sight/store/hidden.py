"""Which groups are hidden in which weeks, as the measurer found it."""

from collections.abc import Collection
from datetime import date

from services.postgres import Connection


async def measured(connection: Connection, tenant: str) -> tuple[date, date] | None:
    """Return the first and the last week that everybody was counted in; None: there is none yet."""
    row = await connection.fetchrow("select min(week), max(week) from measured_week where tenant = $1", tenant)
    return (row[0], row[1]) if row[0] is not None else None


async def hidden(
    connection: Connection, tenant: str, groups: Collection[tuple[str, str]] | None, first: date, last: date
) -> list[tuple[date, str, str]]:
    """Return (week, dimension, key) of the hidden ones of ``groups`` (None: all) in the weeks ``first`` to ``last``."""
    rows = await connection.fetch(
        """select week, dimension, key from hidden_group
           where tenant = $1 and week between $2 and $3
             and ($4::text[] is null
                  or (dimension, key) in (select * from unnest($4::text[], $5::text[])))""",
        tenant,
        first,
        last,
        None if groups is None else [dimension for dimension, _ in groups],
        None if groups is None else [key for _, key in groups],
    )
    return [(row[0], row[1], row[2]) for row in rows]
