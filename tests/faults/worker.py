"""A consumer in a process of its own, to be killed and stopped: at a site it names, or wherever the test finds it.

A mutant is a consumer with one safeguard taken out. The suite must notice each of them.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from services import postgres
from services.aggregator.consumer import Consumer
from services.aggregator.instruments import Instruments
from services.aggregator.store import facts, positions
from services.observability import start_logging
from services.settings import Settings


def now() -> datetime:
    return datetime.now(UTC)


class Failpoint:
    """Kills or stops this process at the ``nth`` pass of ``site``."""

    def __init__(self, site: str, action: str, nth: int) -> None:
        self._site = site
        self._left = nth
        self._signal = signal.SIGKILL if action == "kill" else signal.SIGSTOP

    def __call__(self, site: str) -> None:
        if site == self._site:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), self._signal)


async def _nothing_claimed(*_: object) -> Mapping[int, int]:
    return {}


def mutate(name: str) -> None:
    """Take one safeguard out."""
    if name == "no-fence":
        positions._MOVE = (  # noqa: SLF001
            "update position set next_offset = $4, anchor = $5, updated_at = now()"
            " where shard = $1 and ($2::bigint, $3::bigint) is not null"
        )
    elif name == "no-claim":
        facts.claim = _nothing_claimed  # type: ignore[assignment]


async def work(arguments: Any) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    pool = await postgres.wait_for_pool(arguments.database, name=arguments.owner, stop=stop, lossy=True, max_size=2)
    settings = Settings(kafka=arguments.kafka, session_ms=3000, cycle_ms=20, batch_records=40)
    hook = Failpoint(arguments.site, arguments.action, arguments.nth)
    await Consumer(pool, settings, arguments.shards, arguments.owner, now, Instruments(), hook).run(stop)
    await postgres.close_pool(pool)


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--database", "--kafka", "--owner"):
        parser.add_argument(name, required=True)
    parser.add_argument("--shards", type=int, required=True)
    parser.add_argument("--site", default="")
    parser.add_argument("--action", default="kill")
    parser.add_argument("--nth", type=int, default=1)
    parser.add_argument("--mutant", default="")
    arguments = parser.parse_args()
    mutate(arguments.mutant)
    start_logging(arguments.owner, "INFO")
    asyncio.run(work(arguments))


if __name__ == "__main__":
    sys.exit(main())
