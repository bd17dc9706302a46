"""Whether everything is counted and judged, over HTTP."""

import asyncio
import time
from datetime import timedelta

import pytest

from services.postgres import Pool
from tests.api.conftest import Client
from tests.builders import NOON


async def drain(pool: Pool, *shards: int) -> None:
    for shard in shards:
        await pool.execute(
            """insert into position (shard, drained_at) values ($1, clock_timestamp() + interval '1 minute')
               on conflict (shard) do update set drained_at = excluded.drained_at""",
            shard,
        )


async def test_nothing_is_settled_until_every_shard_was_drained_after_the_question(api: Client, pool: Pool) -> None:
    await pool.execute(
        "insert into position (shard, drained_at) select s, now() - interval '1 second' from generate_series(0, 3) s"
    )
    assert (await api.get("/v1/status?wait=0")).json()["lag"] == 4

    await drain(pool, 0, 1, 2)
    assert (await api.get("/v1/status?wait=0")).json()["settled"] is False

    await drain(pool, 3)
    status = (await api.get("/v1/status?wait=0")).json()
    assert (status["settled"], status["lag"], status["watermark"]) == (True, 0, None)


async def test_the_number_of_shards_is_the_one_of_the_installation(api: Client, pool: Pool) -> None:
    await drain(pool, 0, 1, 2, 3)
    await pool.execute("insert into installation values ('shards', '6')")

    status = (await api.get("/v1/status?wait=0")).json()

    assert (status["settled"], status["lag"]) == (False, 2)


async def test_a_waiting_change_of_the_directory_is_not_settled(api: Client, pool: Pool) -> None:
    await drain(pool, 0, 1, 2, 3)
    await pool.execute("insert into directory_change (tenant, user_id, shard) values ('other', 'x', 0)")
    assert (await api.get("/v1/status?wait=0")).json()["settled"] is True
    await pool.execute("insert into directory_change (tenant, user_id, shard) values ('acme', 'x', 0)")

    assert (await api.get("/v1/status?wait=0")).json()["settled"] is False


async def test_what_is_queued_until_every_shard_was_drained_is_waited_for_and_nothing_later(
    api: Client, pool: Pool
) -> None:
    queue = "insert into directory_change (tenant, user_id, shard, queued_at) values ('acme', $1, 0, clock_timestamp())"
    waiting = asyncio.create_task(api.get("/v1/status?wait=60"))
    await asyncio.sleep(0.2)
    await pool.execute(queue, "of a batch that was folded after the question")
    await drain(pool, 0, 1, 2, 3)
    await asyncio.sleep(0.3)
    assert not waiting.done()

    await pool.execute(queue, "of another question")
    await pool.execute("delete from directory_change where user_id like '%batch%'")

    assert (await waiting).json()["settled"] is True


async def test_what_no_rule_has_seen_is_not_settled(api: Client, pool: Pool) -> None:
    await drain(pool, 0, 1, 2, 3)
    await pool.execute("insert into tally (tenant, shard, version) values ('acme', -1, 2), ('acme', 3, 5)")
    assert (await api.get("/v1/status?wait=0")).json()["settled"] is False
    await pool.execute("insert into evaluation (tenant, version) values ('acme', 6)")
    assert (await api.get("/v1/status?wait=0")).json()["settled"] is False

    await pool.execute("update evaluation set version = 7")

    assert (await api.get("/v1/status?wait=0")).json()["settled"] is True


async def test_what_is_counted_after_the_question_need_not_be_judged(api: Client, pool: Pool) -> None:
    await pool.execute("insert into tally (tenant, shard, version) values ('acme', 3, 5)")
    waiting = asyncio.create_task(api.get("/v1/status?wait=60"))
    await asyncio.sleep(0.3)
    await drain(pool, 0, 1, 2, 3)
    await asyncio.sleep(1)
    assert not waiting.done()

    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("insert into evaluation (tenant, version) values ('acme', 5)")
        await connection.execute("update tally set version = 6")

    assert (await waiting).json()["settled"] is True


async def test_an_answer_waits_until_it_is_settled_and_no_longer(api: Client, pool: Pool) -> None:
    started = time.monotonic()
    waiting = asyncio.create_task(api.get("/v1/status?wait=60"))
    await asyncio.sleep(0.5)
    assert not waiting.done()

    await drain(pool, 0, 1, 2, 3)

    assert (await waiting).json()["settled"] is True
    assert time.monotonic() - started < 60


async def test_an_answer_waits_no_longer_than_asked(api: Client) -> None:
    started = time.monotonic()

    assert (await api.get("/v1/status?wait=0.3")).json()["settled"] is False
    assert 0.25 < time.monotonic() - started < 60


async def test_counts_and_sources_are_added_up_over_the_shards(api: Client, pool: Pool) -> None:
    await pool.execute(
        """insert into tally (tenant, shard, folded, duplicates, conflicts, late, unmapped, dead_letters, newest) values
           ('acme', -1, 0, 0, 0, 0, 0, 0, null), ('acme', 0, 5, 1, 0, 2, 1, 0, '2026-03-01 08:00Z'),
           ('acme', 1, 7, 1, 1, 0, 0, 3, '2026-03-02 08:00Z'), ('other', 1, 9, 9, 9, 9, 9, 9, '2026-03-02 09:00Z')"""
    )
    for shard, source, hours in ((0, "crm", 30), (1, "crm", 2), (0, "legacy", 25)):
        await pool.execute(
            "insert into source_seen (tenant, source, shard, last_event_at) values ('acme', $1, $2, $3)",
            source,
            shard,
            NOON - timedelta(hours=hours),
        )

    status = (await api.get("/v1/status?wait=0")).json()

    del status["settled"], status["lag"]
    assert status == {
        "folded": 12,
        "duplicates": 2,
        "conflicts": 1,
        "late": 2,
        "unmapped": 1,
        "dead_letters": 3,
        "dead_letters_open": 0,
        "watermark": "2026-03-02T08:00:00Z",
        "sources": [
            {"id": "crm", "last_event_at": "2026-03-02T10:00:00Z", "state": "receiving"},
            {"id": "legacy", "last_event_at": "2026-03-01T11:00:00Z", "state": "quiet"},
        ],
    }


@pytest.mark.parametrize("wait", ["-1", "61", "NaN", "inf", "x", "1e400"])
async def test_a_wait_is_a_number_of_seconds_up_to_60(api: Client, wait: str) -> None:
    assert (await api.get(f"/v1/status?wait={wait}")).status_code == 422


async def test_what_is_not_measured_is_not_settled(api: Client, pool: Pool) -> None:
    await drain(pool, 0, 1, 2, 3)
    soil = "insert into dirty (tenant, kind, subject, queued_at) values ($1, 'person', $2, clock_timestamp())"
    await pool.execute(soil, "other", "x")
    assert (await api.get("/v1/status?wait=0")).json()["settled"] is True
    await pool.execute(soil, "acme", "before")

    waiting = asyncio.create_task(api.get("/v1/status?wait=60"))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await pool.execute(soil, "acme", "of another question")
    await pool.execute("delete from dirty where subject = 'before'")

    assert (await waiting).json()["settled"] is True


async def test_a_pass_that_is_not_over_is_not_settled(api: Client, pool: Pool) -> None:
    await drain(pool, 0, 1, 2, 3)
    await pool.execute("insert into measured (tenant, until, cut) values ('acme', 'infinity', clock_timestamp())")
    assert (await api.get("/v1/status?wait=0")).json()["settled"] is False

    await pool.execute("update measured set cut = null")

    assert (await api.get("/v1/status?wait=0")).json()["settled"] is True


async def test_a_day_that_nobody_was_counted_in_yet_is_not_settled(api: Client, pool: Pool) -> None:
    await drain(pool, 0, 1, 2, 3)
    await pool.execute("insert into tally (tenant, shard, newest) values ('acme', 0, $1)", NOON)
    await pool.execute("insert into measured (tenant, until) values ('acme', $1)", NOON)
    assert (await api.get("/v1/status?wait=0")).json()["settled"] is False

    await pool.execute("update measured set until = $1", NOON + timedelta(hours=12))

    assert (await api.get("/v1/status?wait=0")).json()["settled"] is True


async def test_whom_measuring_lets_the_rules_judge_after_the_question_is_waited_for(api: Client, pool: Pool) -> None:
    waiting = asyncio.create_task(api.get("/v1/status?wait=60"))
    await asyncio.sleep(0.2)
    await pool.execute(
        "insert into to_judge (tenant, kind, key, queued_at) values ('acme', 'team', 'North', clock_timestamp())"
    )
    await drain(pool, 0, 1, 2, 3)
    await asyncio.sleep(0.3)
    assert not waiting.done()

    await pool.execute("delete from to_judge")

    assert (await waiting).json()["settled"] is True
