"""Whoever is forgotten is forgotten in what was delivered, and others still get what they are owed."""

import pytest

from schemas.erasures import ANONYMISE
from services.aggregator.store.erasing import Order
from services.aggregator.store.unmailing import LEFT, messages
from services.postgres import Pool, transaction
from tests.notifier.office import Office, berlin, furnish, subscribe

TABLES = ("delivery", "told")


@pytest.fixture
async def office(pool: Pool) -> Office:
    made = await furnish(pool)
    await subscribe(made)
    for user in ("ada", "p00"):
        await made.opens(berlin(2, 10), user, severity="critical")
        await made.opens(berlin(2, 10), user)
    await made.through(berlin(2, 10), berlin(3, 9))
    return made


async def everything(office: Office) -> str:
    async with office.pool.acquire() as connection:
        rows = [await connection.fetch(f"select t::text from {table} t") for table in TABLES]
    return "\n".join(str(row[0]) for some in rows for row in some)


@pytest.mark.parametrize("mode", ["erase", ANONYMISE])
async def test_a_person_is_forgotten_and_their_neighbours_are_not(office: Office, mode: str) -> None:
    assert "Ada" in await everything(office)
    order = Order(1, "acme", "ada", ("ada",), main=True, mode=mode, stand_in="anon-1")
    async with transaction(office.pool) as tx:
        counts = await messages(tx, order)
        left = await tx.fetchval(f"select {LEFT}", "acme", ["ada"])

    kept = await everything(office)
    assert "ada" not in kept.lower()
    assert "P00" in kept
    assert left == 0
    assert counts["delivery"] == 2
    async with office.pool.acquire() as connection:
        assert await connection.fetchval("select count(*) from told") == (2 if mode == "erase" else 4)


async def test_who_was_told_is_forgotten_themselves(office: Office) -> None:
    order = Order(1, "acme", "mia", ("mia",), main=True, mode="erase", stand_in="anon-1")
    async with transaction(office.pool) as tx:
        await messages(tx, order)

    assert "mia" not in (await everything(office)).lower()
