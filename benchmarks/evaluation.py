"""What an evaluation of the rules costs after something happened to 100 teams, among 1,000 teams and among 10,000.

Both tenants are in one database and are evaluated in turn, so that their ratio does not depend on the machine: it is to
be near one, since only whom something happened to is judged. Judging everybody, once a day, is shown beside it.
"""

import argparse
import asyncio
import random
import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from benchmarks import engines, measure
from benchmarks.measure import Figure, Spread
from services import migrate, postgres
from services.aggregator.domain.findings import Subject
from services.aggregator.evaluator import Evaluator
from services.aggregator.store import judging
from services.embedded import Postgres
from services.postgres import Connection, Pool, transaction
from services.settings import Settings

NOW: Final = datetime(2026, 5, 6, 9, 30, tzinfo=UTC)
"""A Wednesday in the tenth week."""
GO_LIVE: Final = (NOW - timedelta(days=65)).date()
TEAM: Final = 10
"""People of a team."""
WEEKLY: Final = ("M11", "M12", "M25", "M27", "M28")
TARGET: Final = 1.3

_PEOPLE: Final = """
    with staff as (select 'user-' || n as user_id, n from generate_series(0, $2::int * $3::int - 1) n),
    person as (insert into person (tenant, user_id) select $1, user_id from staff),
    licence as (insert into licence (tenant, user_id, licensed_from) select $1, user_id, '2026-01-01' from staff)
    insert into membership (tenant, user_id, valid_from, team, role)
    select $1, user_id, '0001-01-01', 'team-' || n / $3::int, 'seller' from staff"""
_CELLS: Final = """
    insert into metric_cell (tenant, dimension, key, metric, day, num, den, known_at)
    select $1, d.dimension, d.key, m, w::date, d.people * 9 / 10, d.people, w
    from (select 'team' as dimension, 'team-' || n as key, $3::int as people from generate_series(0, $2::int - 1) n
          union all select 'tenant', 'all', $2::int * $3::int
          union all select 'role', 'seller', $2::int * $3::int) d,
         unnest($4::text[]) m, generate_series($5::date, $6::date, interval '7 days') w"""
_WINDOWS: Final = """
    insert into window_delta (tenant, dimension, key, days, day, shard, licensed, active)
    select $1, 'team', 'team-' || n, 7, $4::date + 7 * s, 0, case s when 0 then $3::int else 0 end,
           case s when 0 then $3::int when 5 then -1 else 0 end
    from generate_series(0, $2::int - 1) n, generate_series(0, 8) s"""


_CAME: Final = """
    insert into person_day (tenant, user_id, day, events, logins, qualifying, first_at, last_at, first_qualifying_at)
    select $1, 'user-' || n, $4::date, 1, 0, 1, $4::date, $4::date, $4::date
    from generate_series(0, $2::int * $3::int - 1) n"""


async def fill(connection: Connection, tenant: str, teams: int) -> None:
    """Write a tenant of so many teams, nine weeks after its go-live."""
    await connection.execute(
        "insert into tenant (id, name, min_group, quality_approved_at) values ($1, 'Bench', 5, now())", tenant
    )
    await connection.execute(
        "insert into wave (tenant, id, name, go_live) values ($1, 'w', 'Wave', $2)", tenant, GO_LIVE
    )
    await connection.execute("insert into tally (tenant, shard, version, newest) values ($1, 0, 1, $2)", tenant, NOW)
    await connection.execute(_PEOPLE, tenant, teams, TEAM)
    await connection.execute(_CAME, tenant, teams, TEAM, GO_LIVE)
    last = NOW.date() - timedelta(days=NOW.weekday())
    await connection.execute(_CELLS, tenant, teams, TEAM, list(WEEKLY), last - timedelta(weeks=9), last)
    await connection.execute(_WINDOWS, tenant, teams, TEAM, GO_LIVE)
    await connection.execute(
        """insert into measured_week (tenant, week, known_at)
           select $1, w::date, now() from generate_series($2::date, $3::date, interval '7 days') w""",
        tenant,
        last - timedelta(weeks=9),
        last,
    )


async def touch(pool: Pool, tenant: str, teams: list[int]) -> None:
    """Queue what a batch of events leaves behind that came from everybody of these teams."""
    subjects = {Subject("tenant", "all"), Subject("role", "seller")}
    subjects |= {Subject("team", f"team-{number}") for number in teams}
    subjects |= {Subject("user", f"user-{number * TEAM + n}") for number in teams for n in range(TEAM)}
    async with transaction(pool) as tx:
        await judging.queue(tx, tenant, subjects)
        await tx.execute("update tally set version = version + 1 where tenant = $1", tenant)


async def compared(options: argparse.Namespace, server: Postgres) -> dict[str, Any]:
    """Return what evaluations took, in milliseconds, by tenant."""
    connection = await postgres.connect(server.url("postgres"), name="benchmark")
    await connection.execute("create database bench")
    await connection.close()
    await migrate.upgrade(server.url("bench"))
    pool = await postgres.connect_pool(server.url("bench"), name="benchmark")
    sizes = {"small": options.teams, "large": options.teams * 10}
    async with pool.acquire() as connection:
        for tenant, teams in sizes.items():
            await fill(connection, tenant, teams)
        await connection.execute("vacuum analyze")
    rng, evaluator = random.Random(options.seed), Evaluator(pool, "", Settings(), lambda: NOW)
    found: dict[str, list[float]] = {tenant: [] for tenant in sizes}
    whole: dict[str, float] = {}
    for tenant, teams in sizes.items():
        started = time.perf_counter()
        await evaluator.evaluate(tenant, NOW)
        whole[tenant] = (time.perf_counter() - started) * 1000
        print(f"{teams:,} teams: everybody in {whole[tenant]:,.0f} ms", flush=True)
    for number in range(options.rounds + 2):
        for tenant, teams in sizes.items():
            await touch(pool, tenant, rng.sample(range(teams), min(options.touched, teams)))
            started = time.perf_counter()
            evaluated = await evaluator.evaluate(tenant, NOW + timedelta(seconds=number))
            took = (time.perf_counter() - started) * 1000
            if evaluated is None or evaluated.scope.everything or len(evaluated.scope.groups) < 3:
                raise SystemExit(f"WRONG: {evaluated and evaluated.scope}")
            if number > 1:
                found[tenant].append(took)
    await postgres.close_pool(pool)
    return {"sizes": sizes, "found": found, "whole": whole}


def main() -> None:
    """Read the options, measure, print."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--teams", type=int, default=0, help="of the smaller tenant [default: 1,000; quick: 100]")
    parser.add_argument("--touched", type=int, default=100, help="[default: 100]")
    parser.add_argument("--rounds", type=int, default=0, help="[default: 20; quick: 5]")
    options: argparse.Namespace = parser.parse_args()
    options.teams = options.teams or (100 if options.quick else 1_000)
    options.rounds = options.rounds or (5 if options.quick else 20)
    with engines.database() as server:
        done = asyncio.run(compared(options, server))
    lines = []
    for tenant, teams in done["sizes"].items():
        took = done["found"][tenant]
        lines.append(Figure(f"{options.touched} of {teams:,} teams", Spread.of(took), "ms"))
        lines.append(Figure(f"all of {teams:,} teams", Spread.of([done["whole"][tenant]]), "ms"))
    ratio = statistics.median(done["found"]["large"]) / statistics.median(done["found"]["small"])
    lines.append(Figure("ten times as many teams", Spread.of([ratio]), "times", TARGET))
    measure.report("evaluation", options, lines)


if __name__ == "__main__":
    main()
