"""Probes, adoption gauges, and what is said while Postgres is away."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from services.api import app as application
from services.api.store.keys import ensure_admin_key
from services.embedded import Postgres
from services.postgres import Pool, close_pool, connect_pool
from tests.api.conftest import ADMIN, Client, Clock, Connect
from tests.api.test_alerts import add_alert
from tests.builders import SHARDS, measured
from tests.databases import Databases
from tests.patience import until

SHOWN = ("uptake_adoption", "uptake_wave", "uptake_metric", "uptake_alerts")


@pytest.fixture
def app(pool: Pool, clock: Clock) -> FastAPI:
    """An application of the test's own, whose instruments have counted nothing."""
    return application.create(pool, clock=clock, partitions=SHARDS)


@contextlib.asynccontextmanager
async def refreshed(app: FastAPI, pool: Pool, clock: Clock) -> AsyncIterator[None]:
    """Let the background task read at least once, and show what it read."""
    task = asyncio.create_task(app.state.adoption.keep_fresh(pool, clock))
    await until(lambda: app.state.adoption.samples)
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def licensed(pool: Pool, tenant: str, dimension: str, key: str, count: int) -> None:
    for days in (1, 7, 28):
        await pool.execute(
            """insert into window_delta (tenant, dimension, key, days, day, shard, licensed, active, logged_in)
               values ($1, $2, $3, $4, $5, 0, $6, $7, 1)""",
            tenant,
            dimension,
            key,
            days,
            date(2026, 3, 1),
            count,
            count // 2,
        )


async def scrape_key(api: Client, **body: Any) -> str:
    return str((await api.post("/v1/keys", json={"scopes": ["scrape"], **body})).json()["key"])


async def test_a_scrape_shows_adoption_to_the_keys_that_may_know(
    api: Client, connect: Connect, app: FastAPI, pool: Pool, clock: Clock
) -> None:
    await api.patch("/v1/tenants/acme", json={"privacy": {"min_group": 5}})
    await api.post("/v1/tenants", json={"id": "other"})
    for tenant in ("acme", "other"):
        await pool.execute("insert into tally (tenant, shard, version) values ($1, 0, 1)", tenant)
        await licensed(pool, tenant, "team", "North", 12)
    await licensed(pool, "acme", "team", "Tiny", 4)
    await pool.execute(
        """insert into wave_connection (tenant, wave, n, num, den, settled, missing) values
           ('acme', 'w', 1, 6, 8, true, '{anna}'), ('acme', 'w', 3, 6, 8, false, '{}'),
           ('acme', 'v', 1, 1, 2, true, '{}')"""
    )
    await pool.execute(
        """insert into wave_connection (tenant, wave, n, num, den, settled, missing, reason) values
           ('acme', 'w', 10, 0, 8, false, '{}', 'login-source-stale'),
           ('acme', 'w', 14, 0, 8, false, '{}', 'login-source-stale')"""
    )
    await pool.execute(
        """insert into wave (tenant, id, name, go_live)
           values ('acme', 'w', 'W', '2026-03-02'), ('acme', 'v', 'V', '2026-03-02')"""
    )
    await measured(pool)
    await measured(pool, "other")
    await add_alert(pool, "a")
    await add_alert(pool, "b")
    await add_alert(pool, "c", state="resolved")
    async with refreshed(app, pool, clock):
        text = (await connect(await scrape_key(api, tenant="acme")).get("/metrics")).text
        everything = (await api.get("/metrics")).text

    shown = [line for line in text.splitlines() if line.startswith(SHOWN) and "tenant=" in line]
    assert sorted(shown) == sorted(
        [
            'uptake_adoption_licensed{dimension="team",key="North",tenant="acme"} 12.0',
            *(
                f'uptake_adoption_{name}{{dimension="team",key="North",tenant="acme",window="{window}"}} {value}'
                for name, value in (("active", 6.0), ("logged_in", 1.0), ("rate_ratio", 0.5))
                for window in ("1d", "7d", "28d")
            ),
            'uptake_wave_connected_ratio{n="1",tenant="acme",wave="w"} 0.75',
            'uptake_wave_connected_people{tenant="acme",wave="w"} 6.0',
            'uptake_wave_people{tenant="acme",wave="w"} 8.0',
            'uptake_wave_go_live_timestamp_seconds{tenant="acme",wave="w"} 1.7724096e+09',
            'uptake_metric_unknown{metric="wave_connected",reason="login-source-stale",tenant="acme"} 2.0',
            'uptake_alerts_open{rule="user-never-logged-in-d3",severity="critical",tenant="acme"} 2.0',
        ]
    )
    assert "uptake_api_requests_total" in text
    assert "anna" not in text
    assert 'tenant="other"' in everything
    assert 'tenant="acme"' in everything
    nobody = await connect(key=None).get("/metrics")
    assert (nobody.status_code, "uptake_adoption" in nobody.text) == (200, False)
    reader = (await api.post("/v1/keys", json={"tenant": "acme", "scopes": ["read"]})).json()["key"]
    assert (await connect(reader).get("/metrics")).status_code == 403
    assert (await connect("upt_x_0123456789abcdef").get("/metrics")).status_code == 401


async def test_metrics_speak_openmetrics_when_asked(connect: Connect) -> None:
    answer = await connect().get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})

    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


async def test_the_probes_say_that_all_is_well(connect: Connect) -> None:
    client = connect(key=None)

    assert (await client.get("/healthz")).json() == {"alive": True}
    assert (await client.get("/readyz")).json() == {"ready": True, "wrong": {}, "since": {}}


async def test_while_postgres_is_away_the_service_says_so_and_comes_back(own_postgres: Postgres, clock: Clock) -> None:
    pool = await connect_pool(own_postgres.url(), name="tests")
    async with pool.acquire() as connection:
        await ensure_admin_key(connection, ADMIN)
    app = application.create(pool, clock=clock, partitions=4)
    transport = httpx.ASGITransport(app)
    headers = {"Authorization": f"Bearer {ADMIN}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
        assert (await client.get("/v1/tenants")).status_code == 200
        own_postgres.kill()

        for path in ("/v1/tenants", "/v1/status?wait=0", "/v1/windows", "/v1/people/x"):
            away = await client.get(path)
            assert (away.status_code, away.headers["retry-after"]) == (503, "1")
            assert away.headers["content-type"] == "application/problem+json"
        assert (await client.get("/healthz")).status_code == 200
        ready = await client.get("/readyz")
        again = await client.get("/readyz")
        assert (ready.status_code, list(ready.json()["wrong"])) == (503, ["postgres"])
        assert list(ready.json()["since"]) == ["postgres"]
        assert again.json()["since"] == ready.json()["since"]

        own_postgres.start()

        async def answered() -> bool:
            return (await client.get("/v1/tenants")).status_code == 200 == (await client.get("/readyz")).status_code

        await until(answered)
    await close_pool(pool)


async def test_while_postgres_is_a_standby_reads_are_answered_and_writes_come_again(
    api: Client, pool: Pool, databases: Databases
) -> None:
    name, wave = await pool.fetchval("select current_database()"), {"id": "w", "name": "W", "go_live": "2026-03-02"}
    await databases.run(f"alter database {name} set default_transaction_read_only = on")
    await pool.expire_connections()

    read, written = await api.get("/v1/waves"), await api.post("/v1/waves", json=wave)
    await databases.run(f"alter database {name} reset default_transaction_read_only")
    await pool.expire_connections()
    again = await api.post("/v1/waves", json=wave)

    assert (read.status_code, written.status_code, again.status_code) == (200, 503, 201)
    assert written.headers["retry-after"] == "1"


async def test_it_is_not_ready_as_long_as_something_is_awaited(app: FastAPI) -> None:
    app.state.awaited["keys"] = "it is not sure yet that there is an admin key"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
        answer = await client.get("/readyz")

    assert (answer.status_code, answer.json()["wrong"]) == (503, app.state.awaited)


async def test_it_is_not_ready_when_it_leaves(app: FastAPI) -> None:
    app.state.leaving.set()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
        answer = await client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["wrong"] == {"process": "stopping"}
