"""Logs and owned shards for tests, without a broker between them."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from schemas.events import encode
from schemas.topics import shard_of
from services.aggregator.shard import Shard, Tenants
from services.aggregator.store import positions
from services.postgres import Pool
from tests.oracle import Entry, Spell

NOW = datetime(2026, 6, 1, tzinfo=UTC)
START = date(2026, 1, 5)
SHARDS = 3


@dataclass
class Log:
    """Records by shard, as Kafka would number them."""

    records: dict[int, list["Numbered"]] = field(default_factory=lambda: {n: [] for n in range(SHARDS)})

    def append(self, event: dict[str, Any], *, value: bytes | None = None, tenant: str = "acme") -> None:
        record = encode(tenant, event)
        entries = self.records[shard_of(record.key, SHARDS)]
        entries.append(Numbered(len(entries), 1_780_000_000_000, record.key, value or record.value))


@dataclass
class Numbered:
    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: tuple[()] = ()


def event(number: int, user: str | None, at: datetime, kind: str = "crm.record.updated", **data: Any) -> dict[str, Any]:
    time = at.isoformat().replace("+00:00", "Z")
    return {"id": f"e{number}", "source": "/crm", "type": kind, "time": time, "data": {"user": user, **data}}


async def own(pool: Pool, number: int, tenants: Tenants, hook: Callable[[str], None] = lambda _: None) -> Shard:
    held = (await positions.take_over(pool, [number], "test"))[number]
    return Shard(number, SHARDS, held, {}, tenants, hook)


async def settled(pool: Pool, shards: list[Shard]) -> None:
    """Let the owners follow the directory until nothing is queued."""
    while await pool.fetchval("select exists (select from directory_change)"):
        for shard in shards:
            await shard.follow_directory(pool, NOW)


def draw_entry(rng: random.Random) -> Entry:
    cut = START + timedelta(rng.randrange(1, 50))
    spells = [
        Spell(date(1, 1, 1), cut, rng.choice("AB"), rng.choice("xy")),
        Spell(cut, None, rng.choice("AB"), rng.choice("xy")),
    ]
    licensed = START + timedelta(rng.randrange(-5, 20))
    return Entry(spells, licensed, rng.choice([None, licensed + timedelta(rng.randrange(60))]))
