"""What keeping the metrics true costs: CPU of the measurer and of Postgres, for each week of a person that is measured.

A week rests on the five before it, so eight weeks of history are the least that shows what a week costs.
Three questions. What a change costs, and whether that grows with the history behind it (two years) or with the
people beside it (twenty times as many). What one change of the directory costs: that person, and nobody else. How fast
everybody is counted in. Every run is checked: numbers against a count of the facts by SQL.
"""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import msgspec

from benchmarks import engines, measure
from benchmarks.measure import Figure, Spread
from services import migrate, postgres
from services.aggregator.measurer import Measurer
from services.aggregator.store import partitions
from services.embedded import Postgres
from services.postgres import Connection, Pool

TENANT: Final = "bench"
TODAY: Final = date(2026, 3, 5)
"""A Thursday."""
NOW: Final = datetime(2026, 3, 5, 17, tzinfo=UTC)
CHANGED: Final = 500
"""So many people do something between two passes."""


@dataclass
class Case:
    """A tenant: how many people, with how many days behind them, who do so much on a working day."""

    name: str
    people: int
    history: int
    acts: int
    results: list["Result"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Result:
    """One run. CPU in milliseconds of Python and Postgres together, for each week of a person; wall in seconds."""

    all_ms: float
    all_per_second: float
    change_ms: float
    change_seconds: float
    one_ms: float
    one_seconds: float
    one_rows: int
    calibration: float


def cases(*, quick: bool) -> dict[str, Case]:
    """Return what is compared."""
    few, many, base = (100, 2_000, 500) if quick else (300, 40_000, 2_000)
    return {
        "young": Case(f"{few:,} people, 8 weeks", few, 56, 6),
        "old": Case(f"{few:,} people, 2 years", few, 90 if quick else 730, 6),
        "base": Case(f"{base:,} people, 7 days", base, 7, 4),
        "people": Case(f"{many:,} people, 7 days", many, 7, 4),
    }


_DIRECTORY: Final = """
with staff as (select 'user-' || lpad(n::text, 6, '0') as user_id, n from generate_series(0, $1::int - 1) n),
person as (insert into person (tenant, user_id) select 'bench', user_id from staff),
licence as (insert into licence (tenant, user_id, licensed_from) select 'bench', user_id, '2020-01-01' from staff)
insert into membership (tenant, user_id, valid_from, team, role)
select 'bench', user_id, '0001-01-01', 'team-' || n % greatest(1, least(250, $1::int / 20)), 'role-' || n % 8 from staff
"""
_FACTS: Final = """
insert into activity (tenant, user_id, at, identity, kind, source, origin, object, record, received_at)
select 'bench', 'user-' || lpad(p::text, 6, '0'), $2::date + interval '9 hours' + a * interval '47 minutes',
  gen_random_uuid(), case when a = 0 then 'crm.session.login' else 'crm.record.updated' end, 'crm', 'ui',
  case when a > 0 then 'opportunity' end, null, $2::date + interval '20 hours'
from generate_series(0, $1::int - 1) p, generate_series(0, $3::int - 1) a
where hashint4(p * 7919 + ($2::date - date '1970-01-01')) % 10 < 6
"""
_ACT: Final = """
with acts as (
  insert into activity (tenant, user_id, at, identity, kind, source, origin, received_at)
  select 'bench', u, $2, gen_random_uuid(), 'crm.record.updated', 'crm', 'ui', $2 from unnest($1::text[]) u
  returning user_id, (at at time zone 'UTC')::date as day)
insert into dirty (tenant, kind, subject, low, high) select 'bench', 'person', user_id, day, day from acts
"""
_RIGHT: Final = """
select (select num from metric_cell where tenant = 'bench' and dimension = 'tenant' and metric = 'M11' and day = $1) =
  (select count(distinct user_id) from activity where tenant = 'bench' and at >= $1::date and at < $1::date + 7
   and extract(isodow from at) < 8)
"""


async def furnish(pool: Pool, case: Case) -> None:
    """Write the tenant, its people and what they did."""
    await pool.execute(
        "insert into tenant (id, name, clock, min_group) values ('bench', 'Bench', 'wall', 5)",
    )
    await pool.execute(_DIRECTORY, case.people, timeout=300)
    days = [TODAY - timedelta(days=ago) for ago in range(case.history + 1)]
    for start in range(0, len(days), 50):
        async with postgres.transaction(pool) as tx:
            await partitions.make(tx, days[start : start + 50])
    async with pool.acquire() as connection:
        for day in reversed(days):
            await connection.execute(_FACTS, case.people, day, case.acts, timeout=300)
        await connection.execute("vacuum analyze", timeout=600)
        await connection.execute("checkpoint", timeout=300)
    await pool.execute("insert into dirty (tenant, kind, subject) values ('bench', 'tenant', 'bench')")


@dataclass
class Meter:
    """Counts CPU and wall time of a pass."""

    pool: Pool
    server: int

    async def run(self) -> tuple[float, float]:
        """Measure what waits; return CPU seconds and wall seconds."""
        measurer = Measurer(self.pool, "", lambda: NOW)
        before, started, own = measure.cpu(self.server), time.perf_counter(), time.process_time()
        assert await measurer.measure(TENANT, NOW)
        while await self.pool.fetchval("select exists (select from dirty)"):
            await measurer.measure(TENANT, NOW)
        used = measure.cpu(self.server) - before + time.process_time() - own
        return used, time.perf_counter() - started


def users(case: Case, number: int, offset: int) -> list[str]:
    """Return ``number`` people, spread over all."""
    step = max(1, case.people // number)
    return [f"user-{(offset + n * step) % case.people:06d}" for n in range(min(number, case.people))]


async def run(case: Case, server: Postgres, name: str) -> Result:
    """Furnish a tenant, count everybody in, then change something several times."""
    assert server.pid is not None
    admin = await postgres.connect(server.url("postgres"), name="benchmark")
    await admin.execute(f"create database {name}")
    await migrate.upgrade(server.url(name))
    pool = await postgres.connect_pool(server.url(name), name="benchmark", max_size=3, statement_seconds=600)
    try:
        await furnish(pool, case)
        calibration = measure.calibrate()
        meter = Meter(pool, server.pid)
        cpu, wall = await meter.run()
        async with pool.acquire() as connection:
            weeks = await connection.fetchval("select count(*) from contribution")
            await connection.execute("vacuum analyze", timeout=600)
        await right(pool)
        change = [await changed(case, pool, meter, offset) for offset in range(1, 6)]
        one = [await moved(case, pool, meter, offset) for offset in range(1, 6)]
        await right(pool)
    finally:
        await postgres.close_pool(pool)
        await admin.execute(f"drop database {name} with (force)", timeout=60)
        await admin.close()
    return Result(
        all_ms=cpu / weeks * 1e3,
        all_per_second=weeks / wall,
        change_ms=min(each[0] for each in change) / min(CHANGED, case.people) * 1e3,
        change_seconds=min(each[1] for each in change),
        one_ms=min(each[0] for each in one) * 1e3,
        one_seconds=min(each[1] for each in one),
        one_rows=max(each[2] for each in one),
        calibration=calibration,
    )


async def changed(case: Case, pool: Pool, meter: Meter, offset: int) -> tuple[float, float]:
    """Let people do something today, and measure it."""
    await pool.execute(_ACT, users(case, CHANGED, offset), NOW - timedelta(minutes=10 - offset))
    return await meter.run()


async def moved(case: Case, pool: Pool, meter: Meter, offset: int) -> tuple[float, float, int]:
    """Move one person to another team from this week on, and measure that; return also how many numbers changed."""
    user = users(case, 1, offset)[0]
    day = TODAY - timedelta(days=TODAY.weekday())
    await pool.execute("update membership set valid_to = $2 where tenant = 'bench' and user_id = $1", user, day)
    await pool.execute(
        "insert into membership (tenant, user_id, valid_from, team, role) values ('bench', $1, $2, 'other', 'role-0')",
        user,
        day,
    )
    await pool.execute("insert into dirty (tenant, kind, subject, low) values ('bench', 'person', $1, $2)", user, day)
    cpu, wall = await meter.run()
    rows = await pool.fetchval(
        "select count(*) from contribution where known_at = (select known_at from measured) and subject <> $1", user
    )
    if rows:
        raise SystemExit(f"WRONG: a move changed {rows} contributions of others")
    told = "select count(*) from metric_cell where known_at = (select known_at from measured)"
    return cpu, wall, await pool.fetchval(told)


async def right(connection: Connection) -> None:
    """Check the number of people who were active in the newest week."""
    week = TODAY - timedelta(days=TODAY.weekday())
    if not await connection.fetchval(_RIGHT, week):
        raise SystemExit("WRONG: not as many people were active as did something")


def _ratio(over: Case, under: Case, name: str) -> Spread:
    return Spread.of(getattr(a, name) / getattr(b, name) for a, b in zip(over.results, under.results, strict=True))


def figures(found: dict[str, Case]) -> list[Figure]:
    """Return the lines of the table."""
    lines = []
    for case in found.values():
        told = {name: Spread.of(getattr(result, name) for result in case.results) for name in Result.__slots__}
        lines += [
            Figure(f"metrics, {case.name}: a change of a person", told["change_ms"], "CPU-ms"),
            Figure(f"metrics, {case.name}: {CHANGED} people, until measured", told["change_seconds"], "s"),
            Figure(f"metrics, {case.name}: counting everybody in", told["all_ms"], "CPU-ms a week"),
            Figure(f"metrics, {case.name}: one person moves, until measured", told["one_seconds"], "s", 0.5),
        ]
    pairs: Iterable[tuple[str, str, str, float]] = (
        ("2 years of history against 8 weeks", "old", "young", 1.25),
        ("twenty times the people", "people", "base", 2.0),
    )
    for name, over, under, target in pairs:
        if over in found and under in found:
            ratio = _ratio(found[over], found[under], "change_ms")
            lines.append(Figure(f"metrics, a change: {name}", ratio, "x", target))
            lines.append(Figure(f"metrics, one move: {name}", _ratio(found[over], found[under], "one_ms"), "x"))
    return lines


async def main() -> None:
    """Read the options, measure, print."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--repetitions", type=int, default=1)
    parser.add_argument("--cases", nargs="+", default=["young", "old", "base", "people"])
    options = parser.parse_args()
    found = {name: case for name, case in cases(quick=options.quick).items() if name in options.cases}
    with engines.database() as server:
        for number in range(options.repetitions):
            for name in found if number % 2 == 0 else reversed(found):
                result = await run(case := found[name], server, f"run_{name}")
                case.results.append(result)
                told: dict[str, Any] = msgspec.to_builtins(result)
                text = "  ".join(f"{key} {value:,.2f}" for key, value in told.items())
                print(f"{number + 1} {case.name:24} {text}", flush=True)
    runs = {name: [msgspec.to_builtins(result) for result in case.results] for name, case in found.items()}
    measure.report("metrics", options, figures(found), runs=runs)


if __name__ == "__main__":
    asyncio.run(main())
