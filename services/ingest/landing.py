"""Where deliveries land: events on the log, what is unusable on the dead-letter topic.

A delivery has landed when all of it is on the log, or in the spool for senders that never repeat; else its sender is
told to come again, and identities make what landed already harmless. An append that was not waited for goes on: it may
still land beside its copy from the spool.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple, TypeVar

from schemas.events import Record
from schemas.letters import MOST_BYTES
from schemas.topics import DEAD_LETTERS, EVENTS
from services.ingest.limits import Shares
from services.ingest.post import LetterTooLargeError, Post
from services.ingest.publisher import OverloadedError, Publisher
from services.ingest.spool import Entry, Spool, SpoolError
from services.kafka import LogUnavailableError

log = logging.getLogger(__name__)

_FOR_THE_LOG: Final = 2 / 3
"""Of the time in which such a sender is answered: the rest is for the disk."""
_MOST_AT_ONCE: Final = 1000
_MOST_BYTES_AT_ONCE: Final = 1 << 20
_IDLE_SECONDS: Final = 0.2
_FAULT_SECONDS: Final = 1.0
_STUCK_SECONDS: Final = 30.0
_SHORTEST_WAIT: Final = 0.05

_Result = TypeVar("_Result")


class CrowdedError(RuntimeError):
    """The tenant holds more than its share of what waits for the log."""


class Terms(NamedTuple):
    """How long a sender may wait: until ``until`` of the loop's clock, and then the spool takes it if it ``spools``."""

    tenant: str
    received_ms: int
    until: float
    spools: bool


class Landing:
    """Takes deliveries to the log, and what waited in the spool after them.

    ``seconds``: how soon a sender that never repeats is answered.
    """

    def __init__(self, publisher: Publisher, post: Post, spool: Spool, shares: Shares, *, seconds: float) -> None:
        self._publisher = publisher
        self._post = post
        self._spool = spool
        self._shares = shares
        self._seconds = seconds
        self._doubted = False
        self._after = 0
        self._turn = asyncio.Lock()
        self._ending = False
        self._under_way: set[asyncio.Task[Any]] = set()

    def terms(self, tenant: str, received_ms: int, seconds: float, *, spools: bool) -> Terms:
        """Return the terms of a delivery that came in now, whose answer may wait for ``seconds``."""
        patience = min(seconds, self._seconds) * _FOR_THE_LOG if spools else seconds
        return Terms(tenant, received_ms, asyncio.get_running_loop().time() + patience, spools)

    async def take(self, records: Sequence[Record], terms: Terms) -> list[int]:
        """Land ``records``; return the places of those too large for the log.

        Raises:
            LogUnavailableError: not acknowledged in time.
            OverloadedError: too much is waiting already.
            CrowdedError: too much of the same tenant is waiting.
            SpoolError: the spool did not take what the log does not take.
        """
        until = max(terms.until, asyncio.get_running_loop().time() + _SHORTEST_WAIT)
        refused = await self._land(
            lambda: self._publisher.publish(records, terms.received_ms, until=until), EVENTS, records, terms
        )
        return refused or []

    async def keep(self, letter: Record, terms: Terms) -> None:
        """Land a dead letter.

        Raises:
            LetterTooLargeError: the log does not take a letter of this size.
            LogUnavailableError, OverloadedError, CrowdedError, SpoolError: as for events.
        """
        if len(letter.value) > MOST_BYTES:
            raise LetterTooLargeError
        await self._land(
            lambda: self._wait_for(self._post.append(letter, terms.received_ms), terms), DEAD_LETTERS, [letter], terms
        )

    async def _land(
        self, send: Callable[[], Awaitable[_Result]], topic: str, records: Sequence[Record], terms: Terms
    ) -> _Result | None:
        """Land ``records`` by ``send``; None: the spool has them."""
        if self._shares.crowds(terms.tenant):
            if not terms.spools:
                raise CrowdedError
            await self._spooled(topic, records, terms)
            return None
        if terms.spools and self._is_doubtful() and self._spool.wrong() is None:
            await self._spooled(topic, records, terms)
            return None
        size = sum(len(record.key) + len(record.value) for record in records)
        self._shares.hold(terms.tenant, size)
        try:
            return await send()
        except (LogUnavailableError, OverloadedError):
            if not terms.spools:
                raise
        finally:
            self._shares.release(terms.tenant, size)
        await self._spooled(topic, records, terms)
        self._doubted = True
        return None

    async def _spooled(self, topic: str, records: Sequence[Record], terms: Terms) -> None:
        await self._spool.keep([Entry(topic, terms.received_ms, record) for record in records])

    async def _wait_for(self, sending: Coroutine[Any, Any, _Result], terms: Terms) -> _Result:
        """Return what ``sending`` gives in time; it goes on when it takes longer."""
        task = self._spawned(sending)
        left = terms.until - asyncio.get_running_loop().time()
        await asyncio.wait([task], timeout=max(left, _SHORTEST_WAIT))
        if not task.done():
            raise LogUnavailableError("not acknowledged in time")
        return task.result()

    def _spawned(self, work: Coroutine[Any, Any, _Result]) -> asyncio.Task[_Result]:
        """Return a task that goes on, whoever waits for it."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # who waited was told; who did not, no longer asks

    # ------------------------------------------------------------ the spool

    def _is_doubtful(self) -> bool:
        """Whether the log has yet to show that it takes anything: then nobody who can be spooled waits for it."""
        return self._publisher.wrong() is not None or (self._doubted and self._spool.measure.events > 0)

    async def run(self) -> None:
        """Append what is in the spool whenever the log takes it; runs until ``drain`` takes over."""
        while not self._ending:
            try:
                async with self._turn:
                    pause = await self._round()
            except Exception:
                log.exception("the spool could not be emptied")
                pause = _FAULT_SECONDS
            await asyncio.sleep(pause)

    async def drain(self, seconds: float) -> None:
        """Append what is in the spool for so long, as far as the log takes it; nothing more is appended afterwards."""
        self._ending = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._turn:
                while self._spool.measure.events and not await self._round():
                    pass

    async def _round(self) -> float:
        """Append some entries, in order, and take out what is acknowledged; return how long to pause."""
        if self._spool.fault is None and (not self._spool.measure.events or self._publisher.wrong() is not None):
            return _IDLE_SECONDS
        try:
            rows = await self._spool.read(self._after, _MOST_AT_ONCE, _MOST_BYTES_AT_ONCE)
            landed, failed = await self._append(rows)
            if landed:
                self._doubted = False
                await self._spool.remove(landed)
        except SpoolError:
            self._after = 0
            return _FAULT_SECONDS
        if failed:
            self._after = 0
            return _IDLE_SECONDS
        if rows:
            if len(landed) < len(rows):
                log.error("%s events in the spool are larger than the log takes, and stay", len(rows) - len(landed))
            self._after = rows[-1][0]
            return 0.0
        self._after = 0
        return _STUCK_SECONDS if self._spool.measure.events else _IDLE_SECONDS

    async def _append(self, rows: Sequence[tuple[int, Entry]]) -> tuple[list[int], bool]:
        """Append the entries of ``rows``; return the numbers of those that are on the log now, and whether it failed.

        What is neither is larger than the log takes.
        """
        work: list[Coroutine[Any, Any, list[int]]] = []
        for (topic, received_ms), found in groupby(rows, key=lambda row: (row[1].topic, row[1].received_ms)):
            alike = list(found)
            if topic == EVENTS:
                work.append(self._append_events(received_ms, alike))
            else:
                work += [self._append_letter(received_ms, row) for row in alike]
        landed: list[int] = []
        failed = False
        for result in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(result, list):
                landed += result
            elif isinstance(result, LogUnavailableError | OverloadedError):
                failed = True
            else:
                raise result
        return landed, failed

    async def _append_events(self, received_ms: int, rows: Sequence[tuple[int, Entry]]) -> list[int]:
        records = [entry.record for _, entry in rows]
        publishing = self._spawned(self._publisher.publish(records, received_ms))
        refused = set(await asyncio.shield(publishing))  # others wait for the same appends: they are not called off
        return [number for place, (number, _) in enumerate(rows) if place not in refused]

    async def _append_letter(self, received_ms: int, row: tuple[int, Entry]) -> list[int]:
        number, entry = row
        try:
            await self._post.append(entry.record, received_ms)
        except LetterTooLargeError:
            return []
        return [number]
