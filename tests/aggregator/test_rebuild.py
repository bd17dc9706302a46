"""Rebuilding: what is derived comes out of the kept facts as it stands, and what was spoilt is put right."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.aggregator.rebuild import Found, rebuild
from services.aggregator.shard import Shard, Tenants
from services.aggregator.store.positions import FencedError
from services.postgres import Pool
from tests.aggregator.shards import NOW, SHARDS, START, Log, draw_entry, event, own, settled
from tests.aggregator.test_kept_facts import queue
from tests.builders import add_tenant, enter
from tests.oracle import cells

USERS = [f"u{n}" for n in range(8)]
KINDS = ["crm.session.login", "crm.record.updated", "crm.session.login_failed", "training.module.completed"]
DAYS = [START + timedelta(n) for n in range(-5, 60)]
TABLES = ("roster", "identity_day", "person_day", "window_delta")


@pytest.fixture
async def shards(pool: Pool) -> list[Shard]:
    """Owners of every shard, after a life: late events, copies, merges and changes of the directory."""
    await pool.execute("insert into installation (name, value) values ('shards', $1)", str(SHARDS))
    await add_tenant(pool, clock="wall", time_zone="America/St_Johns")
    rng = random.Random(11)
    log, tenants = Log(), Tenants()
    for n in range(400):
        at = datetime.combine(START, datetime.min.time(), UTC) + timedelta(minutes=rng.randrange(60 * 24 * 12))
        user = rng.choice([*USERS, "stranger", "mail@x.org", None])
        data: dict[str, Any] = {"origin": rng.choice(["ui", "api"]), "email": f"{user}@x.org"}
        log.append(event(n, user, at, rng.choice(KINDS), **data))
    owners = [await own(pool, number, tenants) for number in range(SHARDS)]
    for user in USERS:
        await enter(pool, user, draw_entry(rng), SHARDS)
    for number, owner in enumerate(owners):
        for start in range(0, len(log.records[number]), 37):
            await owner.fold(pool, log.records[number][start : start + 37], NOW)
            if rng.random() < 0.5:
                await enter(pool, rng.choice(USERS), draw_entry(rng), SHARDS)
            if rng.random() < 0.3:
                await settled(pool, owners)
    for identity, user in (("u6", "u0"), ("stranger", "u1"), ("u7", "u0")):
        sql = "insert into alias (tenant, identity, user_id, actor) values ('acme', $1, $2, 'test')"
        await pool.execute(sql, identity, user)
        await queue(pool, identity)
    await settled(pool, owners)
    await pool.execute("delete from alias where identity = 'u7'")
    await queue(pool, "u7")
    await settled(pool, owners)
    return owners


async def rebuilt(database: str, *tenants: str, check: bool = False) -> dict[str, Found]:
    return {found.table: found async for found in rebuild(database, tenants, lambda: NOW, check=check)}


def differing(found: dict[str, Found], tables: Sequence[str] = TABLES) -> list[int]:
    return [found[table].differing for table in tables]


@pytest.mark.usefixtures("shards")
async def test_what_came_about_step_by_step_is_what_follows_from_the_facts(pool: Pool, database: str) -> None:
    before = await cells(pool, DAYS)
    found = await rebuilt(database)

    assert not any(each.differing for each in found.values())
    assert all(each.rows for each in found.values())
    assert await cells(pool, DAYS) == before


SPOILT = [
    "update window_delta set active = active + 1, actions = actions - 2 where days = 7",
    """insert into window_delta (tenant, dimension, key, days, day, shard, licensed)
       values ('acme', 'team', 'ghosts', 7, '2026-01-05', 0, 3)""",
    "delete from person_day where user_id = 'u1'",
    """insert into person_day (tenant, user_id, day, first_at, last_at)
       values ('acme', 'ghost', '2026-01-05', now(), now())""",
    "update identity_day set events = events + 1, first_at = first_at - interval '1 hour'",
    "update roster set terms = '[]' where user_id in ('u1', 'u2')",
    "delete from person_link where identity = 'stranger'",
    "update metric_cell set num = num + 1 where metric = 'M11'",
]


async def test_whatever_was_spoilt_is_put_right_and_only_looked_at_when_asked_to(
    pool: Pool, database: str, shards: list[Shard]
) -> None:
    await rebuilt(database)
    before = await cells(pool, DAYS)
    for harm in SPOILT:
        await pool.execute(harm)
    looked_at = await rebuilt(database, check=True)
    repaired = await rebuilt(database, "acme")

    assert looked_at == repaired
    assert all(differing(repaired, (*TABLES, "metric_cell")))
    assert not any(found.differing for found in (await rebuilt(database, check=True)).values())
    assert await cells(pool, DAYS) == before
    with pytest.raises(FencedError):
        await shards[0].follow_directory(pool, NOW)


@pytest.mark.usefixtures("shards")
async def test_days_of_which_activity_is_not_all_there_stand_as_they_are(pool: Pool, database: str) -> None:
    """As after an upgrade, or when activity was dropped."""
    cut = START + timedelta(6)
    await pool.execute("update tenant set activity_from = $1", cut)
    await pool.execute("delete from activity where at < $1", datetime.combine(cut, datetime.min.time(), UTC))
    before = await cells(pool, DAYS)

    assert differing(await rebuilt(database)) == [0, 0, 0, 0]
    await pool.execute("delete from person_day where day > $1", cut)
    assert differing(await rebuilt(database))[2]
    assert await cells(pool, DAYS) == before


@pytest.mark.usefixtures("shards")
async def test_what_rests_on_days_of_people_that_are_gone_stands_as_it_is(pool: Pool, database: str) -> None:
    gone = START + timedelta(5)
    for table in ("person_day", "identity_day"):
        await pool.execute(f"delete from {table} where day < $1", gone)
    await pool.execute("insert into kept_since (tenant, what, day) values ('acme', 'people', $1)", gone)
    before = await cells(pool, DAYS)

    assert differing(await rebuilt(database)) == [0, 0, 0, 0]
    await pool.execute("update window_delta set active = active + 1 where day = $1", gone + timedelta(30))
    assert differing(await rebuilt(database))[3] > 0
    assert await cells(pool, DAYS) == before


@pytest.mark.usefixtures("shards")
async def test_what_the_directory_still_queues_is_followed_first(pool: Pool, database: str) -> None:
    await enter(pool, "u3", draw_entry(random.Random(5)), SHARDS)

    assert differing(await rebuilt(database, check=True)) == [0, 0, 0, 0]
    assert await pool.fetchval("select count(*) from directory_change") > 0
    assert differing(await rebuilt(database)) == [0, 0, 0, 0]
    assert await pool.fetchval("select count(*) from directory_change") == 0


async def test_without_topics_there_is_nothing_to_rebuild(pool: Pool, database: str) -> None:
    await add_tenant(pool)

    assert await rebuilt(database) == {}
