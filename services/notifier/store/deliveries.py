"""Deliveries: planned, taken under a lease, tried, finished. The table is the memory of who was told what.

Of one lane only the first that is due or begun is taken, so what follows never overtakes. An attempt is written down
before it is made: one that nobody lived to tell of stays unknown.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from services.notifier.domain.shape import Outcome, Planned, Subscription
from services.postgres import Connection, Row

LONGEST_ERROR: Final = 500
OPEN: Final = "('waiting', 'sending')"

_INSERT: Final = """
insert into delivery (tenant, subscription, message, kind, recipient, alerts, changes, body, state, lane,
                      began_at, due_at, told_on)
values ($1, $2, $3, $4, $5, $6, $7, $8, 'waiting', $9, $10, $10, $11)
on conflict (tenant, subscription, message) do nothing
"""
_TOLD: Final = """
select distinct unnest(alerts) from delivery
where tenant = $1 and subscription = $2 and alerts && $3 and kind <> 'notice' and state <> 'withdrawn'
"""
_OVER: Final = """
update delivery set state = 'waiting', lease = null where id in (
  select d.id from delivery d join subscription s on s.tenant = d.tenant and s.id = d.subscription
  where d.state = 'sending' and d.lease < $1 for update of d skip locked)
"""
_CLAIM: Final = f"""
with free as (
  select d.id from subscription s cross join lateral (
    select c.id, c.due_at, row_number() over (order by c.due_at, c.id) as place from (
      select d.id, d.due_at from delivery d
      where d.tenant = s.tenant and d.subscription = s.id and d.state = 'waiting' and d.due_at <= $1
        and (d.lane = '' or not exists (
          select from delivery e where e.tenant = d.tenant and e.subscription = d.subscription and e.lane = d.lane
            and e.id < d.id and e.state in {OPEN} and (e.attempts > 0 or e.due_at <= $1)))
      order by d.due_at, d.id limit $3 for update of d skip locked) c) d
  where s.state = 'active' and d.place <= $3 - (
    select count(*) from delivery b where b.tenant = s.tenant and b.subscription = s.id and b.state = 'sending')
  order by d.due_at, d.id limit $4),
taken as (
  update delivery d set state = 'sending', lease = $2, attempts = d.attempts + 1 from free
  where d.id = free.id returning d.*),
noted as (
  insert into delivery_attempt (delivery, number, tenant, at, outcome)
  select t.id, 1 + coalesce((select max(number) from delivery_attempt a where a.delivery = t.id), 0), t.tenant, $1,
         'unknown'
  from taken t returning delivery, number)
select t.*, n.number, s.kind as way, s.options, s.url, s.secrets
from taken t join noted n on n.delivery = t.id
join subscription s on s.tenant = t.tenant and s.id = t.subscription
order by t.due_at, t.id
"""
_ATTEMPTED: Final = """
update delivery_attempt set outcome = $3, status = $4, error = $5, milliseconds = $6 where delivery = $1 and number = $2
"""
_DELIVERED: Final = f"""
update delivery set state = 'delivered', finished_at = $2, lease = null where id = $1 and state in {OPEN}
"""
_FAILED: Final = """
update delivery set lease = null, state = case when $3::timestamptz is null then 'given_up' else 'waiting' end,
  due_at = coalesce($3, due_at), finished_at = case when $3::timestamptz is null then $4::timestamptz end
where id = $1 and state = 'sending' and lease = $2 returning tenant, subscription, lane
"""
_BEHIND_IT: Final = """
update delivery set due_at = $5 where tenant = $1 and subscription = $2 and lane = $3 and id > $4
  and state = 'waiting' and due_at < $5
"""
_OLD: Final = """
delete from delivery where id in (
  select d.id from delivery d where d.finished_at < $1 and not exists (
    select from alert a where a.tenant = d.tenant and a.id = any(d.alerts) and a.state <> 'resolved')
  limit $2)
"""
_BACKLOG: Final = f"""
select s.kind, count(*) as number, min(d.due_at) as oldest from delivery d
join subscription s on s.tenant = d.tenant and s.id = d.subscription
where d.state in {OPEN} and s.state = 'active' group by s.kind
"""


class Backlog(NamedTuple):
    """What waits to be delivered in one way; ``oldest``: since when the first of them is due."""

    kind: str
    number: int
    oldest: datetime


async def told(tx: Connection, subscription: Subscription, alerts: Iterable[str]) -> set[str]:
    """Return those of ``alerts`` that a subscription was told of."""
    wanted = set(alerts)
    rows = await tx.fetch(_TOLD, subscription.tenant, subscription.id, sorted(wanted))
    return wanted & {row[0] for row in rows}


async def plan(tx: Connection, subscription: Subscription, messages: Sequence[Planned]) -> None:
    """Write down what is to be delivered; what was planned before stays as it is."""
    if messages:
        await tx.executemany(
            _INSERT, [(subscription.tenant, subscription.id, *_values(message)) for message in messages]
        )


def _values(message: Planned) -> tuple[object, ...]:
    return (
        *(message.message, message.kind, message.recipient, list(message.alerts), list(message.changes)),
        *(dict(message.body), message.lane, message.due_at, message.told_on),
    )


async def claim(tx: Connection, now: datetime, lease: timedelta, *, each: int, most: int) -> list[Row]:
    """Take what is due, with its subscription: no more than ``each`` at once of one, ``most`` of all.

    Whose lease is over is taken anew.
    """
    await tx.execute(_OVER, now)
    rows: list[Row] = await tx.fetch(_CLAIM, now, now + lease, each, most)
    return rows


async def attempted(tx: Connection, delivery: int, number: int, outcome: Outcome, milliseconds: int) -> None:
    """Write down what became of an attempt."""
    error = None if outcome.error is None else outcome.error.replace("\0", "")[:LONGEST_ERROR]
    await tx.execute(_ATTEMPTED, delivery, number, outcome.kind, outcome.status, error, milliseconds)


async def delivered(tx: Connection, delivery: int, now: datetime) -> None:
    """Finish a delivery that was taken, even by whoever had it longer than the lease."""
    await tx.execute(_DELIVERED, delivery, now)


async def failed(tx: Connection, delivery: int, lease: datetime, due_at: datetime | None, now: datetime) -> None:
    """Let a delivery wait until ``due_at``, and its lane behind it; None: it is given up.

    Nothing happens when somebody else has taken it since.
    """
    row = await tx.fetchrow(_FAILED, delivery, lease, due_at, now)
    if row is not None and due_at is not None and row["lane"]:
        await tx.execute(_BEHIND_IT, row["tenant"], row["subscription"], row["lane"], delivery, due_at)


async def forget(connection: Connection, before: datetime, most: int) -> int:
    """Delete what was finished ``before``, but not of alerts that may still end; return how many."""
    tag: Any = await connection.execute(_OLD, before, most)
    return int(tag.rpartition(" ")[2])


async def backlog(connection: Connection) -> list[Backlog]:
    """Return what waits to be delivered, by the way it goes."""
    return [Backlog(**dict(row)) for row in await connection.fetch(_BACKLOG)]
