"""The consumer on real brokers and real Postgres: nothing lost, nothing twice, whatever comes back or goes away."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.events import Record
from schemas.topics import EVENTS
from services import installation, postgres
from services.aggregator.consumer import Consumer
from services.aggregator.instruments import Instruments
from services.aggregator.store import positions
from services.postgres import Pool
from services.settings import Settings
from tests.builders import SHARDS, add_tenant, append, record
from tests.patience import until


def now() -> datetime:
    return datetime.now(UTC)


@contextlib.asynccontextmanager
async def consuming(pool: Pool, bootstrap: str, owner: str = "one") -> AsyncIterator[Consumer]:
    settings = Settings(kafka=bootstrap, session_ms=3000, cycle_ms=20)
    consumer = Consumer(pool, settings, SHARDS, owner, now, Instruments())
    stop = asyncio.Event()
    running = asyncio.create_task(consumer.run(stop))
    try:
        yield consumer
    finally:
        stop.set()
        await running


async def folded(pool: Pool) -> int:
    return int(await pool.fetchval("select coalesce(sum(events), 0) from person_day"))


async def drained_after(pool: Pool, moment: datetime) -> bool:
    rows = await pool.fetch("select drained_at from position")
    return len(rows) == SHARDS and all(row["drained_at"] and row["drained_at"] > moment for row in rows)


def records(first: int, count: int) -> list[Record]:
    return [record(id=f"e{n}", user=f"u{n % 17}") for n in range(first, first + count)]


@pytest.mark.usefixtures("topics")
async def test_what_is_on_the_log_is_folded_once_and_the_shards_are_told_drained(pool: Pool, broker: Any) -> None:
    await add_tenant(pool)
    async with consuming(pool, broker.address):
        await append(broker.address, records(0, 500))
        await append(broker.address, records(250, 500))
        asked = await pool.fetchval("select clock_timestamp()")
        await until(lambda: drained_after(pool, asked))

        assert await folded(pool) == 750
        assert await pool.fetchval("select sum(duplicates)::int from tally") == 250


@pytest.mark.usefixtures("topics")
async def test_shards_are_told_drained_also_while_events_never_cease(pool: Pool, broker: Any) -> None:
    await add_tenant(pool)
    sent = 0
    enough = asyncio.Event()

    async def keep_sending() -> None:
        nonlocal sent
        while not enough.is_set():
            await append(broker.address, records(sent, 34))
            sent += 34

    async with consuming(pool, broker.address):
        sending = asyncio.create_task(keep_sending())
        try:
            await until(lambda: at_least(pool, 500))
            before = sent
            asked = await pool.fetchval("select clock_timestamp()")
            await until(lambda: drained_after(pool, asked))

            assert await folded(pool) >= before
            assert not sending.done()
        finally:
            enough.set()
            await sending


async def at_least(pool: Pool, count: int) -> bool:
    return await folded(pool) >= count


async def test_a_drained_shard_is_not_dated_later_by_a_statement_that_had_to_wait(pool: Pool) -> None:
    held = (await positions.take_over(pool, [3], "one"))[3]
    drained = await positions.moment(pool)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("select from position for update")
        noting = asyncio.create_task(positions.note_drained(pool, {3: (held, drained)}))
        await asyncio.sleep(0.3)
    await noting

    assert await pool.fetchval("select drained_at from position") == drained


@pytest.mark.usefixtures("topics")
async def test_a_restarted_consumer_goes_on_where_postgres_says(pool: Pool, broker: Any) -> None:
    await add_tenant(pool)
    await append(broker.address, records(0, 300))
    async with consuming(pool, broker.address):
        await until(lambda: equals(pool, 300))
    await append(broker.address, records(300, 100))
    async with consuming(pool, broker.address, "two"):
        await until(lambda: equals(pool, 400))

    assert await pool.fetchval("select sum(duplicates)::int from tally") == 0


async def equals(pool: Pool, count: int) -> bool:
    return await folded(pool) == count


@pytest.mark.usefixtures("topics")
async def test_a_dead_letter_reaches_its_topic_with_its_origin_and_the_partition_goes_on(
    pool: Pool, broker: Any
) -> None:
    await add_tenant(pool)
    good = records(0, 3)
    bad = Record(good[1].key, b'{"no":"event"}', [])
    await append(broker.address, [good[0], bad, good[2]])
    async with consuming(pool, broker.address):
        await until(lambda: published(pool))

        assert await folded(pool) == 2
        assert await pool.fetchval("select value from dead_letter") == b'{"no":"event"}'


async def published(pool: Pool) -> bool:
    return bool(await pool.fetchval("select count(*) from dead_letter where published"))


@pytest.mark.faults
async def test_a_log_that_begins_anew_is_recognised_and_read_from_its_beginning(
    database: str, pool: Pool, tansu: Any
) -> None:
    await installation.make_topics(database, tansu.address, partitions=SHARDS, replication=1)
    await add_tenant(pool)
    async with consuming(pool, tansu.address):
        await append(tansu.address, records(0, 200))
        await until(lambda: equals(pool, 200))
        tansu.kill()
        tansu.start()
        await installation.make_topics(database, tansu.address, partitions=SHARDS, replication=1)
        await append(tansu.address, records(150, 100))
        await until(lambda: equals(pool, 250))
        await append(tansu.address, records(250, 50))
        await until(lambda: equals(pool, 300))

    assert await pool.fetchval("select count(*) from log_gap where reason = 'log replaced'") >= 1


@pytest.mark.faults
async def test_a_shorter_new_log_is_recognised_although_nothing_arrives_behind_the_position(
    database: str, pool: Pool, tansu: Any
) -> None:
    await installation.make_topics(database, tansu.address, partitions=SHARDS, replication=1)
    await add_tenant(pool)
    await append(tansu.address, records(0, 200))
    async with consuming(pool, tansu.address):
        await until(lambda: equals(pool, 200))
    tansu.kill()
    tansu.start()
    await installation.make_topics(database, tansu.address, partitions=SHARDS, replication=1)
    await append(tansu.address, records(200, 5))
    async with consuming(pool, tansu.address, "two"):
        await until(lambda: equals(pool, 205))


@pytest.mark.faults
async def test_postgres_that_dies_and_comes_back_costs_nothing(own_postgres: Any, tansu: Any) -> None:
    await installation.make_topics(own_postgres.url(), tansu.address, partitions=SHARDS, replication=1)
    opened = await postgres.connect_pool(own_postgres.url(), name="test", lossy=True)
    steady = await postgres.connect(own_postgres.url(), name="api")
    await add_tenant(steady)
    async with consuming(opened, tansu.address):
        for part in range(5):
            await append(tansu.address, records(part * 200, 200))
            own_postgres.kill()
            own_postgres.start()
        await until(lambda: surely_equals(opened, 1000))
        tally = await opened.fetchrow("select sum(folded)::int, sum(duplicates)::int from tally")

    assert tuple(tally) == (1000, 0)
    await postgres.close_pool(opened)


async def surely_equals(pool: Pool, count: int) -> bool:
    with contextlib.suppress(*postgres.DATABASE_ERRORS):
        return await folded(pool) == count
    return False


@pytest.mark.usefixtures("topics")
async def test_two_consumers_share_the_shards_and_fold_everything_once(pool: Pool, broker: Any) -> None:
    await add_tenant(pool)
    async with consuming(pool, broker.address, "one"):
        await append(broker.address, records(0, 400))
        async with consuming(pool, broker.address, "two"):
            await append(broker.address, records(400, 400))
            await until(lambda: owners(pool, 2))
            await append(broker.address, records(800, 400))
            await until(lambda: equals(pool, 1200))
        await append(broker.address, records(1200, 400))
        await until(lambda: equals(pool, 1600))

    assert await pool.fetchval("select sum(duplicates)::int from tally") == 0


async def owners(pool: Pool, count: int) -> bool:
    return await pool.fetchval("select count(distinct owner) from position") == count


@pytest.mark.faults
async def test_retention_that_passed_the_position_is_written_down_and_reading_goes_on(
    database: str, pool: Pool, apache_kafka: Any
) -> None:
    await installation.make_topics(database, apache_kafka.address, partitions=SHARDS, replication=1)
    await add_tenant(pool)
    await append(apache_kafka.address, records(0, 200))
    async with consuming(pool, apache_kafka.address):
        await until(lambda: equals(pool, 200))
    await append(apache_kafka.address, records(200, 200))
    await forget_records(apache_kafka.address)
    await append(apache_kafka.address, records(400, 100))
    async with consuming(pool, apache_kafka.address, "two"):
        await until(lambda: equals(pool, 300))

    assert (
        await pool.fetchval("select sum(to_offset - from_offset)::int from log_gap where reason = 'retention'") == 200
    )


async def forget_records(bootstrap: str) -> None:
    """Delete what the events topic holds, as its retention would."""
    from aiokafka import AIOKafkaConsumer, TopicPartition  # noqa: PLC0415 - only this test drives the broker
    from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete  # noqa: PLC0415

    partitions = [TopicPartition(EVENTS, n) for n in range(SHARDS)]
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    ends = await consumer.end_offsets(partitions)
    await consumer.stop()
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.delete_records({tp: RecordsToDelete(before_offset=end) for tp, end in ends.items()})
    await admin.close()


@pytest.mark.faults
async def test_a_topic_that_was_made_anew_on_the_same_cluster_is_read_from_its_beginning(
    database: str, pool: Pool, apache_kafka: Any
) -> None:
    await installation.make_topics(database, apache_kafka.address, partitions=SHARDS, replication=1)
    await add_tenant(pool)
    await append(apache_kafka.address, records(0, 100))
    async with consuming(pool, apache_kafka.address):
        await until(lambda: equals(pool, 100))
        await recreate(apache_kafka.address)
        await installation.make_topics(database, apache_kafka.address, partitions=SHARDS, replication=1)
        await append(apache_kafka.address, records(100, 300))
        await until(lambda: equals(pool, 400))


async def recreate(bootstrap: str) -> None:
    from aiokafka.admin import AIOKafkaAdminClient  # noqa: PLC0415 - only this test drives the broker

    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.delete_topics([EVENTS])

    async def gone() -> bool:
        return EVENTS not in await admin.list_topics()

    await until(gone)
    await admin.close()


@pytest.mark.faults
async def test_a_broker_killed_and_started_again_with_its_log_costs_nothing(
    database: str, pool: Pool, apache_kafka: Any
) -> None:
    await installation.make_topics(database, apache_kafka.address, partitions=SHARDS, replication=1)
    await add_tenant(pool)
    async with consuming(pool, apache_kafka.address):
        await append(apache_kafka.address, records(0, 300))
        await until(lambda: equals(pool, 300))
        apache_kafka.kill()
        apache_kafka.start()
        await append(apache_kafka.address, records(300, 300))
        await until(lambda: equals(pool, 600))

    assert await pool.fetchval("select count(*) from log_gap") == 0
    assert await pool.fetchval("select sum(duplicates)::int from tally") == 0
