"""The engines a benchmark runs on: PostgreSQL with its safe settings, and one of the two brokers."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from deploy.kafka import node
from services import child, embedded, installation, migrate, postgres
from services.embedded import Postgres

ROOT: Final = Path(__file__).parents[1]
KINDS: Final = ("tansu", "kafka")


@contextmanager
def broker(kind: str) -> Iterator[str]:
    """Run a broker with an empty log; yields its address."""
    apache = node.Node(embedded.fresh_directory(), flags=node.LONG_RUN) if kind == "kafka" else None
    running: Any = apache or embedded.Broker()
    try:
        running.start()
        yield running.address
    finally:
        apache.remove() if apache else running.kill()


@contextmanager
def database() -> Iterator[Postgres]:
    """Run PostgreSQL as it runs for users: what is committed is on the disk."""
    server = Postgres(embedded.fresh_directory() / "postgres")
    try:
        server.start()
        yield server
    finally:
        server.remove()


async def make_database(server: Postgres, name: str, kafka: str, partitions: int) -> None:
    """Create a database with every table, and the topics of ``kafka``."""
    connection = await postgres.connect(server.url("postgres"), name="benchmark")
    await connection.execute(f"create database {name}")
    await connection.close()
    await migrate.upgrade(server.url(name))
    await installation.make_topics(server.url(name), kafka, partitions=partitions, replication=1)


@contextmanager
def service(module: str, **settings: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run one service with ``settings`` (UPTAKE_*) until the block ends."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    env |= {f"UPTAKE_{name.upper()}": str(value) for name, value in settings.items()}
    process = child.start(
        [sys.executable, "-m", module], env=env, output=subprocess.DEVNULL, at_parents_end=signal.SIGKILL
    )
    try:
        yield process
    finally:
        child.end(process, signal.SIGTERM, seconds=20)
