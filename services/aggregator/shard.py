"""One owned shard: folds its records and its directory changes, each batch in one fenced transaction.

Everything here is exact only because one owner writes a shard: what it remembers (terms, newest event) is dropped
with the ownership, and the position's epoch refuses an owner that was overtaken.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Self

from services.aggregator.domain import windows
from services.aggregator.domain.arrivals import Arrival, LogRecord, Unusable, read, record_mark
from services.aggregator.domain.facts import Activity, Claimed, LocalDays, PersonDayKey, fold, sources
from services.aggregator.domain.windows import DayChange, Deltas
from services.aggregator.people import People
from services.aggregator.recount import Home, recount
from services.aggregator.store import facts as fact_store
from services.aggregator.store import links as link_store
from services.aggregator.store import positions
from services.aggregator.store import windows as window_store
from services.aggregator.store.facts import Added, RacedError, Tally, TenantClock
from services.aggregator.store.positions import Held, Letter
from services.aggregator.store.windows import Person, Terms
from services.postgres import POISON, Connection, Pool, transaction

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

    async def fold(self, pool: Pool, records: Sequence[LogRecord], now: datetime) -> Outcome:
        """Fold ``records`` and move the position behind them, in one transaction.

        Raises:
            FencedError: the shard is owned by another process now; nothing was written.
        """
        alone = False
        while True:
            try:
                outcome = await self._commit(pool, records, now, alone=alone)
            except RacedError:
                self._people.forget()  # whoever was faster has committed: its claims are seen next time
            except POISON:
                if alone:
                    raise
                self._people.forget()
                alone = True
            else:
                _advance(self._newest, outcome.newest)
                return outcome

    async def _commit(self, pool: Pool, records: Sequence[LogRecord], now: datetime, *, alone: bool) -> Outcome:
        last = records[-1]
        anchor = record_mark(last)
        self._hook("before_tx")
        async with transaction(pool) as tx:
            await positions.move(tx, self.number, self.held, last.offset + 1, anchor)
            outcome = await (self._isolate if alone else self._apply)(tx, records, now)
            self._hook("in_tx")
        self._hook("after_commit")
        self.held = Held(last.offset + 1, anchor, self.held.epoch)
        return outcome

    async def _isolate(self, tx: Connection, records: Sequence[LogRecord], now: datetime) -> Outcome:
        """Apply what can be applied: halve the batch until the record at fault stands alone."""
        try:
            async with tx.transaction():
                return await self._apply(tx, records, now)
        except POISON as error:
            self._people.forget()
            if len(records) == 1:
                await self._keep(tx, [Unusable(records[0], None, type(error).__name__)], {})
                return Outcome(dead_letter=1)
        middle = len(records) // 2
        outcome = await self._isolate(tx, records[:middle], now)
        outcome += await self._isolate(tx, records[middle:], now)
        return outcome

    async def _apply(self, tx: Connection, records: Sequence[LogRecord], now: datetime) -> Outcome:
        arrivals, unusable = read(records, self.number, self._shards)
        names = {arrival.event.tenant for arrival in arrivals}
        await self._tenants.meet(tx, names)
        if unknown := names - self._tenants.days.keys():
            unusable += [
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
        return [Claimed(a.event, a.at) for n, a in enumerate(candidates) if n not in taken]

    async def _add(self, tx: Connection, fresh: Sequence[Claimed], tallies: dict[str, Tally], now: datetime) -> None:
        """Write the facts of ``fresh`` events and what they do to the windows."""
        seen = sources(fresh)
        for (tenant, _), source in seen.items():
            tallies[tenant].see(source.latest)
        finals = {tenant: self._final_day(tenant, now) for tenant, _ in seen}
        folded = fold(fresh, self._tenants.days)
        roster = await self._people.terms(tx, {(key.tenant, key.user) for key in folded})
        await self._people.sight(tx, roster, fresh)
        own = await self._people.keep_apart(tx, folded)
        added = await fact_store.add(tx, own) if own else []
        for key, activity in folded.items():
            tally = tallies[key.tenant]
            tally.folded += activity.events
            tally.late += activity.events if key.day <= finals[key.tenant] else 0
            tally.unmapped += activity.events if roster[key.tenant, key.user] is None else 0
        deltas = Deltas()
        await _extend(tx, deltas, _changes(own, added), roster, finals)
        await window_store.add(tx, self.number, deltas.settle())
        await fact_store.see_sources(tx, self.number, seen)

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
            changes = await link_store.take(tx, self.number, CHANGES_AT_ONCE)
            if changes:
                await self._tenants.meet(tx, {change.person[0] for change in changes})
                known = [change for change in changes if change.person[0] in self._tenants.clocks]
                home = Home(self.number, self._shards)
                await recount(tx, home, known, lambda tenant: self._final_day(tenant, now))
        self._people.forget(change.person for change in changes)
        return len(changes)


def _changes(folded: dict[PersonDayKey, Activity], added: Sequence[Added]) -> dict[Person, list[DayChange]]:
    """Return by person what is new in each touched day, ascending by day."""
    changes: dict[Person, list[DayChange]] = defaultdict(list)
    for key, events, logins in sorted(added):
        activity = folded[key]
        change = DayChange(
            key.day,
            activity.actions,
            fresh=events == activity.events,
            fresh_login=activity.logins > 0 and logins == activity.logins,
        )
        changes[key.tenant, key.user].append(change)
    return changes


async def _extend(
    tx: Connection,
    deltas: Deltas,
    changes: dict[Person, list[DayChange]],
    roster: dict[Person, Terms | None],
    finals: dict[str, int],
) -> None:
    """Add what ``changes`` do to the windows; only people with a newly active day need their neighbouring days."""
    counted = {person: days for person, days in changes.items() if roster[person]}
    fresh = {person: days for person, days in counted.items() if any(c.fresh or c.fresh_login for c in days)}
    spans = [(*person, days[0].day - windows.REACH, days[-1].day + windows.REACH) for person, days in fresh.items()]
    near = dict(zip(fresh, await fact_store.near(tx, spans), strict=True)) if spans else {}
    for person, days in counted.items():
        active, logged_in = near.get(person, ([], []))
        new_days = {c.day for c in days if c.fresh}
        new_logins = {c.day for c in days if c.fresh_login}
        windows.extend(
            deltas,
            person[0],
            roster[person] or (),
            days,
            active=[day for day in active if day not in new_days],
            logged_in=[day for day in logged_in if day not in new_logins],
            final=finals[person[0]],
        )


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
