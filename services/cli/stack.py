"""The whole product on one machine: engines, schema, topics, admin key, services, and the ready line."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NoReturn

from services import child, installation, postgres
from services.api.credentials import mint
from services.api.store import keys
from services.cli.engines import Engines, engines, watch
from services.kafka import LogUnavailableError, look_up
from services.leaving import Leaving
from services.settings import Settings
from services.supervisor import Service, StartError, Supervisor, retry

Ready = dict[str, Any]
EMBEDDED_SESSION_MS: Final = 6000
"""The embedded broker lets a new member of a group wait for half of this, whoever else is there."""

OnReady = Callable[[Ready], Awaitable[bool]]
"""Is told where everything is; whether to go on until the user stops it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run and where. A port 0 is any free one; an engine that is not named is embedded.

    ``disposable``: the data need not survive a power cut.
    """

    settings: Settings
    kafka: str | None = None
    database: str | None = None
    aggregators: int = 1
    disposable: bool = False

    @property
    def data_dir(self) -> Path:
        """Return where everything is kept."""
        return self.settings.state_dir


def run(plan: Plan, on_ready: OnReady, *, logs: int | None = None) -> None:
    """Run the product until SIGTERM or Ctrl-C, or until ``on_ready`` has no more to do.

    Raises:
        StartError, EmbeddedError, InstallationError, SettingError, NoSuchBrokerError: it cannot start.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)  # until the loop takes them: leave, stopping what was started
    plan = replace(plan, settings=_with_ports(plan.settings, plan.aggregators))
    services = _services(plan)
    if plan.kafka is not None:
        asyncio.run(look_up(plan.kafka))
    with engines(plan.data_dir, kafka=plan.kafka, database=plan.database, fast=plan.disposable) as own:
        asyncio.run(_run(plan, services, own, on_ready, logs))


def _leave(number: int, frame: object) -> NoReturn:  # noqa: ARG001 - the shape of a signal handler
    raise SystemExit(0)


async def _run(plan: Plan, services: list[Service], own: Engines, on_ready: OnReady, logs: int | None) -> None:
    leaving = Leaving()
    leaving.listen()
    stop = leaving.asked
    settings = replace(plan.settings, kafka=own.kafka, database=own.database)
    if own.broker is not None:
        settings = replace(settings, session_ms=min(settings.session_ms, EMBEDDED_SESSION_MS))
    key = await _unless(stop, _prepare(settings, own))
    if key is None:
        return
    settings = replace(settings, admin_key=key)
    for service in services:
        service.settings = replace(settings, aggregator_port=service.settings.aggregator_port)
    supervisor = Supervisor(services, leaving=leaving, logs=logs)
    watching = asyncio.create_task(watch(own, settings, stop))
    try:
        if await supervisor.start() and await _unless(stop, on_ready(_ready(services, settings))):
            await stop.wait()
    finally:
        await supervisor.shut()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _unless(stop: asyncio.Event, work: Awaitable[Any]) -> Any:  # noqa: ANN401 - what ``work`` returns
    """Return what ``work`` returns; None when told to stop before."""
    working, stopped = asyncio.ensure_future(work), asyncio.create_task(stop.wait())
    await asyncio.wait([working, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if working.done():
        return working.result()
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    return None


async def _prepare(settings: Settings, own: Engines) -> str:
    """Bring schema and topics to where the services need them; return the admin key ('': not ours to know)."""
    from services import migrate  # noqa: PLC0415 - alembic takes longer to load than all the rest

    async def make_topics() -> None:
        await installation.make_topics(
            settings.database, settings.cluster, partitions=settings.partitions, replication=settings.replication
        )

    await retry("the database cannot be migrated", lambda: migrate.upgrade(settings.database), postgres.UNAVAILABLE)
    await retry("the topics cannot be made", make_topics, (LogUnavailableError, *postgres.UNAVAILABLE))
    connection = await postgres.connect(settings.database, name="uptake-up")
    try:
        made = await keys.ensure_admin_key(connection, settings.admin_key)
    finally:
        await connection.close()
    if settings.admin_key:
        return settings.admin_key
    return (made or "") if own.server is None else _kept(settings.state_dir / "admin.key", made)


def _kept(path: Path, made: str | None) -> str:
    """Return the admin key of the embedded database, kept beside it, for its owner's eyes only."""
    if made is None and path.exists():
        return path.read_text().strip()
    key = made or str(mint())
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(f"{key}\n")
    return key


def _with_ports(settings: Settings, aggregators: int) -> Settings:
    """Return ``settings`` with a port for each service, which it shares with nobody.

    Raises:
        StartError: a port is taken.
    """
    return replace(
        settings,
        share_ports="no",
        metrics_port=0,
        api_port=_port(settings.host, settings.api_port, "api"),
        ingest_port=_port(settings.host, settings.ingest_port, "ingest"),
        aggregator_port=_port(settings.host, settings.aggregator_port, "aggregator", aggregators),
        notifier_port=_port(settings.host, settings.notifier_port, "notifier"),
    )


def _port(host: str, wanted: int, name: str, run: int = 1) -> int:
    if not wanted:
        return child.free_port(host, run)
    if child.listening(wanted, "127.0.0.1" if host == "0.0.0.0" else host):  # noqa: S104 - compared, not bound
        raise StartError(f"port {wanted} is taken: choose another with --{name}-port (0: any free one)")
    return wanted


def _services(plan: Plan) -> list[Service]:
    """Return the processes to run: API, ingest, aggregators, whose ports follow each other, and the notifier.

    Raises:
        StartError: a port is taken.
    """
    settings = plan.settings
    made = [
        Service("api", "services.api", settings, _url(settings.host, settings.api_port)),
        Service("ingest", "services.ingest", settings, _url(settings.host, settings.ingest_port)),
    ]
    for number in range(plan.aggregators):
        port = _port(settings.host, settings.aggregator_port + number, "aggregator")
        own = replace(settings, aggregator_port=port)
        name = f"aggregator-{number + 1}" if plan.aggregators > 1 else "aggregator"
        made.append(Service(name, "services.aggregator", own, _url(settings.host, port)))
    made.append(Service("notifier", "services.notifier", settings, _url(settings.host, settings.notifier_port)))
    return made


def _url(host: str, port: int) -> str:
    return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104 - compared, not bound


def _ready(services: list[Service], settings: Settings) -> Ready:
    api, ingest, aggregator, *_ = services
    return {
        "ready": True,
        "api": api.url,
        "ingest": ingest.url,
        "aggregator": aggregator.url,
        "kafka": settings.kafka,
        "database": settings.database,
        "admin_key": settings.admin_key or None,
    }
