"""One ingest service for all tests that only ask it questions; tests that break something start their own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services import installation, postgres
from services.embedded import Broker, Postgres
from tests.builders import SHARDS, add_tenant
from tests.ingest.deliveries import KEY, SECRET
from tests.ingest.service import ACME, ADMIN, Ingest, add_key, add_source
from tests.ingest.vendors import samples_posthog, samples_rudderstack, samples_segment


async def furnish(database: str) -> None:
    """Write the tenants and keys that the tests speak of."""
    connection = await postgres.connect(database, name="tests")
    try:
        await add_tenant(connection, "acme")
        await add_tenant(connection, "globex")
        await add_key(connection, ADMIN, tenant=None, scopes=["admin"])
        await add_key(connection, ACME, tenant="acme")
        await add_source(connection, "odoo-sales", "odoo", SECRET)
        await add_source(connection, "odoo-letters", "odoo", SECRET)
        await add_source(connection, "custom-crm", "custom", SECRET)
        await add_source(connection, "hubspot-eu", "hubspot", SECRET, public_url="https://in.example.com/uptake/")
        await add_source(connection, "hubspot-plain", "hubspot", SECRET)
        await add_source(connection, "okta-crm", "okta", SECRET, applications=["0oa-crm"])
        await add_source(connection, "signed-tool", "standard-webhooks", KEY)
        await add_source(connection, "dynamics", "dataverse", SECRET)
        await add_source(connection, "sf-flows", "salesforce-outbound", SECRET)
        await add_source(connection, "sf-changes", "salesforce-cdc", SECRET)
        await add_source(connection, "pipedrive-eu", "pipedrive", f"uptake:{SECRET}")
        await add_source(connection, "zoho-eu", "zoho", SECRET)
        await add_source(connection, "segment-web", "segment", samples_segment.KEY)
        await add_source(connection, "segment-slow", "segment", "a-slow-key", requests_per_second=1)
        await add_source(connection, "rudder-web", "rudderstack", samples_rudderstack.KEY)
        await add_source(connection, "posthog-web", "posthog", samples_posthog.KEY)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def house_broker() -> Iterator[Broker]:
    server = Broker()
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
async def house_database(postgres_server: Postgres, _template: str) -> AsyncIterator[str]:
    connection = await postgres.connect(postgres_server.url("postgres"), name="tests")
    await connection.execute(f"create database ingest_house template {_template}")
    await furnish(postgres_server.url("ingest_house"))
    yield postgres_server.url("ingest_house")
    await connection.execute("drop database ingest_house with (force)")
    await connection.close()


@pytest.fixture(scope="session")
async def house(
    house_broker: Broker, house_database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ingest]:
    """The shared service. At the end its log holds no traceback: no input made it stumble."""
    await installation.make_topics(house_database, house_broker.address, partitions=SHARDS, replication=1)
    service = Ingest(
        tmp_path_factory.mktemp("house"), kafka=house_broker.address, database=house_database, publish_seconds=60
    )
    service.start()
    yield service
    assert service.stop() == 0
    assert "Traceback" not in service.log, service.log


@pytest.fixture
async def furnished(database: str) -> str:
    """A database of the test's own with the tenants and keys."""
    await furnish(database)
    return database


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path
