"""The engines under ``uptake up``: those that are named, and embedded ones in the data directory for the others.

An embedded engine that dies is started again on its port; a broker that comes back empty gets its topics again.
"""

import asyncio
import contextlib
import fcntl
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from services import installation, postgres
from services.embedded import Broker, EmbeddedError, Engine, Postgres
from services.kafka import LogUnavailableError
from services.settings import Settings
from services.supervisor import StartError, sleep

log = logging.getLogger(__name__)

PROMISE = (
    "the embedded broker keeps its log in memory: what was acknowledged but not yet counted is lost when the broker "
    "or this machine stops; name a Kafka with --kafka for more"
)


@dataclass
class Engines:
    """Where Kafka and Postgres are, and which of them we run ourselves."""

    kafka: str
    database: str
    broker: Broker | None = None
    server: Postgres | None = None

    def own(self) -> list[Engine]:
        """Return the embedded ones."""
        return [engine for engine in (self.server, self.broker) if engine is not None]


@contextlib.contextmanager
def engines(data_dir: Path, *, kafka: str | None, database: str | None, fast: bool = False) -> Iterator[Engines]:
    """Start the embedded engines that are needed; stop them at the end.

    Raises:
        EmbeddedError: an embedded engine cannot run.
        StartError: another ``uptake up`` uses the data directory.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(_locked(data_dir))
        broker = server = None
        if not database:
            server = Postgres(data_dir / "postgres", fast=fast)
            stack.callback(server.stop)
            server.start()
        if not kafka:
            broker = Broker()
            stack.callback(broker.stop)
            broker.start()
            log.info(PROMISE)
        address = broker.address if broker else str(kafka)
        yield Engines(address, server.url() if server else str(database), broker, server)


async def watch(running: Engines, settings: Settings, stop: asyncio.Event) -> None:
    """Start an embedded engine again when it has died, until ``stop``."""
    empty = False
    while not stop.is_set():
        await sleep(0.3, stop)
        for engine in running.own():
            if engine.pid is None and not stop.is_set():
                log.warning("the embedded %s died; starting it again", engine.name)
                with contextlib.suppress(EmbeddedError):
                    engine.start()  # on this thread: a child ends with the thread that started it
                empty |= engine is running.broker
        if empty:
            empty = not await _topics_again(running, settings)


async def _topics_again(running: Engines, settings: Settings) -> bool:
    """Make the topics on a broker that came back empty; return whether they are there."""
    try:
        await installation.make_topics(
            running.database, running.kafka, partitions=settings.partitions, replication=settings.replication
        )
    except (LogUnavailableError, *postgres.UNAVAILABLE) as error:
        log.warning("the topics cannot be made yet: %s", error)
        return False
    log.warning("the embedded broker is back with an empty log")
    return True


@contextlib.contextmanager
def _locked(data_dir: Path) -> Iterator[IO[str]]:
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StartError(f"{data_dir} is in use by another uptake: choose another --data-dir") from error
        yield lock
