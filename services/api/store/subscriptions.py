"""Subscriptions. Address and secrets are sealed for their place; a new one is told of what happens from then on."""

from datetime import datetime
from typing import Any, Final

from services.postgres import Connection, Row
from services.sealing import Seal

_COLUMNS: Final = """tenant, id, kind, name, url, cardinality(secrets) as secrets, filter, options, key_id, person,
    state, reason, failing_since, created_at, updated_at,
    (select count(*) from delivery d where d.tenant = s.tenant and d.subscription = s.id
        and d.state in ('waiting', 'sending')) as waiting"""
_OWN: Final = "($3::text is null or person = $3)"
"""Of a bound key, given its person: what was made by keys of that person."""
_INSERT: Final = f"""
insert into subscription as s (tenant, id, kind, name, url, secrets, filter, options, key_id, person, cursor)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
        coalesce((select max(seq) from alert_change where tenant = $1), 0))
on conflict do nothing returning {_COLUMNS}
"""
_CHANGE: Final = f"""
update subscription s set name = $3, url = $4, secrets = $5, filter = $6, options = $7, state = $8, key_id = $9,
    reason = case when $8 = 'disabled' then reason end,
    failing_since = case when $8 = 'disabled' then failing_since end,
    updated_at = now()
where tenant = $1 and id = $2 returning {_COLUMNS}
"""
_REVIVE: Final = """
update delivery set began_at = $3, due_at = least(due_at, $3), attempts = 0
where tenant = $1 and subscription = $2 and state = 'waiting' and attempts > 0
"""


def sealed(seal: Seal, tenant: str, subscription: str, text: str) -> bytes:
    """Return ``text`` sealed for a subscription."""
    return seal.close(text.encode(), _place(tenant, subscription))


def opened(seal: Seal, tenant: str, subscription: str, text: bytes) -> str:
    """Return what was sealed for a subscription.

    Raises:
        SealError: it does not open.
    """
    return seal.open(text, _place(tenant, subscription)).decode()


def _place(tenant: str, subscription: str) -> str:
    return f"subscription/{tenant}/{subscription}"


async def create(
    connection: Connection,
    tenant: str,
    subscription: str,
    *,
    kind: str,
    name: str,
    url: bytes | None,
    secrets: list[bytes],
    filter_: dict[str, Any],
    options: dict[str, Any],
    key: str,
    person: str | None,
) -> Row | None:
    """Insert a subscription; None when its id is taken."""
    return await connection.fetchrow(
        _INSERT, tenant, subscription, kind, name, url, secrets, filter_, options, key, person
    )


async def find(
    connection: Connection, tenant: str, subscription: str, person: str | None, *, lock: bool = False
) -> Row | None:
    """Return a subscription that a key may know of which is bound to ``person`` (None: to nobody)."""
    return await connection.fetchrow(
        f"""select {_COLUMNS}, s.secrets as sealed, exists (
                select from api_key k where k.id = s.key_id and k.revoked_at is null
                and coalesce(k.expires_at > now(), true)) as live
            from subscription s where tenant = $1 and id = $2 and {_OWN}{" for no key update of s" if lock else ""}""",
        tenant,
        subscription,
        person,
    )


async def page(connection: Connection, tenant: str, after: str, person: str | None, limit: int) -> list[Row]:
    """Return subscriptions by id, from the one after ``after`` on."""
    rows: list[Row] = await connection.fetch(
        f"select {_COLUMNS} from subscription s where tenant = $1 and id > $2 and {_OWN} order by id limit $4",
        tenant,
        after,
        person,
        limit,
    )
    return rows


async def change(
    connection: Connection,
    tenant: str,
    subscription: str,
    *,
    name: str,
    url: bytes | None,
    secrets: list[bytes],
    filter_: dict[str, Any],
    options: dict[str, Any],
    state: str,
    key: str,
) -> Row:
    """Replace what may be changed of a subscription."""
    return await connection.fetchrow(_CHANGE, tenant, subscription, name, url, secrets, filter_, options, state, key)


async def revive(connection: Connection, tenant: str, subscription: str, now: datetime) -> None:
    """Let what failed before be tried as if it were new."""
    await connection.execute(_REVIVE, tenant, subscription, now)


async def tell_rules(connection: Connection, tenant: str) -> None:
    """Have it judged anew how deliveries fare."""
    await connection.execute("insert into to_judge (tenant, kind, key) values ($1, 'tenant', 'all')", tenant)


async def delete(connection: Connection, tenant: str, subscription: str) -> None:
    """Delete a subscription, and what it was told."""
    await connection.execute("delete from subscription where tenant = $1 and id = $2", tenant, subscription)
