"""The engines of the tests: real ones, always. Session-wide servers, a fresh database and a fresh log for each test.

Where Java or Maven is missing, the suites on Apache Kafka are left out and said to be, and without Node.js those with
libraries from npm; in CI that is a failure.
"""

import asyncio
import os
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from deploy.kafka import node
from services import installation, migrate, postgres
from services.embedded import Broker, Postgres, fresh_directory
from tests import counts, debian, order, patience
from tests.builders import SHARDS, LogServer
from tests.databases import TEMPLATE, Databases
from tests.ingest import npm
from tests.stack import Stack

LACKS = {"kafka": node.missing(), "npm": npm.missing(), "debian": debian.missing()}
"""By marker: what is missing to run such tests."""
SUITES = {"kafka": "on Apache Kafka", "npm": "with libraries from npm", "debian": "with programs from Debian"}
IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}


patience.teach()


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, lack in LACKS.items():
        if item.get_closest_marker(marker) is None or lack is None:
            continue
        if IN_CI:
            pytest.fail(f"CI must run the suites {SUITES[marker]}, but {lack}", pytrace=False)
        pytest.skip(lack)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--everything", action="store_true", help="run also the tests marked `again`")


def pytest_itemcollected(item: pytest.Item) -> None:
    if "apache_kafka" in getattr(item, "fixturenames", ()):
        item.add_marker("kafka")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--everything"):
        again = {item for item in items if _says_again(item)}
        config.hook.pytest_deselected(items=list(again))
        items[:] = [item for item in items if item not in again]
    items.sort(key=order.rank)


def _says_again(item: pytest.Item) -> bool:
    """Tell whether another test says it; so do fault runs on the embedded broker, where Apache Kafka is there."""
    either = "broker" in getattr(item, "fixturenames", ()) and item.get_closest_marker("kafka") is None
    faults = item.get_closest_marker("faults") is not None
    return item.get_closest_marker("again") is not None or (either and faults and LACKS["kafka"] is None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    return order.workers()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    return order.scheduler(config, log)


@pytest.fixture(autouse=True)
def _counts(record_property: Callable[[str, object], None]) -> Iterator[None]:
    counts.keep_with(record_property)
    yield
    counts.keep_with(None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for marker, lack in LACKS.items():
        left_out = [
            report.nodeid for report in terminalreporter.getreports("skipped") if lack and lack in report.longreprtext
        ]
        if left_out:
            terminalreporter.section("left out", yellow=True)
            terminalreporter.line(f"{len(left_out)} tests {SUITES[marker]} did not run: {lack}. They are in:")
            for name in sorted({name.partition("::")[0] for name in left_out}):
                terminalreporter.line(f"  {name}")
    counted = [
        f"{report.nodeid.rpartition('::')[2]}: {value}"
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        for name, value in report.user_properties
        if name == "counted" and report.when == "call"
    ]
    if counted:
        terminalreporter.section("what the fault runs counted")
        for line in counted:
            terminalreporter.line(line)


# ---------------------------------------------------------------- Postgres


@pytest.fixture(scope="session")
def directory() -> Iterator[Path]:
    """A directory for the session that PostgreSQL's own account may enter."""
    made = fresh_directory()
    yield made
    with suppress(OSError):
        made.rmdir()


@pytest.fixture(scope="session")
def postgres_server(directory: Path) -> Iterator[Postgres]:
    """The session's PostgreSQL; it is never killed (see ``own_postgres``)."""
    server = Postgres(directory / "postgres", fast=True)
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
async def databases(postgres_server: Postgres) -> AsyncIterator[Databases]:
    """The databases of the session's PostgreSQL, each lent to one test at a time."""
    made = Databases(postgres_server)
    await made.prepare()
    yield made
    await made.close()


@pytest.fixture(scope="session")
async def _template(databases: Databases) -> str:  # noqa: ARG001 - made with them
    return TEMPLATE


@pytest.fixture
async def empty_database(postgres_server: Postgres, databases: Databases) -> AsyncIterator[str]:
    """The URL of a database without a table."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    await databases.run(f"create database {name} strategy file_copy")
    yield postgres_server.url(name)
    await databases.run(f"drop database {name} with (force)")


@pytest.fixture
async def database(postgres_server: Postgres, databases: Databases) -> AsyncIterator[str]:
    """The URL of a fresh, migrated database."""
    name = await databases.lend()
    yield postgres_server.url(name)
    await databases.take_back(name)


@pytest.fixture
async def pool(database: str) -> AsyncIterator[postgres.Pool]:
    """A pool on the fresh database."""
    opened = await postgres.connect_pool(database, name="tests", statement_seconds=patience.SECONDS)
    yield opened
    await postgres.close_pool(opened)


@pytest.fixture(scope="session")
async def _migrated(directory: Path) -> AsyncIterator[Path]:
    """The data of a migrated PostgreSQL that was stopped, to be copied."""
    server = Postgres(directory / "migrated", fast=True)
    server.start()
    await migrate.upgrade(server.url())
    server.stop()
    yield directory / "migrated"
    server.remove()


@pytest.fixture
def own_postgres(_migrated: Path) -> Iterator[Postgres]:
    """A migrated PostgreSQL of the test's own, to kill and to stop. ``url()`` is the database."""
    home = fresh_directory()
    subprocess.run(["cp", "-a", _migrated, home / "postgres"], check=True)
    server = Postgres(home / "postgres")
    server.start()
    yield server
    server.remove()
    home.rmdir()


# ---------------------------------------------------------------- Kafka


@pytest.fixture
def tansu() -> Iterator[Broker]:
    """An embedded broker of the test's own, with an empty log."""
    server = Broker()
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def _apache(directory: Path) -> Iterator[node.Node]:
    server = node.Node(directory / "kafka")
    server.start()
    yield server
    server.remove()


async def forget_topics(bootstrap: str) -> None:
    """Delete the product's topics."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        while mine := [name for name in await admin.list_topics() if name.startswith("uptake.")]:
            await admin.delete_topics(mine)
            await asyncio.sleep(0.05)
    finally:
        await admin.close()


@pytest.fixture
async def _emptied_apache(_apache: node.Node) -> node.Node:
    if _apache.pid is None:
        _apache.start()
    await forget_topics(_apache.address)
    return _apache


@pytest.fixture(params=["apache"])
def apache_kafka(_emptied_apache: node.Node) -> node.Node:
    """The session's Apache Kafka, without topics. It may be killed: the next test has it again.

    A parameter, so that the test's id says where it runs (``order.unit``).
    """
    return _emptied_apache


@pytest.fixture(params=["tansu", pytest.param("_emptied_apache", marks=pytest.mark.kafka)], ids=["tansu", "apache"])
def broker(request: pytest.FixtureRequest) -> LogServer:
    """Each broker in turn, with an empty log and without topics."""
    server: LogServer = request.getfixturevalue(request.param)
    return server


@pytest.fixture
async def topics(broker: LogServer, database: str) -> dict[str, int]:
    """The topics on ``broker``, with ``SHARDS`` shards noted in ``database``; each topic's number of partitions."""
    return await installation.make_topics(database, broker.address, partitions=SHARDS, replication=1)


# ---------------------------------------------------------------- the whole product


@pytest.fixture
def stack() -> Iterator[Stack]:
    """The whole product as a process: ``stack.start(kafka=…, database=…, aggregators=…)``; stopped at the end."""
    made = Stack(fresh_directory())
    yield made
    made.remove()
