"""What an event costs from the log to committed windows: CPU of one aggregator process and of Postgres, apart.

Events wait on the topic; a real ``python -m services.aggregator`` drains it into a copy of a prepared database. What
counts is what it used between a tenth of the events and all of them, so its start costs nothing, and every run is
checked: events against facts, windows against ``count(distinct)``. A wrong run, however fast, ends the benchmark.
Beside it the same rows go into a plain table by COPY, which is the least that keeping an event can cost.
"""

import asyncio
import csv
import io
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Any, Final

import msgspec

from benchmarks import engines, measure, office
from benchmarks.measure import Figure, Spread
from benchmarks.office import Office, Preloaded
from services import child, postgres
from services.embedded import Postgres
from services.postgres import Connection

PARTITIONS: Final = 12
STALLED_SECONDS: Final = 120.0
COPIED: Final = 100_000


@dataclass
class Case:
    """An office, how many events of it are folded, and where they wait."""

    name: str
    office: Office
    events: int
    kafka: str = ""
    loaded: Preloaded = field(default_factory=lambda: Preloaded(0, 0))
    results: list["Result"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Result:
    """One run, in CPU seconds per million events."""

    python: float
    postgres: float
    copied: float
    per_second: float
    calibration: float
    cells: int

    @property
    def total(self) -> float:
        """Return Python and Postgres together."""
        return self.python + self.postgres


def cases(*, quick: bool) -> dict[str, Case]:
    """Return what is compared: ten times the people, and twenty-six times the history."""
    small, many, few = (2_000, 10_000, 500) if quick else (10_000, 100_000, 1_000)
    teams = 100 if quick else 500
    base, crowd = Office(small, teams=teams), Office(many, teams=teams)
    young, old = Office(few, teams=few // 20), Office(few, teams=few // 20, history=730)
    days = 2 if quick else 4
    return {
        "base": Case(f"{small:,} people", base, days * base.events_a_day()),
        "people": Case(f"{many:,} people", crowd, crowd.events_a_day()),
        "young": Case(f"{few:,} people, 28 days", young, 2 * days * young.events_a_day()),
        "old": Case(f"{few:,} people, 2 years", old, 2 * days * old.events_a_day()),
    }


async def prepare(case: Case, name: str, server: Postgres, kafka: str, seed: int) -> None:
    """Make the database that runs are copied from, and put the events on the topic."""
    case.kafka = kafka
    await engines.make_database(server, name, kafka, PARTITIONS)
    connection = await postgres.connect(server.url(name), name="benchmark")
    await office.furnish(connection, case.office, PARTITIONS)
    await connection.close()
    case.loaded = await office.preload(kafka, case.office, case.events, seed)


@asynccontextmanager
async def copy_of(server: Postgres, name: str) -> AsyncIterator[str]:
    """Yield a fresh copy of the database ``name``."""
    admin = await postgres.connect(server.url("postgres"), name="benchmark")
    await admin.execute("drop database if exists run")
    await admin.execute(f"create database run template {name} strategy file_copy", timeout=300)
    try:
        yield server.url("run")
    finally:
        await admin.execute("drop database run with (force)", timeout=60)
        await admin.close()


@dataclass(frozen=True, slots=True)
class Mark:
    """How much had been used when so many records were committed."""

    records: int
    python: float
    postgres: float
    at: float


async def drain(connection: Connection, aggregator: int, server: int, wanted: int) -> tuple[Mark, Mark]:
    """Wait until ``wanted`` records are committed; return what had been used after a tenth, and in the end."""
    first: Mark | None = None
    moved_at, records = time.monotonic(), 0
    while True:
        await asyncio.sleep(0.03)
        total = (await office.folded(connection)).total
        if total > records:
            moved_at, records = time.monotonic(), total
            mark = Mark(total, measure.cpu(aggregator), measure.cpu(server), moved_at)
            if first is None and total >= wanted / 10:
                first = mark
            if first is not None and total >= wanted:
                return first, mark
        if time.monotonic() - moved_at > STALLED_SECONDS:
            raise SystemExit(f"WRONG: stalled at {records} of {wanted} records")


async def run(case: Case, name: str, server: Postgres, tried: dict[str, str]) -> Result:
    """Fold the case's events once."""
    assert server.pid is not None
    async with copy_of(server, name) as url:
        connection = await postgres.connect(url, name="benchmark")
        calibration = measure.calibrate()
        settings = {"kafka": case.kafka, "database": url, "aggregator_port": child.free_port(), "session_ms": 6000}
        quiet = {"evaluate_seconds": 3600, "measure_seconds": 3600}
        with engines.service("services.aggregator", **settings, **quiet, **tried) as aggregator:
            first, last = await drain(connection, aggregator.pid, server.pid, case.loaded.records)
        events = last.records - first.records
        newest = await connection.fetchval("select max(day) from person_day")
        cells = await office.check(
            connection,
            case.office,
            distinct=case.loaded.records - case.loaded.copies,
            copies=case.loaded.copies,
            as_of=[newest + timedelta(days=ahead) for ahead in (-1, 0, 3)],
        )
        copied = await copy(connection, case.office, server.pid)
        await connection.close()
    return Result(
        python=(last.python - first.python) / events * 1e6,
        postgres=(last.postgres - first.postgres) / events * 1e6,
        copied=copied,
        per_second=events / (last.at - first.at),
        calibration=calibration,
        cells=cells,
    )


async def copy(connection: Connection, people: Office, server: int) -> float:
    """Keep the events as they are by COPY; return the CPU seconds of Postgres per million."""
    await connection.execute(
        "create table kept (source text, id text, type text, user_id text, at timestamptz, event text)"
    )
    text = io.StringIO()
    rows(csv.writer(text), islice(office.events(people, 1), COPIED))
    before = measure.cpu(server)
    await connection.copy_to_table("kept", source=io.BytesIO(text.getvalue().encode()), format="csv", timeout=120)
    used = measure.cpu(server) - before
    assert await connection.fetchval("select count(*) from kept") == COPIED
    return used / COPIED * 1e6


def rows(writer: Any, events: Iterable[dict[str, Any]]) -> None:  # noqa: ANN401 - csv names no type
    """Write events as the rows that are copied."""
    for event in events:
        attributes = (event["source"], event["id"], event["type"], event["data"]["user"], event["time"])
        writer.writerow((*attributes, msgspec.json.encode(event).decode()))


async def measured(options: Any, server: Postgres, brokers: ExitStack) -> dict[str, Case]:  # noqa: ANN401 - argparse
    """Prepare every case, then run them in turn."""
    wanted = {name: case for name, case in cases(quick=options.quick).items() if name in options.cases}
    for name, case in wanted.items():
        print(f"preparing {case.name}: {case.events:,} events", flush=True)
        await prepare(case, name, server, brokers.enter_context(engines.broker(options.broker)), options.seed)
    for number in range(options.repetitions):
        for name in wanted if number % 2 == 0 else reversed(wanted):
            result = await run(case := wanted[name], name, server, measure.settings(options))
            case.results.append(result)
            print(
                f"{number + 1} {case.name:24} python {result.python:6.1f}  postgres {result.postgres:6.1f}"
                f"  COPY {result.copied:5.1f} CPU-s/M  {result.per_second:8,.0f} events/s"
                f"  calibration {result.calibration:.3f}  {result.cells:,} cells right",
                flush=True,
            )
    return wanted


def _ratio(over: Case, under: Case) -> Spread:
    return Spread.of(a.total / b.total for a, b in zip(over.results, under.results, strict=True))


def figures(found: dict[str, Case]) -> list[Figure]:
    """Return the lines of the table."""
    lines = []
    if base := found.get("base"):
        name = f"aggregator, {base.name}"
        lines += [
            Figure(f"{name}: Python + Postgres", Spread.of(r.total for r in base.results), "CPU-s/M", 30, 16),
            Figure(f"{name}: Python", Spread.of(r.python for r in base.results), "CPU-s/M"),
            Figure(f"{name}: Postgres", Spread.of(r.postgres for r in base.results), "CPU-s/M"),
            Figure(f"{name}: against COPY", Spread.of(r.total / r.copied for r in base.results), "x"),
            Figure(f"{name}: rate", Spread.of(r.per_second for r in base.results), "events/s"),
        ]
    if base and (crowd := found.get("people")):
        lines += [
            Figure(f"aggregator, {crowd.name} against {base.name}", _ratio(crowd, base), "x", 1.8, 1.4),
            Figure(f"aggregator, {crowd.name}", Spread.of(r.total for r in crowd.results), "CPU-s/M"),
        ]
    if (old := found.get("old")) and (young := found.get("young")):
        lines.append(Figure("aggregator, 2 years of history against 28 days", _ratio(old, young), "x", 1.1))
    return lines


async def main() -> None:
    """Read the options, measure, print."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--repetitions", type=int, default=0, help="[default: 3; quick: 1]")
    parser.add_argument("--cases", nargs="+", default=["base", "people", "young", "old"])
    options = parser.parse_args()
    options.repetitions = options.repetitions or (1 if options.quick else 3)
    async with AsyncExitStack() as stack:
        server = stack.enter_context(engines.database())
        found = await measured(options, server, stack.enter_context(ExitStack()))
    runs = {name: [msgspec.to_builtins(result) for result in case.results] for name, case in found.items()}
    measure.report("aggregator", options, figures(found), runs=runs)


if __name__ == "__main__":
    asyncio.run(main())
