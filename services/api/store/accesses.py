"""Reading who looked at whom."""

from services.postgres import Connection, Row


async def page(
    connection: Connection, tenant: str, before: int, *, subject: str | None, key: str | None, limit: int
) -> list[Row]:
    """Return looks, the latest first, from the one before ``before`` on."""
    rows: list[Row] = await connection.fetch(
        """select seq, at, key_id as key, route, nullif(subject, '') as subject, people from access_log
           where tenant = $1 and seq < $2 and ($3::text is null or subject = $3) and ($4::text is null or key_id = $4)
           order by seq desc limit $5""",
        tenant,
        before,
        subject,
        key,
        limit,
    )
    return rows
