"""Events onto the log: gathered for a moment by partition, appended together, one acknowledgement for all who wait.

Success means acknowledged by all in-sync replicas. Whoever waits too long is told so while the append goes on: it may
still succeed, the sender repeats, and identities make the second copy harmless. A record is never put on a partition
other than its person's, so a topic whose partitions are not the installation's shards is not written to.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from schemas.events import Record
from schemas.topics import EVENTS, shard_of
from services.ingest.instruments import Instruments
from services.kafka import Appender, Batch, LogUnavailableError, MessageSizeTooLargeError

log = logging.getLogger(__name__)

_RETRY_FIRST: Final = 0.1
_RETRY_LONGEST: Final = 2.0


class OverloadedError(RuntimeError):
    """More waits for the log than may: nothing of the request was appended."""


class _Gather:
    """Records of one partition that travel together. ``done`` results in an Outcome, never in an exception."""

    __slots__ = ("batch", "bytes", "deadline", "done", "due", "opened", "partition", "records", "sent")

    def __init__(self, partition: int, batch: Batch, done: "asyncio.Future[Outcome]", opened: float) -> None:
        self.partition = partition
        self.batch = batch
        self.done = done
        self.opened = opened
        self.records: list[tuple[int, Record]] = []
        self.bytes = 0
        self.due = False
        self.sent = False
        self.deadline: asyncio.TimerHandle | None = None


Outcome = LogUnavailableError | frozenset[int]
"""What became of a gather: not acknowledged, or on the log but for the records of these ``id()``s (too large)."""

_ALL_WELL: Final[frozenset[int]] = frozenset()


class Publisher:
    """Appends records to the events topic. Kafka may be away at any time; it finds back by itself."""

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
        self._connect = connect
        self._instruments = instruments
        self._linger = linger
        self._wait = wait
        self._max_pending = max_pending
        self._installed = installed
        self._appender: Appender | None = None
        self._shards = 0
        self._well = False
        self._unwell = asyncio.Event()
        self._open: dict[int, _Gather] = {}
        self._queued: dict[int, deque[_Gather]] = {}
        self._busy: dict[int, _Gather] = {}
        self._pending = 0
        self._sends: dict[asyncio.Task[None], Appender] = {}
        instruments.pending_bytes.set_function(lambda: self._pending)
        self._timer: asyncio.TimerHandle | None = None

    # ------------------------------------------------------------ what the front door calls

    def wrong(self) -> str | None:
        """Return why events cannot be taken, or None when they can."""
        if self._appender is None:
            return "not connected"
        installed = self._installed()
        if installed is not None and installed != self._shards:
            return f"the topic has {self._shards} partitions, the installation {installed} shards"
        return None if self._well else "the last append was not acknowledged"

    async def publish(self, records: Sequence[Record], timestamp: int) -> list[int]:
        """Append ``records``, received at ``timestamp`` (ms); return the places of those too large for the broker.

        Raises:
            LogUnavailableError: not all of them were acknowledged in time.
            OverloadedError: too much is waiting already; none was appended.
        """
        installed = self._installed()
        if self._appender is None or (installed is not None and installed != self._shards):
            raise LogUnavailableError(self.wrong())
        if self._pending > self._max_pending:
            raise OverloadedError
        gathers = self._place(records, timestamp)
        refused: set[int] = set()
        for gather in gathers:
            outcome = await gather.done
            if isinstance(outcome, LogUnavailableError):
                raise outcome
            refused |= outcome
        return [place for place, record in enumerate(records) if id(record) in refused] if refused else []

    # ------------------------------------------------------------ gathering

    def _place(self, records: Iterable[Record], timestamp: int) -> list[_Gather]:
        touched: dict[_Gather, None] = {}
        shards, opened = self._shards, self._open
        total = 0
        for record in records:
            key, value, headers = record
            partition = shard_of(key, shards)
            gather = opened.get(partition) or self._begin(partition)
            if gather.batch.append(timestamp=timestamp, key=key, value=value, headers=headers) is None:
                self._close(gather)
                gather = self._begin(partition)
                gather.batch.append(timestamp=timestamp, key=key, value=value, headers=headers)
            gather.records.append((timestamp, record))
            size = len(key) + len(value)
            gather.bytes += size
            total += size
            touched[gather] = None
        self._pending += total
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._linger, self._lingered)
        return list(touched)

    def _begin(self, partition: int) -> _Gather:
        if self._appender is None:
            raise LogUnavailableError("not connected")
        loop = asyncio.get_running_loop()
        gather = _Gather(partition, self._appender.batch(), loop.create_future(), loop.time())
        gather.deadline = loop.call_later(self._wait, self._expire, gather)
        self._open[partition] = gather
        return gather

    def _lingered(self) -> None:
        """The moment of gathering is over: send what no earlier append of its partition holds back."""
        self._timer = None
        for partition, gather in list(self._open.items()):
            if partition in self._busy:
                gather.due = True
            else:
                self._close(gather)

    def _close(self, gather: _Gather) -> None:
        """Let no more records into ``gather`` and send it as soon as its partition is free."""
        del self._open[gather.partition]
        if gather.partition in self._busy:
            self._queued.setdefault(gather.partition, deque()).append(gather)
        else:
            self._dispatch(gather)

    def _dispatch(self, gather: _Gather) -> None:
        if self._appender is None:
            self._settle(gather, LogUnavailableError("not connected"))
            return
        gather.sent = True
        self._busy[gather.partition] = gather
        task = asyncio.create_task(self._send(gather, self._appender))
        self._sends[task] = self._appender
        task.add_done_callback(self._sends.pop)

    def _advance(self, gather: _Gather) -> None:
        """``gather`` no longer holds its partition: send what waited behind it."""
        partition = gather.partition
        if self._busy.get(partition) is not gather:
            return
        del self._busy[partition]
        queue = self._queued.get(partition)
        if queue:
            self._dispatch(queue.popleft())
            return
        waiting = self._open.get(partition)
        if waiting is not None and waiting.due:
            self._close(waiting)

    def _expire(self, gather: _Gather) -> None:
        """Nobody waits longer. What was sent goes on; what was not is dropped, its senders will repeat it."""
        gather.done.set_result(LogUnavailableError("not acknowledged in time"))
        self._instruments.failed(len(gather.records))
        if gather.sent:
            self._ail()
            return
        self._pending -= gather.bytes
        if self._open.get(gather.partition) is gather:
            del self._open[gather.partition]
        else:
            self._queued[gather.partition].remove(gather)

    def _settle(self, gather: _Gather, outcome: Outcome) -> None:
        self._pending -= gather.bytes
        if gather.deadline is not None:
            gather.deadline.cancel()
        if gather.done.done():
            return
        if isinstance(outcome, LogUnavailableError):
            self._instruments.failed(len(gather.records))
        else:
            self._instruments.publish_seconds.observe(asyncio.get_running_loop().time() - gather.opened)
        gather.done.set_result(outcome)

    # ------------------------------------------------------------ sending

    async def _send(self, gather: _Gather, appender: Appender) -> None:
        outcome: Outcome = LogUnavailableError("the append ended without an answer")
        try:
            await appender.append(EVENTS, gather.partition, gather.batch)
            outcome = _ALL_WELL
        except LogUnavailableError as error:
            if isinstance(error.__cause__, MessageSizeTooLargeError):
                outcome = await self._apart(gather, appender)
            else:
                outcome = error
        finally:
            if isinstance(outcome, LogUnavailableError):
                log.warning("an append failed: %s", outcome)
                self._ail()
            elif appender is self._appender:
                self._well = True
            self._settle(gather, outcome)
            self._advance(gather)

    async def _apart(self, gather: _Gather, appender: Appender) -> Outcome:
        """Append the records of a batch that is too large in ever smaller parts, until only those remain that are."""
        refused: set[int] = set()
        too_large = deque([gather.records])
        try:
            while too_large:
                part = too_large.popleft()
                if len(part) == 1:
                    refused.add(id(part[0][1]))
                    continue
                middle = len(part) // 2
                for half in (part[:middle], part[middle:]):
                    if not await self._fits(half, gather.partition, appender):
                        too_large.append(half)
        except LogUnavailableError as error:
            return error
        return frozenset(refused)

    async def _fits(self, part: Sequence[tuple[int, Record]], partition: int, appender: Appender) -> bool:
        batch = appender.batch()
        for timestamp, (key, value, headers) in part:
            batch.append(timestamp=timestamp, key=key, value=value, headers=headers)
        try:
            await appender.append(EVENTS, partition, batch)
        except LogUnavailableError as error:
            if isinstance(error.__cause__, MessageSizeTooLargeError):
                return False
            raise
        return True

    # ------------------------------------------------------------ the connection

    def _ail(self) -> None:
        self._well = False
        self._unwell.set()

    async def run(self) -> None:
        """Connect, and connect anew whenever appends fail; runs until it is cancelled."""
        pause = _RETRY_FIRST
        while True:
            if self._appender is not None and self._well:
                self._unwell.clear()
                await self._unwell.wait()
            if await self._renew():
                pause = _RETRY_FIRST
                continue
            await asyncio.sleep(pause)
            pause = min(pause * 2, _RETRY_LONGEST)

    async def _renew(self) -> bool:
        """Put a fresh connection in the place of the old one; False when none can be had."""
        fresh = self._connect()
        try:
            await fresh.start()
            shards = await fresh.partitions(EVENTS)
        except LogUnavailableError as error:
            log.warning("waiting for Kafka: %s", error)
            await fresh.stop()
            return False
        old, self._appender, self._shards, self._well = self._appender, fresh, shards, True
        for gather in list(self._busy.values()):
            self._advance(gather)
        if old is not None:
            retirement = asyncio.create_task(self._retire(old))
            self._sends[retirement] = old
            retirement.add_done_callback(self._sends.pop)
        log.info("connected to Kafka: %s partitions", shards)
        return True

    async def _retire(self, old: Appender) -> None:
        """Stop a replaced connection when its last append has ended."""
        this = asyncio.current_task()
        last = [task for task, appender in self._sends.items() if appender is old and task is not this]
        if last:
            await asyncio.wait(last, timeout=4 * self._wait)
        await old.stop()

    async def stop(self) -> None:
        """Send what is gathered, wait for it no longer than a sender would, and disconnect."""
        for gather in list(self._open.values()):
            self._close(gather)
        loop = asyncio.get_running_loop()
        end = loop.time() + self._wait
        while self._sends and loop.time() < end:
            await asyncio.wait(self._sends, timeout=end - loop.time())
        if self._appender is not None:
            await self._appender.stop()
