"""The API under test: the whole application on a real database, asked over HTTP.

Every answer is checked against the description at ``/openapi.json``.
"""

import re
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any

import httpx
import jsonschema
import pytest
from fastapi import FastAPI

from services.api import app as application
from services.api.store.keys import ensure_admin_key
from services.postgres import Pool
from tests.builders import NOON, SHARDS

ADMIN = "upt_admin_0123456789abcdef"
Client = httpx.AsyncClient
Connect = Callable[..., Client]


class Clock:
    """The wall clock of a test."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture
def app(pool: Pool, clock: Clock) -> FastAPI:
    return application.create(pool, clock=clock, partitions=SHARDS)


def described(document: dict[str, Any], response: httpx.Response) -> dict[str, Any] | None:
    """Return the schema that OpenAPI gives for ``response``; None for an address that it does not describe."""
    for path, operations in document["paths"].items():
        anything = ".+" if path == "/v1/people/{user}" else "[^/]+"
        if re.fullmatch(re.sub(r"{\w+}", anything, path), response.request.url.path):
            answers = operations.get(response.request.method.lower(), {"responses": {}})["responses"]
            answer = answers.get(
                str(response.status_code), document["paths"]["/v1/tenants"]["get"]["responses"]["default"]
            )
            kind = response.headers["content-type"].partition(";")[0]
            assert kind in answer["content"], f"{kind} is not described"
            return {**answer["content"][kind]["schema"], "components": document["components"]}
    return None


@pytest.fixture(scope="session")
def document() -> dict[str, Any]:
    """The description of the API; making it takes longer than most tests."""
    return application.create(None, clock=Clock(NOON), partitions=SHARDS).openapi()


@pytest.fixture
async def connect(app: FastAPI, pool: Pool, document: dict[str, Any]) -> AsyncIterator[Connect]:
    """Make a client: ``connect(key, tenant)``."""
    async with pool.acquire() as connection:
        await ensure_admin_key(connection, ADMIN)
    clients: list[Client] = []

    async def check(response: httpx.Response) -> None:
        if response.status_code < 300 and response.request.method == "HEAD":
            return
        body = await response.aread()
        assert response.status_code < 500 or response.status_code == 503, body
        if body and "json" in response.headers["content-type"]:
            schema = described(document, response)
            if schema is not None:
                jsonschema.validate(response.json(), schema)

    def client(key: str | None = ADMIN, tenant: str | None = None) -> Client:
        headers = {
            **({"Authorization": f"Bearer {key}"} if key else {}),
            **({"Uptake-Tenant": tenant} if tenant else {}),
        }
        made = Client(
            transport=httpx.ASGITransport(app, raise_app_exceptions=True),
            base_url="http://api",
            headers=headers,
            event_hooks={"response": [check]},
        )
        clients.append(made)
        return made

    yield client
    for made in clients:
        await made.aclose()


@pytest.fixture
async def api(connect: Connect) -> Client:
    """The admin's client on the tenant ``acme``: wall clock, UTC, groups from one person on."""
    client = connect(tenant="acme")
    answer = await client.post("/v1/tenants", json={"id": "acme", "privacy": {"min_group": 1}})
    assert answer.status_code == 201
    return client
