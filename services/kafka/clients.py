"""What every aiokafka client of ours does alike: reading what has arrived, and leaving."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from services.kafka.errors import OutOfRangeError, unavailable

log = logging.getLogger(__name__)


async def taken(consumer: Any, *, wait_ms: int, max_records: int) -> dict[int, list[Any]]:  # noqa: ANN401 - untyped
    """Return what has arrived, by partition, waiting up to ``wait_ms`` for a first record.

    Raises:
        OutOfRangeError: a position lies outside its log.
        LogUnavailableError: the broker or the group is away.
    """
    try:
        found = await consumer.getmany(timeout_ms=wait_ms, max_records=max_records)
    except OffsetOutOfRangeError as error:
        raise OutOfRangeError([tp.partition for tp in error.args[0]]) from error
    except NoOffsetForPartitionError:
        return {}  # a partition that nobody has sought yet
    except (KafkaError, OSError) as error:
        raise unavailable(error) from error
    return {tp.partition: records for tp, records in found.items()}


async def leave(stopping: Awaitable[None], *, seconds: float) -> None:
    """Wait for a client to stop, at most so long; what it says of its end is left behind."""
    try:
        await asyncio.wait_for(stopping, seconds)
    except asyncio.CancelledError:  # aiokafka lets the end of its own tasks escape when the broker is long away
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
    except Exception as error:  # noqa: BLE001 - whatever it says
        log.debug("a client did not stop well: %s", type(error).__name__)
