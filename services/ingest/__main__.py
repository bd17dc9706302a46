"""The ingest process: settings in, one event loop, a clean end.

Told to stop it first says that it is not ready, and answers for a while yet; then it takes no new connections, answers
what is under way, flushes what is gathered and exits 0.
"""

import asyncio
import gc
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from services import beside, observability, tracing
from services import settings as setting
from services.guard import GuardedProtocol
from services.ingest.app import FrontDoor
from services.ingest.behind import application
from services.ingest.bodies import MAX_BODY
from services.ingest.gate import Gate
from services.ingest.hooks import Hooks
from services.ingest.instruments import Instruments
from services.ingest.landing import Landing
from services.ingest.limits import Shares
from services.ingest.logins_route import Logins
from services.ingest.post import Post
from services.ingest.publisher import Publisher
from services.ingest.registry import Registry
from services.ingest.replays import Replays
from services.ingest.spool import Spool
from services.ingest.traced import TracedPublisher, route_of
from services.kafka import Appender
from services.leaving import Leaving
from services.server import Server, config
from services.waiting import pause

log = logging.getLogger(__name__)

_ANSWER_SECONDS: Final = 8
"""How long is waited at the end for what is under way."""
_LOOK_SECONDS: Final = 0.05
_SPOOL_SECONDS: Final = 2
"""How long the spool is emptied at the end; what is left waits for the next start."""
_KEEP_ALIVE_SECONDS: Final = 30
_GARBAGE: Final = 50_000
"""A request leaves next to no cycles behind; looking for them after every 700 objects would cost more than the work."""


def _clock() -> datetime:
    return datetime.now(UTC)


def _server(app: Any, settings: setting.Settings, instruments: Instruments) -> Server:  # noqa: ANN401 - an ASGI app
    class Guarded(GuardedProtocol):
        refused = staticmethod(instruments.refused)
        max_body = MAX_BODY

    return Server(
        config(
            beside.without_metrics(app, settings.metrics_port),
            settings.host,
            settings.ingest_port,
            http=Guarded,
            loop="uvloop",
            ws="none",
            lifespan="off",
            interface="asgi3",
            headers=[(name.decode(), value.decode()) for name, value in observability.SAFE],
            proxy_headers=False,
            backlog=2048,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_ANSWER_SECONDS,
        ),
        shared=settings.share_ports == "yes",
    )


class _Parts:
    """What the process is made of."""

    def __init__(self, settings: setting.Settings, stopping: asyncio.Event) -> None:
        self._settings = settings
        self._stopping = stopping
        self.instruments = Instruments()
        self.registry = Registry(
            settings.database, settings.state_dir, every=settings.registry_seconds, seal_key=settings.seal_key
        )
        self.publisher = (TracedPublisher if tracing.on() else Publisher)(
            lambda: Appender(
                settings.cluster, client_id="uptake-ingest", request_ms=max(1000, int(settings.publish_seconds * 1000))
            ),
            self.instruments,
            linger=settings.linger_ms / 1000,
            wait=settings.publish_seconds,
            max_pending=settings.max_pending_mib << 20,
            installed=lambda: self.registry.snapshot.shards,
        )
        self._post = Post(lambda: Appender(settings.cluster, client_id="uptake-ingest-letters"))
        self.spool = Spool(settings.state_dir, most=settings.spool_mib << 20, told=self.instruments.spool_damaged)
        self.instruments.watch_spool(lambda: self.spool.measure, settings.spool_mib << 20, _clock)
        self._shares = Shares(settings.max_pending_mib << 20)
        self.landing = Landing(self.publisher, self._post, self.spool, self._shares, seconds=settings.spool_ms / 1000)

    def wrong(self) -> Mapping[str, str]:
        """Return what keeps the service from being ready, by part."""
        parts = {
            "process": "stopping" if self._stopping.is_set() else None,
            "kafka": self.publisher.wrong(),
            "spool": self.spool.wrong(),
            "registry": None if self.registry.known else "neither Postgres nor a kept snapshot has told the keys",
        }
        return {part: reason for part, reason in parts.items() if reason is not None}

    def front(self) -> FrontDoor:
        """Return the application, from the front door to what stands behind it all."""
        settings = self._settings
        gate = Gate(self.registry, _clock)
        behind = application(self.instruments, self.wrong, _clock)
        replays = Replays(behind, gate, self.registry, self.landing, self.instruments, _clock)
        hooks = Hooks(
            Logins(replays, gate, self.registry, self.landing, self.instruments, _clock),
            self.registry,
            self.landing,
            self.instruments,
            clock=_clock,
            rate=settings.source_rate,
            public_url=settings.public_url,
            own_url=f"http://{settings.host}:{settings.ingest_port}",
        )
        return FrontDoor(hooks, gate, self.publisher, self._shares, self.instruments, _clock)

    async def flush(self) -> None:
        """Append what is gathered and, as far as it goes, what is in the spool."""
        await self.landing.drain(_SPOOL_SECONDS)
        await self.publisher.stop()
        await self._post.stop()

    async def close(self) -> None:
        """Let go of the disk and of Postgres."""
        await self.spool.stop()
        await self.registry.stop()


async def _serve(front: FrontDoor, parts: _Parts, leaving: Leaving, settings: setting.Settings) -> None:
    """Serve until told to leave. Who shares the port begins when events can be taken: until then others take them."""
    server = _server(tracing.served(front, route_of), settings, parts.instruments)
    async with beside.shown(front, settings.host, settings.metrics_port):
        while settings.share_ports == "yes" and parts.wrong() and not leaving.asked.is_set():
            await pause(leaving.asked, _LOOK_SECONDS)
        await server.run_until(leaving, drain=settings.drain_seconds)


async def _run(settings: setting.Settings) -> int:
    leaving = Leaving()
    leaving.listen()
    parts = _Parts(settings, leaving.asked)
    front = parts.front()
    gc.collect()
    gc.freeze()  # what is loaded now stays: no collection looks at it again
    gc.set_threshold(_GARBAGE, 20, 20)
    parts.spool.start()
    upkeep = [asyncio.create_task(work.run()) for work in (parts.registry, parts.publisher, parts.landing)]
    serving = asyncio.create_task(_serve(front, parts, leaving, settings))
    await asyncio.wait([serving, *upkeep], return_when=asyncio.FIRST_COMPLETED)
    failed = not leaving.asked.is_set()
    leaving.asked.set()
    await asyncio.wait([serving])
    await parts.flush()
    for task in upkeep:
        task.cancel()
    for result in await asyncio.gather(serving, *upkeep, return_exceptions=True):
        if isinstance(result, Exception):
            log.error("ingest failed", exc_info=result)
    await parts.close()
    return 1 if failed else 0


def main() -> None:
    """Run ingest until it is told to stop."""
    try:
        settings = setting.load()
    except setting.SettingError as error:
        sys.exit(f"uptake ingest: {error}")
    observability.start("ingest", settings)
    with asyncio.Runner(loop_factory=_loop) as runner:
        code = runner.run(_run(settings))
    sys.exit(code)


def _loop() -> asyncio.AbstractEventLoop:
    import uvloop  # noqa: PLC0415 - only this process runs on it

    return uvloop.new_event_loop()


if __name__ == "__main__":
    main()
