"""The way to Kafka: the only importer of aiokafka. One class appends, one reads; both speak of partitions and offsets.

The reader never commits to be safe: positions live in Postgres beside what was derived (see ``aggregator/consumer``).
It assigns nothing by itself after a rebalance: whoever reads must seek first, so no record is delivered from a
position that nobody chose.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import (
    IllegalStateError,
    KafkaError,
    MessageSizeTooLargeError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    TopicAlreadyExistsError,
)
from aiokafka.producer.message_accumulator import BatchBuilder

from schemas.topics import ALERTS, DEAD_LETTERS, EVENTS

log = logging.getLogger(__name__)

MAX_RECORD_BYTES: Final = 1 << 20
BATCH_BYTES: Final = 128 * 1024
FETCH_WAIT_MS: Final = 100
START_SECONDS: Final = 30.0
METADATA_MS: Final = 10_000
"""How soon a topic that was made anew, or grew, is noticed."""


class LogUnavailableError(RuntimeError):
    """Kafka is away, or did not acknowledge: nothing is known of what was sent."""


class OutOfRangeError(RuntimeError):
    """A partition's position is outside its log (retention passed it, or the log is another one)."""

    def __init__(self, partitions: Sequence[int]) -> None:
        super().__init__(f"positions outside the log of partitions {sorted(partitions)}")
        self.partitions = tuple(partitions)


class LogRecord(Protocol):
    """One record as it is read."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


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
            landed(_unavailable(error))
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
            raise _unavailable(error) from error


def _unavailable(error: BaseException) -> LogUnavailableError:
    """Return ``error`` as ours, with its cause."""
    ours = LogUnavailableError(f"{type(error).__name__}: {error}")
    ours.__cause__ = error
    return ours


def _failure(ended: "asyncio.Future[object]") -> LogUnavailableError | None:
    if ended.cancelled():
        return LogUnavailableError("cancelled")
    error = ended.exception()
    return None if error is None else _unavailable(error)


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
        self, bootstrap: str, topic: str, group: str, *, client_id: str, session_ms: int, changed: Callable[[], None]
    ) -> None:
        self._topic = topic
        self._changed = changed
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            client_id=client_id,
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="none",
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=max(session_ms // 10, 300),
            rebalance_timeout_ms=max(session_ms // 2, 3000),
            max_poll_interval_ms=600_000,
            request_timeout_ms=max(session_ms + 1000, 5000),
            fetch_max_wait_ms=FETCH_WAIT_MS,
            metadata_max_age_ms=METADATA_MS,
            max_partition_fetch_bytes=8 << 20,
            retry_backoff_ms=100,
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
        )

    async def start(self) -> None:
        """Join the group.

        Raises:
            LogUnavailableError: no broker answers.
        """
        self._consumer.subscribe([self._topic], listener=_Listener(self._changed))
        try:
            await asyncio.wait_for(self._consumer.start(), START_SECONDS)
        except (KafkaError, OSError, TimeoutError) as error:
            raise LogUnavailableError(f"{type(error).__name__}: {error}") from error

    async def stop(self) -> None:
        """Leave the group, within eight seconds."""
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self._consumer.stop(), 8)

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
        try:
            taken = await self._consumer.getmany(timeout_ms=wait_ms, max_records=max_records)
        except OffsetOutOfRangeError as error:
            raise OutOfRangeError([tp.partition for tp in error.args[0]]) from error
        except NoOffsetForPartitionError:
            return {}  # a new assignment: the caller has not sought yet
        except (KafkaError, OSError) as error:
            raise LogUnavailableError(f"{type(error).__name__}: {error}") from error
        return {tp.partition: records for tp, records in taken.items()}

    async def bounds(self, partition: int) -> tuple[int, int]:
        """Return the first offset of ``partition`` and the one after its last, as the broker reports them."""
        tp = TopicPartition(self._topic, partition)
        try:
            first = await self._consumer.beginning_offsets([tp])
            last = await self._consumer.end_offsets([tp])
        except (KafkaError, OSError) as error:
            raise LogUnavailableError(f"{type(error).__name__}: {error}") from error
        return int(first[tp]), int(last[tp])

    async def tell_group(self, positions: Mapping[int, int]) -> None:
        """Tell the group where we are; only lag tools read it, so a failure is no matter."""
        offsets = {TopicPartition(self._topic, partition): offset for partition, offset in positions.items()}
        with contextlib.suppress(KafkaError, TimeoutError, IllegalStateError, ValueError):
            await asyncio.wait_for(self._consumer.commit(offsets), 2)


async def ensure_topics(bootstrap: str, *, partitions: int, replication: int) -> dict[str, int]:
    """Create the topics that are missing; return each topic's number of partitions.

    Raises:
        LogUnavailableError: no broker answers.
    """
    wanted = {EVENTS: partitions, DEAD_LETTERS: 1, ALERTS: 1}
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=10_000)
    try:
        await admin.start()
        present = set(await admin.list_topics())
        for name, count in wanted.items():
            if name not in present:
                with contextlib.suppress(TopicAlreadyExistsError):
                    await admin.create_topics([NewTopic(name, count, replication)])
        return await _counted(admin, list(wanted))
    except (KafkaError, OSError) as error:
        raise LogUnavailableError(f"{type(error).__name__}: {error}") from error
    finally:
        with contextlib.suppress(Exception):
            await admin.close()


async def _counted(admin: Any, names: list[str]) -> dict[str, int]:  # noqa: ANN401
    """Return each topic's number of partitions, once the broker knows of all (a new topic takes a moment)."""
    for _ in range(100):
        counts = {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics(names)}
        if all(counts.get(name) for name in names):
            return counts
        await asyncio.sleep(0.05)
    raise LogUnavailableError("the broker does not show the topics that were created")


async def wait_for(connect: Callable[[], Awaitable[None]], *, what: str, stop: asyncio.Event) -> bool:
    """Call ``connect`` until Kafka answers; False when ``stop`` was set before."""
    pause = 0.1
    while not stop.is_set():
        try:
            await connect()
        except LogUnavailableError as error:
            log.warning("%s waits for Kafka: %s", what, error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)
            pause = min(pause * 2, 2.0)
        else:
            return True
    return False


__all__ = [
    "Appender",
    "Batch",
    "LogRecord",
    "LogUnavailableError",
    "MessageSizeTooLargeError",
    "OutOfRangeError",
    "Reader",
    "ensure_topics",
    "wait_for",
]
