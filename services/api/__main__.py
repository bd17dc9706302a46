"""Starts the API service: waits for Postgres, makes sure that an admin key exists, serves until told to stop.

Told to stop it first says that it is not ready, and answers for a while yet. At the end whoever follows a stream is
told to come again, and what is under way is answered.
"""

import asyncio
import contextlib
import gc
import logging
import sys
from datetime import UTC, datetime
from typing import Final

import uvicorn
import uvloop

from services import observability, tracing
from services import settings as configuration
from services.api import app as application
from services.api import edge
from services.api.store.keys import ensure_admin_key
from services.egress import checker, networks_of
from services.guard import GuardedProtocol
from services.leaving import Leaving
from services.postgres import DATABASE_ERRORS, UNAVAILABLE, Pool, close_pool, wait_for_pool
from services.server import Server
from services.settings import SettingError, Settings

log = logging.getLogger(__name__)

CONNECTIONS: Final = 10
"""One of them listens, and one holds, or waits for, the lock of who shows adoption."""
STATEMENT_SECONDS: Final = 20.0
ANSWER_SECONDS: Final = 5
"""How long is waited at the end for what is under way."""
_GARBAGE: Final = 50_000
"""A page of values is thousands of objects and no cycle; looking for cycles after every 700 would cost more than it."""


class _Guarded(GuardedProtocol):
    """A directory file may be large and its sender slow."""

    max_body = max(edge.MOST_BYTES_AT.values())
    body_seconds = 60.0


def _now() -> datetime:
    return datetime.now(UTC)


async def _ensure_key(pool: Pool, settings: Settings, stop: asyncio.Event) -> None:
    """Make sure that an admin key exists, waiting as long as the tables are not there."""
    while not stop.is_set():
        try:
            async with pool.acquire() as connection:
                made = await ensure_admin_key(connection, settings.admin_key)
        except UNAVAILABLE as error:
            log.warning("waiting for the tables: %s", error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 0.5)
        else:
            if made is not None:
                log.warning(
                    "the first admin key, generated because UPTAKE_ADMIN_KEY is not set; shown only now: %s", made
                )
            return


async def _serve(settings: Settings) -> None:
    leaving = Leaving()
    leaving.listen()
    pool = await wait_for_pool(
        settings.database,
        name="uptake-api",
        stop=leaving.asked,
        max_size=CONNECTIONS,
        statement_seconds=STATEMENT_SECONDS,
        tidy=True,
    )
    try:
        await _ensure_key(pool, settings, leaving.asked)
        app = application.create(
            pool,
            clock=_now,
            partitions=settings.partitions,
            seal_key=settings.seal_key,
            ingest_url=settings.public_url or f"http://{settings.host}:{settings.ingest_port}",
            check_url=checker(networks_of(settings.delivery_networks), proxied=bool(settings.delivery_proxy)),
            kept_days={
                "activity": settings.retention_activity_days,
                "people": settings.retention_people_days,
                "aggregates": settings.retention_aggregate_days,
                "letters": settings.retention_letter_days,
            },
        )
        app.state.leaving = leaving.asked
        server = Server(
            uvicorn.Config(
                tracing.served(app, lambda scope: getattr(scope.get("route"), "path", "other")),
                host=settings.host,
                port=settings.api_port,
                http=_Guarded,
                loop="uvloop",
                log_config=None,
                access_log=False,
                server_header=False,
                ws="none",
                timeout_keep_alive=15,
                timeout_graceful_shutdown=ANSWER_SECONDS,
            ),
            shared=settings.share_ports == "yes",
            at_close=app.state.streams.end,
        )
        gc.collect()
        gc.freeze()  # what is loaded now stays: no collection looks at it again
        gc.set_threshold(_GARBAGE, 20, 20)
        await server.run_until(leaving, drain=settings.drain_seconds)
    finally:
        await close_pool(pool)


def main() -> None:
    """Run the service with the settings of the environment."""
    try:
        settings = configuration.load()
        observability.start("api", settings)
        with contextlib.suppress(asyncio.CancelledError):  # stopped before Postgres came
            uvloop.run(_serve(settings))
    except (SettingError, *DATABASE_ERRORS) as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
