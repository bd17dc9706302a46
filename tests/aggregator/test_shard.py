"""Shards on real Postgres: claim, facts, windows, directory and position move together or not at all."""

import asyncio
import json
import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from schemas.events import encode
from schemas.topics import shard_of
from services.aggregator.domain.findings import Subject
from services.aggregator.domain.rules.change import Watched, Week
from services.aggregator.domain.waves import Wave
from services.aggregator.shard import Tenants
from services.aggregator.store import weeks
from services.aggregator.store.positions import FencedError
from services.postgres import Pool, transaction
from tests.aggregator.shards import NOW, SHARDS, START, Log, Numbered, draw_entry, event, own
from tests.builders import add_tenant, enter
from tests.oracle import Cells, Entry, brute_force, cells


@pytest.fixture
async def pool(pool: Pool) -> Pool:
    """The pool on a database with one tenant."""
    await add_tenant(pool, clock="wall")
    return pool


@pytest.mark.parametrize("seed", range(6), ids=lambda seed: f"story {seed}")
async def test_any_order_of_events_copies_and_directory_changes_ends_in_the_same_windows(pool: Pool, seed: int) -> None:
    rng = random.Random(seed)
    users = [f"u{n}" for n in range(8)]
    kinds = ["crm.session.login", "crm.record.updated", "crm.session.login_failed", "training.module.completed"]
    unique = [
        event(n, rng.choice([*users, "stranger", None]), datetime.combine(START, datetime.min.time(), UTC)
              + timedelta(minutes=rng.randrange(60 * 24 * 70)), rng.choice(kinds))
        for n in range(400)
    ]  # fmt: skip
    log = Log()
    for one in [*unique, *rng.choices(unique, k=60)]:
        log.append(one)
    for entries in log.records.values():
        order = rng.sample(entries, len(entries))
        entries[:] = [Numbered(n, entry.timestamp, entry.key, entry.value) for n, entry in enumerate(order)]
    directory: dict[str, Entry] = {}
    tenants = Tenants()
    shards = [await own(pool, number, tenants) for number in range(SHARDS)]
    cursors = [0] * SHARDS
    changes = [rng.choice(users) for _ in range(20)] + users
    while changes or any(cursors[n] < len(log.records[n]) for n in range(SHARDS)):
        number = rng.randrange(SHARDS)
        if (
            batch := log.records[number][cursors[number] : cursors[number] + rng.randrange(1, 80)]
        ) and rng.random() < 0.7:
            cursors[number] += len(batch)
            await shards[number].fold(pool, batch, NOW)
        elif changes:
            user = changes.pop()
            directory[user] = draw_entry(rng)
            await enter(pool, user, directory[user], SHARDS)
        if rng.random() < 0.3:
            shards[number] = await own(pool, number, tenants)
        await shards[rng.randrange(SHARDS)].follow_directory(pool, NOW)
    for shard in shards:
        while await shard.follow_directory(pool, NOW):
            pass
    days = [START + timedelta(n) for n in range(-10, 110)]
    tally = await pool.fetchrow("select sum(folded) f, sum(duplicates) d, sum(conflicts) c, sum(unmapped) u from tally")
    strangers = sum(one["data"]["user"] not in users for one in unique)

    counted = brute_force(directory, unique, days)
    assert await cells(pool, days) == counted
    assert tuple(tally) == (400, 60, 0, strangers)
    assert await weeks_of(pool, Wave("all", "All", GO_LIVE)) == counted_weeks(counted, GO_LIVE)


GO_LIVE, WEEKS = START + timedelta(days=9), 7
GROUPS = [Subject("tenant", "all"), *(Subject("team", key) for key in "AB"), *(Subject("role", key) for key in "xy")]


async def weeks_of(pool: Pool, wave: Wave) -> dict[Subject, list[Week]]:
    """Return the weeks after a go-live as the rules on drops read them."""
    async with transaction(pool) as tx:
        found = await weeks.weeks(tx, "acme", {Watched(group, wave): WEEKS for group in GROUPS})
    return {watched.subject: numbers for watched, numbers in found.items()}


def counted_weeks(counted: Cells, go_live: date) -> dict[Subject, list[Week]]:
    """Return the same of the windows of seven days in ``counted``."""
    ends = {number: go_live + timedelta(days=7 * number - 1) for number in range(1, WEEKS + 1)}
    cells = {group: {n: counted.get((*group, 7, end), (0, 0, 0, 0, 0)) for n, end in ends.items()} for group in GROUPS}
    return {group: [Week(n, cell[0], cell[1], cell[3]) for n, cell in own.items()] for group, own in cells.items()}


async def test_a_copy_with_another_payload_is_a_conflict_even_on_another_shard(pool: Pool) -> None:
    log, tenants = Log(), Tenants()
    at = datetime(2026, 1, 6, 9, tzinfo=UTC)
    for user in ("u1", "u2", "u3", "u4", "u5"):
        log.append(event(1, user, at))
    for number in range(SHARDS):
        if log.records[number]:
            await (await own(pool, number, tenants)).fold(pool, log.records[number], NOW)
    tally = await pool.fetchrow("select sum(folded) f, sum(duplicates) d, sum(conflicts) c from tally")

    assert tuple(tally) == (1, 4, 4)


async def test_an_owner_that_was_overtaken_changes_nothing(pool: Pool) -> None:
    log, tenants = Log(), Tenants()
    log.append(event(1, "u1", datetime(2026, 1, 6, 9, tzinfo=UTC)))
    number = next(n for n, entries in log.records.items() if entries)
    zombie = await own(pool, number, tenants)
    owner = await own(pool, number, tenants)

    with pytest.raises(FencedError):
        await zombie.fold(pool, log.records[number], NOW)
    with pytest.raises(FencedError):
        await zombie.follow_directory(pool, NOW)

    assert (await owner.fold(pool, log.records[number], NOW)).folded == 1
    assert await pool.fetchval("select count(*) from claimed") == 1


async def test_two_aggregators_that_meet_the_same_identities_neither_lose_nor_deadlock(pool: Pool) -> None:
    tenants = Tenants()
    batches: dict[int, Log] = {0: Log(), 1: Log(), 2: Log()}
    order = random.Random(4)
    for log in batches.values():
        for n in order.sample(range(500), 500):
            log.append(event(n, f"u{order.randrange(30)}", datetime(2026, 1, 6, 9, tzinfo=UTC)))
    shards = [await own(pool, number, tenants) for number in range(SHARDS)]

    outcomes = await asyncio.gather(
        *(shard.fold(pool, batches[n].records[shard.number], NOW) for n, shard in enumerate(shards))
    )

    unique = await pool.fetchval("select count(*) from claimed")

    assert sum(outcome.folded for outcome in outcomes) == unique
    assert await pool.fetchval("select sum(events) from person_day") == unique


def told(**changes: Any) -> bytes:
    """Return the value of a record of u1 with ``changes``."""
    made = {"tenant": "acme", "source": "/c", "id": "a", "type": "t", "data": {"user": "u1"}}
    return json.dumps({**made, **changes}).encode()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "the record is empty"),
        (b"[]", "Expected `object`"),
        (b'{"tenant":"acme"', "truncated"),
        (b"\xff\xfe", "malformed"),
        (told(id="a\0"), "NUL"),
        (told(data={"user": 7}), "Expected `str"),
        (told(type=None), "Expected `str`"),
        (told(time="1999-12-31T23:59:59Z"), "2000"),
        (told(time="2026-01-01T00:00:00"), "offset"),
        (told(tenant="nobody"), "another person's partition"),
        (b'{"data":' + b"[" * 5000, "Expected `object`, got `array`"),
    ],
    ids=[
        "empty", "a list", "truncated", "not text", "NUL in the id", "a user of the wrong type", "a type that is null",
        "before 2000", "a time without zone", "a tenant the key does not name", "nested without end",
    ],
)  # fmt: skip
async def test_a_record_that_is_no_event_is_kept_with_its_reason_and_stops_nothing(
    pool: Pool, value: bytes, reason: str
) -> None:
    log, tenants = Log(), Tenants()
    at = datetime(2026, 1, 6, 9, tzinfo=UTC)
    log.append(event(1, "u1", at))
    log.append(event(2, "u1", at), value=value or b" ")
    log.append(event(3, "u1", at))
    number = next(n for n, entries in log.records.items() if entries)
    if not value:
        log.records[number][1].value = b""
    outcome = await (await own(pool, number, tenants)).fold(pool, log.records[number], NOW)
    letter = await pool.fetchrow("select log_offset, value, reason from dead_letter")

    assert (outcome.folded, outcome.dead_letter) == (2, 1)
    assert (letter["log_offset"], letter["value"]) == (1, value)
    assert reason.lower() in letter["reason"].lower()


async def test_what_postgres_refuses_is_isolated_by_halving_and_its_neighbours_count(pool: Pool) -> None:
    log, tenants = Log(), Tenants()
    rng = random.Random(7)
    at = datetime(2026, 1, 6, 9, tzinfo=UTC)
    for n in range(400):
        log.append(event(n, f"u{n}", at))
    entries = next(entries for entries in log.records.values() if len(entries) > 100)
    number = next(number for number, mine in log.records.items() if mine is entries)
    for place in (3, 77, 78):
        user = "".join(chr(rng.randrange(0x4E00, 0x9FFF)) for _ in range(4000))  # longer than an index takes
        while shard_of(f"acme\0{user}".encode(), SHARDS) != number:
            user = user[1:] + "x"
        entries[place].value = encode("acme", event(10_000 + place, user, at)).value
    outcome = await (await own(pool, number, tenants)).fold(pool, entries, NOW)
    letters = await pool.fetch("select log_offset, reason from dead_letter order by log_offset")

    assert (outcome.folded, outcome.dead_letter) == (len(entries) - 3, 3)
    assert [letter["log_offset"] for letter in letters] == [3, 77, 78]
    assert all("ProgramLimitExceeded" in letter["reason"] for letter in letters)
    assert await pool.fetchval("select sum(events)::int from person_day") == len(entries) - 3
    assert await pool.fetchval("select next_offset from position where shard = $1", number) == len(entries)
