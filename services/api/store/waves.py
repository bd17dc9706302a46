"""Waves, and their connection as the evaluator computed it."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from services.postgres import Connection, Row

_COLUMNS: Final = "id, name, go_live, scope, sponsor, created_at"


async def create(
    connection: Connection,
    tenant: str,
    wave: str,
    *,
    name: str,
    go_live: date,
    scope: dict[str, Any],
    sponsor: str | None,
) -> Row | None:
    """Insert a wave; None when its id is taken."""
    return await connection.fetchrow(
        f"""insert into wave (tenant, id, name, go_live, scope, sponsor) values ($1, $2, $3, $4, $5, $6)
            on conflict do nothing returning {_COLUMNS}""",
        tenant,
        wave,
        name,
        go_live,
        scope,
        sponsor,
    )


async def find(connection: Connection, tenant: str, wave: str) -> Row | None:
    """Return one wave."""
    return await connection.fetchrow(f"select {_COLUMNS} from wave where tenant = $1 and id = $2", tenant, wave)


async def page(connection: Connection, tenant: str, after: str, limit: int) -> list[Row]:
    """Return waves by id, from the one after ``after`` on."""
    rows: list[Row] = await connection.fetch(
        f"select {_COLUMNS} from wave where tenant = $1 and id > $2 order by id limit $3", tenant, after, limit
    )
    return rows


async def every(connection: Connection, tenant: str) -> list[Row]:
    """Return all waves by id."""
    rows: list[Row] = await connection.fetch(f"select {_COLUMNS} from wave where tenant = $1 order by id", tenant)
    return rows


async def connection_of(connection: Connection, tenant: str, wave: str, days: Sequence[int]) -> list[Row]:
    """Return D+n of a wave for ``days``, as far as it is computed."""
    rows: list[Row] = await connection.fetch(
        """select n, num, den, settled, missing, reason from wave_connection
           where tenant = $1 and wave = $2 and n = any($3) order by n""",
        tenant,
        wave,
        list(days),
    )
    return rows


async def covering(connection: Connection, tenant: str, user: str) -> list[Row]:
    """Return the waves that cover a person by name, team or role as of their go-live day, the earliest first."""
    rows: list[Row] = await connection.fetch(
        """select w.id, w.go_live from wave w
           left join membership m on m.tenant = w.tenant and m.user_id = $2
                and m.valid_from <= w.go_live and (m.valid_to is null or m.valid_to > w.go_live)
           where w.tenant = $1
             and (not w.scope ?| array['teams', 'roles', 'people']
                  or w.scope -> 'teams' ? m.team or w.scope -> 'roles' ? m.role or w.scope -> 'people' ? $2)
           order by w.go_live, w.id""",
        tenant,
        user,
    )
    return rows
