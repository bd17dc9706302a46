"""Records of one partition as batches: packed together, or in ever smaller parts where the broker takes no more."""

from collections import deque
from collections.abc import Sequence
from typing import Final

from schemas.events import Record
from schemas.topics import EVENTS
from services.kafka import Appender, Batch, LogUnavailableError, MessageSizeTooLargeError

_WORTH_PACKING: Final = 4 * 1024

Received = tuple[int, Record]
"""A record, and when its event was received (ms)."""


def pack(appender: Appender, records: Sequence[Received], size: int) -> Batch | None:
    """Return ``records``, about ``size`` bytes, as one batch; None when they do not fit into one."""
    batch = appender.batch(packed=size > _WORTH_PACKING)
    return batch if batch.extend(records) else None


async def append_in_parts(appender: Appender, partition: int, records: Sequence[Received]) -> frozenset[int]:
    """Append records that do not fit together in ever smaller parts; return the ``id()``s of those that never fit.

    Raises:
        LogUnavailableError: not all of the others were acknowledged.
    """
    refused: set[int] = set()
    parts = deque(_halves(records))
    while parts:
        part = parts.popleft()
        if await _fits(appender, partition, part):
            continue
        if len(part) == 1:
            refused.add(id(part[0][1]))
        else:
            parts += _halves(part)
    return frozenset(refused)


def _halves(records: Sequence[Received]) -> list[Sequence[Received]]:
    middle = len(records) // 2
    return [records[:middle], records[middle:]] if middle else [records]


async def _fits(appender: Appender, partition: int, records: Sequence[Received]) -> bool:
    """Append ``records``; False when they are too large together."""
    batch = pack(appender, records, sum(len(record.value) for _, record in records))
    if batch is None:
        return False
    try:
        await appender.append(EVENTS, partition, batch)
    except LogUnavailableError as error:
        if isinstance(error.__cause__, MessageSizeTooLargeError):
            return False
        raise
    return True
