"""What each person was told of each alert, and what may interrupt them still.

A message that is held back can be taken back: whoever it was for then stands where they stood before it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple

from services.hearing.pace import Spent
from services.hearing.shape import Told
from services.notifier.domain.shape import Subscription
from services.postgres import Connection

ONE_AT_A_TIME: Final = "select pg_advisory_xact_lock(hashtext('uptake people'), hashtext($1))"
_TOLD: Final = """
select alert, recipient, standing, severity, tier, role from told
where tenant = $1 and subscription = $2 and alert = any($3)
"""
_SPENT: Final = """
select d.recipient, count(*) filter (where d.told_on = $4)::int as day, count(*)::int as week
from delivery d join subscription s on s.tenant = d.tenant and s.id = d.subscription
where d.tenant = $1 and d.recipient = any($2) and d.told_on between $3 and $4 and d.state <> 'withdrawn'
  and s.kind in ('email', 'teams') and (d.recipient <> '' or d.subscription = $5)
group by d.recipient
"""
_HELD: Final = """
delete from delivery where id in (
  select id from delivery where tenant = $1 and subscription = $2 and state = 'waiting' and attempts = 0
    and due_at > $3 order by id for update skip locked)
returning recipient, message, alerts, due_at
"""
_FORGET: Final = "delete from told where tenant = $1 and subscription = $2 and message = any($3) and was is null"
_RESTORE: Final = """
update told set standing = was ->> 'standing', severity = was ->> 'severity', tier = was ->> 'tier',
  role = was ->> 'role', message = was ->> 'message', was = null
where tenant = $1 and subscription = $2 and message = any($3)
"""
_TELL: Final = """
insert into told as t (tenant, subscription, alert, recipient, standing, severity, tier, role, message)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (tenant, subscription, alert, recipient) do update set
  was = jsonb_build_object('standing', t.standing, 'severity', t.severity, 'tier', t.tier, 'role', t.role,
                           'message', t.message),
  standing = excluded.standing, severity = excluded.severity, tier = excluded.tier, role = excluded.role,
  message = excluded.message, at = now()
"""
_OLD: Final = """
delete from told where (tenant, subscription, alert, recipient) in (
  select t.tenant, t.subscription, t.alert, t.recipient from told t
  where t.at < $1 and t.standing <> 'open' limit $2)
"""


class Held(NamedTuple):
    """A message that was held back, and is no more."""

    recipient: str
    message: str
    alerts: Sequence[str]
    due_at: datetime


async def alone(tx: Connection, tenant: str) -> None:
    """Let nobody else plan for people of ``tenant`` until the transaction ends: their budgets are one.

    It may take its time: who is told what, of many thousand alerts, is found out between two statements.
    """
    await tx.execute("set local idle_in_transaction_session_timeout = '60s'")
    await tx.execute(ONE_AT_A_TIME, tenant)


async def told(tx: Connection, of: Subscription, alerts: Iterable[str]) -> dict[str, dict[str, Told]]:
    """Return by alert and recipient what was told."""
    found: dict[str, dict[str, Told]] = {}
    for alert, recipient, *values in await tx.fetch(_TOLD, of.tenant, of.id, sorted(set(alerts))):
        found.setdefault(alert, {})[recipient] = Told(*values)
    return found


class News(NamedTuple):
    """That ``message`` tells ``recipient`` of an alert what ``told`` holds."""

    alert: str
    recipient: str
    told: Told
    message: str


async def tell(tx: Connection, of: Subscription, news: Iterable[News]) -> None:
    """Write down what messages tell."""
    rows = [(of.tenant, of.id, alert, recipient, *told_, message) for alert, recipient, told_, message in news]
    await tx.executemany(_TELL, rows)


async def spent(tx: Connection, of: Subscription, days: Mapping[tuple[date, date], Sequence[str]]) -> dict[str, Spent]:
    """Return how many messages interrupted recipients, by (first day of their week, their day)."""
    found: dict[str, Spent] = {}
    for (first, day), recipients in days.items():
        for row in await tx.fetch(_SPENT, of.tenant, list(recipients), first, day, of.id):
            found[row["recipient"]] = Spent(row["day"], row["week"])
    return found


async def take_back(tx: Connection, of: Subscription, now: datetime) -> list[Held]:
    """Take back the messages that are held at ``now``, and what they would have told."""
    held = [Held(*row) for row in await tx.fetch(_HELD, of.tenant, of.id, now)]
    if held:
        messages = [one.message for one in held]
        await tx.execute(_FORGET, of.tenant, of.id, messages)
        await tx.execute(_RESTORE, of.tenant, of.id, messages)
    return held


async def mornings_to(tx: Connection, of: Subscription) -> datetime | None:
    """Return up to when the mornings of people are planned; None: they never were."""
    until: datetime | None = await tx.fetchval(
        "select mornings_to from subscription where tenant = $1 and id = $2", of.tenant, of.id
    )
    return until


async def set_mornings(tx: Connection, of: Subscription, until: datetime) -> None:
    """Let the mornings up to ``until`` count as planned."""
    await tx.execute("update subscription set mornings_to = $3 where tenant = $1 and id = $2", of.tenant, of.id, until)


async def forget(connection: Connection, before: datetime, most: int) -> int:
    """Forget what people were told of the end of alerts ``before``; return how many rows went."""
    tag: Any = await connection.execute(_OLD, before, most)
    return int(tag.rpartition(" ")[2])
