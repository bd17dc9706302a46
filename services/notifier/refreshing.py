"""Posts open alerts to Alertmanagers again and again: they take what they do not hear of any more to be over.

It is no delivery: nobody is told anything new by it, and what is lost comes again a minute later.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from services.notifier.domain.alertmanager import AGAIN_EVERY
from services.notifier.domain.shape import Sending
from services.notifier.store import refreshing as store
from services.notifier.ways import Send
from services.postgres import OUT_OF_REACH, Pool
from services.sealing import Seal, SealError
from services.waiting import pause

log = logging.getLogger(__name__)

MOST: Final = 500
"""So many alerts are posted at once."""


async def refresh(
    pool: Pool,
    seal: Seal,
    send: Send,
    clock: Callable[[], datetime],
    stop: asyncio.Event,
    *,
    every: timedelta = AGAIN_EVERY,
) -> None:
    """Tell every Alertmanager what is open, until ``stop``."""
    while not stop.is_set():
        try:
            await once(pool, seal, send, clock())
        except OUT_OF_REACH as error:
            log.warning("open alerts could not be read: %s", error)
        await pause(stop, every.total_seconds())


async def once(pool: Pool, seal: Seal, send: Send, now: datetime) -> int:
    """Tell every Alertmanager what is open; return how many took it."""
    async with pool.acquire() as connection:
        burning = await store.burning(connection)
    taken = 0
    for one in burning:
        for start in range(0, len(one.alerts), MOST):
            taken += await _tell(one, one.alerts[start : start + MOST], seal, send, now)
    return taken


async def _tell(one: store.Burning, alerts: list[dict[str, object]], seal: Seal, send: Send, now: datetime) -> bool:
    try:
        url = seal.open(one.url, f"subscription/{one.tenant}/{one.subscription}").decode()
    except SealError:
        return False
    outcome = await send(
        Sending(
            delivery=0,
            tenant=one.tenant,
            subscription=one.subscription,
            kind="alertmanager",
            options={},
            url=url,
            secrets=(),
            message="",
            message_kind="change",
            recipient="",
            alerts=(),
            body={"open": alerts},
            number=1,
            now=now,
        )
    )
    if outcome.kind != "delivered":
        log.warning("the Alertmanager of %s did not take what is open: %s", one.subscription, outcome.kind)
    return outcome.kind == "delivered"
