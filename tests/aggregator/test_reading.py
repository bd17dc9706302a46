"""How an owned shard is read, on a real broker: what arrived waits for its turn, and only for as long as it holds."""

import time
from typing import Any

from schemas.topics import EVENTS, GROUP
from services import installation
from services.aggregator.instruments import Instruments
from services.aggregator.reading import Reading
from services.aggregator.shard import Shard, Tenants
from services.aggregator.store import positions
from services.kafka import Reader
from services.postgres import Pool
from tests.builders import append, record
from tests.patience import until


def now_ms() -> int:
    return int(time.time() * 1000)


async def arrivals(reader: Reader, reading: Reading, number: int) -> None:
    """Let records arrive until so many wait."""
    while len(reading.arrived) < number:
        for records in (await reader.poll(wait_ms=100, max_records=3)).values():
            reading.arrive(records)


async def test_what_arrives_waits_in_order_and_is_dropped_when_the_shard_is_read_from_elsewhere(
    database: str, pool: Pool, tansu: Any
) -> None:
    await installation.make_topics(database, tansu.address, partitions=1, replication=1)
    await append(tansu.address, [record(id=f"e{n}", user="ada") for n in range(10)], shards=1)
    reader = Reader(tansu.address, EVENTS, GROUP, client_id="one", session_ms=3000, changed=lambda: None)
    await reader.start()
    try:
        await until(reader.assigned)
        held = (await positions.take_over(pool, [0], "one"))[0]
        shard = Shard(0, 1, held, {}, Tenants(), lambda _site: None)
        reading = Reading(shard, reader, pool, Instruments(), now_ms)
        await arrivals(reader, reading, 10)
        reading.seek()
        left = list(reading.arrived)
        await arrivals(reader, reading, 10)
        admitted = await reading.admit()

        assert left == []
        assert [each.offset for each in admitted] == list(range(10))
        assert reading.arrived == []
    finally:
        await reader.stop()
