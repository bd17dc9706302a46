"""The embedded engines under ``uptake up``: whichever dies is started again, whatever else is not well."""

import asyncio

import pytest

from services import installation, postgres
from services.cli.engines import Engines, watch
from services.embedded import Broker, Postgres
from services.settings import Settings
from tests.builders import SHARDS
from tests.patience import until


@pytest.mark.faults
async def test_an_engine_that_dies_while_topics_cannot_be_made_is_started_again(
    own_postgres: Postgres, tansu: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(partitions=SHARDS, replication=1)
    running = Engines(tansu.address, own_postgres.url(), tansu, own_postgres)
    await installation.make_topics(running.database, running.kafka, partitions=SHARDS, replication=1)
    await _do(running.database, "alter table installation rename to hidden")
    stop = asyncio.Event()
    watching = asyncio.create_task(watch(running, settings, stop))
    tansu.kill()
    await until(lambda: "the topics cannot be made yet" in caplog.text)

    own_postgres.kill()
    await until(lambda: own_postgres.pid is not None)
    await _do(running.database, "alter table hidden rename to installation")

    await until(lambda: "back with an empty log" in caplog.text)
    stop.set()
    await watching


async def _do(database: str, statement: str) -> None:
    connection = await postgres.connect(database, name="tests")
    await connection.execute(statement)
    await connection.close()
