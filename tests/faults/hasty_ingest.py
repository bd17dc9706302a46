"""A mutant of ingest that answers before the log has acknowledged. The suite must notice it."""

import asyncio
import sys
from collections.abc import Sequence

from schemas.events import Record
from services.ingest.__main__ import main
from services.ingest.publisher import Publisher

_patient = Publisher.publish
_under_way: set[asyncio.Task[list[int]]] = set()


async def _hasty(self: Publisher, records: Sequence[Record], timestamp: int) -> list[int]:
    _under_way.add(asyncio.create_task(_patient(self, records, timestamp)))
    return []


if __name__ == "__main__":
    Publisher.publish = _hasty  # type: ignore[method-assign]
    sys.exit(main())
