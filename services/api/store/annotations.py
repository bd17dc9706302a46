"""What was noted of a tenant's days: go-lives, training, changes of the CRM."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from services.postgres import Connection, Row

COLUMNS: Final = ("id", "kind", "title", "starts_on", "ends_on", "teams", "roles", "url", "created_at", "updated_at")
_SHOWN: Final = ", ".join(COLUMNS)
_WRITTEN: Final = ("kind", "title", "starts_on", "ends_on", "teams", "roles", "url")


async def insert(connection: Connection, tenant: str, values: Mapping[str, Any], actor: str) -> Row | None:
    """Insert an annotation; None when its id is taken."""
    return await connection.fetchrow(
        f"""insert into annotation (tenant, id, {", ".join(_WRITTEN)}, actor)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict do nothing returning {_SHOWN}""",
        tenant,
        values["id"],
        *(values[name] for name in _WRITTEN),
        actor,
    )


async def change(connection: Connection, tenant: str, annotation: str, values: Mapping[str, Any]) -> Row:
    """Write other values."""
    sets = "".join(f", {name} = ${n}" for n, name in enumerate(values, 3))
    return await connection.fetchrow(
        f"update annotation set updated_at = now(){sets} where tenant = $1 and id = $2 returning {_SHOWN}",
        tenant,
        annotation,
        *values.values(),
    )


async def remove(connection: Connection, tenant: str, annotation: str) -> bool:
    """Remove an annotation; return whether there was one."""
    sql = "delete from annotation where tenant = $1 and id = $2 returning true"
    return await connection.fetchval(sql, tenant, annotation) is True


async def find(connection: Connection, tenant: str, annotation: str, *, lock: bool = False) -> Row | None:
    """Return an annotation; ``lock``: nobody else changes it until the transaction ends."""
    sql = f"select {_SHOWN} from annotation where tenant = $1 and id = $2"
    return await connection.fetchrow(f"{sql} for update" if lock else sql, tenant, annotation)


async def between(
    connection: Connection, tenant: str, first: date, last: date, after: tuple[date, str], limit: int
) -> list[Row]:
    """Return annotations of the days ``first`` to ``last`` by their first day, from the one after ``after`` on."""
    rows: list[Row] = await connection.fetch(
        f"""select {_SHOWN} from annotation
            where tenant = $1 and starts_on <= $3 and coalesce(ends_on, starts_on) >= $2 and (starts_on, id) > ($4, $5)
            order by starts_on, id limit $6""",
        tenant,
        first,
        last,
        *after,
        limit,
    )
    return rows
