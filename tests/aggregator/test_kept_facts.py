"""What is kept of events on real Postgres: a row of each, the hours of sources, and who is to be measured anew."""

import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from schemas.topics import shard_of
from services.aggregator.shard import Shard, Tenants
from services.aggregator.store import dirty
from services.aggregator.store.positions import FencedError
from services.postgres import Pool, transaction
from tests.aggregator.shards import NOW, SHARDS, START, Log, draw_entry, event, own, settled
from tests.builders import add_tenant, enter

COLUMNS = (
    *("user_id", "at", "identity", "kind", "source", "origin", "environment", "behalf", "object", "record"),
    *("detail", "bulk", "automatic", "rows", "received_at"),
)
CHANGE_COLUMNS = (
    *("object", "record", "at", "identity", "kind", "source", "origin"),
    *("user_id", "owner", "stage", "close_date", "forecast", "fields"),
)
RECEIVED = datetime.fromtimestamp(1_780_000_000, UTC)
KINDS = ["crm.session.login", "crm.record.updated", "crm.record.created", "meeting.held", "crm.report.viewed"]
DETAILS = ["report", "feature", "task", "module"]
NASTY = ['"', "\\", "\\N", "a\tb", "a\nb", "{}", "null", "ü€😀", "\x01", "\\."]
Facts = tuple[Any, ...]


@pytest.fixture
async def pool(pool: Pool) -> Pool:
    """The pool on a database with one tenant."""
    await add_tenant(pool, clock="wall")
    return pool


def draw(rng: random.Random, number: int, users: list[str | None]) -> dict[str, Any]:
    """Return an event that says anything the contract names, or nothing."""
    text = [None, None, "plain", rng.choice(NASTY)]
    said: dict[str, Any] = {
        "origin": rng.choice(["ui", "api", "unknown"]),
        "environment": rng.choice(["production", "production", "sandbox"]),
        "object": rng.choice([None, "opportunity", *text]),
        "record": rng.choice([None, f"r{rng.randrange(9)}", *text]),
        "on_behalf_of": rng.choice(text),
        "owner": rng.choice(text),
        "stage": rng.choice(text),
        "forecast": rng.choice([None, "commit", True, 7.5]),
        "close_date": rng.choice([None, "2026-03-31", "0001-01-01", "9999-12-31"]),
        rng.choice(DETAILS): rng.choice(text),
        "bulk": rng.choice([None, True, False]),
        "automatic": rng.choice([None, True, False]),
        "rows": rng.choice([None, 0, 17, 2**63 - 1]),
        "fields": rng.choice([None, {}, {"amount": "filled", rng.choice(NASTY): "empty"}]),
    }
    at = datetime.combine(START, datetime.min.time(), UTC) + timedelta(seconds=rng.randrange(86_400 * 6))
    made = event(number, rng.choice(users), at, rng.choice(KINDS))
    made["data"] |= {name: value for name, value in said.items() if value is not None}
    if rng.random() < 0.1:
        made["time"] = (at.astimezone(UTC) + timedelta(hours=2)).isoformat().replace("+00:00", "+02:00")
    if rng.random() < 0.05:
        del made["time"]
    return made


def row_of(made: dict[str, Any]) -> Facts:
    """Return what is to be kept of an event."""
    data = made["data"]
    given = f"acme\0{made['source']}\0{made['id']}".encode()
    detail = next((data[name] for name in DETAILS if name in data), None)
    return (
        data["user"] or "",
        instant_of(made),
        hashlib.blake2b(given, digest_size=16).hexdigest(),
        made["type"],
        made["source"],
        data["origin"],
        None if data["environment"] == "production" else data["environment"],
        *(data.get(name) for name in ("on_behalf_of", "object", "record")),
        detail,
        *(data.get(name) for name in ("bulk", "automatic", "rows")),
        RECEIVED,
    )


def changes_of(made: dict[str, Any]) -> Iterator[Facts]:
    """Return what is to be kept of a record that an event tells of."""
    data, (_, at, identity, *_) = made["data"], row_of(made)
    if not made["type"].startswith("crm.record.") or not (data.get("object") and data.get("record")):
        return
    if data["environment"] == "production":
        close_date, forecast = data.get("close_date"), data.get("forecast")
        yield (
            *(data["object"], data["record"], at, identity, made["type"], made["source"], data["origin"]),
            None if data.get("on_behalf_of") is not None else data["user"] or None,
            *(data.get("owner"), data.get("stage")),
            None if close_date is None else date.fromisoformat(close_date),
            forecast if isinstance(forecast, str) else None,
            None if data.get("fields") is None else tuple(sorted(data["fields"].items())),
        )


def instant_of(made: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(made["time"]).astimezone(UTC) if "time" in made else RECEIVED


async def kept(pool: Pool, table: str, columns: Iterable[str]) -> Counter[Facts]:
    rows = await pool.fetch(f"select {', '.join(columns)} from {table} where tenant = 'acme'")
    return Counter(
        tuple(
            value.hex if name == "identity" else tuple(sorted(value.items())) if isinstance(value, dict) else value
            for name, value in row.items()
        )
        for row in rows
    )


def hours_of(events: Iterable[dict[str, Any]]) -> Counter[tuple[str, datetime, int]]:
    """Return how many events each source had in each hour, by shard."""
    return Counter(
        (
            made["source"],
            instant_of(made).replace(minute=0, second=0, microsecond=0),
            shard_of(f"acme\0{made['data']['user'] or ''}".encode(), SHARDS),
        )
        for made in events
    )


class CrashError(RuntimeError):
    """The process ended."""


@pytest.mark.parametrize("seed", range(4), ids=lambda seed: f"story {seed}")
async def test_what_is_kept_are_the_distinct_events_whatever_happens_on_the_way(pool: Pool, seed: int) -> None:
    """In any batches, with copies, owners that end anywhere or are overtaken, and records that Postgres refuses."""
    rng = random.Random(seed)
    users = [None, "", *(f"u{n}" for n in range(6)), rng.choice(NASTY)]
    unique = [draw(rng, n, users) for n in range(240)]
    log = Log()
    for made in [*unique, *rng.choices(unique, k=40)]:
        log.append(made)
    log.append(event(9999, "u1" * 2000, NOW - timedelta(days=1)))  # longer than an index takes
    sites: list[str] = []

    def crash(site: str) -> None:
        if sites and site == sites[-1]:
            sites.pop()
            raise CrashError

    tenants = Tenants()
    shards = [await own(pool, number, tenants, crash) for number in range(SHARDS)]
    left = {number: list(entries) for number, entries in log.records.items()}
    while any(left.values()):
        number = rng.choice([n for n, entries in left.items() if entries])
        if rng.random() < 0.3:
            sites.append(rng.choice(["before_tx", "in_tx", "after_commit"]))
        zombie = shards[number]
        if rng.random() < 0.2:
            shards[number] = await own(pool, number, tenants, crash)
            with pytest.raises((FencedError, CrashError)):
                await zombie.fold(pool, left[number][:20], NOW)
        try:
            await shards[number].fold(pool, left[number][: rng.randrange(1, 60)], NOW)
        except CrashError:
            shards[number] = await own(pool, number, tenants, crash)
        left[number] = log.records[number][shards[number].held.next_offset :]
    hours = await pool.fetch("select source, hour, shard, events::int from source_hour where tenant = 'acme'")

    assert await kept(pool, "activity", COLUMNS) == Counter(map(row_of, unique))
    changes = await kept(pool, "record_change", CHANGE_COLUMNS)
    assert changes == Counter(change for made in unique for change in changes_of(made))
    assert changes
    assert {tuple(row)[:3]: row["events"] for row in hours} == hours_of(unique)
    assert await pool.fetchval("select count(*) from dead_letter") == 1


async def test_whoever_the_directory_knows_and_every_record_is_to_be_measured_anew_on_its_days(pool: Pool) -> None:
    rng = random.Random(8)
    users = [f"u{n}" for n in range(4)]
    for user in users:
        await enter(pool, user, draw_entry(rng), SHARDS)
    tenants = Tenants()
    shards = [await own(pool, number, tenants) for number in range(SHARDS)]
    await settled(pool, shards)
    entered = await waiting(pool)
    await pool.execute("delete from dirty")
    unique = [draw(rng, n, [None, "stranger", *users]) for n in range(120)]
    log = Log()
    for made in unique:
        log.append(made)
    for shard in shards:
        for start in range(0, len(log.records[shard.number]), 25):
            await shard.fold(pool, log.records[shard.number][start : start + 25], NOW)
    touched = dict[tuple[str, str], set[date]]()
    for made in unique:
        data, day = made["data"], instant_of(made).date()
        if data["user"] in users:
            touched.setdefault(("person", data["user"]), set()).add(day)
        if made["type"].startswith("crm.record.") and data.get("object") and data.get("record"):
            touched.setdefault(("record", f"{data['object']}\t{data['record']}"), set()).add(day)
    batches = await pool.fetchval("select count(*) from dirty")
    spans = await pool.fetchrow("select min(low), max(high) from dirty")
    marks = await waiting(pool)

    assert entered >= {("person", user, None, None) for user in users}
    assert batches < len(unique) / 5
    assert tuple(spans) == (min(map(min, touched.values())), max(map(max, touched.values())))
    assert marks == {(*key, min(days), max(days)) for key, days in touched.items()}


async def waiting(pool: Pool) -> set[tuple[Any, ...]]:
    """Return who waits to be measured, on which days, as the measurer will find it."""
    async with transaction(pool) as tx:
        await dirty.unpack(tx, "acme")
        return {tuple(row) for row in await tx.fetch("select kind, subject, low, high from dirty")}


async def test_both_sides_of_a_merge_are_measured_anew(pool: Pool) -> None:
    rng = random.Random(3)
    for user in ("ada", "ada2"):
        await enter(pool, user, draw_entry(rng), SHARDS)
    tenants = Tenants()
    shards = [await own(pool, number, tenants) for number in range(SHARDS)]
    await settled(pool, shards)
    await pool.execute("delete from dirty")
    await pool.execute("insert into alias (tenant, identity, user_id, actor) values ('acme', 'ada2', 'ada', 'test')")
    await queue(pool, "ada2")
    await settled(pool, shards)
    merged = await waiting(pool)
    await pool.execute("delete from dirty")
    await pool.execute("delete from alias")
    await queue(pool, "ada2")
    await settled(pool, shards)
    parted = await waiting(pool)

    assert merged == parted == {("person", "ada", None, None), ("person", "ada2", None, None)}


async def queue(pool: Pool, user: str) -> None:
    await pool.execute(
        "insert into directory_change (tenant, user_id, shard) values ('acme', $1, $2)",
        user,
        shard_of(f"acme\0{user}".encode(), SHARDS),
    )


async def test_copies_of_what_was_dropped_are_not_kept_again(pool: Pool) -> None:
    log, tenants = Log(), Tenants()
    log.append(event(1, "u1", NOW - timedelta(days=40)))
    log.append(event(1, "u1", NOW - timedelta(days=40)))
    shard: Shard = await own(pool, next(n for n, entries in log.records.items() if entries), tenants)
    await shard.fold(pool, log.records[shard.number][:1], NOW)
    await pool.execute(f"drop table activity_{NOW - timedelta(days=40):%Y%m%d}")

    assert (await shard.fold(pool, log.records[shard.number][1:], NOW)).duplicate == 1
    assert await pool.fetchval("select count(*) from activity") == 0
