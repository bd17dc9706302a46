"""The evaluator as it runs: when it evaluates, and what it goes on after."""

import asyncio
from datetime import timedelta

import pytest

from services.embedded import Postgres
from services.postgres import Pool, close_pool, connect_pool
from tests.aggregator.evaluation import evaluated, evaluator, running
from tests.aggregator.settle import settle, tick
from tests.aggregator.world import World, crew, later
from tests.patience import until


async def test_it_evaluates_what_is_new_and_rests_otherwise(pool: Pool, database: str) -> None:
    world = World(crew(1))
    await settle(pool, world, later(4))
    async with running(evaluator(pool, database)):
        await until(lambda: evaluated(pool))
        mark = await pool.fetchval("SELECT evaluated_at FROM evaluation")
        await asyncio.sleep(0.3)
        assert await pool.fetchval("SELECT evaluated_at FROM evaluation") == mark
        await tick(pool, later(6))
        await until(lambda: evaluated(pool))

    assert await pool.fetchval("SELECT as_of FROM evaluation") == later(6)


async def test_it_waits_until_no_shard_holds_unread_events(
    pool: Pool, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drained = "UPDATE position SET drained_at = clock_timestamp() WHERE shard = $1"
    await pool.execute("INSERT INTO position (shard, drained_at) VALUES (0, NULL), (1, clock_timestamp())")
    await settle(pool, World(crew(1)), later(4))
    async with running(evaluator(pool, database)):
        await asyncio.sleep(0.5)
        await pool.execute(drained, 1)
        await asyncio.sleep(0.3)
        assert not await evaluated(pool)
        await pool.execute(drained, 0)
        await until(lambda: evaluated(pool))
        await tick(pool, later(5))
        await asyncio.sleep(0.5)
        assert not await evaluated(pool)
        monkeypatch.setattr("services.aggregator.evaluator.PATIENCE", timedelta(seconds=1))
        await until(lambda: evaluated(pool))


async def test_time_alone_opens_an_alert_on_the_wall_clock(pool: Pool, database: str) -> None:
    now = later(2, 11)
    await settle(pool, World(crew(1)), later(0), clock="wall")

    async def opened() -> bool:
        return bool(await pool.fetchval("SELECT count(*) FROM alert"))

    async with running(evaluator(pool, database, lambda: now)):
        await until(lambda: evaluated(pool))
        assert not await opened()
        now = later(2, 12)
        await until(opened)


async def test_one_tenant_that_fails_does_not_stop_the_others(pool: Pool, database: str) -> None:
    await settle(pool, World(crew(1)), later(4), "aaa-broken", time_zone="Nowhere/Atall")
    await settle(pool, World(crew(1)), later(4))

    async with running(evaluator(pool, database)):
        await until(lambda: evaluated(pool))
        assert not await evaluated(pool, "aaa-broken")
        await pool.execute("UPDATE tenant SET time_zone = 'UTC' WHERE id = 'aaa-broken'")
        await until(lambda: evaluated(pool, "aaa-broken"))


@pytest.mark.faults
async def test_it_goes_on_when_postgres_comes_back(own_postgres: Postgres) -> None:
    url = own_postgres.url()
    pool = await connect_pool(url, name="tests")
    await settle(pool, World(crew(1)), later(4))
    async with running(evaluator(pool, url)):
        await until(lambda: evaluated(pool))
        own_postgres.kill()
        await asyncio.sleep(0.5)
        own_postgres.start()
        await pool.expire_connections()
        await tick(pool, later(5))
        await until(lambda: evaluated(pool))
    await close_pool(pool)
