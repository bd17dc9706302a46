"""The consumer: takes what the log holds for its shards and has it folded, whatever dies or freezes meanwhile.

Positions live in Postgres, in the transaction of their effects. The consumer seeks lazily from its own loop (never in
a rebalance callback, where fetching overtakes it), trusts nothing in memory after an error, and compares its positions
with Postgres every two seconds.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Final

from schemas.topics import EVENTS, GROUP
from services import exemplars, tracing
from services.aggregator.domain.arrivals import LogRecord
from services.aggregator.domain.facts import as_instant
from services.aggregator.instruments import Instruments
from services.aggregator.letters import publish_letters
from services.aggregator.reading import Reading
from services.aggregator.shard import OUTCOMES, Hook, Shard, Tenants
from services.aggregator.store import facts as fact_store
from services.aggregator.store import positions
from services.aggregator.store import windows as window_store
from services.aggregator.store.positions import FencedError
from services.kafka import Appender, LogUnavailableError, OutOfRangeError, Reader
from services.postgres import DATABASE_ERRORS, Pool, reason
from services.settings import Settings
from services.waiting import pause

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]

WAIT_MS: Final = 100
FETCH_MS: Final = 50
"""So often is taken what came while shards are folded one after another: none waits for a whole round to be fetched."""
AUDIT_SECONDS: Final = 2.0
DRAINED_SECONDS: Final = 0.25
STUCK_SECONDS: Final = 45.0
"""A reader that owns shards and gets no answer for so long is built anew."""


class Consumer:
    """Runs one reader of the events topic. ``clock`` tells the time; ``hook`` lets tests stop it at a site."""

    def __init__(
        self,
        pool: Pool,
        settings: Settings,
        shards: int,
        owner: str,
        clock: Clock,
        instruments: Instruments,
        hook: Hook = lambda _site: None,
    ) -> None:
        self._pool = pool
        self._settings = settings
        self._shards = shards
        self._owner = owner
        self._clock = clock
        self._instruments = instruments
        self._hook = hook
        self._tenants = Tenants()
        self._appender = Appender(settings.cluster, client_id=f"{owner}-letters")
        self._readings: dict[int, Reading] = {}
        self._generation = 0
        self._audit_at = self._drained_at = 0
        self._answered_at = self._fetched_at = 0
        self._letters = True
        self._trouble: dict[str, str] = {}
        self.last_round = clock()

    def _now_ms(self) -> int:
        return int(self._clock().timestamp() * 1000)

    # ------------------------------------------------------------ life

    async def run(self, stop: asyncio.Event) -> None:
        """Read until ``stop``; a reader that fails or stays silent is replaced by a new one."""
        while not stop.is_set():
            reader = Reader(
                self._settings.cluster,
                EVENTS,
                GROUP,
                client_id=self._owner,
                session_ms=self._settings.session_ms,
                changed=self._forget,
            )
            try:
                await reader.start()
                await self._rounds(reader, stop)
            except LogUnavailableError as error:
                log.warning("reader: %s", error)
                self._trouble["kafka"] = str(error)
            finally:
                self._forget()
                await reader.stop()
            await pause(stop, 0.5)
        await self._appender.stop()

    async def _rounds(self, reader: Reader, stop: asyncio.Event) -> None:
        failures = 0
        self._answered_at = self._now_ms()
        while not stop.is_set():
            self.last_round = self._clock()
            try:
                await self._round(reader, stop)
                failures = 0
                self._trouble.clear()
            except FencedError as error:
                self._instruments.fenced.inc()
                log.warning("fenced: %s", error)
                self._forget()
            except DATABASE_ERRORS as error:
                # Postgres may have lost commits it acknowledged, or committed one we did not hear of
                log.warning("Postgres: %s: %s", type(error).__name__, error)
                self._forget()
                failures += 1
                if failures > 1:  # one alone may be another transaction that came first
                    self._trouble["postgres"] = reason(error)
                await pause(stop, min(0.1 * 2**failures, 5.0) * (0.5 + random.random()))  # noqa: S311 - jitter
            except OutOfRangeError as error:
                for number in self._readings.keys() & set(error.partitions):
                    await self._readings[number].leave_outside()
            if self._now_ms() - self._answered_at > STUCK_SECONDS * 1000 and self._readings:
                raise LogUnavailableError("no answer from the broker")

    async def _round(self, reader: Reader, stop: asyncio.Event) -> None:
        started = self._now_ms()
        await self._audit(reader)
        await self._fetch(reader, wait_ms=WAIT_MS)
        generation, busy = self._generation, dict[int, int]()
        few = self._settings.batch_records // 4
        calm = self._arrived() < few
        for number, reading in list(self._readings.items()):
            if generation != self._generation:
                return
            if reading.arrived:
                busy[number] = await self._take(reading)
                if calm:  # amid a backlog nobody waits for a single event, and few large folds cost less
                    await self._fetch(reader)
        await self._watch(busy)
        await self._follow_directory()
        await self._tell(reader, busy)
        rest = self._settings.cycle_ms - (self._now_ms() - started)
        if 0 < sum(busy.values()) < few and rest > 0:
            await pause(stop, rest / 1000)

    # ------------------------------------------------------------ ownership

    def _forget(self) -> None:
        """Drop everything believed about positions and tenants; the next round takes over anew."""
        self._generation += 1
        self._tenants = Tenants()
        self._readings.clear()
        self._audit_at = 0

    async def _audit(self, reader: Reader) -> None:
        """Take over shards that are new to us, or that Postgres has elsewhere than we believe."""
        assigned = reader.assigned()
        if (now := self._now_ms()) < self._audit_at and self._readings.keys() == assigned:
            return
        generation = self._generation
        for number in self._readings.keys() - assigned:
            del self._readings[number]
        stored = await positions.stored(self._pool, sorted(self._readings))
        held = {number: reading.shard.held for number, reading in self._readings.items()}
        moved = {n for n, h in held.items() if stored.get(n) != (h.epoch, h.next_offset)}
        if generation == self._generation and (wanted := (assigned - held.keys()) | moved):
            await self._take_over(reader, sorted(wanted))
        self._audit_at = now + int(AUDIT_SECONDS * 1000)

    async def _take_over(self, reader: Reader, numbers: list[int]) -> None:
        generation = self._generation
        taken = await positions.take_over(self._pool, numbers, self._owner)
        newest = {number: await fact_store.newest(self._pool, number) for number in taken}
        if generation != self._generation:
            return
        for number, held in taken.items():
            shard = Shard(number, self._shards, held, newest[number], self._tenants, self._hook)
            self._readings[number] = Reading(shard, reader, self._pool, self._instruments, self._now_ms)
        log.info("took over shards %s", sorted(taken))

    # ------------------------------------------------------------ records

    def _arrived(self) -> int:
        return sum(len(reading.arrived) for reading in self._readings.values())

    async def _fetch(self, reader: Reader, wait_ms: int = 0) -> None:
        """Take what came to the shards it is for: what is fetched and not taken keeps the broker from being asked.

        Waits for a first record when there is none; without ``wait_ms`` it does nothing more often than ``FETCH_MS``.
        """
        waiting = self._arrived()
        room = self._settings.batch_records - waiting
        if room <= 0 or (not wait_ms and self._now_ms() < self._fetched_at + FETCH_MS):
            return
        taken = await reader.poll(wait_ms=0 if waiting else wait_ms, max_records=room)
        self._fetched_at = self._now_ms()
        for number, records in taken.items():
            if (reading := self._readings.get(number)) is None:
                self._audit_at = 0
            else:
                reading.arrive(records)

    async def _take(self, reading: Reading) -> int:
        """Fold what came to a shard until its turn; return how many records it was."""
        came = len(reading.arrived)
        if admitted := await reading.admit():
            await self._fold(reading, admitted)
        return came

    async def _fold(self, reading: Reading, records: list[LogRecord]) -> None:
        oldest = as_instant(max(records[0].timestamp, 0))
        started = self._clock()
        told: dict[str, tracing.Value] = {
            "messaging.system": "kafka",
            "messaging.destination.partition.id": str(reading.shard.number),
            "messaging.batch.message_count": len(records),
        }
        with tracing.span(f"fold {EVENTS}", told, kind="CONSUMER", origins=tracing.origins_of(records)):
            outcome = await reading.shard.fold(self._pool, records, started)
        done = self._clock()
        self._instruments.batch_seconds.observe((done - started).total_seconds())
        self._instruments.freshness.observe(
            (done - oldest).total_seconds(), exemplars.of_record(records[0].value, records[0].headers)
        )
        for name in OUTCOMES:
            if count := getattr(outcome, name):
                self._instruments.events.labels(name).inc(count)
        self._letters = self._letters or outcome.dead_letter > 0

    # ------------------------------------------------------------ drained shards

    async def _watch(self, busy: Collection[int]) -> None:
        for number, reading in list(self._readings.items()):
            answered = await reading.watch()
            if number in busy:
                self._answered_at = self._now_ms()
            elif answered is not None:
                self._answered_at = max(self._answered_at, answered)
        if due := [reading for reading in self._readings.values() if reading.due_to_recognise()]:
            await self._note_drained(force=True)
            for reading in due:
                reading.recognise_again()

    async def _note_drained(self, *, force: bool = False) -> None:
        if not force and self._now_ms() < self._drained_at:
            return
        if all(reading.drained is None for reading in self._readings.values()):
            return
        moment = await positions.moment(self._pool)
        now = self._now_ms() + 1  # read after the moment, and rounded up: an age is never too small
        drained = {
            number: (reading.shard.held, moment - timedelta(milliseconds=now - reading.drained))
            for number, reading in self._readings.items()
            if reading.drained is not None
        }
        await positions.note_drained(self._pool, drained)
        self._drained_at = now + int(DRAINED_SECONDS * 1000)

    # ------------------------------------------------------------ beside the records

    async def _follow_directory(self) -> None:
        for number in await window_store.changed_shards(self._pool, sorted(self._readings)):
            while reading := self._readings.get(number):
                if not await reading.shard.follow_directory(self._pool, self._clock()):
                    break
                self.last_round = self._clock()

    async def _tell(self, reader: Reader, busy: Collection[int]) -> None:
        await self._note_drained()
        for number, reading in self._readings.items():
            behind = reader.behind(number, reading.shard.held.next_offset)
            if behind is not None:
                self._instruments.lag.labels(str(number)).set(behind)
        moved = {n: r.shard.held.next_offset for n, r in self._readings.items() if n in busy}
        if moved:
            await reader.tell_group(moved)
        if self._letters:
            self._letters = await publish_letters(self._pool, self._appender, sorted(self._readings))

    def wrong(self, now: datetime) -> dict[str, str]:
        """Return what keeps this consumer from being ready, by part."""
        silent = (now - self.last_round).total_seconds()
        if silent > STUCK_SECONDS:
            return {"consumer": f"no round for {int(silent)} s"}
        answered = (now - datetime.fromtimestamp(self._answered_at / 1000, UTC)).total_seconds()
        if not self._answered_at or answered > STUCK_SECONDS:
            return {"kafka": "no answer from the broker", **self._trouble}
        return dict(self._trouble)
