"""How one owned shard is read: which records may be folded next, and whether this is still the log we know.

A log is recognised by the record before the position. When that record is another one, or is missing, the log was
replaced and is read from its beginning; identities make that harmless. What retention took is written down.
"""

import logging
from collections.abc import Callable
from typing import Final

from services.aggregator.domain.arrivals import LogRecord, record_mark
from services.aggregator.instruments import Instruments
from services.aggregator.shard import Shard
from services.aggregator.store import positions
from services.aggregator.store.positions import Held
from services.kafka import Reader
from services.postgres import Pool, transaction

log = logging.getLogger(__name__)

VERIFY_MS: Final = 10_000
"""A quiet shard's log is recognised again this often: nobody tells when it was replaced."""

QUIET_ANSWERS: Final = 3
"""So many answers without a delivery: the second brought nothing, as what is fetched stops the asking until taken."""

ABSENT_MS: Final = 3_000
"""How long the record before a position may fail to appear before the log counts as replaced."""


class Reading:
    """Where a reader stands on one shard. Instants are milliseconds of this process's clock."""

    def __init__(
        self, shard: Shard, reader: Reader, pool: Pool, instruments: Instruments, now_ms: Callable[[], int]
    ) -> None:
        self.shard = shard
        self.drained: int | None = None
        self._reader = reader
        self._pool = pool
        self._instruments = instruments
        self._now_ms = now_ms
        self._verified = shard.held.anchor is None
        self._verified_at = now_ms()
        self._answered: int | None = None
        self._ends: list[tuple[int, int]] = []
        self._quiet: list[int] = []
        self.seek()

    @property
    def _next(self) -> int:
        """The offset to read next: the record before the position while the log is still to be recognised."""
        return self.shard.held.next_offset if self._verified else self.shard.held.next_offset - 1

    def seek(self) -> None:
        """Read on from where this shard stands."""
        self._since, self.drained = self._now_ms(), None
        self.arrived: list[LogRecord] = []
        self._answered, self._ends, self._quiet = None, [], []
        self._session = self._reader.session(self.shard.number)
        self._reader.seek(self.shard.number, self._next)

    def _doubt(self) -> None:
        self._verified = self.shard.held.anchor is None
        self.seek()

    def _recognise(self) -> None:
        self._verified, self._verified_at = True, self._now_ms()

    def arrive(self, records: list[LogRecord]) -> None:
        """Keep ``records`` behind those that arrived before, until the shard is folded or reads from elsewhere."""
        self.arrived += records
        self._quiet = []

    async def admit(self) -> list[LogRecord]:
        """Take what arrived; return what to fold now: none when it is stale, or the log must be recognised first."""
        records, self.arrived = self.arrived, []
        if self._reader.session(self.shard.number) is not self._session:
            self._doubt()  # the broker came back, perhaps with another log
            return []
        first = records[0]
        if first.offset < self._next:
            self.seek()  # fetched before we sought
            return []
        if first.offset > self._next and not await self._bridge():
            return []
        if not self._verified and first.offset == self._next:
            if record_mark(first) != self.shard.held.anchor:
                await self._restart("log replaced")
                return []
            records = records[1:]
        self._recognise()
        return records

    async def _bridge(self) -> bool:
        """Tell whether to go on behind a missing record: a hole in the log is legal, what retention took is a loss."""
        first, _ = await self._reader.bounds(self.shard.number)
        if first > self.shard.held.next_offset:
            await self._restart("retention")
            return False
        return True

    async def _restart(self, reason: str) -> None:
        """Go on at the log's beginning."""
        shard, held = self.shard, self.shard.held
        first, _ = await self._reader.bounds(shard.number)
        async with transaction(self._pool) as tx:
            await positions.move(tx, shard.number, held, first, None)
            await positions.note_gap(tx, shard.number, held, first, reason)
        log.error(
            "shard %s: %s, position %s goes on at %s",
            *(shard.number, reason, held.next_offset, first),
            extra={"shard": shard.number},
        )
        self._instruments.gaps.labels(reason).inc()
        shard.held = Held(first, None, held.epoch)
        self._recognise()
        self.seek()

    async def leave_outside(self) -> None:
        """Go on after the broker said that our offset lies outside its log."""
        first, last = await self._reader.bounds(self.shard.number)
        if first > self.shard.held.next_offset:
            await self._restart("retention")
        elif last < self.shard.held.next_offset:
            await self._restart("log replaced")
        else:  # only the record before the position is gone: nothing was missed
            self._recognise()
            self.seek()

    async def watch(self) -> int | None:
        """Take note of the broker's last answer, also amid records; return its instant.

        A request is sent after the answer before it. So all that was acknowledged until that instant lies before the
        end of the log that the answer tells of, and is folded once the position is there: also while more arrives.
        """
        answered = self._reader.polled_at(self.shard.number)
        if answered is None or answered <= self._since:
            return answered
        if self._answered is None or answered > self._answered:
            self._take_note(answered)
        quiet = len(self._quiet) == QUIET_ANSWERS and not self.arrived
        if not self._verified:
            if quiet and self._now_ms() - self._since > ABSENT_MS:
                await self._restart("log replaced")
            return answered
        while self._ends and self._ends[0][1] <= self.shard.held.next_offset:
            self.drained = self._ends.pop(0)[0]
        if quiet:  # where a log ends with a hole, its end is never reached
            self.drained = max(self.drained or 0, self._quiet[0])
        return answered

    def _take_note(self, answered: int) -> None:
        """Keep the end of the log as of the answer before: the oldest one not reached yet, and the newest."""
        behind = self._reader.behind(self.shard.number, self.shard.held.next_offset)
        if self._answered is not None and behind is not None:
            self._ends = [*self._ends[:1], (self._answered, self.shard.held.next_offset + behind)]
        self._answered = answered
        self._quiet = [*self._quiet, answered][-QUIET_ANSWERS:]

    def due_to_recognise(self) -> bool:
        """Tell whether the log was not recognised for a while."""
        return self._verified and self.drained is not None and self._now_ms() - self._verified_at > VERIFY_MS

    def recognise_again(self) -> None:
        """Read the record before the position once more."""
        self._verified_at = self._now_ms()
        self._doubt()
