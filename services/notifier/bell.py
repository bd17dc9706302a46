"""A bell between loops: who waits wakes at its ringing, or after a second, since a ring may be lost."""

import asyncio
import contextlib
import logging
from typing import Final

from schemas.alerts import CHANNEL
from services.postgres import DATABASE_ERRORS, OUT_OF_REACH, connect, listen
from services.waiting import pause

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 1.0


class Bell:
    """Rung by many, heard by one."""

    def __init__(self, seconds: float = POLL_SECONDS) -> None:
        self._rung = asyncio.Event()
        self._seconds = seconds

    def ring(self) -> None:
        """Wake who waits, or who waits next."""
        self._rung.set()

    async def wait(self, stop: asyncio.Event) -> None:
        """Wait until it rings, or for a second, or until ``stop``."""
        waiting = [asyncio.create_task(event.wait()) for event in (self._rung, stop)]
        await asyncio.wait(waiting, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        self._rung.clear()


async def ring_at_changes(url: str, bells: tuple[Bell, ...], stop: asyncio.Event) -> None:
    """Ring ``bells`` whenever Postgres tells that alerts changed, until ``stop``."""

    def heard() -> None:
        for bell in bells:
            bell.ring()

    while not stop.is_set():
        try:
            connection = await connect(url, name="uptake-notifier-bell")
        except OUT_OF_REACH as error:
            log.debug("the bell waits for Postgres: %s", error)
        else:
            with contextlib.suppress(*DATABASE_ERRORS):
                await listen(connection, CHANNEL, heard)
                heard()
                while not stop.is_set() and not connection.is_closed():
                    await pause(stop, POLL_SECONDS)
            with contextlib.suppress(*DATABASE_ERRORS):
                await connection.close(timeout=2)
        await pause(stop, POLL_SECONDS)
