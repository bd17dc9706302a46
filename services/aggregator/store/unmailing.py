"""Messages to people without a person: the lines about them go, whatever the message tells of others stays.

What recipients take the alerts of others for is untouched, so that whoever was told an opening is told the end. Called
while the alerts still name the person.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, Final

from schemas.erasures import ANONYMISE
from services.aggregator.domain.alerts import alert_id
from services.aggregator.domain.scrubbing import renamed
from services.aggregator.store.erasing import Order
from services.postgres import Connection

_LINES: Final = ("lines", "standing")
_ABOUT: Final = """
select id, fingerprint, subject_key from alert where tenant = $1 and subject_kind = 'user' and subject_key = any($2)
"""
_MESSAGES: Final = """
select d.id, d.alerts, d.changes, d.body from delivery d
where d.tenant = $1 and jsonb_typeof(d.body -> 'lines') = 'array' and (d.alerts && $2 or exists (
  select from jsonb_array_elements(d.body -> 'standing') line where line ->> 'alert' = any($2)))
order by d.id for update
"""
_RENAMED: Final = "update told set alert = $3 where tenant = $1 and alert = $2"
_FORGOTTEN: Final = "delete from told where tenant = $1 and alert = $2 and $3::text is null"
_TO_THEM: Final = {
    table: f"delete from {table} where tenant = $1 and recipient = any($2)" for table in ("delivery", "told")
}
LEFT: Final = " + ".join(
    f"(select count(*) from {table} where tenant = $1 and recipient = any($2))" for table in ("delivery", "told")
)
"""How many rows still have the person for their recipient."""


async def messages(tx: Connection, order: Order) -> Counter[str]:
    """Take the person out of messages, and out of what is known of who was told what; return how many rows."""
    names = list(order.identities)
    counts = Counter({table: _count(await tx.execute(sql, order.tenant, names)) for table, sql in _TO_THEM.items()})
    about = await tx.fetch(_ABOUT, order.tenant, names)
    mine = {row["id"] for row in about}
    for number, alerts, changes, body in await tx.fetch(_MESSAGES, order.tenant, sorted(mine)):
        counts["delivery"] += 1
        left = _without(body, mine)
        pairs = [pair for pair in zip(alerts, changes, strict=False) if pair[0] not in mine]
        if left is None:
            await tx.execute("delete from delivery where id = $1", number)
        else:
            await tx.execute(
                "update delivery set body = $2, alerts = $3, changes = $4 where id = $1",
                *(number, left, [alert for alert, _ in pairs], [change for _, change in pairs]),
            )
    stand_in = order.stand_in if order.mode == ANONYMISE else None
    for number, fingerprint, user in about:
        after = stand_in and alert_id(order.tenant, renamed(fingerprint, user, stand_in))
        counts["told"] += _count(await tx.execute(_RENAMED if after else _FORGOTTEN, order.tenant, number, after))
    return counts


def _without(body: Mapping[str, Any], mine: Collection[str]) -> dict[str, Any] | None:
    """Return a message without the lines about the person; None: there are no others."""
    left = {name: [line for line in body[name] if line["alert"] not in mine] for name in _LINES}
    return {**body, **left} if left["lines"] else None


def _count(tag: str) -> int:
    return int(tag.rpartition(" ")[2])
