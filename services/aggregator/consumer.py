"""The consumer: takes what the log holds for its shards and has it folded, whatever dies or freezes meanwhile.

Positions live in Postgres, in the transaction of their effects. The consumer seeks lazily from its own loop (never in
a rebalance callback, where fetching overtakes it), trusts nothing in memory after an error, and compares its positions
with Postgres every two seconds. A log is recognised by the record before the position: when that record is another
one, or missing, the log was replaced and is read from its beginning; identities make that harmless.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from schemas.topics import EVENTS, GROUP
from services.aggregator.domain.arrivals import LogRecord, record_mark
from services.aggregator.domain.facts import as_instant
from services.aggregator.instruments import Instruments
from services.aggregator.letters import publish_letters
from services.aggregator.shard import Hook, Shard, Tenants
from services.aggregator.store import facts as fact_store
from services.aggregator.store import positions
from services.aggregator.store import windows as window_store
from services.aggregator.store.positions import FencedError, Held
from services.kafka import Appender, LogUnavailableError, OutOfRangeError, Reader
from services.postgres import DATABASE_ERRORS, Pool, transaction
from services.settings import Settings

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]

AUDIT_SECONDS: Final = 2.0
DRAINED_SECONDS: Final = 0.25
VERIFY_SECONDS: Final = 10.0
ABSENT_SECONDS: Final = 3.0
"""How long the record before a position may fail to appear before the log counts as replaced."""

STUCK_SECONDS: Final = 45.0
"""A reader that owns shards and gets no answer for so long is built anew."""


@dataclass
class Reading:
    """Where the reader stands on one shard. All instants are milliseconds of this process's clock."""

    shard: Shard
    verified: bool
    since: int
    verified_at: int
    quiet_from: int | None = None
    drained: int | None = None
    session: object | None = None


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
        self._appender = Appender(settings.kafka, client_id=f"{owner}-letters")
        self._readings: dict[int, Reading] = {}
        self._generation = 0
        self._audit_at = self._drained_at = 0
        self._answered_at = 0
        self._letters = True
        self.last_round = clock()

    def _now_ms(self) -> int:
        return int(self._clock().timestamp() * 1000)

    # ------------------------------------------------------------ life

    async def run(self, stop: asyncio.Event) -> None:
        """Read until ``stop``; a reader that fails or stays silent is replaced by a new one."""
        while not stop.is_set():
            reader = Reader(
                self._settings.kafka,
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
            finally:
                self._forget()
                await reader.stop()
            await _pause(stop, 0.5)
        await self._appender.stop()

    async def _rounds(self, reader: Reader, stop: asyncio.Event) -> None:
        failures = 0
        self._answered_at = self._now_ms()
        while not stop.is_set():
            self.last_round = self._clock()
            try:
                await self._round(reader, stop)
                failures = 0
            except FencedError as error:
                self._instruments.fenced.inc()
                log.warning("fenced: %s", error)
                self._forget()
            except DATABASE_ERRORS as error:
                # Postgres may have lost commits it acknowledged, or committed one we did not hear of
                log.warning("Postgres: %s: %s", type(error).__name__, error)
                self._forget()
                failures += 1
                await _pause(stop, min(0.1 * 2**failures, 5.0) * (0.5 + random.random()))  # noqa: S311 - jitter
            except OutOfRangeError as error:
                await self._out_of_range(reader, error.partitions)
            if self._now_ms() - self._answered_at > STUCK_SECONDS * 1000 and self._readings:
                raise LogUnavailableError("no answer from the broker")

    async def _round(self, reader: Reader, stop: asyncio.Event) -> None:
        started = self._now_ms()
        await self._audit(reader)
        taken = await reader.poll(wait_ms=100, max_records=self._settings.batch_records)
        generation, total = self._generation, sum(map(len, taken.values()))
        for number, records in taken.items():
            if generation != self._generation:
                return
            await self._take(reader, number, records)
        if total < self._settings.batch_records:
            await self._watch_quiet(reader, taken.keys())
        await self._follow_directory()
        await self._tell(reader, taken.keys())
        if 0 < total < self._settings.batch_records // 4:
            await _pause(stop, (self._settings.cycle_ms - (self._now_ms() - started)) / 1000)

    # ------------------------------------------------------------ ownership

    def _forget(self) -> None:
        """Drop everything believed about positions; the next round takes over anew."""
        self._generation += 1
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
            now = self._now_ms()
            self._readings[number] = Reading(shard, held.anchor is None, now, now)
            self._seek(reader, self._readings[number])
        log.info("took over shards %s", sorted(taken))

    def _seek(self, reader: Reader, reading: Reading) -> None:
        """Read on from the position; from the record before it while the log is still to be recognised."""
        held = reading.shard.held
        reading.since, reading.quiet_from, reading.drained = self._now_ms(), None, None
        reading.session = reader.session(reading.shard.number)
        reader.seek(reading.shard.number, held.next_offset if reading.verified else held.next_offset - 1)

    # ------------------------------------------------------------ records

    async def _take(self, reader: Reader, number: int, records: list[LogRecord]) -> None:
        reading = self._readings.get(number)
        if reading is None:
            self._audit_at = 0
            return
        reading.quiet_from = None
        held = reading.shard.held
        if reader.session(number) is not reading.session:
            reading.verified = held.anchor is None
            self._seek(reader, reading)  # the broker came back: recognise its log before reading on
            return
        expected = held.next_offset if reading.verified else held.next_offset - 1
        if records[0].offset < expected:
            self._seek(reader, reading)  # fetched before we sought
            return
        if records[0].offset > expected and not await self._bridge(reader, reading, records[0].offset):
            return
        if not reading.verified:
            if records[0].offset == expected:
                if record_mark(records[0]) != held.anchor:
                    await self._restart(reader, reading, "log replaced")
                    return
                records = records[1:]
            reading.verified, reading.verified_at = True, self._now_ms()
        if records:
            await self._fold(reading, records)
            reading.verified_at = self._now_ms()

    async def _fold(self, reading: Reading, records: list[LogRecord]) -> None:
        oldest = as_instant(max(records[0].timestamp, 0))
        started = self._clock()
        outcome = await reading.shard.fold(self._pool, records, started)
        done = self._clock()
        self._instruments.batch_seconds.observe((done - started).total_seconds())
        self._instruments.freshness.observe((done - oldest).total_seconds())
        for name in ("folded", "duplicate", "conflict", "late", "unmapped", "dead_letter"):
            if count := getattr(outcome, name):
                self._instruments.events.labels(name).inc(count)
        self._letters = self._letters or outcome.dead_letter > 0

    async def _bridge(self, reader: Reader, reading: Reading, offset: int) -> bool:
        """Tell whether to go on at ``offset``, which lies behind the position: retention, or a hole in the log."""
        first, _ = await reader.bounds(reading.shard.number)
        held = reading.shard.held
        if first > held.next_offset:
            await self._restart(reader, reading, "retention")
            return False
        return first >= held.next_offset or reading.verified or offset >= held.next_offset

    async def _restart(self, reader: Reader, reading: Reading, reason: str) -> None:
        """Go on at the log's beginning: it is another log, or retention took what was not folded yet."""
        shard = reading.shard
        first, _ = await reader.bounds(shard.number)
        async with transaction(self._pool) as tx:
            await positions.move(tx, shard.number, shard.held, first, None)
            await positions.note_gap(tx, shard.number, shard.held, first, reason)
        log.error("shard %s: %s, position %s goes on at %s", shard.number, reason, shard.held.next_offset, first)
        self._instruments.gaps.labels(reason).inc()
        shard.held = Held(first, None, shard.held.epoch)
        reading.verified = True
        self._seek(reader, reading)

    async def _out_of_range(self, reader: Reader, numbers: tuple[int, ...]) -> None:
        for number in numbers:
            if (reading := self._readings.get(number)) is None:
                continue
            first, last = await reader.bounds(number)
            held = reading.shard.held
            if first > held.next_offset:
                await self._restart(reader, reading, "retention")
            elif last < held.next_offset:
                await self._restart(reader, reading, "log replaced")
            else:  # only the record before the position is gone: nothing was missed
                reading.verified, reading.verified_at = True, self._now_ms()
                self._seek(reader, reading)

    # ------------------------------------------------------------ quiet shards

    async def _watch_quiet(self, reader: Reader, busy: "set[int] | object") -> None:
        """Note which shards hold nothing unread, and recognise their log again from time to time.

        A broker's answer without records proves a shard empty at the instant its request was sent, and that was
        after the answer before it: two empty answers in a row make the first one's instant the drained one.
        """
        now = self._now_ms()
        for number, reading in list(self._readings.items()):
            answered = reader.polled_at(number)
            if answered is not None:
                self._answered_at = max(self._answered_at, answered)
            if number in busy or answered is None or answered <= reading.since:  # type: ignore[operator]
                continue
            if reading.quiet_from is not None and answered > reading.quiet_from:
                if reading.verified:
                    reading.drained = reading.quiet_from
                elif now - reading.since > ABSENT_SECONDS * 1000:
                    await self._restart(reader, reading, "log replaced")
                    continue
            reading.quiet_from = answered
            if (
                reading.verified
                and reading.shard.held.anchor is not None
                and now - reading.verified_at > VERIFY_SECONDS * 1000
            ):
                await self._note_drained(force=True)
                reading.verified = False
                self._seek(reader, reading)

    async def _note_drained(self, *, force: bool = False) -> None:
        now = self._now_ms()
        if not force and now < self._drained_at:
            return
        drained = {
            number: (reading.shard.held, (now - reading.drained) / 1000)
            for number, reading in self._readings.items()
            if reading.drained is not None
        }
        if drained:
            await positions.note_drained(self._pool, drained)
            self._drained_at = now + int(DRAINED_SECONDS * 1000)

    # ------------------------------------------------------------ beside the records

    async def _follow_directory(self) -> None:
        for number in await window_store.changed_shards(self._pool, sorted(self._readings)):
            while reading := self._readings.get(number):
                if not await reading.shard.follow_directory(self._pool, self._clock()):
                    break
                self.last_round = self._clock()

    async def _tell(self, reader: Reader, busy: "set[int] | object") -> None:
        await self._note_drained()
        for number, reading in self._readings.items():
            behind = reader.behind(number, reading.shard.held.next_offset)
            if behind is not None:
                self._instruments.lag.labels(str(number)).set(behind)
        moved = {n: r.shard.held.next_offset for n, r in self._readings.items() if n in busy}  # type: ignore[operator]
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
            return {"kafka": "no answer from the broker"}
        return {}


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    if seconds > 0:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)
