"""Reading backfills."""

from services.postgres import Connection, Row


async def page(connection: Connection, tenant: str, before: int | None, limit: int) -> list[Row]:
    """Return the backfills before ``before``, the newest first."""
    rows: list[Row] = await connection.fetch(
        """select id, started_at, finished_at, report from backfill
           where tenant = $1 and ($2::bigint is null or id < $2) order by id desc limit $3""",
        tenant,
        before,
        limit,
    )
    return rows
