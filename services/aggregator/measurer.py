"""The measurer: keeps what people and records contribute, and the numbers of groups, true to directory and facts.

Each tenant is one measurer's, however many there are (``leading``). Whatever changes something that a number rests on
queues who is concerned, in its own transaction (``dirty``). A pass takes what was queued until it began, part by part,
each part in one transaction that takes the rows, reads, and writes contributions with the numbers that follow.

Why that is exact. A part first locks the tenant's row of ``measured``, so parts of a tenant follow each other, even of
two measurers that meet, and the contributions that a difference is taken from are those the numbers were made of. It
runs in READ COMMITTED and takes rows before it reads facts: what made a row was committed before the row was seen, so
every later statement sees it. A fact that is committed while a part runs may be seen by some of its statements and not
by others; its own row is still queued then, and measuring again ends with what is true. Taking, reading and writing are
one transaction: whoever dies leaves the row where it was.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from time import perf_counter
from typing import Final

from services.aggregator.domain.measures import Span, Subject, chunks
from services.aggregator.leading import Confirm, Leader, Rests, Share
from services.aggregator.measuring import house as houses
from services.aggregator.measuring.hiding import hide
from services.aggregator.measuring.house import House
from services.aggregator.measuring.people import measure as measure_people
from services.aggregator.measuring.records import measure as measure_records
from services.aggregator.measuring.spreading import spread
from services.aggregator.measuring.stepping import step
from services.aggregator.measuring.telling import tell_records
from services.aggregator.store import dirty, leading
from services.aggregator.store import evaluation as evaluation_store
from services.aggregator.store import measures as store
from services.aggregator.store.dirty import Backlog, Waiting
from services.postgres import CONFLICT, UNAVAILABLE, Connection, Pool, transaction
from services.waiting import pause

log = logging.getLogger(__name__)

Hook = Callable[[str], None]

POLL_SECONDS: Final = 0.1
REST: Final = 1.0
"""After a pass amid a backlog that took t the tenant rests for so many t: folding keeps half of the time."""
MOST_REST: Final = 10.0
PATIENCE: Final = timedelta(seconds=5)
"""How long a pass waits for unread events: amid a backlog everybody would be measured again and again."""
RECORDS_PATIENCE: Final = timedelta(seconds=20)
"""How long records wait amid a backlog: there are many, and each is told of again and again."""
RECORD_SECONDS: Final = 1.0
"""How long people wait for records at most."""
LEAST_SECONDS: Final = 0.25
"""How long records are measured though people wait."""
SUBJECTS: Final = 500
SUBJECT_WEEKS: Final = 3000
"""What one part holds at most."""
ATTEMPTS: Final = 5
TELL_SECONDS: Final = 2.0
HIDE_SECONDS: Final = 2.0
PASS_SECONDS: Final = 20.0
"""After so long a pass ends and what is left waits for the next: a late event never waits behind a whole tenant."""


class Measurer:
    """Measures every tenant of its share of whom something waits.

    ``least``: the time between two passes over a tenant and before the first, in seconds. ``observe`` is told the
    duration of each pass, ``tell`` what waits; ``hook`` lets tests stop it at a site.
    """

    def __init__(
        self,
        pool: Pool,
        database_url: str,
        clock: Callable[[], datetime],
        least: float = POLL_SECONDS,
        observe: Callable[[float], None] = lambda _seconds: None,
        tell: Callable[[Backlog], None] = lambda _backlog: None,
        hook: Hook = lambda _site: None,
    ) -> None:
        self._pool = pool
        self._url = database_url
        self._clock = clock
        self._least = least
        self._observe = observe
        self._tell = tell
        self._hook = hook
        self._waiting: dict[str, datetime] = {}
        self._rests = Rests()
        self._told_at = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Measure until ``stop``; wait while others lead all tenants or Postgres is away."""
        await pause(stop, self._least)
        leader = Leader(self._url, "measurer", leading.MEASURER, POLL_SECONDS)
        await leader.run(stop, lambda confirm, share: self._round(confirm, share, stop))

    async def _round(self, confirm: Confirm, share: Share, stop: asyncio.Event) -> None:
        now = self._clock()
        async with self._pool.acquire() as connection:
            due = [tenant for tenant in await store.due(connection, now) if tenant in share]
            if perf_counter() >= self._told_at + TELL_SECONDS:
                self._tell(await dirty.backlog(connection, due))
                self._told_at = perf_counter()
            if not due:
                self._waiting.clear()
                return
            state = await evaluation_store.log_state(connection)
        await confirm()
        self._waiting = {tenant: self._waiting.get(tenant, state.asked_at) for tenant in due}
        for tenant, since in list(self._waiting.items()):
            drained = state.drained_at >= since
            if (
                (drained or state.asked_at - since >= PATIENCE)
                and not stop.is_set()
                and self._rests.over(tenant, perf_counter())
            ):
                await self._measure_alone(tenant, now, state.asked_at - RECORDS_PATIENCE, calm=drained)
                del self._waiting[tenant]
                await confirm()

    async def _measure_alone(self, tenant: str, now: datetime, long_ago: datetime, *, calm: bool) -> None:
        """Measure ``tenant``; what goes wrong with it is told and tried again later, the others go on.

        Unless all is ``calm``, its records wait, but none that has waited since ``long_ago``.
        """
        started = perf_counter()
        try:
            late = await dirty.records_wait(self._pool, tenant, long_ago)
            await self.measure(tenant, now, records=RECORD_SECONDS if calm or late else 0.0, hurry=not late)
        except Exception as error:
            self._rests.failed(tenant, perf_counter())
            trace = not isinstance(error, (OvertakenError, *UNAVAILABLE))
            log.warning("measuring tenant %s failed: %s", tenant, error, exc_info=trace, extra={"tenant": tenant})
        else:
            seconds = 0.0 if calm else min(REST * (perf_counter() - started), MOST_REST)
            self._rests.done(tenant, perf_counter(), max(seconds, self._least))

    async def measure(self, tenant: str, now: datetime, *, records: float = PASS_SECONDS, hurry: bool = False) -> bool:
        """Measure what was queued until now; ``now`` counts for tenants on the wall clock.

        ``records``: for how many seconds these are measured, too; in a ``hurry`` they make way when people wait again.
        Returns whether there was anything to do.
        """
        started = perf_counter()
        house = await self._begin(tenant, now)
        if house is None:
            return False
        until = started + PASS_SECONDS
        complete = await self._measure(house, until, records=False)
        await self._hide(house)
        if complete:
            await self._reached(house)
            until = min(until, perf_counter() + records)
            complete = records > 0 and await self._measure(house, until, records=True, hurry=hurry)
            await self._hide(house)
        await self._finish(house, complete=complete)
        self._observe(perf_counter() - started)
        return True

    async def _measure(self, house: House, until: float, *, records: bool, hurry: bool = False) -> bool:
        """Measure people, or ``records``; return whether nobody is left, who then waits for the next pass."""
        soon = perf_counter() + LEAST_SECONDS
        while todo := await self._ready(house, records=records):
            rows = {each.subject: each.rows for each in todo}
            for part in chunks(_sized(house, todo), SUBJECTS, SUBJECT_WEEKS):
                await self._isolate(house, {subject: rows[subject] for subject in part})
                over = perf_counter() > until
                if hurry and not over and perf_counter() > soon:
                    over = await dirty.people_wait(self._pool, house.tenant)
                if over:
                    return not await dirty.wait(self._pool, house.tenant, house.cut, records=records)
        return True

    async def _begin(self, tenant: str, now: datetime) -> House | None:
        """Begin a pass, or go on with one that was left; None: nothing waits and no week is new."""
        async with transaction(self._pool) as tx:
            case = await store.case(tx, tenant)
            if case is None:
                return None
            before = await store.lock(tx, tenant)
            await dirty.unpack(tx, tenant)
            measured = await houses.calendar(tx, tenant, case, before, now)
            if before.cut is None:
                if measured == before and not (houses.goes_on(case, before) or await dirty.anything(tx, tenant)):
                    return None
                measured = await store.begin(tx, tenant, measured, now)
            house = houses.house_of(
                tenant,
                case,
                measured,
                now if case.settings["clock"] == "wall" else before.as_of,
                zones=houses.zones([case.settings["time_zone"], *await store.zones(tx, tenant)]),
                counted=await store.weeks_known(tx, tenant, measured.known_at or now),
                as_of=houses.moment_of(case, now) if before.cut is None else before.as_of,
            )
            new = [(Subject("tenant", mark), span) for mark, span in houses.newly(house, before)]
            await dirty.queue(tx, tenant, house.cut, new)
            self._hook("in_begin")
        self._hook("after_begin")
        return house

    async def _ready(self, house: House, *, records: bool) -> list[Waiting]:
        """Return what is to be measured next, late events first, what concerns all of the past last."""
        week = house.weeks.last if house.weeks else None
        return await dirty.waiting(self._pool, house.tenant, house.cut, week, records=records)

    async def _hide(self, house: House) -> None:
        """Find out who is hidden in weeks with other members than before, the newest first, for a while.

        What is left is left to the next pass: numbers do not wait for it, and groups that are new stay hidden.
        """
        started = perf_counter()
        for each in await dirty.weeks_waiting(self._pool, house.tenant, house.cut):
            await self._isolate(house, {each.subject: each.rows})
            if perf_counter() - started > HIDE_SECONDS:
                break

    async def _isolate(self, house: House, rows: Mapping[Subject, Sequence[int]]) -> None:
        """Measure what ``rows`` say: halve the part until who cannot be measured stands alone, and is set aside."""
        try:
            await self._part(house, [row for each in rows.values() for row in each])
        except (OvertakenError, *UNAVAILABLE):
            raise
        except Exception:
            subjects = list(rows)
            if len(subjects) == 1:
                log.exception("tenant %s: a %s cannot be measured", house.tenant, subjects[0].kind)
                await dirty.set_aside(self._pool, rows[subjects[0]])
                return
            middle = len(subjects) // 2
            for half in (subjects[:middle], subjects[middle:]):
                await self._isolate(house, {subject: rows[subject] for subject in half})

    async def _part(self, house: House, rows: Sequence[int]) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with transaction(self._pool) as tx:
                    await self._take(tx, house, rows)
                    self._hook("in_part")
            except CONFLICT:
                if attempt == ATTEMPTS:
                    raise
                await asyncio.sleep(0.02 * attempt)
            else:
                break
        self._hook("after_part")

    async def _take(self, tx: Connection, house: House, rows: Sequence[int]) -> None:
        """Take ``rows`` off the queue and measure anew what they say."""
        measured = await store.lock(tx, house.tenant)
        taken, since = await dirty.take(tx, rows)
        case = await store.case(tx, house.tenant)
        if case is None or since is None:
            return
        if (measured.cut, measured.known_at) != (house.cut, house.known_at):
            raise OvertakenError(house.tenant)
        kinds: dict[str, dict[str, Span]] = {}
        for subject, span in taken.items():
            kinds.setdefault(subject.kind, {})[subject.key] = span
        house = houses.renewed(house, case, since)
        await spread(tx, house, kinds.get("tenant", {}))
        if people := kinds.get("person"):
            await tell_records(tx, house, await measure_people(tx, house, people))
        await measure_records(tx, house, kinds.get("record", {}))
        weeks = [day for week in kinds.get("week", {}) if not house.forgotten(day := date.fromisoformat(week))]
        await hide(tx, house, weeks)
        if people or weeks:
            await step(tx, house, weeks)

    async def _reached(self, house: House) -> None:
        """Write down that all people are measured who were queued until the cut; records may take longer."""
        async with transaction(self._pool) as tx:
            measured = await store.lock(tx, house.tenant)
            if measured.cut == house.cut:
                await store.reached(tx, house.tenant, house.as_of)

    async def _finish(self, house: House, *, complete: bool) -> None:
        async with transaction(self._pool) as tx:
            measured = await store.lock(tx, house.tenant)
            case = await store.case(tx, house.tenant)
            if case is not None and measured.cut == house.cut:
                await store.finish(tx, house.tenant, complete=complete)
            self._hook("in_finish")


class OvertakenError(RuntimeError):
    """Another measurer began a pass over the tenant meanwhile; nothing was written."""


def _sized(house: House, ready: Iterable[Waiting]) -> list[tuple[Subject, int]]:
    """Return subjects with how many weeks of them are to be counted."""
    return [(each.subject, max(1, len(house.weeks.of(each.span))) if house.weeks else 1) for each in ready]
