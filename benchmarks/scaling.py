"""What an event costs when one, two or four aggregators share the partitions: CPU of all of them and of Postgres.

Every run has a fresh broker and a copy of one database. The aggregators are started and have divided the shards before
the first event; then all events are put on the log at once and are folded to the last. On a machine with few cores
more processes are no faster; what is judged is that they cost no more, as ratios of runs in turn. What an aggregator
uses with nothing to do is shown apart: it is of the time, not of the events, and much where a busy machine makes a run
long. Every run is checked: events against facts, windows against ``count(distinct)``, and that the shards stayed
divided.
"""

import asyncio
import time
from argparse import Namespace
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from benchmarks import aggregator, engines, measure, office
from benchmarks.aggregator import PARTITIONS, STALLED_SECONDS
from benchmarks.measure import Figure, Spread
from benchmarks.office import Office
from schemas.events import encode
from schemas.topics import EVENTS, shard_of
from services import child, installation, migrate, postgres
from services.embedded import Postgres
from services.kafka import Appender
from services.postgres import Connection

NUMBERS: Final = (1, 2, 4)
TARGET: Final = 1.15
_TEMPLATE: Final = "scaling"
_SIZES: Final = """
select coalesce(i.inhparent::regclass::text, c.relname) as name, sum(pg_total_relation_size(c.oid))::bigint as bytes
from pg_class c left join pg_inherits i on i.inhrelid = c.oid
where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace group by 1
"""

_DONE: Final = """
select not exists (select from dirty) and not exists (select from to_judge)
  and coalesce((select version from evaluation where tenant = 'bench')
    = (select sum(version) from tally where tenant = 'bench'), false)
"""


class Usage(NamedTuple):
    """What had been used at a moment: CPU seconds, and bytes of the write-ahead log."""

    python: float
    postgres: float
    wal: int
    at: float


@dataclass(frozen=True, slots=True)
class Result:
    """One run: CPU seconds per million events, of an idle aggregator per second; bytes per event."""

    aggregators: int
    python: float
    postgres: float
    per_second: float
    idle: float
    wal: float
    grown: dict[str, float]
    calibration: float

    @property
    def total(self) -> float:
        """Return Python and Postgres together."""
        return self.python + self.postgres

    @property
    def moved(self) -> float:
        """Return the same without what so many aggregators use in that time with nothing to do."""
        return self.total - self.idle * self.aggregators / self.per_second * 1e6


async def prepare(people: Office, server: Postgres) -> None:
    """Make the database that runs are copied from."""
    connection = await postgres.connect(server.url("postgres"), name="benchmark")
    await connection.execute(f"create database {_TEMPLATE}")
    await connection.close()
    await migrate.upgrade(server.url(_TEMPLATE))
    connection = await postgres.connect(server.url(_TEMPLATE), name="benchmark")
    await office.furnish(connection, people, PARTITIONS)
    await connection.close()


class Waiting:
    """The events of a run, packed as they will be appended."""

    def __init__(self, appender: Appender, people: Office, count: int, seed: int) -> None:
        self._appender = appender
        self._batches: dict[int, list[Any]] = defaultdict(list)
        self.copies = 0
        for event, is_copy in office.with_copies(office.events(people, seed), count):
            self.copies += is_copy
            self._pack(event)

    def _pack(self, event: dict[str, Any]) -> None:
        key, value, headers = encode(office.TENANT, event)
        batches = self._batches[shard_of(key, PARTITIONS)]
        received = int(datetime.fromisoformat(event["time"]).timestamp() * 1000)
        for _ in range(2):
            if batches and batches[-1].append(timestamp=received, key=key, value=value, headers=headers) is not None:
                return
            batches.append(self._appender.batch())
        raise SystemExit("WRONG: an event fits into no batch")

    async def append(self) -> None:
        """Put everything on the log, all partitions at once."""
        await asyncio.gather(*(self._append(shard) for shard in self._batches))

    async def _append(self, shard: int) -> None:
        for batch in self._batches[shard]:
            await self._appender.append(EVENTS, shard, batch)


async def divided(connection: Connection, aggregators: int) -> None:
    """Wait until the shards are divided among so many aggregators."""
    until = time.monotonic() + STALLED_SECONDS
    while time.monotonic() < until:
        rows = await connection.fetch("select count(*) as shards from position group by owner")
        if sorted(row["shards"] for row in rows) == [PARTITIONS // aggregators] * aggregators:
            return
        await asyncio.sleep(0.2)
    raise SystemExit(f"WRONG: {aggregators} aggregators did not divide the shards")


async def usage(connection: Connection, pids: list[int], server: int) -> Usage:
    """Return what has been used until now."""
    wal = await connection.fetchval("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
    return Usage(measure.cpu(*pids), measure.cpu(server), int(wal), time.monotonic())


async def folded(connection: Connection, wanted: int) -> None:
    """Wait until so many records are committed."""
    moved_at, records = time.monotonic(), 0
    while records < wanted:
        await asyncio.sleep(0.05)
        total = (await office.folded(connection)).total
        if total > records:
            moved_at, records = time.monotonic(), total
        elif time.monotonic() - moved_at > STALLED_SECONDS:
            raise SystemExit(f"WRONG: stalled at {records} of {wanted} records")


async def measured(connection: Connection) -> None:
    """Wait until nothing is left to be measured and judged."""
    until = time.monotonic() + 5 * STALLED_SECONDS
    while time.monotonic() < until:
        if await connection.fetchval(_DONE):
            return
        await asyncio.sleep(0.2)
    raise SystemExit("WRONG: not everything was measured and judged")


async def sizes(connection: Connection) -> dict[str, int]:
    """Return the bytes of every table, its indexes and partitions included."""
    return {row["name"]: row["bytes"] for row in await connection.fetch(_SIZES)}


async def run(aggregators: int, people: Office, server: Postgres, options: Namespace) -> Result:
    """Fold the events once, with so many aggregators."""
    assert server.pid is not None
    async with aggregator.copy_of(server, _TEMPLATE) as url:
        with ExitStack() as stack:
            kafka = stack.enter_context(engines.broker(options.broker))
            await installation.make_topics(url, kafka, partitions=PARTITIONS, replication=1)
            connection = await postgres.connect(url, name="benchmark")
            quiet = {} if options.measured else {"evaluate_seconds": 3600, "measure_seconds": 3600}
            settings = {"kafka": kafka, "database": url, "session_ms": 6000, **quiet, **measure.settings(options)}
            pids = [
                stack.enter_context(
                    engines.service("services.aggregator", **settings, aggregator_port=child.free_port())
                ).pid
                for _ in range(aggregators)
            ]
            appender = Appender(kafka, client_id="benchmark", request_ms=30_000)
            await appender.start()
            await divided(connection, aggregators)
            idle = await usage(connection, pids, server.pid)
            waiting = Waiting(appender, people, options.events, options.seed)
            calibration, before = measure.calibrate(), await sizes(connection)
            first = await usage(connection, pids, server.pid)
            await waiting.append()
            await folded(connection, options.events)
            if options.measured:
                await measured(connection)
            last = await usage(connection, pids, server.pid)
            await appender.stop()
            await divided(connection, aggregators)
        after = await sizes(connection)
        newest = await connection.fetchval("select max(day) from person_day")
        await office.check(
            connection,
            people,
            distinct=options.events - waiting.copies,
            copies=waiting.copies,
            as_of=[newest + timedelta(days=ahead) for ahead in (-1, 0, 3)],
        )
        await connection.close()
    return Result(
        aggregators=aggregators,
        python=(last.python - first.python) / options.events * 1e6,
        postgres=(last.postgres - first.postgres) / options.events * 1e6,
        per_second=options.events / (last.at - first.at),
        idle=(first.python + first.postgres - idle.python - idle.postgres) / (first.at - idle.at) / aggregators,
        wal=(last.wal - first.wal) / options.events,
        grown={name: grown / options.events for name in sorted(after) if (grown := after[name] - before.get(name, 0))},
        calibration=calibration,
    )


def figures(found: dict[int, list[Result]]) -> list[Figure]:
    """Return the lines of the table."""
    lines = []
    for number, results in found.items():
        name = f"{number} aggregator{'s' if number > 1 else ''}"
        lines.append(Figure(f"{name}: Python + Postgres", Spread.of(r.total for r in results), "CPU-s/M"))
        lines.append(Figure(f"{name}: rate", Spread.of(r.per_second for r in results), "events/s"))
    for number in NUMBERS[1:]:
        pairs = list(zip(found[number], found[1], strict=True))
        name = f"an event, {number} aggregators against 1"
        lines.append(Figure(name, Spread.of(many.total / one.total for many, one in pairs), "x", TARGET))
        lines.append(Figure(f"{name}, but for idling", Spread.of(many.moved / one.moved for many, one in pairs), "x"))
    every = [result for results in found.values() for result in results]
    lines.append(Figure("an aggregator with nothing to do", Spread.of(r.idle * 100 for r in every), "% of a core"))
    lines.append(Figure("write-ahead log of an event", Spread.of(r.wal for r in every), "bytes"))
    lines.append(Figure("tables and indexes of an event", Spread.of(sum(r.grown.values()) for r in every), "bytes"))
    tables = sorted({name for result in every for name in result.grown})
    lines += [Figure(f"… of it {name}", Spread.of(r.grown.get(name, 0) for r in every), "bytes") for name in tables]
    return lines


async def main() -> None:
    """Read the options, measure, print."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--events", type=int, default=0, help="[default: 150,000; quick: 30,000]")
    parser.add_argument("--people", type=int, default=0, help="[default: 10,000; quick: 2,000]")
    parser.add_argument("--measured", action="store_true", help="until all is measured and judged, too; judges nothing")
    parser.add_argument("--repetitions", type=int, default=0, help="[default: 3; quick: 1]")
    options = parser.parse_args()
    options.events = options.events or (30_000 if options.quick else 150_000)
    options.repetitions = options.repetitions or (1 if options.quick else 3)
    people = Office(options.people or (2_000 if options.quick else 10_000), teams=100 if options.quick else 500)
    found: dict[int, list[Result]] = {number: [] for number in NUMBERS}
    with engines.database() as server:
        await prepare(people, server)
        for number in range(options.repetitions):
            for aggregators in NUMBERS if number % 2 == 0 else reversed(NUMBERS):
                result = await run(aggregators, people, server, options)
                found[aggregators].append(result)
                print(
                    f"{number + 1} {aggregators} aggregators  python {result.python:6.1f}"
                    f"  postgres {result.postgres:6.1f} CPU-s/M  {result.per_second:8,.0f} events/s"
                    f"  idle {result.idle:.1%}  WAL {result.wal:5.0f} bytes  calibration {result.calibration:.3f}",
                    flush=True,
                )
    runs = {str(number): [msgspec.to_builtins(result) for result in results] for number, results in found.items()}
    measure.report("scaling", options, figures(found), runs=runs)


if __name__ == "__main__":
    asyncio.run(main())
