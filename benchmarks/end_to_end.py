"""The whole road, HTTP batch to visible window: how many events a second, at which cost, and how fresh.

First the stack takes batches as fast as it can over four connections; the rate counts until the last event is in the
windows, and the CPU is that of all our processes and Postgres, without the generator and the broker. Then, at half of
that rate, probes measure freshness: each is one event of a person with a team of their own, timed from its 202 until
Postgres shows the team's window row. In the end nothing may be missing.
"""

import argparse
import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

import msgspec

from benchmarks import measure, office, traffic
from benchmarks.measure import Figure, Spread
from benchmarks.office import Office
from benchmarks.traffic import Pace, Product
from services import postgres
from services.postgres import Connection

POLL_SECONDS: Final = 0.01
_VISIBLE: Final = """
select key from window_delta
where tenant = 'bench' and dimension = 'team' and key = any($1) and days = 1 and active > 0
"""


@dataclass
class Found:
    """What the runs gave."""

    rates: list[float] = field(default_factory=list)
    cpu: list[dict[str, float]] = field(default_factory=list)
    fresh: list[float] = field(default_factory=list)
    refused: int = 0
    cells: int = 0


async def flat_out(running: Product, connection: Connection, bodies: list[bytes], found: Found) -> None:
    """Send ``bodies`` as fast as they are taken; note rate and cost until the last one is in the windows."""
    events = len(bodies) * traffic.BATCH
    expected = (await office.folded(connection)).folded + events
    async with traffic.senders(running.ingest) as opened:
        calibration = measure.calibrate()
        before, started = running.cpu(), time.monotonic()
        await traffic.send_all(opened, iter(bodies), Pace())
        accepted = time.monotonic() - started
        await traffic.until_folded(connection, expected)
        took, after = time.monotonic() - started, running.cpu()
        found.refused += sum(sender.refused for sender in opened)
    cost = {name: (used - before[name]) / events * 1e6 for name, used in after.items()}
    found.rates.append(events / took)
    found.cpu.append(cost)
    parts = "  ".join(f"{name} {used:.1f}" for name, used in cost.items())
    print(
        f"flat out: accepted {events / accepted:,.0f} events/s, in the windows {events / took:,.0f} events/s;"
        f"  {parts} CPU-s/M; calibration {calibration:.3f}",
        flush=True,
    )


@dataclass
class Probes:
    """Probe events on their way: when each was acknowledged, and how long it took to be seen."""

    at: str
    waiting: dict[str, float] = field(default_factory=dict)
    ages: list[float] = field(default_factory=list)
    sent: int = 0

    def body(self) -> tuple[str, bytes]:
        """Return the next probe's name and its batch."""
        name = traffic.probe_name(self.sent)
        self.sent += 1
        data = {"user": name, "origin": "ui", "environment": "production"}
        event = {"specversion": "1.0", "id": name, "source": "/probe", "type": "crm.record.updated", "data": data}
        return name, msgspec.json.encode([{**event, "time": self.at}])

    async def send(self, url: str, count: int, seconds: float, rng: random.Random) -> None:
        """Send ``count`` probes at random moments of ``seconds``."""
        async with traffic.senders(url, 1) as (sender,):
            started = time.monotonic()
            for moment in sorted(rng.random() * seconds for _ in range(count)):
                await asyncio.sleep(max(0.0, started + moment - time.monotonic()))
                name, body = self.body()
                await sender.send(body)
                self.waiting[name] = time.monotonic()

    async def watch(self, connection: Connection, count: int) -> None:
        """Look for the probes' window rows until all are seen."""
        while len(self.ages) < count:
            looked = time.monotonic()
            rows = await connection.fetch(_VISIBLE, list(self.waiting)) if self.waiting else []
            now = time.monotonic()
            for row in rows:
                self.ages.append(now - self.waiting.pop(row["key"]))
            if self.waiting and now - min(self.waiting.values()) > 60.0:
                raise SystemExit(f"WRONG: {sorted(self.waiting)} did not appear within a minute")
            await asyncio.sleep(max(0.0, POLL_SECONDS - (now - looked)))


async def half_speed(running: Product, bodies: list[bytes], rate: float, probes: Probes, count: int, seed: int) -> None:
    """Send ``bodies`` at ``rate`` events a second with ``count`` probes among them."""
    eyes = await postgres.connect(running.url, name="benchmark-probes")
    seconds = len(bodies) * traffic.BATCH / rate
    async with traffic.senders(running.ingest) as opened:
        await asyncio.gather(
            traffic.send_all(opened, iter(bodies), Pace(rate)),
            probes.send(running.ingest, count, seconds * 0.95, random.Random(seed)),
            probes.watch(eyes, count),
        )
    await eyes.close()


def quantile(values: list[float], share: float) -> float:
    """Return the value that ``share`` of ``values`` do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _take(stream: Iterator[dict[str, Any]], events: int) -> list[bytes]:
    return list(traffic.batches(stream, events))


async def measured(running: Product, people: Office, options: argparse.Namespace) -> Found:
    """Run both parts and check that nothing is missing."""
    found = Found()
    connection = await postgres.connect(running.url, name="benchmark")
    await traffic.until_enrolled(connection)
    stream = office.events(people, options.seed)
    await flat_out(running, connection, _take(stream, options.events // 10), Found())  # warm
    for _ in range(options.repetitions):
        await flat_out(running, connection, _take(stream, options.events), found)
    rate = Spread.of(found.rates).median / 2
    following = next(stream)
    bodies = _take(chain([following], stream), int(rate * options.seconds) // traffic.BATCH * traffic.BATCH)
    probes = Probes(following["time"])
    await half_speed(running, bodies, rate, probes, options.probes, options.seed)
    found.fresh = probes.ages
    sent = options.events // 10 + options.repetitions * options.events + len(bodies) * traffic.BATCH + probes.sent
    await traffic.until_folded(connection, sent)
    took = await office.folded(connection)
    newest = await connection.fetchval("select max(day) from person_day")
    found.cells = await office.check(connection, people, distinct=sent, copies=took.duplicates, as_of=[newest])
    print(f"nothing lost: {sent:,} sent and folded, {took.duplicates} copies by retries, {found.cells:,} cells right")
    await connection.close()
    return found


def figures(found: Found) -> list[Figure]:
    """Return the lines of the table."""
    total = Spread.of(sum(cost.values()) for cost in found.cpu)
    p50, p99 = (Spread.of([quantile(found.fresh, share)]) for share in (0.5, 0.99))
    return [
        Figure("end to end: all services + Postgres", total, "CPU-s/M", 60, 45),
        *(
            Figure(f"end to end: {name}", Spread.of(cost[name] for cost in found.cpu), "CPU-s/M")
            for name in found.cpu[0]
        ),
        Figure("end to end: sustained, generator and broker on the same cores", Spread.of(found.rates), "events/s"),
        Figure(f"freshness at half of that, p50 of {len(found.fresh)}", p50, "s"),
        Figure(f"freshness at half of that, p99 of {len(found.fresh)}", p99, "s", 1.5, 0.5),
    ]


def main() -> None:
    """Read the options, measure, print."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--repetitions", type=int, default=0, help="[default: 3; quick: 1]")
    parser.add_argument("--events", type=int, default=0, help="of one repetition [default: 200,000; quick: 30,000]")
    parser.add_argument("--probes", type=int, default=0, help="[default: 200; quick: 50]")
    parser.add_argument("--seconds", type=float, default=0, help="at half speed [default: 30; quick: 8]")
    options = parser.parse_args()
    options.repetitions = options.repetitions or (1 if options.quick else 3)
    options.events = (options.events or (30_000 if options.quick else 200_000)) // 1000 * 1000
    options.probes = options.probes or (50 if options.quick else 200)
    options.seconds = options.seconds or (8.0 if options.quick else 30.0)
    people = Office(2_000 if options.quick else 10_000, teams=100 if options.quick else 500)
    with traffic.product(options.broker, people, probes=options.probes, settings=measure.settings(options)) as running:
        found = asyncio.run(measured(running, people, options))
    measure.report("end-to-end", options, figures(found), refused=found.refused, cells=found.cells)


if __name__ == "__main__":
    main()
