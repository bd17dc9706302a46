"""Housekeeping: shows what waits, and forgets what was finished long ago."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from services.notifier.instruments import Instruments
from services.notifier.store import deliveries, told
from services.postgres import OUT_OF_REACH, Pool
from services.waiting import pause

log = logging.getLogger(__name__)

EVERY_SECONDS: Final = 10.0
FORGET_EVERY: Final = timedelta(hours=1)
MOST_FORGOTTEN: Final = 1000


async def keep(
    pool: Pool, clock: Callable[[], datetime], instruments: Instruments, kept: timedelta, stop: asyncio.Event
) -> None:
    """Keep house until ``stop``. ``kept``: how long it is kept who was told what."""
    forgotten_at: datetime | None = None
    while not stop.is_set():
        now = clock()
        try:
            async with pool.acquire() as connection:
                instruments.tell(await deliveries.backlog(connection), now)
                if forgotten_at is None or now - forgotten_at >= FORGET_EVERY:
                    forgotten = await deliveries.forget(connection, now - kept, MOST_FORGOTTEN)
                    forgotten += await told.forget(connection, now - kept, MOST_FORGOTTEN)
                    forgotten_at = None if forgotten >= MOST_FORGOTTEN else now
        except OUT_OF_REACH as error:
            log.warning("what waits could not be counted: %s", error)
        await pause(stop, EVERY_SECONDS)
