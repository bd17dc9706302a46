"""The planner: takes what changed since a subscription's cursor, and writes down what is to be delivered.

One transaction per subscription and batch, with the subscription locked: messages and cursor move together, and of two
notifiers one plans.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from schemas.subscriptions import CLOSING
from services.hearing.store import house as house_of
from services.notifier.bell import Bell
from services.notifier.domain.shape import Change, Subscription
from services.notifier.domain.telling import people_in, worth_telling
from services.notifier.resting import Rests
from services.notifier.seeing import seen
from services.notifier.store import changes as change_store
from services.notifier.store import deliveries, subscriptions
from services.notifier.ways import Way
from services.postgres import OUT_OF_REACH, Connection, Pool, transaction
from services.sight import sight

log = logging.getLogger(__name__)

Work: TypeAlias = Callable[[str, str, datetime], Awaitable[bool]]

BATCH: Final = 500
DUE_EVERY: Final = timedelta(seconds=15)
"""How often it is looked for what is due by the clock."""


class Planner:
    """Plans for every active subscription. ``planned`` is rung when there is something to send."""

    def __init__(self, pool: Pool, ways: Mapping[str, Way], clock: Callable[[], datetime], planned: Bell) -> None:
        self._pool = pool
        self._ways = ways
        self._clock = clock
        self._planned = planned
        self._looked_at: datetime | None = None
        self._rests = Rests()
        self.healthy = False
        """Whether the last round went well."""

    async def run(self, stop: asyncio.Event, changed: Bell) -> None:
        """Plan until ``stop``, whenever ``changed`` rings, and once a second."""
        while not stop.is_set():
            try:
                more = await self.round(self._clock())
                self.healthy = True
            except OUT_OF_REACH as error:
                log.warning("the planner waits for Postgres: %s", error)
                self.healthy, more = False, False
            if not more:
                await changed.wait(stop)

    async def round(self, now: datetime) -> bool:
        """Plan one batch of each subscription that is behind; return whether there may be more."""
        async with self._pool.acquire() as connection:
            behind = await subscriptions.behind(connection)
        planned = [await self._alone(self.plan, *each, now) for each in behind]
        if self._looked_at is None or now - self._looked_at >= DUE_EVERY:
            await self._round_of_due(self._looked_at, now)
            self._looked_at = now
        return any(planned)

    async def _alone(self, work: Work, tenant: str, subscription: str, now: datetime) -> bool:
        """Do ``work`` for one; what goes wrong with it is told and tried again later, the others go on."""
        name = (work.__name__, tenant, subscription)
        if not self._rests.over(name, now):
            return False
        try:
            done = await work(tenant, subscription, now)
        except OUT_OF_REACH:
            raise
        except Exception:
            log.exception("planning for %s of tenant %s failed", subscription, tenant, extra={"tenant": tenant})
            self._rests.failed(name, now)
            return False
        self._rests.done(name)
        return done

    async def plan(self, tenant: str, subscription: str, now: datetime) -> bool:
        """Plan a batch for one subscription; return whether its cursor moved."""
        async with transaction(self._pool) as tx:
            taken = await subscriptions.take(tx, tenant, subscription, now)
            if taken is None:
                return False
            if not taken.live:
                log.warning("subscription %s of tenant %s is switched off: its key is gone", subscription, tenant)
                await subscriptions.switch_off(tx, tenant, subscription, subscriptions.KEY_GONE, now)
                await subscriptions.tell_rules(tx, tenant)
                return False
            raw = await change_store.after(tx, tenant, taken.cursor, BATCH)
            if not raw:
                return False
            worth = await _worth(tx, taken.subscription, raw, now)
            way = self._ways[taken.subscription.kind]
            messages = await way.plan(tx, taken.subscription, worth, now) if worth else []
            await deliveries.plan(tx, taken.subscription, messages)
            await subscriptions.move(tx, taken.subscription, raw[-1].seq)
        self._planned.ring()
        return True

    async def _round_of_due(self, after: datetime | None, now: datetime) -> None:
        kinds = [kind for kind, way in self._ways.items() if way.due is not None]
        async with self._pool.acquire() as connection:
            await subscriptions.tell_rules_of_hours(connection, after, now)
            active = await subscriptions.active(connection, kinds) if kinds else []
        for each in active:
            await self._alone(self.plan_due, *each, now)

    async def plan_due(self, tenant: str, subscription: str, now: datetime) -> bool:
        """Plan what is due by the clock alone for one subscription; return whether there was anything."""
        async with transaction(self._pool) as tx:
            taken = await subscriptions.take(tx, tenant, subscription, now)
            if taken is None or not taken.live or (due := self._ways[taken.subscription.kind].due) is None:
                return False
            messages = await due(tx, taken.subscription, now)
            await deliveries.plan(tx, taken.subscription, messages)
        if messages:
            self._planned.ring()
        return bool(messages)


async def _worth(tx: Connection, subscription: Subscription, raw: Sequence[Change], now: datetime) -> list[Change]:
    """Return those of ``raw`` that a subscription is told of, as its key may see them. Whom they name is logged."""
    house = await house_of(tx, subscription.tenant)
    view = await sight(tx, house, subscription.person, house.today(now))
    known = await deliveries.told(tx, subscription, {change.alert for change in raw if change.kind in CLOSING})
    shown = await seen(tx, house, view, raw, known)
    worth = list(worth_telling(subscription.filter, shown, known))
    names = sorted({name for change in worth for name in people_in(change.body)})
    await change_store.named(tx, subscription.tenant, subscription.id, subscription.key_id, names)
    return worth
