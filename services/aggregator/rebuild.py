"""Computing anew what is derived from the kept facts: it comes out as what stands, whatever way that came about.

Kept are ``activity``, the directory, decided aliases and the e-mails identities showed; from before activity was kept,
or where it was dropped since, the days of identities and people. Who is who, the days, the windows and the metrics
follow. What rests on days that are gone stands; and how often a cell was restated is history, which follows from
nothing.

One transaction a tenant: it takes over every shard, so an aggregator waits until it ends, finds another epoch and takes
its shards over anew. What the directory still queued is followed first, as an owner would.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple

from schemas.topics import person_key, shard_of
from services import installation, postgres
from services.aggregator.domain import links, windows
from services.aggregator.domain.facts import QUARTER, LocalDays, as_date, as_instant
from services.aggregator.domain.links import SELF, Link, Seat
from services.aggregator.domain.windows import Deltas
from services.aggregator.recount import NOBODY
from services.aggregator.remeasuring import Remeasured, rebuild_metrics
from services.aggregator.shard import Shard, Tenants
from services.aggregator.store import facts as fact_store
from services.aggregator.store import links as link_store
from services.aggregator.store import positions
from services.aggregator.store import rebuilding as store
from services.aggregator.store import windows as window_store
from services.aggregator.store.rebuilding import Compared
from services.aggregator.store.windows import Person
from services.postgres import Connection

OWNER: Final = "rebuild"
PEOPLE_AT_ONCE: Final = 2_000


class Found(NamedTuple):
    """How many rows of a table a tenant is to have, and how many did not stand as they are to be."""

    tenant: str
    table: str
    rows: int
    differing: int


class _Lone:
    """A pool of one connection: what takes transactions of a pool does its work within that of the connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        yield self._connection

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the connection has
        return getattr(self._connection, name)


async def rebuild(
    database: str, tenants: Sequence[str], clock: Callable[[], datetime], *, check: bool
) -> AsyncIterator[Found]:
    """Compute anew what is derived of each of ``tenants`` (none: of all); ``check``: and leave what stands.

    Raises:
        services.postgres.DATABASE_ERRORS: the database is away, or was not migrated.
    """
    shards = await installation.shards(database)
    connection = await postgres.connect(database, name="uptake-rebuild")
    try:
        sql = "select id from tenant where $1::text[] = '{}' or id = any($1) order by 1"
        for row in await connection.fetch(sql, list(tenants)) if shards else ():
            async with _taken_back(connection, really=check):
                found = await rebuild_windows(connection, row["id"], shards or 0, clock())
                found |= _measured(await rebuild_metrics(_Lone(connection), row["id"], clock))
            for table, compared in found.items():
                yield Found(row["id"], table, *compared)
    finally:
        await connection.close()


@asynccontextmanager
async def _taken_back(connection: Connection, *, really: bool) -> AsyncIterator[None]:
    """Run the block in a transaction, which is taken back in the end."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    except BaseException:
        await transaction.rollback()
        raise
    await (transaction.rollback() if really else transaction.commit())


def _measured(found: Remeasured) -> dict[str, Compared]:
    return {
        "career": Compared(found.subjects, found.careers),
        "contribution": Compared(found.subjects, found.contributions),
        "metric_cell": Compared(found.cells, found.wrong_cells),
    }


async def rebuild_windows(tx: Connection, tenant: str, shards: int, now: datetime) -> dict[str, Compared]:
    """Compute anew who is who, days and windows; return by table what was found. Nobody folds until ``tx`` ends."""
    await _follow(tx, shards, now)
    await store.prepare(tx)
    clock = (await fact_store.tenants(tx, [tenant]))[tenant]
    since = await store.since(tx, tenant)
    await store.tell(tx, tenant, since, _local_days(LocalDays(clock.time_zone), await store.quarters(tx, tenant)))
    seats, compared = await _seats(tx, tenant)
    found = {"roster": compared, **await store.replace_days(tx, tenant)}
    await _windows(tx, shards, seats)
    found["window_delta"] = await store.replace_windows(tx, tenant, since)
    if any(compared.differing for compared in found.values()):
        await store.tell_evaluator(tx, tenant)
    return found


async def _follow(tx: Connection, shards: int, now: datetime) -> None:
    """Take over all shards, and do what their owners had still to do."""
    held = await positions.take_over(tx, range(shards), OWNER)
    tenants = Tenants()
    owned = [
        Shard(number, shards, held[number], await fact_store.newest(tx, number), tenants, lambda _: None)
        for number in range(shards)
    ]
    while await tx.fetchval("select exists (select from directory_change)"):
        for shard in owned:
            while await shard.follow(tx, now):
                pass


def _local_days(days: LocalDays, quarters: Sequence[int]) -> Iterator[tuple[int, datetime, datetime, date]]:
    """Yield the local day of each quarter of an hour; where it holds parts of two, of each of its seconds."""
    for quarter in quarters:
        seconds = range(quarter * QUARTER, (quarter + 1) * QUARTER)
        first, last = (days.day(as_instant(second * 1000)) for second in (seconds[0], seconds[-1]))
        for start, end in [(seconds[0], seconds[-1] + 1)] if first == last else [(s, s + 1) for s in seconds]:
            low = as_instant(start * 1000)
            yield quarter, low, low + timedelta(seconds=end - start), as_date(days.day(low))


async def _seats(tx: Connection, tenant: str) -> tuple[dict[Person, Seat], Compared]:
    """Decide anew how everybody is counted; write what differs."""
    people = await store.identities(tx, tenant)
    old: dict[Person, Seat] = {}
    new: dict[Person, Seat] = {}
    for start in range(0, len(people), PEOPLE_AT_ONCE):
        some = people[start : start + PEOPLE_AT_ONCE]
        old |= await link_store.seats(tx, some)
        evidence, terms = await link_store.evidence(tx, some), await window_store.directory(tx, some)
        new |= {one: links.seat(one[1], evidence[one], terms.get(one), followed=False) for one in some}
    led = {(tenant, seat.user) for person, seat in new.items() if seat.user not in (None, person[1])}
    new |= {one: seat._replace(link=Link(one[1], SELF)) for one, seat in new.items() if one in led and not seat.link}
    differing = {one: seat for one, seat in new.items() if old.get(one, NOBODY) != seat}
    await link_store.enrol(tx, differing)
    await link_store.link(tx, {one: seat.link for one, seat in differing.items()})
    return new, Compared(sum(seat != NOBODY for seat in new.values()), len(differing))


async def _windows(tx: Connection, shards: int, seats: dict[Person, Seat]) -> None:
    """Compute what the people of each shard add to windows."""
    homes: dict[int, list[Person]] = defaultdict(list)
    for person, seat in seats.items():
        if seat.terms:
            homes[shard_of(person_key(*person), shards)].append(person)
    for shard, people in sorted(homes.items()):
        deltas = Deltas()
        for start in range(0, len(people), PEOPLE_AT_ONCE):
            some = people[start : start + PEOPLE_AT_ONCE]
            for person, (days, _) in zip(some, await fact_store.days_of(tx, some), strict=True):
                windows.move(deltas, person[0], days, old=(), new=seats[person].terms or (), final=-1)
        await store.compute_windows(tx, shard, deltas.settle())
