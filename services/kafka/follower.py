"""Follows a topic without a group: every partition, each from where it is told to, for whoever keeps the positions."""

import asyncio
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.kafka.clients import leave, refused, taken, way
from services.kafka.errors import unavailable
from services.kafka.reader import LogRecord
from services.settings import Cluster

_WAIT_MS: Final = 500
_START_SECONDS: Final = 30.0


class Follower:
    """Reads all of a topic that few write to."""

    def __init__(self, cluster: str | Cluster, topic: str, *, client_id: str) -> None:
        self._topic = topic
        self._cluster = cluster
        self._client_id = client_id
        self._consumer: Any = None

    async def start(self) -> list[int]:
        """Connect; return the numbers of the topic's partitions, each of which is to be sought.

        Raises:
            LogUnavailableError: no broker answers, or there is no such topic yet.
        """
        self._consumer = AIOKafkaConsumer(
            self._topic,
            **way(self._cluster),
            client_id=self._client_id,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=_WAIT_MS,
            request_timeout_ms=10_000,
            retry_backoff_ms=200,
        )
        try:
            await asyncio.wait_for(self._consumer.start(), _START_SECONDS)
        except (KafkaError, OSError, TimeoutError) as error:
            raise await refused(self._cluster, error) from error
        return sorted(tp.partition for tp in self._consumer.assignment())

    async def stop(self) -> None:
        """Disconnect, within five seconds."""
        if self._consumer is not None:
            await leave(self._consumer.stop(), seconds=5)

    async def first(self, partition: int) -> int:
        """Return the first offset of ``partition``."""
        tp = TopicPartition(self._topic, partition)
        try:
            return int((await self._consumer.beginning_offsets([tp]))[tp])
        except (KafkaError, OSError) as error:
            raise unavailable(error) from error

    def seek(self, partition: int, offset: int) -> None:
        """Read ``partition`` from ``offset`` on."""
        self._consumer.seek(TopicPartition(self._topic, partition), offset)

    async def poll(self, *, wait_ms: int, max_records: int) -> dict[int, list[LogRecord]]:
        """Return what has arrived, by partition, waiting up to ``wait_ms`` for a first record.

        Raises:
            OutOfRangeError: a position lies outside its log.
            LogUnavailableError: the broker is away.
        """
        return await taken(self._consumer, wait_ms=wait_ms, max_records=max_records)
