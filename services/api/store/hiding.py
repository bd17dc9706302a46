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


async def close(connection: Connection, tenant: str) -> None:
    """Hide every group that people count in, until it is found out which of them may be shown."""
    await connection.execute(
        """insert into hidden_group (tenant, week, dimension, key, reason)
           select distinct $1, c.week, g.dimension, g.key, 'small' from contribution c cross join lateral (
               values ('wave', c.wave), ('team', c.team), ('role', c.role), ('function', c.function),
                      ('location', c.location), ('segment', c.segment)
           ) as g (dimension, key)
           where c.tenant = $1 and g.key is not null
           on conflict do nothing""",
        tenant,
    )
