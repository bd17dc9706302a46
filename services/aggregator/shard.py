"""One owned shard: folds its records and its directory changes, each batch in one fenced transaction.

Everything here is exact only because one owner writes a shard: what it remembers (terms, newest event) is dropped
with the ownership, and the position's epoch refuses an owner that was overtaken.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Self

from services import tracing
from services.aggregator.domain.arrivals import Arrival, LogRecord, Unusable, read, record_mark
from services.aggregator.domain.facts import (
    Claimed,
    LocalDays,
    fold,
    marks,
    sources,
)
from services.aggregator.domain.windows import Deltas
from services.aggregator.erasing import Erasures
from services.aggregator.extending import changes_of, extend
from services.aggregator.people import People
from services.aggregator.recount import Home, recount
from services.aggregator.store import activity as activity_store
from services.aggregator.store import facts as fact_store
from services.aggregator.store import links as link_store
from services.aggregator.store import positions
from services.aggregator.store import windows as window_store
from services.aggregator.store.activity import MissingDayError
from services.aggregator.store.facts import RacedError, Tally, TenantClock
from services.aggregator.store.links import Change
from services.aggregator.store.partitions import Days
from services.aggregator.store.positions import Held, Letter
from services.postgres import POISON, Connection, Pool, transaction

log = logging.getLogger(__name__)

ALLOWED_LATENESS: Final = timedelta(hours=50)
"""Two hours until a day's windows are provisional, forty-eight more until they are final."""

CHANGES_AT_ONCE: Final = 500
OUTCOMES: Final = ("folded", "duplicate", "conflict", "late", "unmapped", "dead_letter")

Hook = Callable[[str], None]


class Tenants:
    """The clocks and local days of the tenants met so far. Both are fixed once a tenant has events."""

    def __init__(self) -> None:
        self.clocks: dict[str, TenantClock] = {}
        self.days: dict[str, LocalDays] = {}

    async def meet(self, tx: Connection, names: Iterable[str]) -> None:
        """Load those of ``names`` not met before."""
        if unknown := [name for name in names if name not in self.clocks]:
            for name, clock in (await fact_store.tenants(tx, unknown)).items():
                self.clocks[name] = clock
                self.days[name] = LocalDays(clock.time_zone)


class Batch(NamedTuple):
    """Records, and what is in them."""

    records: Sequence[LogRecord]
    arrivals: list[Arrival]
    unusable: list[Unusable]


@dataclass
class Outcome:
    """What became of a batch, in events."""

    folded: int = 0
    duplicate: int = 0
    conflict: int = 0
    late: int = 0
    unmapped: int = 0
    dead_letter: int = 0
    newest: dict[str, datetime] = field(default_factory=dict)

    def __iadd__(self, other: Self) -> Self:
        for name in OUTCOMES:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        _advance(self.newest, other.newest)
        return self


class Shard:
    """A shard as its owner knows it."""

    def __init__(
        self, number: int, shards: int, held: Held, newest: dict[str, datetime], tenants: Tenants, hook: Hook
    ) -> None:
        self.number = number
        self.held = held
        self._shards = shards
        self._newest = newest
        self._tenants = tenants
        self._hook = hook
        self._people = People(shards)
        self._days = Days()

    async def fold(self, pool: Pool, records: Sequence[LogRecord], now: datetime) -> Outcome:
        """Fold ``records`` and move the position behind them, in one transaction.

        Raises:
            FencedError: the shard is owned by another process now; nothing was written.
        """
        alone = False
        batch = self._read(records)
        while True:
            try:
                await self._days.ensure(pool, {arrival.at.date() for arrival in batch.arrivals})
                outcome = await self._commit(pool, batch, now, alone=alone)
            except RacedError:
                self._people.forget()  # whoever was faster has committed: its claims are seen next time
            except MissingDayError:
                self._people.forget()
                self._days.forget()  # a day that was dropped meanwhile
            except POISON:
                if alone:
                    raise
                self._people.forget()
                alone = True
            else:
                _advance(self._newest, outcome.newest)
                return outcome

    def _read(self, records: Sequence[LogRecord]) -> Batch:
        return Batch(records, *read(records, self.number, self._shards))

    async def _commit(self, pool: Pool, batch: Batch, now: datetime, *, alone: bool) -> Outcome:
        last = batch.records[-1]
        anchor = record_mark(last)
        self._hook("before_tx")
        with tracing.span("commit", {"db.system.name": "postgresql"}, kind="CLIENT"):
            async with transaction(pool) as tx:
                await positions.move(tx, self.number, self.held, last.offset + 1, anchor)
                outcome = await (self._isolate if alone else self._apply)(tx, batch, now)
                self._hook("in_tx")
        self._hook("after_commit")
        self.held = Held(last.offset + 1, anchor, self.held.epoch)
        return outcome

    async def _isolate(self, tx: Connection, batch: Batch, now: datetime) -> Outcome:
        """Apply what can be applied: halve the batch until the record at fault stands alone."""
        records = batch.records
        try:
            async with tx.transaction():
                return await self._apply(tx, batch, now)
        except POISON as error:
            self._people.forget()
            if len(records) == 1:
                self._tell(batch, error)
                await self._keep(tx, [Unusable(records[0], None, type(error).__name__)], {})
                return Outcome(dead_letter=1)
        middle = len(records) // 2
        outcome = await self._isolate(tx, self._read(records[:middle]), now)
        outcome += await self._isolate(tx, self._read(records[middle:]), now)
        return outcome

    def _tell(self, batch: Batch, error: Exception) -> None:
        """Log which event PostgreSQL refuses, and not why: its message repeats what was sent."""
        for arrival in batch.arrivals:
            about = {"shard": self.number, "tenant": arrival.event.tenant, "event": arrival.event.id}
            log.warning("an event was set aside: %s", type(error).__name__, extra=about)

    async def _apply(self, tx: Connection, batch: Batch, now: datetime) -> Outcome:
        arrivals, unusable = batch.arrivals, batch.unusable
        names = {arrival.event.tenant for arrival in arrivals}
        await self._tenants.meet(tx, names)
        if unknown := names - self._tenants.days.keys():
            unusable = unusable + [
                Unusable(a.record, a.event.tenant, "unknown tenant") for a in arrivals if a.event.tenant in unknown
            ]
            arrivals = [arrival for arrival in arrivals if arrival.event.tenant not in unknown]
        tallies: dict[str, Tally] = defaultdict(Tally)
        fresh = await self._claim(tx, arrivals, tallies, now)
        if fresh:
            await self._add(tx, fresh, tallies, now)
        if unusable:
            await self._keep(tx, unusable, tallies)
        if tallies:
            await fact_store.tell(tx, self.number, tallies)
        return _outcome(tallies.values(), len(unusable), {name: t.newest for name, t in tallies.items() if t.newest})

    async def _claim(
        self, tx: Connection, arrivals: Sequence[Arrival], tallies: dict[str, Tally], now: datetime
    ) -> list[Claimed]:
        """Return the events never seen before; count the others as duplicates, or conflicts when they differ."""
        first: dict[bytes, Arrival] = {}
        copies: list[tuple[Arrival, int]] = []
        for arrival in arrivals:
            earlier = first.setdefault(arrival.identity, arrival)
            if earlier is not arrival:
                copies.append((arrival, earlier.mark))
        if not first:
            return []
        candidates = list(first.values())
        taken = await fact_store.claim(tx, list(first), [a.mark for a in candidates], now.date())
        copies += [(candidates[n], mark) for n, mark in taken.items()]
        for arrival, mark in copies:
            tally = tallies[arrival.event.tenant]
            tally.duplicates += 1
            tally.conflicts += arrival.mark != mark
        return [Claimed(a.event, a.at, a.identity, a.received_at) for n, a in enumerate(candidates) if n not in taken]

    async def _add(self, tx: Connection, fresh: Sequence[Claimed], tallies: dict[str, Tally], now: datetime) -> None:
        """Write the facts of ``fresh`` events and what they do to the windows."""
        seen = sources(fresh)
        for (tenant, _), source in seen.items():
            tallies[tenant].see(source.latest)
            tallies[tenant].folded += source.events
        finals = {tenant: self._final_day(tenant, now) for tenant, _ in seen}
        fresh = await self._people.living(tx, fresh)
        folded = fold(fresh, self._tenants.days)
        roster = await self._people.terms(tx, {(key.tenant, key.user) for key in folded})
        await self._people.sight(tx, roster, fresh)
        own = await self._people.keep_apart(tx, folded)
        added = await fact_store.add(tx, own) if own else []
        for key, activity in folded.items():
            tally = tallies[key.tenant]
            tally.late += activity.events if key.day <= finals[key.tenant] else 0
            tally.unmapped += activity.events if roster[key.tenant, key.user] is None else 0
        deltas = Deltas()
        await extend(tx, deltas, changes_of(own, added), roster, finals)
        await window_store.add(tx, self.number, deltas.settle())
        await fact_store.see_sources(tx, self.number, seen)
        await activity_store.keep(tx, fresh)
        await activity_store.count_hours(tx, self.number, seen)
        strangers = {person for person, terms in roster.items() if terms is None}
        await activity_store.mark(tx, marks(fresh, folded, strangers))

    def _final_day(self, tenant: str, now: datetime) -> int:
        """Return the newest as-of day whose windows were final before this batch."""
        moment: datetime | None = now
        if self._tenants.clocks[tenant].clock == "event":
            moment = self._newest.get(tenant)
        return -1 if moment is None else self._tenants.days[tenant].day(moment - ALLOWED_LATENESS) - 1

    async def _keep(self, tx: Connection, unusable: Sequence[Unusable], tallies: dict[str, Tally]) -> None:
        """Keep dead letters, and count them for the tenants that exist."""
        letters = [
            Letter(r.offset, record_mark(r), tenant, r.key, r.value, reason, r.timestamp)
            for r, tenant, reason in unusable
        ]
        for tenant in await positions.keep_letters(tx, self.number, letters):
            if tenant in self._tenants.clocks:
                tallies[tenant].dead_letters += 1

    async def follow_directory(self, pool: Pool, now: datetime) -> int:
        """Count people whose directory entry changed under their new terms; return how many changes were taken.

        Raises:
            FencedError: the shard is owned by another process now; nothing was written.
        """
        async with transaction(pool) as tx:
            await positions.lock(tx, self.number, self.held)
            changes = await self.follow(tx, now)
        self._people.forget(change.person for change in changes)
        return len(changes)

    async def follow(self, tx: Connection, now: datetime) -> list[Change]:
        """Do so under the lock of the shard's position, which ``tx`` holds; return what was taken."""
        changes = await link_store.take(tx, self.number, CHANGES_AT_ONCE)
        if changes:
            await self._tenants.meet(tx, {change.person[0] for change in changes})
            known = [change for change in changes if change.person[0] in self._tenants.clocks]
            home, erasures = Home(self.number, self._shards), Erasures(self.number)
            known = await erasures.begin(tx, known)
            await recount(tx, home, known, lambda tenant: self._final_day(tenant, now))
            await erasures.end(tx)
        return changes


def _advance(newest: dict[str, datetime], by: dict[str, datetime]) -> None:
    for tenant, moment in by.items():
        newest[tenant] = max(moment, newest.get(tenant, moment))


def _outcome(tallies: Iterable[Tally], dead_letters: int, newest: dict[str, datetime]) -> Outcome:
    outcome = Outcome(dead_letter=dead_letters, newest=newest)
    for tally in tallies:
        outcome.folded += tally.folded
        outcome.duplicate += tally.duplicates
        outcome.conflict += tally.conflicts
        outcome.late += tally.late
        outcome.unmapped += tally.unmapped
    return outcome
