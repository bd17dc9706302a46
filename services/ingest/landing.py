"""Where deliveries land: events on the log, what is unusable on the dead-letter topic.

A delivery has landed when all of it is on the log, or in the spool for senders that never repeat; else its sender is
told to come again, and identities make what landed already harmless.
"""

import asyncio
from collections.abc import Sequence

from schemas.events import Record
from services.ingest.publisher import Publisher
from services.kafka import LogUnavailableError


class Landing:
    """Takes deliveries to the log."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    async def take(self, records: Sequence[Record], received_ms: int, *, seconds: float) -> list[int]:
        """Land ``records`` within ``seconds``; return the places of those too large for the log.

        Raises:
            LogUnavailableError: not acknowledged in time.
            OverloadedError: too much is waiting already.
        """
        try:
            return await asyncio.wait_for(self._publisher.publish(records, received_ms), seconds)
        except TimeoutError as error:
            raise LogUnavailableError("not acknowledged in time") from error
