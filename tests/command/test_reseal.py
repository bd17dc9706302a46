"""The key that seals is changed while everything that it sealed stays readable."""

import base64
import json
from typing import Any

from schemas import letters
from services.api.store import sources, subscriptions
from services.postgres import Pool
from services.sealing import Seal, kept_key, seal_of
from tests.builders import add_tenant
from tests.command.conftest import Run

FRESH, OLD = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))


async def _fill(pool: Pool, seal: Seal) -> None:
    async with pool.acquire() as connection:
        secrets = ["secret-one", "secret-two"]
        await sources.create(connection, seal, "acme", "hub", kind="hubspot", secrets=secrets, options={})
        await connection.execute(
            "insert into subscription (tenant, id, kind, name, url, secrets, key_id) "
            "values ('acme', 'desk', 'webhook', 'desk', $1, array[$2::bytea], 'k')",
            subscriptions.sealed(seal, "acme", "desk", "https://8.8.4.4/x"),
            subscriptions.sealed(seal, "acme", "desk", "whsec_x"),
        )
        await connection.execute(
            "insert into dead_letter (tenant, log_offset, value, reason, letter) values ('acme', 1, $1, 'bad', 'one')",
            seal.close(b"body", letters.context("acme")),
        )


async def _opened(pool: Pool, seal: Seal) -> list[Any]:
    async with pool.acquire() as connection:
        source = await connection.fetchval("select secrets from source")
        row = await connection.fetchrow("select url, secrets from subscription")
        letter = await connection.fetchval("select value from dead_letter")
    return [
        *[seal.open(secret, "source/hub") for secret in source],
        seal.open(row["url"], "subscription/acme/desk"),
        seal.open(row["secrets"][0], "subscription/acme/desk"),
        seal.open(letter, letters.context("acme")),
    ]


async def test_what_the_installations_own_key_and_an_old_one_sealed_is_sealed_anew(
    pool: Pool, database: str, uptake: Run
) -> None:
    await add_tenant(pool)
    async with pool.acquire() as connection:
        own = await seal_of(connection, "")
    await _fill(pool, own)
    plain = await _opened(pool, own)
    both = await seal_of(pool, f"{FRESH},{OLD}")
    meanwhile = await _opened(pool, both)
    lost = Seal(b"x" * 32).close(b"body", letters.context("acme"))
    await pool.execute(
        "insert into dead_letter (tenant, log_offset, value, reason, letter) values ('acme', 2, $1, 'bad', 'two')", lost
    )
    refused = uptake("reseal", database=database, seal_key=f"{FRESH},{OLD}")
    kept = await kept_key(pool, make=False)
    await pool.execute("delete from dead_letter where letter = 'two'")
    done = uptake("reseal", database=database, seal_key=FRESH)

    assert (refused.returncode, json.loads(refused.stdout)) == (1, {"anew": 4, "already": 0, "closed": 1})
    assert (done.returncode, json.loads(done.stdout)) == (0, {"anew": 0, "already": 4, "closed": 0})
    assert await _opened(pool, await seal_of(pool, FRESH)) == meanwhile == plain
    assert kept is not None
    assert await kept_key(pool, make=False) is None
