"""What became of the messages of a subscription, and asking for them once more."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from services.postgres import Connection, Row

_COLUMNS: Final = """id, message, kind, recipient, alerts, changes, state, due_at, created_at, finished_at, coalesce((
    select jsonb_agg(jsonb_build_object('number', a.number, 'at', to_char(a.at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'outcome', a.outcome, 'status', a.status, 'error', a.error, 'milliseconds', a.milliseconds) order by a.number)
    from delivery_attempt a where a.delivery = d.id), '[]') as attempts"""
_AGAIN: Final = (
    """state = 'waiting', attempts = 0, began_at = {now}, due_at = {now}, lease = null, finished_at = null"""
)


async def page(
    connection: Connection, tenant: str, subscription: str, state: str | None, before: int, limit: int
) -> list[Row]:
    """Return deliveries, the newest first, from the one before ``before`` on."""
    rows: list[Row] = await connection.fetch(
        f"""select {_COLUMNS} from delivery d
            where tenant = $1 and subscription = $2 and id < $4 and ($3::text is null or state = $3)
            order by id desc limit $5""",
        tenant,
        subscription,
        state,
        before,
        limit,
    )
    return rows


async def find(connection: Connection, tenant: str, subscription: str, number: int) -> Row | None:
    """Return one delivery with what it tells."""
    return await connection.fetchrow(
        f"select {_COLUMNS}, body from delivery d where tenant = $1 and subscription = $2 and id = $3",
        tenant,
        subscription,
        number,
    )


async def again(connection: Connection, tenant: str, subscription: str, number: int, now: datetime) -> bool:
    """Let a delivery be made at once, under its own id; False: it is under way."""
    tag = await connection.execute(
        f"""update delivery set {_AGAIN.format(now="$4")}
            where tenant = $1 and subscription = $2 and id = $3 and state <> 'sending'""",
        tenant,
        subscription,
        number,
        now,
    )
    return str(tag).endswith(" 1")


async def all_again(
    connection: Connection,
    tenant: str,
    subscription: str,
    span: tuple[datetime, datetime],
    states: Sequence[str],
    now: datetime,
) -> int:
    """Let the deliveries planned in the half-open ``span`` that ended in one of ``states`` be made again; how many."""
    tag: Any = await connection.execute(
        f"""update delivery set {_AGAIN.format(now="$6")}
            where tenant = $1 and subscription = $2 and created_at >= $3 and created_at < $4 and state = any($5)""",
        tenant,
        subscription,
        *span,
        list(states),
        now,
    )
    return int(tag.rpartition(" ")[2])


async def plan(
    connection: Connection, tenant: str, subscription: str, message: str, body: dict[str, Any], now: datetime
) -> int:
    """Plan a message that tells of no alert; return its number."""
    number: int = await connection.fetchval(
        """insert into delivery (tenant, subscription, message, kind, body, state, began_at, due_at)
           values ($1, $2, $3, 'notice', $4, 'waiting', $5, $5) returning id""",
        tenant,
        subscription,
        message,
        body,
        now,
    )
    return number
