"""Dead letters onto their topic: gathered while one append is under way, on a connection of their own.

Most processes never have a letter, so the connection is made for the first one. It is made anew whenever an append
fails.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from schemas.events import Record
from schemas.topics import DEAD_LETTERS
from services.ingest.publisher import OverloadedError
from services.kafka import Appender, LogUnavailableError, MessageSizeTooLargeError

log = logging.getLogger(__name__)

_MOST_WAITING: Final = 16 << 20
_PARTITION: Final = 0
"""There are few letters, and one list of them."""


class LetterTooLargeError(RuntimeError):
    """The log does not take a letter of this size."""


class _Waiting(NamedTuple):
    timestamp: int
    record: Record
    done: "asyncio.Future[None]"


class Post:
    """Appends letters to their topic."""

    def __init__(self, connect: Callable[[], Appender]) -> None:
        self._connect = connect
        self._appender: Appender | None = None
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._work: asyncio.Task[None] | None = None

    async def append(self, record: Record, timestamp: int) -> None:
        """Append a letter received at ``timestamp`` (ms); all in-sync replicas have it when this returns.

        Raises:
            LogUnavailableError: not acknowledged; it may or may not be on the log.
            OverloadedError: too many letters wait already.
            LetterTooLargeError: the log does not take a letter of this size.
        """
        size = len(record.value)
        if self._bytes + size > _MOST_WAITING:
            raise OverloadedError
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(timestamp, record, done))
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._send_all())
        self._bytes += size
        try:
            await done
        finally:
            self._bytes -= size

    async def stop(self) -> None:
        """Disconnect."""
        if self._work is not None:
            self._work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._work
        await self._disconnect()

    async def _send_all(self) -> None:
        while self._waiting:
            try:
                appender = await self._connected()
                batch = appender.batch(packed=False)
            except LogUnavailableError as error:
                log.warning("dead letters wait: %s", error)
                _settle(list(self._waiting), error)
                self._waiting.clear()
                return
            taken = []
            while self._waiting:
                timestamp, (key, value, headers), _ = self._waiting[0]
                if batch.append(timestamp=timestamp, key=key, value=value, headers=headers) is None:
                    break
                taken.append(self._waiting.popleft())
            await self._send(appender, batch, taken)

    async def _send(self, appender: Appender, batch: object, taken: Sequence[_Waiting]) -> None:
        try:
            await appender.append(DEAD_LETTERS, _PARTITION, batch)  # type: ignore[arg-type]
        except LogUnavailableError as error:
            if not isinstance(error.__cause__, MessageSizeTooLargeError):
                log.warning("dead letters were not appended: %s", error)
                _settle(taken, error)
                await self._disconnect()
            elif len(taken) == 1:
                _settle(taken, LetterTooLargeError())
            else:
                for one in taken:
                    alone = appender.batch(packed=False)
                    key, value, headers = one.record
                    alone.append(timestamp=one.timestamp, key=key, value=value, headers=headers)
                    await self._send(appender, alone, [one])
        else:
            _settle(taken, None)

    async def _connected(self) -> Appender:
        if self._appender is None:
            fresh = self._connect()
            await fresh.start()
            self._appender = fresh
        return self._appender

    async def _disconnect(self) -> None:
        if self._appender is not None:
            old, self._appender = self._appender, None
            await old.stop()


def _settle(waiting: Sequence[_Waiting], error: Exception | None) -> None:
    for one in waiting:
        if one.done.done():
            continue
        if error is None:
            one.done.set_result(None)
        else:
            one.done.set_exception(error)
