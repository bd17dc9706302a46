"""Hides groups until it is found out which of them may be shown."""

from services.postgres import Connection


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
    await connection.execute("update metric_cell set step = null where tenant = $1 and step is not null", tenant)
