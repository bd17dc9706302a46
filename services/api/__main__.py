"""Starts the API service: waits for Postgres, makes sure that an admin key exists, serves until told to stop."""

import asyncio
import contextlib
import gc
import logging
import signal
import sys
from datetime import UTC, datetime
from typing import Final

import uvicorn
import uvloop

from services import settings as configuration
from services.api import app as application
from services.api import edge
from services.api.store.keys import ensure_admin_key
from services.api.streams import Streams
from services.egress import checker, networks_of
from services.guard import GuardedProtocol
from services.observability import start_logging
from services.postgres import DATABASE_ERRORS, UNAVAILABLE, Pool, close_pool, wait_for_pool
from services.server import Server
from services.settings import SettingError, Settings

log = logging.getLogger(__name__)

CONNECTIONS: Final = 9
"""One of them listens."""
STATEMENT_SECONDS: Final = 20.0
DRAIN_SECONDS: Final = 5
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
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    pool = await wait_for_pool(
        settings.database,
        name="uptake-api",
        stop=stop,
        max_size=CONNECTIONS,
        statement_seconds=STATEMENT_SECONDS,
        tidy=True,
    )
    try:
        await _ensure_key(pool, settings, stop)
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
        server = Server(
            uvicorn.Config(
                app,
                host=settings.host,
                port=settings.api_port,
                http=_Guarded,
                loop="uvloop",
                log_config=None,
                access_log=False,
                server_header=False,
                ws="none",
                timeout_keep_alive=15,
                timeout_graceful_shutdown=DRAIN_SECONDS,
            )
        )
        gc.collect()
        gc.freeze()  # what is loaded now stays: no collection looks at it again
        gc.set_threshold(_GARBAGE, 20, 20)
        await _until_stopped(server, stop, app.state.streams)
    finally:
        await close_pool(pool)


async def _until_stopped(server: Server, stop: asyncio.Event, streams: Streams) -> None:
    serving = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    streams.end()
    server.should_exit = True
    stopping.cancel()
    await serving


def main() -> None:
    """Run the service with the settings of the environment."""
    try:
        settings = configuration.load()
        start_logging("api", settings.log_level)
        with contextlib.suppress(asyncio.CancelledError):  # stopped before Postgres came
            uvloop.run(_serve(settings))
    except (SettingError, *DATABASE_ERRORS) as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
