"""Appends batches to the log. Done means: all in-sync replicas have it."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder

from services.kafka.clients import leave, refused, way
from services.kafka.errors import LogUnavailableError, unavailable
from services.settings import Cluster

MAX_RECORD_BYTES: Final = 1 << 20
BATCH_BYTES: Final = 128 * 1024
_ZSTD: Final = 4
"""The codec's number in a batch's attributes."""


Headers = list[tuple[str, bytes]]


class Batch(Protocol):
    """A batch of records for one partition, encoded while it grows."""

    def append(
        self, *, timestamp: int, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]
    ) -> object | None:
        """Add a record; None when the batch is full."""

    def extend(self, records: Iterable[tuple[int, tuple[bytes, bytes, Headers]]]) -> bool:
        """Add records, each behind its timestamp; False when they do not all fit."""

    def record_count(self) -> int:
        """Return how many records are in it."""

    def size(self) -> int:
        """Return its bytes."""


class _Batch(BatchBuilder):  # type: ignore[misc]
    """A builder that takes many records in one go, without a call in Python for each."""

    _relative_offset: int

    def extend(self, records: Iterable[tuple[int, tuple[bytes, bytes, Headers]]]) -> bool:
        append, offset = self._builder.append, self._relative_offset
        for timestamp, (key, value, headers) in records:
            if append(offset, timestamp, key, value, headers) is None:
                self.close()
                break
            offset += 1
        self._relative_offset = offset
        return not self._closed


class Appender:
    """Appends batches to the log; an append is done when all in-sync replicas have it."""

    def __init__(self, cluster: str | Cluster, *, client_id: str, request_ms: int = 5000) -> None:
        self._client_id = client_id
        self._cluster = cluster
        self._request_ms = request_ms
        self._producer: Any = None

    async def start(self) -> None:
        """Connect.

        Raises:
            LogUnavailableError: no broker answers.
        """
        producer = AIOKafkaProducer(
            **way(self._cluster),
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
            await leave(producer.stop(), seconds=2)
            raise await refused(self._cluster, error) from error
        self._producer = producer

    async def stop(self) -> None:
        """Flush and disconnect, within five seconds."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await leave(producer.stop(), seconds=5)

    @property
    def started(self) -> bool:
        """Whether it is connected."""
        return self._producer is not None

    async def partitions(self, topic: str) -> int:
        """Return how many partitions ``topic`` has now.

        Raises:
            LogUnavailableError: no broker tells, or one of the partitions cannot be reached.
        """
        if self._producer is None:
            raise LogUnavailableError("not connected")
        client = self._producer.client
        try:
            await self._producer.partitions_for(topic)  # from here on the client follows this topic
            if not await client.force_metadata_update():
                raise LogUnavailableError("no broker answers")
            numbers = client.cluster.partitions_for_topic(topic) or ()
            leaders = {client.cluster.leader_for_partition(TopicPartition(topic, number)) for number in numbers}
            for leader in leaders:
                if leader in (None, -1) or not await client.ready(leader):
                    raise LogUnavailableError(f"partitions of {topic} have no leader that can be reached")
        except (KafkaError, OSError) as error:
            raise unavailable(error) from error
        if not numbers:
            raise LogUnavailableError(f"there is no topic {topic}")
        return len(numbers)

    def batch(self, *, packed: bool = True) -> Batch:
        """Return an empty batch; not ``packed``: without compression, which costs more than it saves on little."""
        if self._producer is None:
            raise LogUnavailableError("not connected")
        return _Batch(BATCH_BYTES, _ZSTD if packed else 0)

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
