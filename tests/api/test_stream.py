"""The stream of changes, from a running service: nothing missed, nothing twice, nothing that is not theirs."""

import asyncio
import contextlib
import json
import random
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from schemas.alerts import ORDER, WAKE, item
from services import postgres
from services.api.store.keys import ensure_admin_key
from services.api.streams import Streams
from services.child import free_port
from services.postgres import Pool
from services.server import Server
from tests.api.conftest import ADMIN
from tests.api.test_alerts import add_alert
from tests.builders import NOON, add_person

HEADERS = {"Authorization": f"Bearer {ADMIN}", "Uptake-Tenant": "acme"}
CHANGES = 240
STREAM = "/v1/alerts/stream"


@contextlib.asynccontextmanager
async def serving(app: FastAPI, port: int) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the application on ``port``; gives the admin's client on the tenant ``acme``."""
    app.state.streams = Streams(lambda: (app.state.pool, app.state.clock()))
    server = Server(uvicorn.Config(app, port=port, log_config=None, timeout_graceful_shutdown=2))
    answering = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells of it by a flag
        await asyncio.sleep(0.01)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=HEADERS) as client:
        yield client
    app.state.streams.end()
    server.should_exit = True
    await answering


@pytest.fixture
async def served(app: FastAPI, pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    """The admin's client of a served application, on the tenant ``acme``."""
    async with pool.acquire() as connection:
        await ensure_admin_key(connection, ADMIN)
    async with serving(app, free_port()) as client:
        body = {"id": "acme", "clock": "event", "privacy": {"min_group": 1}}
        assert (await client.post("/v1/tenants", json=body)).status_code == 201
        yield client


class Events:
    """The events of one reader, who comes back whenever the stream ends."""

    def __init__(self, client: httpx.AsyncClient, url: str = STREAM, **headers: str) -> None:
        self.client = client
        self.url = url
        self.headers = headers
        self.seen: list[dict[str, Any]] = []
        self.last: str | None = None
        self.joined = asyncio.Event()

    async def read(self, number: int, cut_after: int | None = None) -> list[dict[str, Any]]:
        """Read until there are so many; ``cut_after`` so many of one connection it is cut off."""
        while len(self.seen) < number:
            await self._connection(number, cut_after)
        return self.seen

    async def _connection(self, number: int, cut_after: int | None) -> None:
        begun = len(self.seen)
        resume = {} if self.last is None else {"Last-Event-ID": self.last}
        async with self.client.stream("GET", self.url, headers={**self.headers, **resume}) as answer:
            assert answer.status_code == 200, await answer.aread()
            assert answer.headers["content-type"].startswith("text/event-stream")
            event: dict[str, str] = {}
            async for line in answer.aiter_lines():
                self.joined.set()
                name, _, value = line.partition(": ")
                event |= {name: value} if line else {}
                if not line and "id" in event:
                    self.last = event["id"]
                    if "data" in event:
                        self.seen.append(json.loads(event["data"]))
                    event = {}
                if len(self.seen) >= number or (cut_after is not None and len(self.seen) - begun >= cut_after):
                    return


async def change(connection: Any, tenant: str, number: int, **columns: Any) -> None:
    """Write a change as the evaluator and the API do."""
    row = {
        **dict.fromkeys(("suppressed_by", "resolved_at", "resolution", "wave"), None),
        **dict.fromkeys(("acknowledged_at", "snoozed_until", "assignee", "plan_on", "useful"), None),
        "id": f"a{number}",
        "rule": "adoption-drop-vs-week1",
        "rule_version": 1,
        "severity": "warning",
        "tier": "confirmed",
        "state": "open",
        "subject_kind": "team",
        "subject_key": "north",
        "title": f"alert {number}",
        "opened_at": NOON,
        "updated_at": NOON,
        "window": {"from": "2026-03-02", "to": "2026-03-05"},
        "evidence": {"num": 1, "den": 10},
        "audience": [],
        "action": "",
        "escalation": 0,
        "episode": 1,
        "revision": 0,
        **columns,
    }
    async with connection.transaction():
        await connection.execute(ORDER, tenant)
        await connection.execute(
            """insert into alert_change (tenant, alert, kind, state, actor, as_of, body)
               values ($1, $2, 'opened', 'open', 'evaluator', $3, $4)""",
            tenant,
            row["id"],
            NOON,
            json.loads(json.dumps(item(row), default=str)),
        )
        await connection.execute(WAKE, tenant)
        await asyncio.sleep(random.random() / 500)


async def write(database: str, numbers: range) -> None:
    connection = await postgres.connect(database, name="tests")
    for number in numbers:
        await change(connection, "acme", number)
    await connection.close()


async def test_readers_that_are_cut_off_amid_concurrent_writers_see_every_change_once_and_in_order(
    served: httpx.AsyncClient, database: str
) -> None:
    readers = [Events(served, f"{STREAM}?after=0") for _ in range(3)]

    writing = [write(database, range(n, CHANGES, 4)) for n in range(4)]
    cuts = (None, 7, 1)
    reading = [reader.read(CHANGES, cut_after=cut) for reader, cut in zip(readers, cuts, strict=True)]
    *_, steady, seldom, often = await asyncio.gather(*writing, *reading)

    order = [event["seq"] for event in steady]
    assert order == sorted(set(order))
    assert {event["alert"]["title"] for event in steady} == {f"alert {n}" for n in range(CHANGES)}
    assert seldom == steady
    assert often == steady


async def test_what_comes_after_joining_is_told_at_once_and_what_was_before_is_not(
    served: httpx.AsyncClient, database: str, pool: Pool
) -> None:
    await write(database, range(1))
    reader = Events(served, f"{STREAM}?severity=warning")

    reading = asyncio.create_task(reader.read(1))
    await reader.joined.wait()
    async with pool.acquire() as connection:
        await change(connection, "acme", 1, severity="info")
        await change(connection, "acme", 2)
    [event] = await reading

    assert (event["kind"], event["alert"]["id"]) == ("opened", "a2")


async def test_a_bound_key_follows_its_own_line_and_names_are_logged(served: httpx.AsyncClient, pool: Pool) -> None:
    for user, manager in (("maria", None), ("anna", "maria"), ("ben", None)):
        await add_person(pool, user, manager=manager, team=None)
    asked = {"tenant": "acme", "scopes": ["read"], "person": "maria"}
    made = (await served.post("/v1/keys", json=asked)).json()
    own = Events(served, f"{STREAM}?after=0", Authorization=f"Bearer {made['key']}")
    async with pool.acquire() as connection:
        for number, user in enumerate(("ben", "anna")):
            await change(connection, "acme", number, subject_kind="user", subject_key=user)

    [event] = await own.read(1)

    assert event["alert"]["subject"] == {"kind": "user", "key": "anna"}
    logged = await pool.fetch("select key_id, route, subject from access_log where route like '%stream'")
    assert [tuple(row) for row in logged] == [(made["id"], "/v1/alerts/stream", "anna")]


async def test_no_single_person_is_streamed_where_none_is_shown(served: httpx.AsyncClient, pool: Pool) -> None:
    off = {"privacy": {"min_group": 1, "individual_visibility": "off"}}
    assert (await served.patch("/v1/tenants/acme", json=off)).status_code == 200
    async with pool.acquire() as connection:
        await change(connection, "acme", 1, subject_kind="user", subject_key="anna")
        await change(connection, "acme", 2, evidence={"num": 1, "den": 10, "people": ["anna"]})

    [event] = await Events(served, f"{STREAM}?after=0").read(1)

    assert event["alert"]["id"] == "a2"
    assert "people" not in event["alert"]["evidence"]


async def test_the_end_of_the_service_ends_the_stream_at_once_and_says_when_to_come_back(
    served: httpx.AsyncClient, app: FastAPI
) -> None:
    async with served.stream("GET", STREAM) as answer:
        lines = answer.aiter_lines()
        assert await anext(lines) == "retry: 2000"
        app.state.streams.end()
        [last] = [line async for line in lines if line]

    assert re.fullmatch(r"retry: \d+", last)
    assert (await served.get(STREAM)).status_code == 503


@pytest.mark.parametrize("last", ["x", "-1", "1" * 31])
async def test_a_place_that_is_none_is_refused(served: httpx.AsyncClient, last: str) -> None:
    answer = await served.get(STREAM, headers={"Last-Event-ID": last})

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_feed_is_read_without_a_key_until_it_is_revoked(served: httpx.AsyncClient, pool: Pool) -> None:
    await add_alert(pool, "shown", subject_kind="team", subject_key="north")
    made = (await served.post("/v1/feeds")).json()
    stream = Events(served, f"{made['url_stream']}?after=0", Authorization="none")

    [event] = await stream.read(1)
    revoked = await served.delete(f"/v1/feeds/{made['id']}")

    assert event["alert"]["id"] == "shown"
    assert revoked.status_code == 204
    for ending in ("atom", "json", "ics", "stream"):
        assert (await served.get(made[f"url_{ending}"])).status_code == 404
