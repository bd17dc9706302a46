"""The connection to the log and its renewal: Kafka may be away at any time, also at the start.

Whenever an append fails, a fresh connection takes the place of the old one, since a client may be beyond repair without
saying so. Only a fresh connection makes things well again, and only failures of the one in use make them unwell: what
still happens on an old one, good or bad, tells nothing of the new. The old one is stopped only after its last append
has ended: nothing that was sent is taken back.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import Final

from schemas.topics import EVENTS
from services.kafka import Appender, LogUnavailableError

log = logging.getLogger(__name__)

_RETRY_FIRST: Final = 0.1
_RETRY_LONGEST: Final = 2.0
_RETIRE_STEP: Final = 0.1
_LOOK_SECONDS: Final = 2.0
"""How often the log is looked at while nobody appends, so that readiness does not rest on yesterday's success."""


class Connection:
    """The appender in use, and how many partitions the events topic has there."""

    def __init__(self, connect: Callable[[], Appender], *, patience: float, renewed: Callable[[], None]) -> None:
        self._connect = connect
        self._patience = patience
        self._renewed = renewed
        self._unwell = asyncio.Event()
        self._retiring: set[asyncio.Task[None]] = set()
        self.appender: Appender | None = None
        self.shards = 0
        self.trouble = ""
        """Why there is no connection, as far as it is known."""
        self.well = False
        self.under_way: Counter[Appender] = Counter()
        """How many appends of each connection have not ended yet."""

    def ail(self, appender: Appender | None) -> None:
        """Take note that an append of ``appender`` failed."""
        if appender is self.appender:
            self.well = False
            self._unwell.set()

    async def run(self) -> None:
        """Connect, and connect anew whenever appends fail; runs until it is cancelled."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._keep_connected())
            both.create_task(self._look())

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            appender = self.appender
            if appender is None or not self.well:
                continue
            try:
                if await appender.partitions(EVENTS) == self.shards:
                    continue
                log.warning("the topic has other partitions than before")
            except LogUnavailableError as error:
                log.warning("Kafka is away: %s", error)
            self.ail(appender)

    async def _keep_connected(self) -> None:
        pause = _RETRY_FIRST
        while True:
            if self.well:
                self._unwell.clear()
                await self._unwell.wait()
            if await self._renew():
                pause = _RETRY_FIRST
                continue
            await asyncio.sleep(pause)
            pause = min(pause * 2, _RETRY_LONGEST)

    async def _renew(self) -> bool:
        fresh = self._connect()
        try:
            await fresh.start()
            shards = await fresh.partitions(EVENTS)
        except LogUnavailableError as error:
            log.warning("waiting for Kafka: %s", error)
            self.trouble = str(error)
            await fresh.stop()
            return False
        old, self.appender, self.shards, self.well = self.appender, fresh, shards, True
        log.info("connected to Kafka: %s partitions", shards)
        if old is not None:
            retirement = asyncio.create_task(self._retire(old))
            self._retiring.add(retirement)
            retirement.add_done_callback(self._retiring.discard)
        self._renewed()
        return True

    async def _retire(self, old: Appender) -> None:
        for _ in range(int(self._patience / _RETIRE_STEP)):
            if not self.under_way[old]:
                break
            await asyncio.sleep(_RETIRE_STEP)
        await old.stop()
        del self.under_way[old]

    async def stop(self) -> None:
        """Disconnect."""
        for retirement in self._retiring:
            retirement.cancel()
        if self.appender is not None:
            await self.appender.stop()
