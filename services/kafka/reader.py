"""Reads the partitions that the group gives.

The reader never commits to be safe: positions live in Postgres beside what was derived from the records. It assigns
nothing by itself after a rebalance: whoever reads must seek first, so that no record is delivered from a position
that nobody chose.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError

from services.kafka.clients import leave, refused, taken, way
from services.kafka.errors import unavailable
from services.settings import Cluster

FETCH_WAIT_MS: Final = 100
START_SECONDS: Final = 30.0
METADATA_MS: Final = 10_000
"""How soon a topic that was made anew, or grew, is noticed."""


class LogRecord(Protocol):
    """One record as it is read."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Tells of a rebalance without awaiting anything: fetching starts before an awaited callback would end."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    def on_partitions_revoked(self, revoked: object) -> None:  # noqa: ARG002
        self._changed()

    def on_partitions_assigned(self, assigned: object) -> None:  # noqa: ARG002
        self._changed()


class Reader:
    """Reads the partitions the group gives it, each from where it is told to."""

    def __init__(
        self,
        cluster: str | Cluster,
        topic: str,
        group: str,
        *,
        client_id: str,
        session_ms: int,
        changed: Callable[[], None],
    ) -> None:
        self._cluster = cluster
        self._topic = topic
        self._changed = changed
        self._options = {
            "client_id": client_id,
            "group_id": group,
            "session_timeout_ms": session_ms,
            "heartbeat_interval_ms": max(session_ms // 10, 300),
            "rebalance_timeout_ms": max(session_ms // 2, 3000),
            "request_timeout_ms": max(session_ms + 1000, 5000),
        }
        self._consumer: Any = None

    async def start(self) -> None:
        """Join the group.

        Raises:
            LogUnavailableError: no broker answers.
        """
        self._consumer = AIOKafkaConsumer(
            **way(self._cluster),
            **self._options,
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_poll_interval_ms=600_000,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            metadata_max_age_ms=METADATA_MS,
            max_partition_fetch_bytes=8 << 20,
            retry_backoff_ms=100,
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
        )
        self._consumer.subscribe([self._topic], listener=_Listener(self._changed))
        try:
            await asyncio.wait_for(self._consumer.start(), START_SECONDS)
        except (KafkaError, OSError, TimeoutError) as error:
            raise await refused(self._cluster, error) from error

    async def stop(self) -> None:
        """Leave the group, within eight seconds."""
        if self._consumer is not None:
            await leave(self._consumer.stop(), seconds=8)

    def assigned(self) -> frozenset[int]:
        """Return the partitions this reader owns now."""
        return frozenset(tp.partition for tp in self._consumer.assignment())

    def seek(self, partition: int, offset: int) -> None:
        """Read ``partition`` from ``offset`` on."""
        with contextlib.suppress(IllegalStateError):  # revoked meanwhile: the next round sees it
            self._consumer.seek(TopicPartition(self._topic, partition), offset)

    def polled_at(self, partition: int) -> int | None:
        """Return when the broker last answered for ``partition``, in milliseconds of this machine's clock."""
        try:
            moment: int | None = self._consumer.last_poll_timestamp(TopicPartition(self._topic, partition))
        except (AssertionError, IllegalStateError):
            return None
        return moment

    def session(self, partition: int) -> object | None:
        """Return a token of the connection to the partition's leader: after another one, the log may be another.

        aiokafka tells nobody that a broker went and came back, and a replaced log must not be read on unnoticed.
        """
        client = self._consumer._client  # noqa: SLF001 - there is no public way to see a reconnect
        leader = client.cluster.leader_for_partition(TopicPartition(self._topic, partition))
        return next((link for (node, _), link in client._conns.items() if node == leader), None)  # noqa: SLF001

    def behind(self, partition: int, next_offset: int) -> int | None:
        """Return how many records after ``next_offset`` the broker last told of; None before it answered."""
        try:
            highwater = self._consumer.highwater(TopicPartition(self._topic, partition))
        except (AssertionError, IllegalStateError):
            return None
        return None if highwater is None else max(0, int(highwater) - next_offset)

    async def poll(self, *, wait_ms: int, max_records: int) -> dict[int, list[LogRecord]]:
        """Return what has arrived, by partition, waiting up to ``wait_ms`` for a first record.

        Raises:
            OutOfRangeError: a position lies outside its log.
            LogUnavailableError: the broker or the group is away.
        """
        return await taken(self._consumer, wait_ms=wait_ms, max_records=max_records)

    async def bounds(self, partition: int) -> tuple[int, int]:
        """Return the first offset of ``partition`` and the one after its last, as the broker reports them."""
        tp = TopicPartition(self._topic, partition)
        try:
            first = await self._consumer.beginning_offsets([tp])
            last = await self._consumer.end_offsets([tp])
        except (KafkaError, OSError) as error:
            raise unavailable(error) from error
        return int(first[tp]), int(last[tp])

    async def tell_group(self, positions: Mapping[int, int]) -> None:
        """Tell the group where we are; only lag tools read it, so a failure is no matter."""
        offsets = {TopicPartition(self._topic, partition): offset for partition, offset in positions.items()}
        with contextlib.suppress(KafkaError, TimeoutError, IllegalStateError, ValueError):
            await asyncio.wait_for(self._consumer.commit(offsets), 2)
