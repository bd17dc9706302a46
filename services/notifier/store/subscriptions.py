"""Subscriptions as the notifier finds them: which are behind, and how their messages fare."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from schemas.subscriptions import filter_of
from services.notifier.domain.shape import Subscription
from services.postgres import Connection

MOST_AT_ONCE: Final = 200
SKEW: Final = timedelta(minutes=1)
"""Who judges may have a clock that is behind: an hour that has passed here has passed there so much later."""
KEY_GONE: Final = "the key that made it was revoked or has expired"

_BEHIND: Final = f"""
select s.tenant, s.id from subscription s
where s.state = 'active' and exists (select from alert_change c where c.tenant = s.tenant and c.seq > s.cursor)
order by s.cursor, s.tenant, s.id limit {MOST_AT_ONCE}
"""
_TAKE: Final = """
select s.*, coalesce(k.revoked_at is null and coalesce(k.expires_at > $3, true), false) as live
from subscription s left join api_key k on k.id = s.key_id
where s.tenant = $1 and s.id = $2 and s.state = 'active' for no key update of s skip locked
"""
_WELL: Final = """
update subscription set failing_since = null where tenant = $1 and id = $2 and failing_since is not null returning 1
"""
_UNWELL: Final = """
update subscription set failing_since = $3 where tenant = $1 and id = $2 and failing_since is null returning 1
"""
_STILL_UNWELL: Final = """
insert into to_judge (tenant, kind, key)
select distinct tenant, 'tenant', 'all' from subscription
where state <> 'paused' and div(extract(epoch from $2 - failing_since), 3600)
  > greatest(div(extract(epoch from coalesce($1, failing_since) - failing_since), 3600), 0)
"""
_ACTIVE: Final = "select tenant, id from subscription where state = 'active' and kind = any($1) order by tenant, id"


class Taken(NamedTuple):
    """A subscription that is locked. ``live``: the key that made it still is."""

    subscription: Subscription
    cursor: int
    live: bool


async def behind(connection: Connection) -> list[tuple[str, str]]:
    """Return (tenant, id) of subscriptions that there is something new for, the ones furthest behind first."""
    return [(row[0], row[1]) for row in await connection.fetch(_BEHIND)]


async def active(connection: Connection, kinds: list[str]) -> list[tuple[str, str]]:
    """Return (tenant, id) of the active subscriptions of ``kinds``."""
    return [(row[0], row[1]) for row in await connection.fetch(_ACTIVE, kinds)]


async def take(tx: Connection, tenant: str, subscription: str, now: datetime) -> Taken | None:
    """Lock an active subscription until the transaction ends; None: another notifier has it, or it is not active."""
    row = await tx.fetchrow(_TAKE, tenant, subscription, now)
    if row is None:
        return None
    names = ("tenant", "id", "kind", "name", "options", "key_id", "person", "created_at")
    found = Subscription(filter=filter_of(row["filter"]), **{name: row[name] for name in names})
    return Taken(found, row["cursor"], row["live"])


async def move(tx: Connection, subscription: Subscription, seq: int) -> None:
    """Let the changes up to ``seq`` count as planned."""
    await tx.execute(
        "update subscription set cursor = $3 where tenant = $1 and id = $2", subscription.tenant, subscription.id, seq
    )


async def succeeded(tx: Connection, tenant: str, subscription: str) -> bool:
    """Note that a message was taken; return whether the ones before had failed."""
    return await tx.fetchval(_WELL, tenant, subscription) is not None


async def failed(tx: Connection, tenant: str, subscription: str, now: datetime) -> tuple[datetime | None, bool]:
    """Note that a message was not taken; return since when all fail, and whether this is the first."""
    if await tx.fetchval(_UNWELL, tenant, subscription, now) is not None:
        return now, True
    since: datetime | None = await tx.fetchval(
        "select failing_since from subscription where tenant = $1 and id = $2", tenant, subscription
    )
    return since, False


async def switch_off(tx: Connection, tenant: str, subscription: str, reason: str, now: datetime) -> None:
    """Deliver nothing more until somebody switches it on again; what waits goes on waiting."""
    await tx.execute(
        """update subscription set state = 'disabled', reason = $3, updated_at = now(),
             failing_since = coalesce(failing_since, $4)
           where tenant = $1 and id = $2 and state = 'active'""",
        tenant,
        subscription,
        reason,
        now,
    )


async def tell_rules_of_hours(connection: Connection, after: datetime | None, until: datetime) -> None:
    """Have those judged anew whose deliveries have failed for one more hour since ``after``; None: since ever."""
    await connection.execute(_STILL_UNWELL, None if after is None else after - SKEW, until - SKEW)


async def tell_rules(tx: Connection, tenant: str) -> None:
    """Have it judged anew how deliveries fare."""
    await tx.execute("insert into to_judge (tenant, kind, key) values ($1, 'tenant', 'all')", tenant)
