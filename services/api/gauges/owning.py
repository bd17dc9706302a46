"""The one process of a cluster that reads adoption, again and again; the others show none.

So a sum over all processes counts nobody twice. Who it is, an advisory lock decides; when that process or its session
is gone, another takes over.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from time import monotonic
from typing import Final

from prometheus_client.core import CollectorRegistry

from services.api.gauges.families import Collector, Samples
from services.api.gauges.reading import Reading
from services.api.gauges.waiting import Waiting
from services.api.instruments import Instruments
from services.api.store import gauges as store
from services.api.store import tenants
from services.api.store.gauges import Progress
from services.api.store.sessions import reading
from services.api.store.tenants import Tenant
from services.postgres import DATABASE_ERRORS, Connection, Pool

log = logging.getLogger(__name__)

EVERY: Final = 5.0
SHARE: Final = 20
"""Reading takes at most one part in this many of the time."""
STANDBY: Final = 5.0
JUDGING_SECONDS: Final = 0.5
"""How long a round goes on to read what full weeks were judged; the tenants that are left come in the next."""
MOST_TENANTS: Final = 200


class Adoption:
    """The values as they were last read, by tenant; none while another process owns them."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._readings: dict[str, Reading] = {}
        self._waiting = Waiting()

    @property
    def samples(self) -> dict[str, Sequence[Samples]]:
        """Return the values by tenant."""
        return {tenant: reading.samples for tenant, reading in self._readings.items()}

    def collector(self, own: CollectorRegistry, tenant: str | None) -> Collector:
        """Return everything a key may scrape: the process' own metrics, and the values of its tenant (None: of all)."""
        wanted = self.samples
        return Collector(own, [part for id_, parts in wanted.items() if tenant in (None, id_) for part in parts])

    async def keep_fresh(self, pool: Pool, clock: Callable[[], datetime]) -> None:
        """Read again and again while this process owns them, until cancelled. Without Postgres they are absent."""
        while True:
            try:
                async with pool.acquire() as session:
                    await self._attend(session, pool, clock)
            except DATABASE_ERRORS as error:
                log.warning("adoption gauges are not read: %s", error)
            await asyncio.sleep(STANDBY)

    async def _attend(self, session: Connection, pool: Pool, clock: Callable[[], datetime]) -> None:
        """Stand by, then read, until the session breaks."""
        while not await store.try_own(session):  # noqa: ASYNC110 - the lock is another process'
            await asyncio.sleep(STANDBY)
        try:
            while True:
                started = monotonic()
                await self.read(pool, clock())
                await _rest(session, max(EVERY, SHARE * (monotonic() - started)))
        finally:
            self._readings.clear()
            self._instruments.adoption_read.clear()
            self._instruments.evaluation_behind.clear()
            with contextlib.suppress(*DATABASE_ERRORS):
                await store.give_back(session)

    async def read(self, pool: Pool, now: datetime) -> None:
        """Read everything once, as it is at ``now``."""
        async with reading(pool) as connection:
            progress = await store.progress(connection)
            known = await tenants.page(connection, "", MOST_TENANTS, None)
        versions = {tenant: (each.version, each.evaluated) for tenant, each in progress.items()}
        self._instruments.evaluation_behind.set(self._waiting.look(versions, monotonic()))
        readings = {tenant.id: self._readings.get(tenant.id, Reading()) for tenant in known}
        for tenant in known:
            if not await _alone(tenant, readings[tenant.id].read(pool, tenant, progress.get(tenant.id), now)):
                del readings[tenant.id]
        self._readings = readings
        await self._judge(pool, [tenant for tenant in known if tenant.id in readings], progress)
        self._instruments.adoption_read.set(now.timestamp())

    async def _judge(self, pool: Pool, known: Sequence[Tenant], progress: dict[str, Progress]) -> None:
        ends = monotonic() + JUDGING_SECONDS
        for tenant in sorted(known, key=lambda each: self._readings[each.id].judged_at):
            if monotonic() >= ends:
                return
            await _alone(tenant, self._readings[tenant.id].judge(pool, tenant, progress.get(tenant.id)))


async def _alone(tenant: Tenant, work: Awaitable[None]) -> bool:
    """Read of one tenant; return whether that went well. The others go on."""
    try:
        await work
    except DATABASE_ERRORS:
        raise
    except Exception:
        log.exception("the adoption of tenant %s could not be read", tenant.id)
        return False
    return True


async def _rest(session: Connection, seconds: float) -> None:
    """Rest for so long; the lock's session stays awake meanwhile, or fails."""
    while seconds > 0:
        await asyncio.sleep(min(seconds, EVERY))
        await store.still_own(session)
        seconds -= EVERY
