"""Claims find what was claimed by key, however small the table was when their plan was made."""

import os
from datetime import date

import pytest

from services.aggregator.store import facts
from services.aggregator.store.facts import RacedError
from services.postgres import Pool, close_pool, connect_pool, transaction

TODAY = date(2026, 3, 2)


async def test_a_plan_made_for_an_empty_table_does_not_read_the_whole_of_a_large_one(pool: Pool, database: str) -> None:
    await pool.execute("vacuum analyze claimed")
    lossy = await connect_pool(database, name="test", max_size=1, lossy=True)
    for _ in range(8):  # the first plans are made for their values, the later ones once for all
        async with transaction(lossy) as tx:
            assert await facts.claim(tx, [os.urandom(16)], [1], TODAY) == {}
    async with transaction(lossy) as tx:
        await facts.claim(tx, [os.urandom(16)], [1], TODAY)
        read = await tx.fetchval("select seq_scan from pg_stat_xact_all_tables where relname = 'claimed'")
    await close_pool(lossy)

    assert read == 0


async def test_who_claims_an_identity_second_at_the_same_moment_is_told_to_ask_again(pool: Pool) -> None:
    identity = os.urandom(16)
    async with pool.acquire() as connection:
        slower = connection.transaction(isolation="repeatable_read")
        await slower.start()
        await connection.fetchval("select 1 from claimed limit 1")  # from now on it sees no claim of others
        async with transaction(pool) as tx:
            await facts.claim(tx, [identity], [1], TODAY)
        with pytest.raises(RacedError):
            await facts.claim(connection, [identity], [1], TODAY)
        await slower.rollback()
    async with transaction(pool) as tx:
        assert await facts.claim(tx, [identity], [2], TODAY) == {0: 1}
