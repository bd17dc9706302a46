"""Services that are started before their engines wait, say for what, and get well by themselves."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services import child, installation, migrate
from services.embedded import Broker, Postgres, fresh_directory
from tests.builders import SHARDS
from tests.faults.fleet import live
from tests.faults.nursery import SERVICES, bear, prepare
from tests.ingest.service import ADMIN
from tests.notifier.desk import KEY
from tests.patience import SECONDS, until

pytestmark = pytest.mark.faults

Wrong = dict[str, dict[str, str]]


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL that is not there yet, and will be empty."""
    home = fresh_directory()
    server = Postgres(home / "postgres", fast=True)
    yield server
    server.remove()
    home.rmdir()


@pytest.fixture
def kafka() -> Iterator[Broker]:
    """A broker that is not there yet."""
    server = Broker()
    yield server
    server.kill()


class Started:
    """One of each service, by its address."""

    def __init__(self, home: Path, **settings: object) -> None:
        prepare(*SERVICES)
        self.ports = {name: child.free_port() for name in SERVICES}
        own = {f"{name}_port": port for name, port in self.ports.items()}
        self.processes = [
            bear(live, name, diary=home / f"{name}.log", state_dir=home, **own, **settings) for name in SERVICES
        ]
        self.client = httpx.AsyncClient()

    async def ask(self, name: str, path: str, **headers: str) -> httpx.Response:
        """Ask ``name`` until it answers at all."""

        async def answer() -> list[httpx.Response]:
            try:
                return [await self.client.get(f"http://127.0.0.1:{self.ports[name]}{path}", headers=headers)]
            except httpx.TransportError:
                assert all(each.exitcode is None for each in self.processes)
                return []

        return (await until(answer))[0]

    async def wrong(self) -> Wrong:
        """Return what each says to be wrong; who says it also says since when."""
        told: dict[str, Any] = {name: (await self.ask(name, "/readyz")).json() for name in SERVICES}
        assert all(set(each["since"]) == set(each["wrong"]) for each in told.values())
        return {name: each["wrong"] for name, each in told.items()}

    async def until_wrong(self, **parts: set[str]) -> Wrong:
        """Wait until it is these ``parts`` of each service that are wrong, and of the others none."""

        async def so() -> Wrong | None:
            wrong = await self.wrong()
            return wrong if {name: set(each) for name, each in wrong.items() if each} == parts else None

        found = await until(so)
        assert found is not None
        return found

    async def end(self) -> list[int | None]:
        """Stop all; return their statuses."""
        await self.client.aclose()
        for each in self.processes:
            each.terminate()
        for each in self.processes:
            await asyncio.to_thread(each.join, SECONDS)
        return [each.exitcode for each in self.processes]


@pytest.fixture
async def started(postgres: Postgres, kafka: Broker, tmp_path: Path) -> AsyncIterator[Started]:
    made = Started(
        tmp_path,
        kafka=kafka.address,
        database=postgres.url(),
        admin_key=ADMIN,
        seal_key=base64.b64encode(KEY).decode(),
        registry_seconds=0.5,
        session_ms=3000,
    )
    yield made
    for each in made.processes:
        each.kill()
        each.join()


async def test_whatever_starts_first_waits_for_the_others_and_says_for_what(
    postgres: Postgres, kafka: Broker, started: Started
) -> None:
    alone = await started.until_wrong(
        api={"postgres"}, ingest={"kafka", "registry"}, aggregator={"postgres"}, notifier={"postgres"}
    )
    assert {(await started.ask(name, "/healthz")).status_code for name in SERVICES} == {200}
    away = await started.ask("api", "/v1/tenants", authorization=f"Bearer {ADMIN}")
    assert (away.status_code, away.headers["retry-after"]) == (503, "1")
    postgres.start()
    without_tables = await started.until_wrong(
        api={"postgres"}, ingest={"kafka", "registry"}, aggregator={"postgres"}, notifier={"planner"}
    )
    await migrate.upgrade(postgres.url())
    await started.until_wrong(ingest={"kafka"}, aggregator={"topics"})
    kafka.start()
    await installation.make_topics(postgres.url(), kafka.address, partitions=SHARDS, replication=1)
    await started.until_wrong()

    assert all("refused" in alone[name]["postgres"] or "111" in alone[name]["postgres"] for name in ("api", "notifier"))
    assert 'relation "tenant" does not exist' in without_tables["api"]["postgres"]
    assert (await started.ask("api", "/v1/tenants", authorization=f"Bearer {ADMIN}")).status_code == 200
    assert await started.end() == [0] * len(SERVICES)
