"""The field registry of a tenant."""

from typing import Any

from services.postgres import Connection


async def find(connection: Connection, tenant: str) -> Any:  # noqa: ANN401 - JSON
    """Return the registry of ``tenant``; None: it has none of its own."""
    return await connection.fetchval("select fields from tenant where id = $1", tenant)


async def keep(connection: Connection, tenant: str, registry: Any) -> None:  # noqa: ANN401 - JSON
    """Replace the registry of ``tenant``; None takes it away."""
    await connection.execute("update tenant set fields = $2, updated_at = now() where id = $1", tenant, registry)
