"""What a request with an Idempotency-Key was answered, kept for a day in the transaction that created the thing."""

from typing import Any

from services.postgres import Connection


async def recall(connection: Connection, scope: str, key: str) -> tuple[bytes, int, dict[str, Any]] | None:
    """Return (request hash, status, body) of the first request with ``key``.

    Until the transaction ends, no other request with the same key passes here.
    """
    await connection.execute("select pg_advisory_xact_lock(hashtextextended($1 || chr(10) || $2, 0))", scope, key)
    await connection.execute(
        "delete from idempotency where scope = $1 and created_at < now() - interval '24 hours'", scope
    )
    row = await connection.fetchrow(
        "select request_hash, status, body from idempotency where scope = $1 and key = $2", scope, key
    )
    return (row["request_hash"], row["status"], row["body"]) if row else None


async def keep(connection: Connection, scope: str, key: str, request_hash: bytes, status: int, body: object) -> None:
    """Keep the answer of the first request with ``key``."""
    await connection.execute(
        "insert into idempotency (scope, key, request_hash, status, body) values ($1, $2, $3, $4, $5)",
        scope,
        key,
        request_hash,
        status,
        body,
    )
