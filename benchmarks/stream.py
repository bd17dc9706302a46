"""How many readers one API process keeps up to date: a thousand follow the stream while alerts change.

A reader takes raw bytes from a socket, so that what is measured is the service. CPU is that of the API process, for
each change and reader; the time is from the commit of a change until the last byte of it is read.
"""

import argparse
import asyncio
import json
import time
from typing import Any, Final

import httpx
import psutil

from benchmarks import engines, measure
from benchmarks.measure import Figure, Spread
from benchmarks.metrics_api import ready
from schemas.alerts import ORDER, WAKE, item
from services import child, migrate, postgres
from services.embedded import Postgres
from services.postgres import Connection

KEY: Final = "upt_bench_0123456789abcdef"
TARGET_MS: Final = 1000.0
GAP_SECONDS: Final = 0.25
NOW: Final = "2026-03-02T12:00:00Z"


class Follower:
    """One reader: how late it was told of each change."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.late: list[float] = []

    async def read(self, changes: int) -> None:
        """Read so many changes."""
        while len(self.late) < changes:
            line = await self.reader.readline()
            if not line:
                raise SystemExit("WRONG: a stream ended")
            if line.startswith(b"data: "):
                told = json.loads(line[6:])
                self.late.append(time.monotonic() - float(told["alert"]["evidence"]["value"]))


async def follow(port: int) -> Follower:
    """Join the stream."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        f"GET /v1/alerts/stream HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {KEY}\r\nUptake-Tenant: bench\r\n\r\n"
    )
    writer.write(head.encode())
    while (line := await reader.readline()) != b"retry: 2000\n":
        if not line:
            raise SystemExit("WRONG: a reader was refused")
    return Follower(reader, writer)


async def change(connection: Connection, number: int) -> None:
    """Write a change as the evaluator does."""
    nothing = dict.fromkeys(("suppressed_by", "resolved_at", "resolution", "wave", "acknowledged_at"))
    columns: dict[str, Any] = {
        **nothing,
        **dict.fromkeys(("snoozed_until", "assignee", "plan_on", "useful")),
        **dict.fromkeys(("opened_at", "updated_at"), NOW),
        "id": f"a{number}",
        "rule": "adoption-drop-vs-week1",
        "rule_version": 1,
        "severity": "warning",
        "tier": "confirmed",
        "state": "open",
        "subject_kind": "team",
        "subject_key": "north",
        "title": "North: 5 of 10 people active in week 3, 9 of 10 in week 1",
        "audience": [{"role": "team_lead"}],
        "window": {"from": "2026-02-23", "to": "2026-03-01"},
        "action": "Sit down with three people who stopped.",
        "episode": 1,
        "revision": 0,
        "escalation": 0,
        "evidence": {"num": 5, "den": 10},
    }
    async with connection.transaction():
        await connection.execute(ORDER, "bench")
        columns["evidence"]["value"] = time.monotonic()
        await connection.execute(
            """insert into alert_change (tenant, alert, kind, state, actor, as_of, body)
               values ('bench', $1, 'opened', 'open', 'evaluator', now(), $2)""",
            columns["id"],
            item(columns),
        )
        await connection.execute(WAKE, "bench")


async def followed(options: argparse.Namespace, server: Postgres) -> tuple[list[float], float, float]:
    """Return how late every change was told, in milliseconds, and CPU-microseconds and KiB for each reader."""
    connection = await postgres.connect(server.url("postgres"), name="benchmark")
    await connection.execute("create database bench")
    await connection.close()
    await migrate.upgrade(server.url("bench"))
    connection = await postgres.connect(server.url("bench"), name="benchmark")
    port = child.free_port()
    headers = {"Authorization": f"Bearer {KEY}", "Uptake-Tenant": "bench"}
    with engines.service("services.api", database=server.url("bench"), admin_key=KEY, api_port=port) as process:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client:
            await ready(client)
            made = await client.post("/v1/tenants", json={"id": "bench", "privacy": {"min_group": 1}})
            made.raise_for_status()
        api = psutil.Process(process.pid)
        before = api.memory_info().rss
        followers = [await follow(port) for _ in range(options.readers)]
        memory = (api.memory_info().rss - before) / 1024 / len(followers)
        cpu = sum(api.cpu_times()[:2])
        reading = asyncio.gather(*(follower.read(options.changes) for follower in followers))
        for number in range(options.changes):
            await change(connection, number)
            await asyncio.sleep(GAP_SECONDS)
        await asyncio.wait_for(reading, 120)
        cpu = sum(api.cpu_times()[:2]) - cpu
        for follower in followers:
            follower.writer.close()
    late = sorted(1000 * each for follower in followers for each in follower.late)
    return late, 1e6 * cpu / len(late), memory


def main() -> None:
    """Read the options, measure, print."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--readers", type=int, default=0, help="[default: 1,000; quick: 50]")
    parser.add_argument("--changes", type=int, default=0, help="[default: 60; quick: 5]")
    options: argparse.Namespace = parser.parse_args()
    options.readers = options.readers or (50 if options.quick else 1000)
    options.changes = options.changes or (5 if options.quick else 60)
    with engines.database() as server:
        late, cpu, memory = asyncio.run(followed(options, server))
    figures = [
        Figure("change told, p50", Spread.of([late[len(late) // 2]]), "ms"),
        Figure("change told, p99", Spread.of([late[len(late) * 99 // 100]]), "ms", TARGET_MS),
        Figure("API, for each change and reader", Spread.of([cpu]), "CPU-us"),
        Figure("API, for each reader", Spread.of([memory]), "KiB"),
    ]
    measure.report("stream", options, figures, readers=options.readers)


if __name__ == "__main__":
    main()
