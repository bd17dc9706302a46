"""How soon an alert has changed in the stream, from the 202 of the event that changed it: at rest, and at half load.

Everybody of a small tenant did not come for three days; the first event of each ends an alert, and a reader follows the
stream. Beside it another tenant first takes events as fast as it can, and then half as many a second.
"""

import argparse
import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import msgspec

from benchmarks import measure, office, traffic
from benchmarks.end_to_end import Found, flat_out, quantile
from benchmarks.measure import Figure, Spread
from benchmarks.office import Office
from benchmarks.traffic import Pace, Product
from services import postgres

TENANT: Final = "watched"
RULE: Final = "user-never-logged-in-d3"
TARGET: Final = 1.0
GAP_SECONDS: Final = 1.0
WAIT_SECONDS: Final = 120.0


@dataclass
class Watched:
    """The small tenant: when the first event of each was acknowledged, and when the alert was seen to end."""

    api: httpx.AsyncClient
    ingest: httpx.AsyncClient
    sent: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)

    async def prepare(self, people: int) -> None:
        """Make the tenant, and let all but one be missed on the fifth day."""
        staff = [{"user": f"u{n}", "team": f"t{n % 5}", "licensed_from": "2026-01-01"} for n in range(people + 1)]
        tenant = {"id": TENANT, "clock": "event", "privacy": {"min_group": 1}}
        (await self.api.post("/v1/tenants", json=tenant)).raise_for_status()
        (await self.api.put("/v1/directory/people", json=staff)).raise_for_status()
        wave = {"id": "w", "name": "Wave", "go_live": "2026-03-02"}
        (await self.api.post("/v1/waves", json=wave)).raise_for_status()
        await self.come(people)
        async with asyncio.timeout(WAIT_SECONDS):
            while await self._open() < people:  # noqa: ASYNC110 - the API is asked
                await asyncio.sleep(0.2)

    async def _open(self) -> int:
        """Return how many wait for somebody to come."""
        found = await self.api.get("/v1/alerts", params={"rule": RULE, "state": "open", "limit": 1000})
        return len(found.json()["items"])

    async def come(self, number: int) -> None:
        """Send the first event of a person."""
        event = {
            "specversion": "1.0",
            "type": "crm.record.updated",
            "source": "crm",
            "id": f"first-{number}",
            "time": f"2026-03-06T12:{number // 60 % 60:02}:{number % 60:02}Z",
            "data": {"user": f"u{number}", "origin": "ui"},
        }
        kind = {"content-type": "application/cloudevents+json"}
        answer = await self.ingest.post("/v1/events", content=msgspec.json.encode(event), headers=kind)
        answer.raise_for_status()
        self.sent[f"u{number}"] = time.monotonic()

    async def follow(self) -> None:
        """Read the stream without end."""
        async with self.api.stream(
            "GET", "/v1/alerts/stream", params={"rule": RULE, "after": "0"}, timeout=None
        ) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    told = msgspec.json.decode(line[6:])
                    if told["kind"] == "resolved":
                        self.ended[told["alert"]["subject"]["key"]] = time.monotonic()

    async def probe(self, numbers: range, rng: random.Random) -> list[float]:
        """Let people come at random moments; return how late their alerts were seen to end."""
        for number in numbers:
            await asyncio.sleep(rng.random() * 2 * GAP_SECONDS)
            await self.come(number)
        users = [f"u{number}" for number in numbers]
        async with asyncio.timeout(WAIT_SECONDS):
            while not self.ended.keys() >= set(users):  # noqa: ASYNC110 - the reader fills it
                await asyncio.sleep(0.05)
        return [self.ended[user] - self.sent[user] for user in users]


async def measured(running: Product, people: Office, options: argparse.Namespace) -> tuple[list[float], list[float]]:
    """Return how late alerts were at rest, and at half load."""
    rng, probes = random.Random(options.seed), options.probes
    headers = {"Authorization": f"Bearer {running.stack.ready['admin_key']}", "Uptake-Tenant": TENANT}
    connection = await postgres.connect(running.url, name="benchmark")
    await traffic.until_enrolled(connection)
    async with (
        httpx.AsyncClient(base_url=running.stack.ready["api"], headers=headers, timeout=60) as api,
        httpx.AsyncClient(base_url=running.ingest, headers=headers, timeout=60) as ingest,
    ):
        watched = Watched(api, ingest)
        await watched.prepare(2 * probes)
        reading = asyncio.create_task(watched.follow())
        rest = await watched.probe(range(probes), rng)
        stream, found = office.events(people, options.seed), Found()
        await flat_out(running, connection, list(traffic.batches(stream, options.events)), found)
        rate = found.rates[0] / 2
        async with traffic.senders(running.ingest) as opened:
            bodies = traffic.batches(stream, int(rate * 4 * GAP_SECONDS * probes))
            loading = asyncio.create_task(traffic.send_all(opened, bodies, Pace(rate)))
            await asyncio.sleep(3)
            half = await watched.probe(range(probes, 2 * probes), rng)
            loading.cancel()
            await asyncio.wait([loading])
        reading.cancel()
        await asyncio.wait([reading])
    await connection.close()
    return rest, half


def main() -> None:
    """Read the options, measure, print."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--probes", type=int, default=0, help="in each part [default: 100; quick: 10]")
    parser.add_argument("--events", type=int, default=0, help="to find the rate [default: 200,000; quick: 20,000]")
    options = parser.parse_args()
    options.probes = options.probes or (10 if options.quick else 100)
    options.events = (options.events or (20_000 if options.quick else 200_000)) // 1000 * 1000
    people = Office(2_000 if options.quick else 10_000, teams=100 if options.quick else 500)
    with traffic.product(options.broker, people, settings=measure.settings(options)) as running:
        rest, half = asyncio.run(measured(running, people, options))
    figures: list[Any] = [
        Figure(f"alert told {when}, {name} of {len(late)}", Spread.of([quantile(late, share)]), "s", target)
        for when, late, target in (("at rest", rest, None), ("at half load", half, TARGET))
        for name, share in (("p50", 0.5), ("p99", 0.99))
    ]
    measure.report("alerts", options, figures)


if __name__ == "__main__":
    main()
