"""What was told and is to be told without a person: their subscriptions, what they were told, and what names them.

That something was told stays known, so that who was told the open is told the end; what it said goes.
"""

from collections import Counter
from typing import Final

from services.aggregator.store.erasing import Order
from services.postgres import Connection

_NAMED: Final = "exists (select from unnest($2::text[]) i where strpos(body::text, to_json(i)::text) > 0)"
_MENTIONED: Final = "exists (select from unnest($2::text[]) i where strpos(lower(body::text), lower(i)) > 0)"
_ABOUT: Final = """body #>> '{data,alert,subject,kind}' = 'user' and body #>> '{data,alert,subject,key}' = any($2)"""

_FORGOTTEN: Final = {
    "subscription": "delete from subscription where tenant = $1 and person = any($2)",
    "feed": "delete from feed where tenant = $1 and person = any($2)",
    "contact": "delete from contact where tenant = $1 and kind = 'person' and address = any($2)",
    "delivery": f"delete from delivery where tenant = $1 and (recipient = any($2) or {_ABOUT})",
}
_SILENCED: Final = f"""
update delivery set body = '{{}}',
  state = case when state in ('waiting', 'sending') then 'withdrawn' else state end,
  finished_at = coalesce(finished_at, now())
where tenant = $1 and ({_NAMED} or state not in ('waiting', 'sending') and {_MENTIONED})
"""


_THEIRS: Final = "select lower(email) from person where tenant = $1 and user_id = any($2) and email is not null"
_ADDRESSED: Final = {
    "contact": f"delete from contact where tenant = $1 and kind = 'email' and lower(address) in ({_THEIRS})",
    "told": f"delete from told where tenant = $1 and lower(recipient) in ({_THEIRS})",
    "delivery": f"delete from delivery where tenant = $1 and lower(recipient) in ({_THEIRS})",
}
"""Somebody may be told under an address alone, as if they were nobody of the directory."""


async def addressed(tx: Connection, order: Order) -> Counter[str]:
    """Take the person's address out of who is told. Called while the directory still knows it."""
    ids = list(order.identities)
    return Counter({table: _count(await tx.execute(sql, order.tenant, ids)) for table, sql in _ADDRESSED.items()})


async def deliveries(tx: Connection, order: Order) -> Counter[str]:
    """Take the person out of what was told, is to be told, and to whom."""
    ids = list(order.identities)
    counts = Counter({table: _count(await tx.execute(sql, order.tenant, ids)) for table, sql in _FORGOTTEN.items()})
    counts["delivery"] += _count(await tx.execute(_SILENCED, order.tenant, ids))
    return counts


def _count(tag: str) -> int:
    return int(tag.rpartition(" ")[2])
