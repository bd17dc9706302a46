"""Reading dead letters, and noting what a replay made of them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from services.postgres import Connection, Row

_SHOWN: Final = """id, letter, source, kind, state, reason, reasons, received_at, created_at, shard, log_offset,
    replayed_at, outcome"""
_NAMED: Final = "coalesce(letter, 'log-' || id) = $2"


async def page(
    connection: Connection,
    tenant: str,
    *,
    source: str | None,
    reason: str | None,
    state: str | None,
    received: tuple[datetime | None, datetime | None],
    before: int | None,
    limit: int,
) -> list[Row]:
    """Return letters, the newest first, from the one before ``before`` on. ``received`` is half-open."""
    rows: list[Row] = await connection.fetch(
        f"""select {_SHOWN} from dead_letter
            where tenant = $1 and ($2::text is null or source = $2) and ($4::text is null or state = $4)
              and ($3::text is null or reason = $3
                   or reasons @> jsonb_build_array(jsonb_build_object('reason', $3::text)))
              and ($5::timestamptz is null or received_at >= $5) and ($6::timestamptz is null or received_at < $6)
              and ($7::bigint is null or id < $7)
            order by id desc limit $8""",
        tenant,
        source,
        reason,
        state,
        *received,
        before,
        limit,
    )
    return rows


async def find(connection: Connection, tenant: str, name: str, *, lock: bool = False) -> Row | None:
    """Return one letter with what is kept of it; ``lock``: nobody else changes it until the transaction ends."""
    return await connection.fetchrow(
        f"select {_SHOWN}, value from dead_letter where tenant = $1 and {_NAMED} {'for update' if lock else ''}",
        tenant,
        name,
    )


async def note(
    connection: Connection, tenant: str, name: str, *, state: str, at: datetime, outcome: Mapping[str, Any]
) -> Row:
    """Note what a replay made of a letter."""
    return await connection.fetchrow(
        f"""update dead_letter set state = $3, replayed_at = $4, outcome = $5
            where tenant = $1 and {_NAMED} returning {_SHOWN}""",
        tenant,
        name,
        state,
        at,
        outcome,
    )
