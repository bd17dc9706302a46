"""The publisher: puts every change of an alert on Kafka, in order for each alert, at least once.

The cursor is locked while its changes are appended, so of two notifiers one publishes a tenant. What is told is what a
key sees that is bound to nobody.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from schemas.subscriptions import CLOSING
from schemas.topics import ALERTS, alert_key, shard_of
from services.hearing.store import house as house_of
from services.kafka import Appender, LogUnavailableError
from services.notifier.bell import Bell
from services.notifier.domain.shape import Change
from services.notifier.domain.telling import content
from services.notifier.instruments import Instruments
from services.notifier.resting import Rests
from services.notifier.seeing import seen
from services.notifier.store import changes as store
from services.postgres import OUT_OF_REACH, Pool, transaction
from services.settings import Cluster
from services.sight import sight
from services.waiting import pause

log = logging.getLogger(__name__)

READER: Final = "topic"
BATCH: Final = 200
APPEND_SECONDS: Final = 4.0
"""Postgres ends a transaction that stands still for longer than five."""
RETRY_SECONDS: Final = 2.0


class Publisher:
    """Publishes the changes of every tenant."""

    def __init__(
        self, pool: Pool, kafka: str | Cluster, clock: Callable[[], datetime], instruments: Instruments
    ) -> None:
        self._pool = pool
        self._kafka = kafka
        self._clock = clock
        self._instruments = instruments
        self._rests = Rests()

    async def run(self, stop: asyncio.Event, changed: Bell) -> None:
        """Publish until ``stop``; while Kafka or Postgres is away, wait."""
        while not stop.is_set():
            appender = Appender(self._kafka, client_id="uptake-notifier", request_ms=3000)
            try:
                await appender.start()
                partitions = await appender.partitions(ALERTS)
                while not stop.is_set():
                    if not await self.round(appender, partitions):
                        await changed.wait(stop)
            except (LogUnavailableError, TimeoutError, *OUT_OF_REACH) as error:
                log.warning("changes of alerts are not published for the moment: %s", error)
                await pause(stop, RETRY_SECONDS)
            finally:
                await appender.stop()

    async def round(self, appender: Appender, partitions: int) -> bool:
        """Publish one batch of each tenant that has something new; return whether there may be more.

        Raises:
            LogUnavailableError, TimeoutError: Kafka did not take it.
        """
        async with self._pool.acquire() as connection:
            tenants = await store.unread(connection, READER)
        return any([await self._alone(appender, partitions, tenant, self._clock()) for tenant in tenants])

    async def _alone(self, appender: Appender, partitions: int, tenant: str, now: datetime) -> bool:
        """Publish for one; what goes wrong with it is told and tried again later, the others go on."""
        if not self._rests.over(tenant, now):
            return False
        try:
            done = await self._publish(appender, partitions, tenant, now)
        except (LogUnavailableError, TimeoutError, *OUT_OF_REACH):
            raise
        except Exception:
            log.exception("the alerts of tenant %s could not be published", tenant, extra={"tenant": tenant})
            self._rests.failed(tenant, now)
            return False
        self._rests.done(tenant)
        return done

    async def _publish(self, appender: Appender, partitions: int, tenant: str, now: datetime) -> bool:
        async with transaction(self._pool) as tx:
            seq = await store.take(tx, tenant, READER)
            raw = [] if seq is None else await store.after(tx, tenant, seq, BATCH)
            if not raw:
                return False
            house = await house_of(tx, tenant)
            view = await sight(tx, house, None, house.today(now))
            groups = {each.alert for each in raw if each.kind in CLOSING and each.body["subject"]["kind"] != "user"}
            shown = await seen(tx, house, view, raw, groups)
            async with asyncio.timeout(APPEND_SECONDS):
                await _append(appender, partitions, tenant, shown)
            await store.move(tx, tenant, READER, raw[-1].seq)
        self._instruments.published.inc(len(shown))
        return True


async def _append(appender: Appender, partitions: int, tenant: str, changes: Sequence[Change]) -> None:
    """Append ``changes``, each partition's in their order."""
    batches: dict[int, list[Change]] = {}
    for change in changes:
        batches.setdefault(shard_of(alert_key(tenant, change.alert), partitions), []).append(change)
    for partition, waiting in batches.items():
        batch = appender.batch()
        for change in waiting:
            if _add(batch.append, tenant, change) is None:
                await appender.append(ALERTS, partition, batch)
                batch = appender.batch()
                if _add(batch.append, tenant, change) is None:
                    log.error("change %s of alert %s is too large for Kafka", change.seq, change.alert)
        if batch.record_count():
            await appender.append(ALERTS, partition, batch)


def _add(append: Callable[..., object | None], tenant: str, change: Change) -> object | None:
    return append(
        timestamp=int(change.at.timestamp() * 1000),
        key=alert_key(tenant, change.alert),
        value=msgspec.json.encode(content(tenant, change)),
        headers=[
            ("content-type", b"application/json"),
            ("seq", str(change.seq).encode()),
            ("kind", change.kind.encode()),
        ],
    )
