"""The keeper: what is done when time has passed, by one in a cluster.

It closes erasures when every shard has done its part (names in alerts, logs and records; tombstones on the log; the
proof), ends backfills that nothing is added to any more, and deletes what was kept long enough. Whatever it does can be
done again: a keeper that dies leaves nothing half told.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from schemas.topics import EVENTS, person_key, shard_of
from services.aggregator.leading import Confirm, Leader, Share
from services.aggregator.retaining import Periods, retain
from services.aggregator.store import backfill, leading, scrubbing, unnaming
from services.aggregator.store.erasing import Order, still
from services.kafka import Appender, LogUnavailableError
from services.postgres import DATABASE_ERRORS, Pool, transaction
from services.settings import Cluster

log = logging.getLogger(__name__)

EVERY_SECONDS: Final = 0.5
BACKFILLS_EVERY: Final = timedelta(seconds=30)
RETENTION_EVERY: Final = timedelta(hours=1)
RETENTION_AFTER: Final = timedelta(minutes=10)
"""After the start: first what was waiting is counted, then what is too old goes."""


class Keeper:
    """Keeps house while it holds the lock. ``shards``: into how many people are divided.

    ``told`` is told what was done, and whether that went well.
    """

    def __init__(
        self,
        pool: Pool,
        database_url: str,
        kafka: str | Cluster,
        shards: int,
        clock: Callable[[], datetime],
        periods: Periods,
        told: Callable[[str, bool], None] = lambda _work, _well: None,
    ) -> None:
        self._pool = pool
        self._url = database_url
        self._appender = Appender(kafka, client_id="uptake-keeper")
        self._shards = shards
        self._clock = clock
        self._periods = periods
        self._told = told
        self._backfills_at = clock()
        self._retention_at = clock() + RETENTION_AFTER

    async def run(self, stop: asyncio.Event) -> None:
        """Keep house until ``stop``; wait while another keeper leads or Postgres is away."""
        leader = Leader(self._url, "keeper", leading.KEEPER, EVERY_SECONDS, parts=1)
        await leader.run(stop, self._round)
        await self.leave()

    async def leave(self) -> None:
        """Let go of the log."""
        await self._appender.stop()

    async def _round(self, confirm: Confirm, _share: Share) -> None:
        await confirm()
        now = self._clock()
        await self._alone("erasures", self.close_erasures())
        if now >= self._backfills_at:
            self._backfills_at = now + BACKFILLS_EVERY
            await self._alone("backfills", backfill.finish(self._pool, now))
        if now >= self._retention_at:
            self._retention_at = now + RETENTION_EVERY
            await self._alone("retention", retain(self._pool, self._periods, now))

    async def _alone(self, what: str, work: Any) -> None:  # noqa: ANN401 - any coroutine
        """Do one thing; what goes wrong with it is told and tried again in a later round."""
        well = False
        try:
            await work
            well = True
        except DATABASE_ERRORS as error:
            log.warning("%s: Postgres: %s: %s", what, type(error).__name__, error)
        except LogUnavailableError as error:
            log.warning("%s wait for Kafka: %s", what, error)
        except Exception:
            log.exception("%s failed", what)
        self._told(what, well)

    async def close_erasures(self) -> None:
        """Go on with the erasures that the shards have done; finish those that nothing is left of."""
        async with self._pool.acquire() as connection:
            waiting = await scrubbing.unfinished(connection)
        for order, report in waiting:
            done = report if "scrubbed" in report else await self._scrub(order)
            async with self._pool.acquire() as connection:
                remaining = await scrubbing.left(connection, order)
            if remaining:
                await self._again(order)
                continue
            done["tombstones"] = await self._bury(order)
            done = {name: told for name, told in done.items() if name != "scrubbed"} | {"left": remaining}
            async with transaction(self._pool) as tx:
                await scrubbing.finish(tx, order, done)
            log.info("erasure %s is finished", order.erasure)

    async def _scrub(self, order: Order) -> dict[str, Any]:
        """Take the person out of what others did and of everything that is no fact."""
        async with self._pool.acquire() as connection:
            counts: Counter[str] = await scrubbing.counted(connection, order)
            days = await scrubbing.days(connection)
        for day in days:
            async with transaction(self._pool) as tx:
                counts["activity"] += await scrubbing.told_on(tx, day, order)
        async with transaction(self._pool) as tx:
            counts["record_change"] += await scrubbing.owned(tx, order) + await scrubbing.recorded(tx, order)
        async with transaction(self._pool) as tx:
            counts["person_link"] += await scrubbing.candidates(tx, order)
        async with transaction(self._pool) as tx:
            counts += await scrubbing.elsewhere(tx, order)
            tables = {table: count for table, count in sorted(counts.items()) if count}
            report = {"identities": len(order.identities), "tables": tables, "scrubbed": True}
            await scrubbing.told(tx, order, report)
        return report

    async def _again(self, order: Order) -> None:
        """Look at the alerts once more: an evaluation may have been about to name the person."""
        async with transaction(self._pool) as tx:
            await still(tx, order.tenant)
            await unnaming.alerts(tx, order)

    async def _bury(self, order: Order) -> int:
        """Put a tombstone on the log for each key of the person."""
        if not self._appender.started:
            await self._appender.start()
        now = int(self._clock().timestamp() * 1000)
        for identity in order.identities:
            key = person_key(order.tenant, identity)
            batch = self._appender.batch(packed=False)
            batch.append(timestamp=now, key=key, value=None, headers=[])
            await self._appender.append(EVENTS, shard_of(key, self._shards), batch)
        return len(order.identities)
