"""Whether memory stays flat: the resident memory of every service while events pass through, and its slope.

The first fifth of the way warms caches up; the slope is that of a straight line through the rest.
"""

import argparse
import asyncio
from collections import defaultdict
from itertools import islice
from statistics import linear_regression

from benchmarks import measure, office, traffic
from benchmarks.measure import Figure, Spread
from benchmarks.office import Office
from benchmarks.traffic import Pace, Product
from services import postgres

STEPS = 10
WARM = 2


async def measured(running: Product, people: Office, events: int, seed: int) -> dict[str, list[float]]:
    """Send ``events`` in ten steps; return the memory of each service, in MiB, before the first and after each."""
    connection = await postgres.connect(running.url, name="benchmark")
    stream = office.events(people, seed)
    found: dict[str, list[float]] = defaultdict(list)
    pids = running.services()

    def note(done: int) -> None:
        for name, pid in pids.items():
            found[name].append(measure.resident(pid))
        told = "  ".join(f"{name} {values[-1]:6.1f}" for name, values in found.items())
        print(f"{done * 100 // STEPS:3d} %  {told}  MiB", flush=True)

    note(0)
    step = events // STEPS // traffic.BATCH * traffic.BATCH
    async with traffic.senders(running.ingest) as opened:
        for number in range(1, STEPS + 1):
            await traffic.send_all(opened, traffic.batches(islice(stream, step), step), Pace())
            await traffic.until_folded(connection, step * number)
            note(number)
    took = await office.folded(connection)
    await office.check(connection, people, distinct=step * STEPS, copies=took.duplicates, as_of=[])
    await connection.close()
    return found


def slope(values: list[float], events: int) -> float:
    """Return by how many MiB memory grows with a million events, after the warm-up."""
    steady = values[WARM:]
    millions = [(WARM + number) * events / STEPS / 1e6 for number in range(len(steady))]
    return linear_regression(millions, steady).slope


def figures(found: dict[str, list[float]], events: int) -> list[Figure]:
    """Return the lines of the table: where each service ends, and its slope."""
    lines = []
    for name, values in sorted(found.items()):
        lines += [
            Figure(f"memory of {name} at the end", Spread.of([values[-1]]), "MiB"),
            Figure(f"memory of {name}: growth", Spread.of([slope(values, events)]), "MiB/M events"),
        ]
    return lines


def main() -> None:
    """Read the options, measure, print."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--events", type=int, default=0, help="[default: 2,000,000; quick: 50,000]")
    options: argparse.Namespace = parser.parse_args()
    options.events = options.events or (50_000 if options.quick else 2_000_000)
    people = Office(2_000 if options.quick else 10_000, teams=100 if options.quick else 500)
    with traffic.product(options.broker, people, settings=measure.settings(options)) as running:
        found = asyncio.run(measured(running, people, options.events, options.seed))
    measure.report("memory", options, figures(found, options.events), resident_mib=found)


if __name__ == "__main__":
    main()
