"""What Prometheus is shown of adoption: small questions, asked in the background by one process of a cluster."""

from datetime import datetime
from typing import Final, NamedTuple

from services.postgres import Connection, Row

OWNER: Final = 0x757074616775
"""The advisory lock of the process that shows adoption."""
MOST_SOURCES: Final = 100
MOST_ANNOTATIONS: Final = 20


class Progress(NamedTuple):
    """How far a tenant is: the version of what was counted, that of what was judged, and when it was measured last."""

    version: int
    evaluated: int
    measured_at: datetime | None


async def try_own(connection: Connection) -> bool:
    """Take the lock of the owner if it is free. It is held until it is given back or the session ends."""
    return bool(await connection.fetchval("select pg_try_advisory_lock($1)", OWNER))


async def give_back(connection: Connection) -> None:
    """Give the lock of the owner back."""
    await connection.execute("select pg_advisory_unlock($1)", OWNER)


async def still_own(connection: Connection) -> None:
    """Make sure that the session of the lock is still there; fails when it is not."""
    await connection.fetchval("select 1")


async def progress(connection: Connection) -> dict[str, Progress]:
    """Return by tenant how far it is, as far as anything was counted."""
    rows = await connection.fetch(
        """select t.tenant, t.version, coalesce(e.version, -1) as evaluated, m.measured_at
           from (select tenant, sum(version)::bigint as version from tally group by tenant) t
           left join evaluation e on e.tenant = t.tenant left join measured m on m.tenant = t.tenant"""
    )
    return {row["tenant"]: Progress(row["version"], row["evaluated"], row["measured_at"]) for row in rows}


async def waves(connection: Connection, tenant: str) -> list[Row]:
    """Return D+n of the waves, as far as it is known."""
    rows: list[Row] = await connection.fetch(
        """select c.wave, w.go_live, c.n, c.num, c.den, c.settled from wave_connection c
           join wave w on w.tenant = c.tenant and w.id = c.wave
           where c.tenant = $1 and c.den > 0 and c.reason is null order by c.wave, c.n""",
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


async def annotations(connection: Connection, tenant: str) -> list[Row]:
    """Return the newest annotations."""
    rows: list[Row] = await connection.fetch(
        "select id, kind, starts_on from annotation where tenant = $1 order by starts_on desc, id limit $2",
        tenant,
        MOST_ANNOTATIONS,
    )
    return rows


async def letters(connection: Connection, tenant: str) -> list[Row]:
    """Return the number of open dead letters by source; none: they lay on the log."""
    rows: list[Row] = await connection.fetch(
        """select coalesce(source, '') as source, count(*) as letters from dead_letter
           where tenant = $1 and state = 'open' group by 1 order by 2 desc, 1 limit $2""",
        tenant,
        MOST_SOURCES,
    )
    return rows
