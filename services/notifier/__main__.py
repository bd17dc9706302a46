"""Starts a notifier: planner, sender, publisher and probes. Owns the clock. Two or more may run."""

import asyncio
import contextlib
import sys
from datetime import UTC, datetime, timedelta
from typing import Final

import uvloop

from services import observability, postgres
from services.egress import Client, networks_of
from services.leaving import Leaving
from services.notifier.bell import Bell, ring_at_changes
from services.notifier.channels.alertmanager import alertmanager
from services.notifier.channels.email import Post, email
from services.notifier.channels.teams import teams
from services.notifier.channels.webhook import webhook
from services.notifier.instruments import Instruments
from services.notifier.keeping import keep
from services.notifier.people import plan_due, plan_people
from services.notifier.planner import Planner
from services.notifier.publisher import Publisher
from services.notifier.refreshing import refresh
from services.notifier.sender import Sender
from services.notifier.ways import Way
from services.observability import Probes
from services.sealing import Seal, seal_of
from services.server import probing
from services.settings import SettingError, Settings, load

CONNECTIONS: Final = 8
STOP_SECONDS: Final = 7.0
"""Longer than the sender waits for what is under way."""


def clock() -> datetime:
    """Return the instant now."""
    return datetime.now(UTC)


def ways(settings: Settings) -> dict[str, Way]:
    """Return the ways of telling, by kind of subscription."""
    client = Client(
        networks=networks_of(settings.delivery_networks),
        seconds=settings.delivery_seconds,
        proxy=settings.delivery_proxy,
    )
    post = Post(
        host=settings.smtp_host,
        port=settings.smtp_port,
        security=settings.smtp_security,
        user=settings.smtp_user,
        password=settings.smtp_password,
        sender=settings.mail_from,
        seconds=settings.delivery_seconds,
    )
    return {
        "webhook": Way(webhook(client)),
        "alertmanager": Way(alertmanager(client, settings.links_url)),
        "email": Way(email(post, settings.links_url), plan_people, plan_due),
        "teams": Way(teams(client, settings.links_url), plan_people, plan_due),
    }


async def serve(settings: Settings) -> None:
    """Run until told to leave, then finish what is under way, and give back what takes longer."""
    leaving = Leaving()
    leaving.listen()
    stop = leaving.asked
    instruments, told = Instruments(), ways(settings)
    planner: Planner | None = None
    waiting = {"postgres": "not reached yet"}

    async def ready() -> dict[str, str]:
        if stop.is_set():
            return {"process": "stopping"}
        if planner is None:
            return waiting
        return {} if planner.healthy else {"planner": "it has not read the alerts"}

    probes = probing(Probes(instruments.registry, ready, clock), settings.host, settings.notifier_port)
    serving = asyncio.create_task(probes.serve())
    pool = await postgres.wait_for_pool(
        settings.database,
        name="uptake-notifier",
        stop=stop,
        told=lambda reason: waiting.update(postgres=reason),
        max_size=CONNECTIONS,
        statement_seconds=20.0,
    )
    changed, published, planned = Bell(), Bell(), Bell()
    planner = Planner(pool, told, clock, planned)
    try:
        seal = await _seal(pool, settings, stop)
        sender = Sender(pool, seal, told, clock, seconds=settings.delivery_seconds, instruments=instruments)
        kept = timedelta(days=settings.retention_delivery_days)
        work = [
            asyncio.create_task(part)
            for part in (
                ring_at_changes(settings.database, (changed, published), stop),
                planner.run(stop, changed),
                sender.run(stop, planned),
                Publisher(pool, settings.cluster, clock, instruments).run(stop, published),
                keep(pool, clock, instruments, kept, stop),
                refresh(pool, seal, told["alertmanager"].send, clock, stop),
            )
        ]
        await leaving.see_off(work, STOP_SECONDS)
    finally:
        probes.should_exit = True
        await asyncio.wait([serving], timeout=3)
        await postgres.close_pool(pool)


async def _seal(pool: postgres.Pool, settings: Settings, stop: asyncio.Event) -> Seal:
    """Return the seal of the installation, waiting as long as Postgres or its tables are away."""
    while True:
        with contextlib.suppress(*postgres.OUT_OF_REACH):
            async with pool.acquire() as connection:
                return await seal_of(connection, settings.seal_key)
        if stop.is_set():
            raise asyncio.CancelledError
        await asyncio.sleep(0.5)


def main() -> None:
    """Run the notifier with the settings of the environment."""
    try:
        settings = load()
    except SettingError as error:
        sys.exit(str(error))
    observability.start("notifier", settings)
    with contextlib.suppress(asyncio.CancelledError, KeyboardInterrupt):
        uvloop.run(serve(settings))


if __name__ == "__main__":
    main()
