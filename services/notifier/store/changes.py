"""Changes of alerts in their order, and who may see them."""

from collections.abc import Sequence
from typing import Final

from services.notifier.domain.shape import Change
from services.postgres import Connection

_AFTER: Final = """
select seq, alert, kind, state, actor, as_of, at, body, detail from alert_change
where tenant = $1 and seq > $2 order by seq limit $3
"""
_BEHIND: Final = """
select t.id from tenant t left join alert_cursor r on r.tenant = t.id and r.reader = $1
where exists (select from alert_change c where c.tenant = t.id and c.seq > coalesce(r.seq, 0)) order by t.id
"""
_OPEN_READER: Final = "insert into alert_cursor (tenant, reader, seq) values ($1, $2, 0) on conflict do nothing"
_TAKE_READER: Final = "select seq from alert_cursor where tenant = $1 and reader = $2 for update skip locked"


async def after(tx: Connection, tenant: str, seq: int, most: int) -> list[Change]:
    """Return the changes behind ``seq`` as they were written, at most so many."""
    return [Change(**dict(row)) for row in await tx.fetch(_AFTER, tenant, seq, most)]


async def named(tx: Connection, tenant: str, subscription: str, key: str, people: Sequence[str]) -> None:
    """Write down whom a subscription was told of by name."""
    if people:
        await tx.executemany(
            "insert into access_log (tenant, key_id, route, subject) values ($1, $2, $3, $4)",
            [(tenant, key, f"/v1/subscriptions/{subscription}", person) for person in people],
        )


async def unread(connection: Connection, reader: str) -> list[str]:
    """Return the tenants that have changes ``reader`` has not read."""
    return [row[0] for row in await connection.fetch(_BEHIND, reader)]


async def take(tx: Connection, tenant: str, reader: str) -> int | None:
    """Lock the cursor of ``reader`` until the transaction ends and return it; None: somebody else has it."""
    await tx.execute(_OPEN_READER, tenant, reader)
    seq: int | None = await tx.fetchval(_TAKE_READER, tenant, reader)
    return seq


async def move(tx: Connection, tenant: str, reader: str, seq: int) -> None:
    """Let the changes up to ``seq`` count as read."""
    await tx.execute("update alert_cursor set seq = $3 where tenant = $1 and reader = $2", tenant, reader, seq)
