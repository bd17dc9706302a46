"""Erasing: how the owner of a shard takes a person out of facts and windows, or takes only the name away.

Runs under the lock of the shard's position, in the transaction that takes the change off the queue: before it every
event of the person was folded or comes later, and what comes later finds their mark. Whoever the person was counted
for is counted anew; with a random name in place of theirs nothing is counted otherwise.
"""

from collections import Counter
from collections.abc import Sequence

from schemas.erasures import ANONYMISE
from services.aggregator.store import erasing as store
from services.aggregator.store import facts as fact_store
from services.aggregator.store import unnaming, untelling
from services.aggregator.store.erasing import Order
from services.aggregator.store.facts import Tally
from services.aggregator.store.links import Change
from services.postgres import Connection


class Erasures:
    """What of a batch of changes are erasures: ``begin`` before people are counted anew, ``end`` afterwards."""

    def __init__(self, shard: int) -> None:
        self._shard = shard
        self._orders: list[Order] = []
        self._counts: dict[tuple[int | None, str], Counter[str]] = {}

    async def begin(self, tx: Connection, changes: Sequence[Change]) -> list[Change]:
        """Take the people to be erased out of the directory; return ``changes`` with what follows from that."""
        self._orders = await store.orders(tx, sorted({change.person for change in changes})) if changes else []
        more: list[Change] = []
        for order in self._orders:
            if not order.main:
                continue
            await store.still(tx, order.tenant)
            counts = await untelling.addressed(tx, order) + await store.stand_in(tx, order, order.stand_in)
            if order.mode == ANONYMISE:
                counts += await store.rename(tx, order)
            else:
                counts += await store.forget_entries(tx, order)
                mine = [change for change in changes if change.person == (order.tenant, order.user)]
                more += [change._replace(day=None) for change in mine[:1]]
            counts += await unnaming.alerts(tx, order)
            self._counts[order.erasure, order.user] = counts
        return [*changes, *more]

    async def end(self, tx: Connection) -> None:
        """Delete what erased people did, now that no number rests on it."""
        for order in self._orders:
            counts = self._counts.get((order.erasure, order.user), Counter())
            tally = Tally()
            if order.main and order.mode != ANONYMISE:
                tally.unmapped = -await store.strangers_events(tx, order.tenant, [order.user])
                counts += await store.forget_facts(tx, order)
            elif not order.main:
                if order.mode != ANONYMISE:
                    tally.unmapped = -await store.strangers_events(tx, order.tenant, [order.user])
                counts += await store.sweep(tx, order)
            await fact_store.tell(tx, self._shard, {order.tenant: tally})
            await store.done(tx, order, counts)
