"""The lane of dead letters: what ingest put on their topic becomes the list that people look at.

Every aggregator follows the topic; the position in Postgres lets one of them write each stretch, in the transaction
of its effects. A letter has an id of its own, so one that is read again changes nothing. A log is recognised by the
record before the position, as for events, and read from its beginning when it is another one.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from schemas.topics import DEAD_LETTERS
from services.aggregator.domain.arrivals import LogRecord, record_mark
from services.aggregator.domain.letters import Delivered, read
from services.aggregator.store import letters as store
from services.aggregator.store.letters import OvertakenError, Place
from services.kafka import Follower, LogUnavailableError, OutOfRangeError
from services.postgres import DATABASE_ERRORS, POISON, Pool, transaction
from services.settings import Cluster

log = logging.getLogger(__name__)

_WAIT_MS: Final = 500
_MOST_RECORDS: Final = 200
_RECOGNISE_SECONDS: Final = 15.0
"""How often the log is recognised again: nobody tells when it was replaced."""
_ABSENT_SECONDS: Final = 4.0
"""How long the record before a position may fail to appear before the log counts as replaced."""
_PAUSE_SECONDS: Final = 1.0


class Lane:
    """Reads the dead-letter topic into the table."""

    def __init__(self, pool: Pool, kafka: str | Cluster, owner: str, clock: Callable[[], datetime]) -> None:
        self._pool = pool
        self._kafka = kafka
        self._owner = owner
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Read until ``stop``; whatever goes wrong here ends nothing else."""
        told = False
        while not stop.is_set():
            follower = Follower(self._kafka, DEAD_LETTERS, client_id=f"{self._owner}-lane")
            try:
                partitions = await follower.start()
                told = False
                while not stop.is_set():
                    with contextlib.suppress(OvertakenError):
                        await self._follow(follower, partitions, stop)
            except (LogUnavailableError, OutOfRangeError, *DATABASE_ERRORS) as error:
                if not told:
                    log.warning("dead letters are not read now: %s: %s", type(error).__name__, error)
                told = True
            except Exception:
                log.exception("dead letters are not read now")
            finally:
                await follower.stop()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _PAUSE_SECONDS)

    async def _follow(self, follower: Follower, partitions: Sequence[int], stop: asyncio.Event) -> None:
        """Recognise the log and read on for a while."""
        stored = await store.places(self._pool)
        places = {number: stored.get(number, Place(0, None)) for number in partitions}
        unknown = {number for number, place in places.items() if place.anchor is not None}
        for number in unknown:
            follower.seek(number, places[number].next_offset - 1)
        anew = set(partitions) - unknown
        since = self._clock()
        while not stop.is_set() and (spent := (self._clock() - since).total_seconds()) < _RECOGNISE_SECONDS:
            if spent > _ABSENT_SECONDS:
                anew |= unknown
            for number in anew:
                places[number] = await self._begin(follower, number, places[number])
            unknown -= anew
            anew = set()
            try:
                taken = await follower.poll(wait_ms=_WAIT_MS, max_records=_MOST_RECORDS)
            except OutOfRangeError as error:
                anew = set(error.partitions)
                continue
            for number, records in taken.items():
                place = places[number]
                if number in unknown and _is_another(records[0], place):
                    anew.add(number)
                    continue
                unknown.discard(number)
                if fresh := [record for record in records if record.offset >= place.next_offset]:
                    places[number] = await self._take(number, place, fresh)

    async def _begin(self, follower: Follower, number: int, place: Place) -> Place:
        """Go on at the beginning of the log."""
        new = Place(await follower.first(number), None)
        if place.anchor is not None:
            log.warning("the dead-letter topic is another one: it is read from its beginning")
        if new != place:
            async with transaction(self._pool) as tx:
                await store.move(tx, number, place, new)
        follower.seek(number, new.next_offset)
        return new

    async def _take(self, number: int, place: Place, records: Sequence[LogRecord]) -> Place:
        """Keep the letters among ``records`` and move the position behind them."""
        new = Place(records[-1].offset + 1, record_mark(records[-1]))
        found = read(records)
        try:
            await self._commit(number, place, new, [found])
        except POISON:
            log.error("Postgres refuses one of %s dead letters", len(found))  # noqa: TRY400 - an error holds texts
            await self._commit(number, place, new, [[letter] for letter in found])
        return new

    async def _commit(self, number: int, old: Place, new: Place, groups: Sequence[Sequence[Delivered]]) -> None:
        async with transaction(self._pool) as tx:
            await store.move(tx, number, old, new)
            for letters in groups:
                try:
                    async with tx.transaction():
                        await store.keep(tx, letters)
                except POISON as error:
                    if len(groups) == 1 and len(letters) > 1:
                        raise
                    log.error("a dead letter cannot be kept: %s", type(error).__name__)  # noqa: TRY400 - holds texts


def _is_another(record: LogRecord, place: Place) -> bool:
    """Whether ``record``, where the one before ``place`` should be, shows that this is another log."""
    return record.offset < place.next_offset and record_mark(record) != place.anchor
