"""The lane: letters on their topic become a list, each once, whatever is read again or stands there besides."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.events import Record
from schemas.letters import Bad, encode_reasons
from schemas.topics import DEAD_LETTERS
from services import installation
from services.aggregator.lane import Lane
from services.postgres import Pool
from tests.builders import SHARDS, add_tenant, append
from tests.patience import until


def now() -> datetime:
    return datetime.now(UTC)


def letter(number: int, tenant: str = "acme", reason: str = "is not JSON", **changes: bytes | None) -> Record:
    headers = {
        "letter-id": f"letter-{number}".encode(),
        "source": b"crm",
        "kind": b"odoo",
        "reasons": encode_reasons([Bad(f"/{number}", reason)]),
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }
    kept = [(name, value) for name, value in headers.items() if value is not None]
    return Record(tenant.encode(), f"sealed {number}".encode(), kept)


async def post(bootstrap: str, *records: Record) -> None:
    await append(bootstrap, list(records), topic=DEAD_LETTERS, shards=1)


@asynccontextmanager
async def reading(pool: Pool, bootstrap: str, lanes: int = 1) -> AsyncIterator[None]:
    stop = asyncio.Event()
    running = [asyncio.create_task(Lane(pool, bootstrap, f"w{n}", now).run(stop)) for n in range(lanes)]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*running)


async def listed(pool: Pool) -> list[str]:
    return [row["letter"] for row in await pool.fetch("select letter from dead_letter order by letter")]


async def counted(pool: Pool) -> int:
    return int(await pool.fetchval("select coalesce(sum(dead_letters), 0) from tally where tenant = 'acme'"))


async def place(pool: Pool) -> int:
    return int(await pool.fetchval("select next_offset from letter_position") or 0)


@pytest.mark.usefixtures("topics")
async def test_each_letter_is_listed_and_counted_once_by_however_many_read(pool: Pool, broker: Any) -> None:
    await add_tenant(pool)
    async with reading(pool, broker.address, lanes=3):
        for start in range(0, 30, 10):
            await post(broker.address, *(letter(number) for number in range(start, start + 10)))
            await post(broker.address, letter(start), letter(start + 1))
        await until(lambda: _is(place(pool), 36))

        assert len(await listed(pool)) == 30
        assert await counted(pool) == 30
    row = await pool.fetchrow("select * from dead_letter where letter = 'letter-4'")
    assert (row["tenant"], row["source"], row["kind"], row["state"]) == ("acme", "crm", "odoo", "open")
    assert (row["value"], row["reason"], row["reasons"]) == (
        b"sealed 4",
        "is not JSON",
        [{"pointer": "/4", "reason": "is not JSON"}],
    )


async def test_what_is_no_letter_stops_nothing(pool: Pool, database: str, tansu: Any) -> None:
    await installation.make_topics(database, tansu.address, partitions=SHARDS, replication=1)
    await add_tenant(pool)
    await post(
        tansu.address,
        letter(1, tenant="nobody"),
        letter(2, reasons=b"{"),
        letter(3, reasons=json.dumps([]).encode()),
        letter(4, source=b"\xff"),
        letter(5, letter_id=None),
        letter(6, kind=b"\x00"),
        letter(7, reason="\x00"),
        letter(8, origin_topic=b"uptake.events.v1"),
        letter(9, source=b"x" * 9999),
        Record(b"acme", b"", []),
        letter(10),
    )
    async with reading(pool, tansu.address):
        await until(lambda: _is(place(pool), 11))

    assert await listed(pool) == ["letter-10"]
    assert await counted(pool) == 1


async def test_a_delivery_that_comes_again_after_its_replay_is_open_again(
    pool: Pool, database: str, tansu: Any
) -> None:
    await installation.make_topics(database, tansu.address, partitions=SHARDS, replication=1)
    await add_tenant(pool)
    await post(tansu.address, letter(1), letter(2))
    async with reading(pool, tansu.address):
        await until(lambda: _is(place(pool), 2))
        await pool.execute("update dead_letter set state = 'replayed', replayed_at = now(), outcome = '{}'")
        await post(tansu.address, letter(2, reason="is another matter"))
        await until(lambda: _is(place(pool), 3))
    await pool.execute("update letter_position set next_offset = 0, anchor = null")
    async with reading(pool, tansu.address):
        await until(lambda: _is(place(pool), 3))

    rows = await pool.fetch("select letter, state, reason from dead_letter order by letter")
    assert [tuple(row) for row in rows] == [
        ("letter-1", "replayed", "is not JSON"),
        ("letter-2", "open", "is another matter"),
    ]
    assert await counted(pool) == 2


@pytest.mark.faults
async def test_a_topic_that_begins_anew_is_read_from_its_beginning(pool: Pool, database: str, tansu: Any) -> None:
    await installation.make_topics(database, tansu.address, partitions=SHARDS, replication=1)
    await add_tenant(pool)
    await post(tansu.address, *(letter(number) for number in range(5)))
    async with reading(pool, tansu.address):
        await until(lambda: _is(place(pool), 5))
    tansu.kill()
    tansu.start()
    await installation.make_topics(database, tansu.address, partitions=SHARDS, replication=1)
    await post(tansu.address, *(letter(number) for number in range(100, 106)))
    async with reading(pool, tansu.address):
        await until(lambda: _is(counted(pool), 11))

    assert len(await listed(pool)) == 11


async def _is(found: Any, wanted: int) -> bool:
    return bool(await found == wanted)
