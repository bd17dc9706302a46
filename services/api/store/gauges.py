"""What Prometheus is shown of adoption: small questions, asked in the background."""

from services.postgres import Connection, Row


async def versions(connection: Connection) -> dict[str, int]:
    """Return by tenant the version of what was counted for it."""
    rows = await connection.fetch("select tenant, sum(version)::bigint as version from tally group by tenant")
    return {row["tenant"]: row["version"] for row in rows}


async def waves(connection: Connection, tenant: str) -> list[Row]:
    """Return D+n of the waves whose day is over."""
    rows: list[Row] = await connection.fetch(
        """select c.wave, w.go_live, c.n, c.num, c.den from wave_connection c
           join wave w on w.tenant = c.tenant and w.id = c.wave
           where c.tenant = $1 and c.settled and c.den > 0 order by c.wave, c.n""",
        tenant,
    )
    return rows


async def unknown_connections(connection: Connection, tenant: str) -> list[Row]:
    """Return how many D+n are unknown, by the reason."""
    rows: list[Row] = await connection.fetch(
        """select reason, count(*) as values from wave_connection where tenant = $1 and reason is not null
           group by reason order by reason""",
        tenant,
    )
    return rows


async def alerts(connection: Connection, tenant: str) -> list[Row]:
    """Return the number of open alerts by rule and severity."""
    rows: list[Row] = await connection.fetch(
        """select rule, severity, count(*) as alerts from alert where tenant = $1 and state = 'open'
           group by rule, severity order by rule, severity""",
        tenant,
    )
    return rows
