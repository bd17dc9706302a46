"""Appends batches to the log. Done means: all in-sync replicas have it."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder

from services.kafka.errors import LogUnavailableError, unavailable

MAX_RECORD_BYTES: Final = 1 << 20
BATCH_BYTES: Final = 128 * 1024


class Batch(Protocol):
    """A batch of records for one partition, encoded while it grows."""

    def append(
        self, *, timestamp: int, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]
    ) -> object | None:
        """Add a record; None when the batch is full."""

    def record_count(self) -> int:
        """Return how many records are in it."""

    def size(self) -> int:
        """Return its bytes."""


class Appender:
    """Appends batches to the log; an append is done when all in-sync replicas have it."""

    def __init__(self, bootstrap: str, *, client_id: str, request_ms: int = 5000) -> None:
        self._client_id = client_id
        self._bootstrap = bootstrap
        self._request_ms = request_ms
        self._producer: Any = None

    async def start(self) -> None:
        """Connect.

        Raises:
            LogUnavailableError: no broker answers.
        """
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            client_id=self._client_id,
            acks="all",
            compression_type="zstd",
            max_batch_size=BATCH_BYTES,
            max_request_size=MAX_RECORD_BYTES,
            request_timeout_ms=self._request_ms,
            retry_backoff_ms=50,
            linger_ms=0,
        )
        try:
            await producer.start()
        except (KafkaError, OSError) as error:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(producer.stop(), 2)
            raise LogUnavailableError(str(error)) from error
        self._producer = producer

    async def stop(self) -> None:
        """Flush and disconnect, within five seconds."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            with contextlib.suppress(KafkaError, TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(producer.stop(), 5)

    @property
    def started(self) -> bool:
        """Whether it is connected."""
        return self._producer is not None

    async def partitions(self, topic: str) -> int:
        """Return how many partitions ``topic`` has."""
        if self._producer is None:
            raise LogUnavailableError("not connected")
        try:
            return len(await self._producer.partitions_for(topic))
        except KafkaError as error:
            raise LogUnavailableError(str(error)) from error

    def batch(self, *, packed: bool = True) -> Batch:
        """Return an empty batch; not ``packed``: without compression, which costs more than it saves on little."""
        if self._producer is None:
            raise LogUnavailableError("not connected")
        builder: Batch = self._producer.create_batch() if packed else BatchBuilder(BATCH_BYTES, 0)
        return builder

    async def submit(
        self, topic: str, partition: int, batch: Batch, landed: Callable[[LogUnavailableError | None], None]
    ) -> None:
        """Hand ``batch`` over without waiting for the log.

        ``landed`` is called once: with None when all in-sync replicas have it, else with what ``append`` would raise.
        """
        if self._producer is None:
            landed(LogUnavailableError("not connected"))
            return
        try:
            done = await self._producer.send_batch(batch, topic, partition=partition)
        except (KafkaError, OSError, AssertionError) as error:
            landed(unavailable(error))
        else:
            done.add_done_callback(lambda ended: landed(_failure(ended)))

    async def append(self, topic: str, partition: int, batch: Batch) -> None:
        """Append ``batch``; returns when all in-sync replicas have it.

        Raises:
            LogUnavailableError: not acknowledged in time; the batch may or may not be on the log.
        """
        if self._producer is None:
            raise LogUnavailableError("not connected")
        try:
            done = await self._producer.send_batch(batch, topic, partition=partition)
            await done
        except (KafkaError, OSError, AssertionError) as error:
            raise unavailable(error) from error


def _failure(ended: "asyncio.Future[object]") -> LogUnavailableError | None:
    if ended.cancelled():
        return LogUnavailableError("cancelled")
    error = ended.exception()
    return None if error is None else unavailable(error)
