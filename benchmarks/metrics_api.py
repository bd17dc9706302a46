"""How fast the numbers of a group are told: the API service on a tenant of 100,000 people, asked over HTTP.

Every kind of question is asked again and again about another team, with a year behind it; half of the times are shorter
than p50, one of a hundred is longer than p99. Targets are for p99: all metrics of one team over one quarter in 30 ms.
CPU is that of the API and of Postgres together: unlike the times it hardly moves with what else the machine does.
"""

import argparse
import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import httpx

from benchmarks import engines, measure
from benchmarks.measure import Figure, Spread
from services import child, migrate, postgres
from services.embedded import Postgres
from services.metrics.catalogue import METRICS, Metric
from services.metrics.values import code_of
from services.postgres import Connection

KEY: Final = "upt_bench_0123456789abcdef"
TEAM: Final = 20
"""People of a team."""
TO: Final = date(2026, 3, 1)
"""A Sunday, long ago: every window is final."""
QUARTER: Final = {"from": str(TO - timedelta(weeks=13) + timedelta(days=1)), "to": str(TO), "limit": 1000}
WEEKS: Final = 52
OBJECTS: Final = ("opportunity", "account", "contact")
TARGET_MS: Final = 30.0
PEOPLE_WEEKS: Final = 14
"""Of so many weeks contributions are kept: the quarter's, and the one before."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of each team; ``target``: the most milliseconds at p99."""

    name: str
    path: str
    params: Mapping[str, Any]
    target: float | None = None


QUESTIONS: Final = (
    Question("all metrics of a team, one quarter", "", {}, TARGET_MS),
    Question("the same as it was known a month ago", "", {"as_of": "2026-02-01T00:00:00Z"}),
    Question("one metric of a team, one quarter", "/adoption.weekly_rate", {}, TARGET_MS),
    Question("the same of its members of today", "/adoption.weekly_rate", {"attribution": "as_is"}),
    Question("the same against four weeks before", "/adoption.weekly_rate", {"baseline": "trailing4"}),
    Question("level of a team, one quarter", "/adoption.level", {}),
    Question("who is in a week", "/adoption.weekly_rate/explain", {"at": str(TO)}),
)


def codes() -> tuple[list[str], list[str]]:
    """Return the codes that a team has weekly (what adds up is reached by people now and then) and daily."""
    weekly, daily = [f"X:{reason}" for reason in ("on_leave", "unlicensed", "short_presence")] + ["A"], ["off"]
    for metric in METRICS.values():
        named = [code_of(metric, of) for of in _of(metric)]
        if metric.combination in {"weekly", "cumulative"}:
            weekly += named
        elif metric.combination == "daily":
            daily += named
    return weekly, daily


def _of(metric: Metric) -> list[str | None]:
    if metric.parameter is None:
        return [None]
    return list(metric.parameter.allowed or OBJECTS)


_PEOPLE: Final = """
    with staff as (select 'user-' || lpad(n::text, 6, '0') as user_id, n from generate_series(0, $1::int - 1) n),
    person as (insert into person (tenant, user_id, time_zone)
               select 'bench', user_id, case when n % 9 = 0 then 'Europe/Lisbon' end from staff)
    insert into membership (tenant, user_id, valid_from, team)
    select 'bench', user_id, '0001-01-01', 'team-' || n / $2::int from staff"""
_CELLS: Final = """
    insert into metric_cell (tenant, dimension, key, metric, day, num, den, known_at)
    select 'bench', $1, g, m, d, 15, 20, d::timestamptz + interval '3 days'
    from unnest($2::text[]) g, unnest($3::text[]) m,
         generate_series($4::date, $5::date, $6::interval) s, lateral (select s::date as d) x"""
_PAST: Final = """
    insert into metric_past (tenant, dimension, key, metric, day, num, den, known_at)
    select tenant, dimension, key, metric, day, num, den, known_at - interval '1 day' from metric_cell
    where extract(isodow from day) = 1"""
_CONTRIBUTIONS: Final = """
    insert into contribution (tenant, kind, subject, week, team, counts, known_at)
    select 'bench', 'person', 'user-' || lpad(n::text, 6, '0'), w::date, 'team-' || n / $2::int,
           '{"M11": [1, 1], "M12": [1, 1], "M10@0": [1, 1], "M10@1": [1, 1], "M10@2": [0, 1], "M10@3": [1, 1]}', w
    from generate_series(0, $1::int - 1) n, generate_series($3::date, $4::date, interval '7 days') w"""


async def fill(connection: Connection, people: int, teams: int) -> int:
    """Write a tenant of ``people``; return how many numbers of groups there are, those of ``teams`` and of all."""
    last = TO - timedelta(days=6)
    first = last - timedelta(weeks=WEEKS - 1)
    await connection.execute(
        "insert into tenant (id, name, min_group, quality_approved_at) values ('bench', 'Bench', 5, now())"
    )
    await connection.execute("insert into tally (tenant, shard, newest) values ('bench', 0, now())")
    await connection.execute(_PEOPLE, people, TEAM)
    weekly, daily = codes()
    for dimension, keys in (("team", [f"team-{number}" for number in range(teams)]), ("tenant", ["all"])):
        for names, step in ((weekly, timedelta(days=7)), (daily, timedelta(days=1))):
            await connection.execute(_CELLS, dimension, keys, names, first, TO, step)
    await connection.execute(_PAST)
    await connection.execute(_CONTRIBUTIONS, people, TEAM, last - timedelta(weeks=PEOPLE_WEEKS - 1), last)
    await connection.execute(
        """insert into measured_week (tenant, week, known_at)
           select 'bench', w::date, now() from generate_series($1::date, $2::date, interval '7 days') w""",
        first,
        last,
    )
    await connection.execute(
        """insert into hidden_group (tenant, week, dimension, key, reason)
           select tenant, week, 'team', 'small-' || n, 'small' from measured_week, generate_series(1, 100) n"""
    )
    await connection.execute("vacuum analyze")
    return int(await connection.fetchval("select count(*) from metric_cell"))


@dataclass(frozen=True, slots=True)
class Took:
    """What the answers to a question took, in milliseconds: each by the clock, shortest first, and the mean CPU."""

    wall: list[float]
    cpu: float

    def at(self, percent: int) -> float:
        """Return the time that ``percent`` of the answers keep to."""
        return self.wall[min(len(self.wall) * percent // 100, len(self.wall) - 1)]


async def times(
    client: httpx.AsyncClient, question: Question, options: argparse.Namespace, pids: tuple[int, ...]
) -> Took:
    """Ask about one team after the other, some first to warm up."""
    rng, found, warm = random.Random(options.seed), [], options.rounds // 10
    before = 0.0
    for number in range(options.rounds + warm):
        if number == warm:
            before = measure.cpu(*pids)
        params = {"dimension": "team", "key": f"team-{rng.randrange(options.teams)}", **question.params}
        params = params if question.path.endswith("explain") else {**QUARTER, **params}
        started = time.perf_counter()
        answer = await client.get(f"/v1/metrics{question.path}", params=params)
        took = (time.perf_counter() - started) * 1000
        check(question, answer)
        if number >= warm:
            found.append(took)
    return Took(sorted(found), (measure.cpu(*pids) - before) * 1000 / options.rounds)


def check(question: Question, answer: httpx.Response) -> None:
    """End when an answer is not what was written."""
    if answer.status_code != httpx.codes.OK:
        raise SystemExit(f"WRONG: {question.name}: {answer.text[:300]}")
    body = answer.json()
    items = body.get("items", [body])
    wrong = [item for item in items if item["metric"] == "adoption.weekly_rate" and item["den"] != TEAM]
    if not items or (wrong and "as_of" not in question.params):
        raise SystemExit(f"WRONG: {question.name}: {(wrong or [body])[0]}")


async def asked(options: argparse.Namespace, server: Postgres) -> tuple[dict[str, Took], int]:
    """Return the times of each question, and how many numbers there are."""
    connection = await postgres.connect(server.url("postgres"), name="benchmark")
    await connection.execute("create database bench")
    await connection.close()
    await migrate.upgrade(server.url("bench"))
    connection = await postgres.connect(server.url("bench"), name="benchmark")
    started = time.monotonic()
    numbers = await fill(connection, options.people, options.teams)
    print(f"{options.people:,} people, {numbers:,} numbers; filled in {time.monotonic() - started:.0f} s", flush=True)
    await connection.close()
    port = child.free_port()
    address = f"http://127.0.0.1:{port}"
    headers = {"Authorization": f"Bearer {KEY}", "Uptake-Tenant": "bench"}
    with engines.service("services.api", database=server.url("bench"), admin_key=KEY, api_port=port) as process:
        async with httpx.AsyncClient(base_url=address, headers=headers, timeout=60) as client:
            await ready(client)
            found, pids = {}, (process.pid, server.pid or 0)
            for question in QUESTIONS:
                took = found[question.name] = await times(client, question, options, pids)
                told = f"p50 {took.at(50):7.2f}   p99 {took.at(99):7.2f}   CPU {took.cpu:6.2f} ms"
                print(f"{question.name:40} {told}   calibration {measure.calibrate():.3f}", flush=True)
    return found, numbers


async def ready(client: httpx.AsyncClient) -> None:
    """Wait until the service answers."""
    for _ in range(300):
        try:
            if (await client.get("/readyz")).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.1)
    raise SystemExit("the API does not answer")


def figures(found: Mapping[str, Took]) -> list[Figure]:
    """Return the lines of the table."""
    lines = []
    for question in QUESTIONS:
        took = found[question.name]
        lines += [
            Figure(f"{question.name}, p50", Spread.of([took.at(50)]), "ms"),
            Figure(f"{question.name}, p99", Spread.of([took.at(99)]), "ms", question.target),
            Figure(f"{question.name}, each", Spread.of([took.cpu]), "CPU-ms"),
        ]
    return lines


def main() -> None:
    """Read the options, measure, print."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--people", type=int, default=0, help="[default: 100,000; quick: 2,000]")
    parser.add_argument(
        "--teams", type=int, default=0, help="of how many the numbers are there [default: 200; quick: 50]"
    )
    parser.add_argument("--rounds", type=int, default=0, help="[default: 500; quick: 50]")
    options: argparse.Namespace = parser.parse_args()
    options.people = options.people or (2_000 if options.quick else 100_000)
    options.teams = options.teams or (50 if options.quick else 200)
    options.rounds = options.rounds or (50 if options.quick else 500)
    with engines.database() as server:
        found, numbers = asyncio.run(asked(options, server))
    measure.report("metrics-api", options, figures(found), numbers=numbers)


if __name__ == "__main__":
    main()
