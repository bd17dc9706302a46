"""Starts the API service: serves until told to stop, and makes sure that an admin key exists.

While Postgres is away, at the start as later, it says so, and goes on by itself when Postgres is there. Told to stop it
first says that it is not ready, and answers for a while yet. At the end whoever follows a stream is told to come again,
and what is under way is answered.
"""

import asyncio
import gc
import logging
import sys
from datetime import UTC, datetime
from typing import Final

import uvloop
from fastapi import FastAPI

from services import beside, observability, tracing
from services import settings as configuration
from services.api import app as application
from services.api import edge
from services.api.store.keys import ensure_admin_key, given_key
from services.egress import checker, networks_of
from services.guard import GuardedProtocol
from services.leaving import Leaving
from services.postgres import DATABASE_ERRORS, Pool, close_pool, connect_pool, reason
from services.server import Server, config
from services.settings import SettingError, Settings
from services.waiting import pause

log = logging.getLogger(__name__)

CONNECTIONS: Final = 10
"""One of them listens, and one holds, or waits for, the lock of who shows adoption."""
STATEMENT_SECONDS: Final = 20.0
LOOK_SECONDS: Final = 0.5
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


async def _ensure_key(pool: Pool, settings: Settings, awaited: dict[str, str], leaving: Leaving) -> None:
    """Make sure that an admin key exists, waiting as long as Postgres or its tables are away; then none is awaited.

    Raises:
        SettingError: the key that was given cannot be the first; the process is asked to leave.
    """
    awaited["keys"] = "it is not sure yet that there is an admin key"
    while not leaving.asked.is_set():
        try:
            async with pool.acquire() as connection:
                made = await ensure_admin_key(connection, settings.admin_key)
        except DATABASE_ERRORS as error:
            log.warning("waiting for Postgres: %s", reason(error))
            await pause(leaving.asked, LOOK_SECONDS)
        except SettingError:
            leaving.ask()
            raise
        else:
            if made is not None:
                log.warning(
                    "the first admin key, generated because UPTAKE_ADMIN_KEY is not set; shown only now: %s", made
                )
            awaited.clear()
            return


def _server(app: FastAPI, settings: Settings) -> Server:
    routed = tracing.served(app, lambda scope: getattr(scope.get("route"), "path", "other"))
    return Server(
        config(
            beside.without_metrics(routed, settings.metrics_port),
            settings.host,
            settings.api_port,
            http=_Guarded,
            loop="uvloop",
            ws="none",
            timeout_keep_alive=15,
            timeout_graceful_shutdown=ANSWER_SECONDS,
        ),
        shared=settings.share_ports == "yes",
        at_close=app.state.streams.end,
    )


def _application(pool: Pool, settings: Settings) -> FastAPI:
    return application.create(
        pool,
        clock=_now,
        partitions=settings.partitions,
        seal_key=settings.seal_key,
        ingest_url=settings.public_url or f"http://{settings.host}:{settings.ingest_port}",
        links_url=settings.links_url,
        check_url=checker(networks_of(settings.delivery_networks), proxied=bool(settings.delivery_proxy)),
        kept_days={
            "activity": settings.retention_activity_days,
            "people": settings.retention_people_days,
            "aggregates": settings.retention_aggregate_days,
            "letters": settings.retention_letter_days,
        },
    )


async def _serve(settings: Settings) -> None:
    """Serve until told to leave. Who shares the port begins when there is a key: until then others answer."""
    given_key(settings.admin_key)
    leaving = Leaving()
    leaving.listen()
    pool = await connect_pool(
        settings.database,
        name="uptake-api",
        min_size=0,
        max_size=CONNECTIONS,
        statement_seconds=STATEMENT_SECONDS,
        tidy=True,
    )
    app = _application(pool, settings)
    app.state.leaving = leaving.asked
    server = _server(app, settings)
    gc.collect()
    gc.freeze()  # what is loaded now stays: no collection looks at it again
    gc.set_threshold(_GARBAGE, 20, 20)
    try:
        async with beside.shown(app, settings.host, settings.metrics_port):
            keyed = asyncio.create_task(_ensure_key(pool, settings, app.state.awaited, leaving))
            if settings.share_ports == "yes":
                await asyncio.wait([keyed])
            await server.run_until(leaving, drain=settings.drain_seconds)
            if keyed.done():
                keyed.result()
    finally:
        await close_pool(pool)


def main() -> None:
    """Run the service with the settings of the environment."""
    try:
        settings = configuration.load()
        observability.start("api", settings)
        uvloop.run(_serve(settings))
    except SettingError as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
