"""Starts an aggregator: consumer, evaluator, backtests, measurer, lane, keeper and probes. Owns the clock."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
from datetime import UTC, datetime

import uvloop

from services import installation, postgres
from services.aggregator.backtests import Backtests
from services.aggregator.consumer import Consumer
from services.aggregator.evaluator import Evaluator
from services.aggregator.instruments import Instruments
from services.aggregator.keeper import Keeper
from services.aggregator.lane import Lane
from services.aggregator.measurer import Measurer
from services.aggregator.retaining import Periods
from services.aggregator.store.dirty import Backlog
from services.observability import Probes, start_logging
from services.server import probing
from services.settings import SettingError, Settings, load


def clock() -> datetime:
    """Return the instant now."""
    return datetime.now(UTC)


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT, then stop after the batch in hand."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    instruments = Instruments()
    owner = f"{socket.gethostname()}-{os.getpid()}"
    pool = await postgres.wait_for_pool(settings.database, name="uptake-aggregator", stop=stop, lossy=True, max_size=3)
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

    async def ready() -> dict[str, str]:
        return consumer.wrong(clock())

    probes = probing(Probes(instruments.registry, ready), settings.host, settings.aggregator_port)
    serving = asyncio.create_task(probes.serve())
    lane = Lane(steady, settings.kafka, owner, clock)
    keeper = Keeper(steady, settings.database, settings.kafka, shards, clock, Periods.of_settings(settings))
    work = [asyncio.create_task(part.run(stop)) for part in (consumer, evaluator, backtests, measurer, lane, keeper)]
    stopped = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait([*work, stopped], return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        await asyncio.wait(work, timeout=10)
        for task in done - {stopped}:
            task.result()
    finally:
        probes.should_exit = True
        await asyncio.wait([serving], timeout=3)
        for task in work:
            task.cancel()
        await postgres.close_pool(pool)
        await postgres.close_pool(steady)


def main() -> None:
    """Run the aggregator with the settings of the environment."""
    try:
        settings = load()
    except SettingError as error:
        sys.exit(str(error))
    start_logging("aggregator", settings.log_level)
    gc.set_threshold(50_000, 20, 100)  # a batch makes many short-lived objects beside a large roster
    with contextlib.suppress(asyncio.CancelledError, KeyboardInterrupt):
        uvloop.run(serve(settings))


if __name__ == "__main__":
    main()
