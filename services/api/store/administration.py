"""Reading who administered what. It is written by triggers of the tables, and never changed."""

from services.postgres import Connection, Row


async def page(
    connection: Connection, tenant: str | None, before: int, *, kind: str | None, actor: str | None, limit: int
) -> list[Row]:
    """Return what was done to ``tenant`` (None: to anyone), the latest first, from the one before ``before`` on."""
    rows: list[Row] = await connection.fetch(
        """select seq, at, tenant, actor, action, kind, name, parts from administration
           where ($1::text is null or tenant = $1) and seq < $2 and ($3::text is null or kind = $3)
               and ($4::text is null or actor = $4) order by seq desc limit $5""",
        tenant,
        before,
        kind,
        actor,
        limit,
    )
    return rows
