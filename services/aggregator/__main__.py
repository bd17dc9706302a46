"""Starts an aggregator: consumer, evaluator, backtests, measurer, lane, keeper and probes. Owns the clock."""

import asyncio
import contextlib
import gc
import os
import socket
import sys
from collections.abc import Callable
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
from services.waiting import pause

STOP_SECONDS: Final = 10.0
LOOK_SECONDS: Final = 0.5


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

    def told(reason: str, part: str = "postgres") -> None:
        waiting.clear()
        waiting[part] = reason

    probes = probing(Probes(instruments.registry, ready, clock), settings.host, settings.aggregator_port)
    serving = asyncio.create_task(probes.serve())
    pool = await postgres.wait_for_pool(
        settings.database, name="uptake-aggregator", stop=stop, told=told, lossy=True, max_size=3
    )
    steady = await postgres.wait_for_pool(settings.database, name="uptake-evaluator", stop=stop, max_size=6)
    shards = await _shards(settings.database, stop, told)
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
    try:
        await leaving.see_off(work, STOP_SECONDS)
    finally:
        probes.should_exit = True
        await asyncio.wait([serving], timeout=3)
        await postgres.close_pool(pool)
        await postgres.close_pool(steady)


async def _shards(database: str, stop: asyncio.Event, told: Callable[..., None]) -> int:
    """Return into how many shards people are divided, waiting until there are tables and topics. ``told`` learns why.

    Raises:
        asyncio.CancelledError: ``stop`` was set before.
    """
    while not stop.is_set():
        try:
            if (shards := await installation.shards(database)) is not None:
                return shards
            told("they were not made yet: uptake topics", "topics")
        except postgres.DATABASE_ERRORS as error:
            told(postgres.reason(error))
        await pause(stop, LOOK_SECONDS)
    raise asyncio.CancelledError


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
