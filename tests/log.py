"""The log as whoever reads all of it sees it."""

import asyncio
from typing import Any

from aiokafka import AIOKafkaConsumer


async def everything(bootstrap: str, *topics: str) -> list[Any]:
    """Return every record that is on ``topics``, those of a partition in their order."""
    consumer = AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    found: list[Any] = []
    try:
        while {place.topic for place in consumer.assignment()} < set(topics):  # noqa: ASYNC110 - aiokafka does not say
            await asyncio.sleep(0.05)
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=300)).values():
                found += records
    finally:
        await consumer.stop()
    return found
