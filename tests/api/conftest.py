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


@pytest.fixture(scope="session")
def routed() -> FastAPI:
    """The application; making its routes takes longer than most tests."""
    return application.create(None, clock=Clock(NOON), partitions=SHARDS, kept_days={"activity": 400, "people": 396})


@pytest.fixture
def app(routed: FastAPI, pool: Pool, clock: Clock) -> FastAPI:
    """The application on the test's database; what its instruments count goes on from test to test."""
    routed.state.pool, routed.state.clock, routed.state.links_url = pool, clock, ""
    return routed


class Description:
    """What ``/openapi.json`` says of answers. Each of its schemas is itself checked once."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._validators: dict[tuple[str, str, int, str], Any] = {}

    def check(self, response: httpx.Response) -> None:
        """Fail when the body is not as described; an address that is not described may answer anything."""
        asked = response.request
        for path in self._document["paths"]:
            anything = ".+" if path == "/v1/people/{user}" else "[^/]+"
            if re.fullmatch(re.sub(r"{\w+}", anything, path), asked.url.path):
                kind = response.headers["content-type"].partition(";")[0]
                sort = (path, asked.method.lower(), response.status_code, kind)
                if sort not in self._validators:
                    self._validators[sort] = self._validator(*sort)
                self._validators[sort].validate(response.json())
                return

    def _validator(self, path: str, method: str, status: int, kind: str) -> Any:
        paths = self._document["paths"]
        answers = paths[path].get(method, {"responses": {}})["responses"]
        problem = paths["/v1/tenants"]["get"]["responses"]["default"]
        answer = answers.get(str(status), answers.get("default", problem))
        assert kind in answer["content"], f"{kind} is not described"
        schema = {**answer["content"][kind]["schema"], "components": self._document["components"]}
        made = jsonschema.validators.validator_for(schema)
        made.check_schema(schema)
        return made(schema)


@pytest.fixture(scope="session")
def document(routed: FastAPI) -> dict[str, Any]:
    """The description of the API."""
    return routed.openapi()


@pytest.fixture(scope="session")
def description(document: dict[str, Any]) -> Description:
    return Description(document)


@pytest.fixture
async def connect(app: FastAPI, pool: Pool, description: Description) -> AsyncIterator[Connect]:
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
            description.check(response)

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
