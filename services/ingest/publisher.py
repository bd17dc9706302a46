"""Events onto the log: gathered for a moment by partition, appended together, one acknowledgement for all who wait.

Success means acknowledged by all in-sync replicas. Whoever waits too long is told so while the append goes on: it may
still succeed, the sender repeats, and identities make the second copy harmless. A record is never put on a partition
other than its person's, so a topic whose partitions are not the installation's shards is not written to.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Final

from schemas.events import Record
from schemas.topics import EVENTS, shard_of
from services import exemplars
from services.ingest.connection import Connection
from services.ingest.instruments import Instruments
from services.ingest.parts import Received, append_in_parts, pack
from services.ingest.patience import done_by
from services.kafka import Appender, LogStumbledError, LogUnavailableError, MessageSizeTooLargeError

log = logging.getLogger(__name__)

TOO_LARGE_FOR_LOG: Final = "is larger than the log takes"
_FULL: Final = 96 * 1024
"""A gather of this many bytes is sent at once: with its headers it still fits one batch of the log's."""
_MOST_HOLDS: Final = 4
"""While appends are under way gathering goes on, at most this many times longer than it otherwise would."""

_STEP: Final = 0.02
_STUMBLE_SECONDS: Final = 0.05

Outcome = LogUnavailableError | frozenset[int]
"""What became of a gather: not acknowledged, or on the log but for the records of these ``id()``s (too large)."""

_ALL_WELL: Final[frozenset[int]] = frozenset()


class OverloadedError(RuntimeError):
    """More waits for the log than may: nothing of the request was appended."""


class _Gather:
    """Records of one partition that travel together. ``done`` results in an Outcome, never in an exception."""

    __slots__ = ("appender", "bytes", "deadline", "done", "opened", "partition", "records", "sent")

    def __init__(self, partition: int, done: "asyncio.Future[Outcome]", opened: float) -> None:
        self.partition = partition
        self.done = done
        self.opened = opened
        self.records: list[Received] = []
        self.bytes = 0
        self.sent = False
        self.appender: Appender | None = None
        self.deadline: asyncio.TimerHandle | None = None


class Publisher:
    """Appends records to the events topic."""

    def __init__(
        self,
        connect: Callable[[], Appender],
        instruments: Instruments,
        *,
        linger: float,
        wait: float,
        max_pending: int,
        installed: Callable[[], int | None],
    ) -> None:
        self._connection = Connection(connect, patience=4 * wait, renewed=self._free)
        self._instruments = instruments
        self._linger = linger
        self._wait = wait
        self._max_pending = max_pending
        self._installed = installed
        self._open: dict[int, _Gather] = {}
        self._full: dict[int, deque[_Gather]] = {}
        self._busy: dict[int, _Gather] = {}
        self._pending = 0
        self._timer: asyncio.TimerHandle | None = None
        self._holds = 0
        self._tasks: set[asyncio.Task[None]] = set()
        instruments.pending_bytes.set_function(lambda: self._pending)

    def wrong(self) -> str | None:
        """Return why events cannot be taken, or None when they can."""
        if self._connection.appender is None:
            return f"not connected: {self._connection.trouble}" if self._connection.trouble else "not connected"
        if not self._fits():
            return f"the topic has {self._connection.shards} partitions, the installation {self._installed()} shards"
        return None if self._connection.well else "the last append was not acknowledged"

    def _fits(self) -> bool:
        installed = self._installed()
        return installed is None or installed == self._connection.shards

    async def publish(self, records: Sequence[Record], timestamp: int, *, until: float | None = None) -> list[int]:
        """Append ``records``, received at ``timestamp`` (ms); return the places of those too large for the broker.

        ``until``: by when of the loop's clock this caller has to know, if that is sooner than others wait.

        Raises:
            LogUnavailableError: not all of them were acknowledged in time.
            OverloadedError: too much is waiting already; none was appended.
        """
        if self._connection.appender is None or not self._fits():
            raise LogUnavailableError(self.wrong())
        if self._pending > self._max_pending:
            raise OverloadedError
        refused: set[int] = set()
        for gather in self._place(records, timestamp):
            if until is not None and not await done_by(until, gather.done):
                raise LogUnavailableError("not acknowledged in time")
            outcome = await gather.done
            if isinstance(outcome, LogUnavailableError):
                raise outcome
            refused |= outcome
        return [place for place, record in enumerate(records) if id(record) in refused] if refused else []

    def _place(self, records: Sequence[Record], timestamp: int) -> list[_Gather]:
        touched: dict[_Gather, None] = {}
        shards, opened = self._connection.shards, self._open
        for record in records:
            key, value, _ = record
            partition = shard_of(key, shards)
            gather = opened.get(partition) or self._begin(partition)
            gather.records.append((timestamp, record))
            gather.bytes += (size := len(key) + len(value))
            self._pending += size
            touched[gather] = None
            if gather.bytes >= _FULL:
                self._close(gather)
        if opened and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._linger, self._lingered)
        return list(touched)

    def _begin(self, partition: int) -> _Gather:
        loop = asyncio.get_running_loop()
        gather = self._open[partition] = _Gather(partition, loop.create_future(), loop.time())
        gather.deadline = loop.call_later(self._wait, self._expire, gather)
        return gather

    def _close(self, gather: _Gather) -> None:
        """``gather`` is full: send it as soon as its partition is free."""
        del self._open[gather.partition]
        if gather.partition in self._busy:
            self._full.setdefault(gather.partition, deque()).append(gather)
        else:
            self._send([gather])

    def _lingered(self) -> None:
        """The moment of gathering is over; while appends are under way it is cheaper to gather on, but not for long."""
        self._timer = None
        if self._busy and self._holds < _MOST_HOLDS:
            self._holds += 1
            self._timer = asyncio.get_running_loop().call_later(self._linger, self._lingered)
        else:
            self._flush()

    def _flush(self) -> None:
        """Send all that is gathered, but for partitions with an append under way."""
        self._holds = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        ready = [gather for partition, gather in self._open.items() if partition not in self._busy]
        for gather in ready:
            del self._open[gather.partition]
        if ready:
            self._send(ready)
        if self._open:
            self._timer = asyncio.get_running_loop().call_later(self._linger, self._lingered)

    def _free(self) -> None:
        """A fresh connection is there: what hangs on the old one holds nothing back."""
        for gather in list(self._busy.values()):
            self._advance(gather)

    def _advance(self, gather: _Gather) -> None:
        """``gather`` no longer holds its partition: send what waited behind it."""
        if self._busy.get(gather.partition) is not gather:
            return
        del self._busy[gather.partition]
        queue = self._full.get(gather.partition)
        if queue:
            self._send([queue.popleft()])
        elif self._holds and not self._busy:
            self._flush()

    def _expire(self, gather: _Gather) -> None:
        """Nobody waits longer. What was sent goes on; what was not is dropped, its senders will repeat it."""
        gather.done.set_result(LogUnavailableError("not acknowledged in time"))
        self._instruments.failed(len(gather.records))
        if gather.sent:
            self._connection.ail(gather.appender)
            return
        self._pending -= gather.bytes
        if self._open.get(gather.partition) is gather:
            del self._open[gather.partition]
        else:
            self._full[gather.partition].remove(gather)

    def _send(self, gathers: Sequence[_Gather]) -> None:
        for gather in gathers:
            gather.sent = True
            self._busy[gather.partition] = gather
        self._spawn(self._submit(gathers))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _submit(self, gathers: Sequence[_Gather]) -> None:
        appender = self._connection.appender
        for gather in gathers:
            gather.appender = appender
            if appender is None:
                self._settle(gather, LogUnavailableError("not connected"))
                continue
            try:
                batch = pack(appender, gather.records, gather.bytes)
            except LogUnavailableError as error:
                self._settle(gather, error)
                continue
            if batch is None:
                self._spawn(self._apart(gather, appender))
                continue
            self._connection.under_way[appender] += 1
            await appender.submit(EVENTS, gather.partition, batch, partial(self._landed, gather, appender))

    def _landed(self, gather: _Gather, appender: Appender, error: LogUnavailableError | None) -> None:
        self._connection.under_way[appender] -= 1
        if error is not None and isinstance(error.__cause__, MessageSizeTooLargeError):
            self._spawn(self._apart(gather, appender))
        elif isinstance(error, LogStumbledError) and not gather.done.done():
            self._spawn(self._again(gather, error))
        else:
            self._settle(gather, _ALL_WELL if error is None else error)

    async def _again(self, gather: _Gather, error: LogStumbledError) -> None:
        """Repeat an append that the broker failed at, for as long as its senders wait; identities make it harmless."""
        log.warning("an append is repeated: %s", error)
        await asyncio.sleep(_STUMBLE_SECONDS)
        if gather.done.done():
            self._settle(gather, error)
        else:
            await self._submit([gather])

    async def _apart(self, gather: _Gather, appender: Appender) -> None:
        outcome: Outcome
        try:
            outcome = await append_in_parts(appender, gather.partition, gather.records)
        except LogUnavailableError as error:
            outcome = error
        self._settle(gather, outcome)

    def _settle(self, gather: _Gather, outcome: Outcome) -> None:
        self._pending -= gather.bytes
        if gather.deadline is not None:
            gather.deadline.cancel()
        if isinstance(outcome, LogUnavailableError):
            log.warning("an append failed: %s", outcome)
            self._connection.ail(gather.appender)
        if not gather.done.done():
            if isinstance(outcome, LogUnavailableError):
                self._instruments.failed(len(gather.records))
            else:
                first = gather.records[0][1]
                took = asyncio.get_running_loop().time() - gather.opened
                self._instruments.publish_seconds.observe(took, exemplars.of_record(first.value, first.headers))
            gather.done.set_result(outcome)
        self._advance(gather)

    async def run(self) -> None:
        """Keep connected; runs until it is cancelled."""
        await self._connection.run()

    async def stop(self) -> None:
        """Send what is gathered, wait for it no longer than a sender would, and disconnect."""
        self._flush()
        for _ in range(int(self._wait / _STEP)):
            if not (self._busy or self._open):
                break
            await asyncio.sleep(_STEP)
        await self._connection.stop()
