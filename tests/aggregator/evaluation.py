"""Evaluators for tests: made, and run beside each other."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from services.aggregator.evaluator import Evaluator
from services.postgres import Pool
from services.settings import Settings
from tests.aggregator.settle import TENANT
from tests.aggregator.world import later

SETTINGS = Settings(evaluate_seconds=0.02)


def evaluator(pool: Pool, url: str = "", clock: Callable[[], datetime] = lambda: later(0)) -> Evaluator:
    return Evaluator(pool, url, SETTINGS, clock)


@asynccontextmanager
async def running(*evaluators: Evaluator) -> AsyncIterator[list[asyncio.Event]]:
    stops = [asyncio.Event() for _ in evaluators]
    tasks = [asyncio.create_task(each.run(stop)) for each, stop in zip(evaluators, stops, strict=True)]
    try:
        yield stops
    finally:
        for stop in stops:
            stop.set()
        await asyncio.gather(*tasks)


async def evaluated(pool: Pool, tenant: str = TENANT) -> bool:
    return bool(
        await pool.fetchval(
            "SELECT (SELECT sum(version) FROM tally WHERE tenant = $1) = "
            "(SELECT version FROM evaluation WHERE tenant = $1)",
            tenant,
        )
    )
