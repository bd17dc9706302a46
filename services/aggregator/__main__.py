"""Starts an aggregator: consumer, evaluator, backtests, measurer, lane, keeper and probes. Owns the clock."""

import asyncio
import contextlib
import gc
import os
import socket
import sys
from datetime import UTC, datetime
from typing import Final

import uvloop

from services import installation, observability, postgres
from services.aggregator.backtests import Backtests
from services.aggregator.consumer import Consumer
from services.aggregator.evaluator import Evaluator
from services.aggregator.instruments import Instruments
from services.aggregator.keeper import Keeper
from services.aggregator.lane import Lane
from services.aggregator.measurer import Measurer
from services.aggregator.retaining import Periods
from services.aggregator.store.dirty import Backlog
from services.leaving import Leaving
from services.observability import Probes
from services.server import probing
from services.settings import SettingError, Settings, load

STOP_SECONDS: Final = 10.0


def clock() -> datetime:
    """Return the instant now."""
    return datetime.now(UTC)


async def serve(settings: Settings) -> None:
    """Run until told to leave, then stop after the batch in hand: shards and locks are free for others at once."""
    leaving = Leaving()
    leaving.listen()
    stop = leaving.asked
    instruments = Instruments()
    owner = f"{socket.gethostname()}-{os.getpid()}"
    consumer: Consumer | None = None
    waiting = {"postgres": "not reached yet"}

    async def ready() -> dict[str, str]:
        if stop.is_set():
            return {"process": "stopping"}
        return waiting if consumer is None else consumer.wrong(clock())

    def told(reason: str) -> None:
        waiting["postgres"] = reason

    probes = probing(Probes(instruments.registry, ready, clock), settings.host, settings.aggregator_port)
    serving = asyncio.create_task(probes.serve())
    pool = await postgres.wait_for_pool(
        settings.database, name="uptake-aggregator", stop=stop, told=told, lossy=True, max_size=3
    )
    steady = await postgres.wait_for_pool(settings.database, name="uptake-evaluator", stop=stop, max_size=6)
    shards = await installation.shards(settings.database) or settings.partitions
    consumer = Consumer(pool, settings, shards, owner, clock, instruments)
    evaluator = Evaluator(steady, settings.database, settings, clock, instruments.evaluation_seconds.observe)

    backtests = Backtests(steady, clock)

    def tell(backlog: Backlog) -> None:
        instruments.measure_dirty.set(backlog.number)
        instruments.measure_dirty_seconds.set(backlog.seconds)

    observe = instruments.measure_seconds.observe
    measurer = Measurer(steady, settings.database, clock, settings.measure_seconds, observe, tell)

    lane = Lane(steady, settings.cluster, owner, clock)
    periods = Periods.of_settings(settings)
    keeper = Keeper(steady, settings.database, settings.cluster, shards, clock, periods, instruments.kept)
    work = [asyncio.create_task(part.run(stop)) for part in (consumer, evaluator, backtests, measurer, lane, keeper)]
    stopped = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait([*work, stopped], return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        await leaving.wait(work, STOP_SECONDS)
        for task in done - {stopped}:
            task.result()
    finally:
        probes.should_exit = True
        await asyncio.wait([serving], timeout=3)
        for task in work:
            task.cancel()
        await asyncio.wait(work, timeout=2)
        await postgres.close_pool(pool)
        await postgres.close_pool(steady)


def main() -> None:
    """Run the aggregator with the settings of the environment."""
    try:
        settings = load()
    except SettingError as error:
        sys.exit(str(error))
    observability.start("aggregator", settings)
    gc.set_threshold(50_000, 20, 100)  # a batch makes many short-lived objects beside a large roster
    with contextlib.suppress(asyncio.CancelledError, KeyboardInterrupt):
        uvloop.run(serve(settings))


if __name__ == "__main__":
    main()
