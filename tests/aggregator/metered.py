"""An office whose numbers are measured: a tenant with its log, the owners of its shards, and hands on its directory."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from schemas.topics import person_key, shard_of
from services.aggregator.shard import Shard, Tenants
from services.postgres import Connection, Pool, transaction
from tests.aggregator.measured import expected, measurer, soil, stored
from tests.aggregator.shards import SHARDS, Log, event, own, settled
from tests.builders import add_person, add_tenant

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
NOW = datetime(2026, 3, 27, 12, tzinfo=UTC)
"""A Friday in the fourth week."""


def at(day: float, hour: float = 9) -> datetime:
    return MONDAY + timedelta(days=day, hours=hour)


def week(number: int) -> date:
    """Return the first day of a week, the first of which is 0."""
    return (MONDAY + timedelta(days=7 * number)).date()


async def queue(connection: Connection, user: str) -> None:
    """Queue a change of the directory for the owner of the shard, as the API does."""
    await connection.execute(
        "insert into directory_change (tenant, user_id, shard) values ('acme', $1, $2)",
        user,
        shard_of(person_key("acme", user), SHARDS),
    )


class Office:
    """One tenant, ``acme``."""

    def __init__(self, pool: Pool, shards: list[Shard]) -> None:
        self.pool = pool
        self.log = Log()
        self.shards = shards
        self.read = [0] * SHARDS
        self.number = 0

    @classmethod
    async def open(cls, pool: Pool, **settings: Any) -> "Office":
        await add_tenant(pool, **{"clock": "wall", "min_group": 1, **settings})
        tenants = Tenants()
        return cls(pool, [await own(pool, number, tenants) for number in range(SHARDS)])

    async def person(self, user: str, **values: Any) -> None:
        async with transaction(self.pool) as tx:
            await add_person(tx, user, shards=SHARDS, **{"licensed_from": date(2026, 1, 1), **values})
            await soil(tx, user)

    def act(
        self, user: str | None, when: datetime, kind: str = "crm.record.updated", *, source: str = "/crm", **data: Any
    ) -> None:
        self.number += 1
        data = {"origin": "ui", "environment": "production", **data}
        self.log.append({**event(self.number, user, when, kind, **data), "source": source})

    async def fold(self) -> None:
        await settled(self.pool, self.shards)
        for shard in self.shards:
            records = self.log.records[shard.number][self.read[shard.number] :]
            if records:
                await shard.fold(self.pool, records, NOW)
                self.read[shard.number] += len(records)
        await settled(self.pool, self.shards)

    async def measure(self, now: datetime = NOW, **options: Any) -> None:
        await self.fold()
        await measurer(self.pool, **options).measure("acme", now)

    async def move(self, user: str, day: date, team: str) -> None:
        async with transaction(self.pool) as tx:
            await tx.execute("update membership set valid_to = $2 where user_id = $1 and valid_to is null", user, day)
            sql = (
                "insert into membership (tenant, user_id, valid_from, team, role) values ('acme', $1, $2, $3, 'seller')"
            )
            await tx.execute(sql, user, day, team)
            await soil(tx, user, low=day)
            await queue(tx, user)

    async def merge(self, identity: str, user: str) -> None:
        async with transaction(self.pool) as tx:
            await tx.execute(
                "insert into alias (tenant, identity, user_id, actor) values ('acme', $1, $2, 'test')", identity, user
            )
            await queue(tx, identity)

    async def cell(self, metric: str, day: date, dimension: str = "tenant", key: str = "all") -> tuple[int, ...] | None:
        """Return numerator, denominator and revision."""
        row = await self.pool.fetchrow(
            "select num, den, revision from metric_cell where metric = $1 and day = $2 and dimension = $3 and key = $4",
            metric,
            day,
            dimension,
            key,
        )
        return None if row is None else tuple(row)

    async def check(self) -> None:
        """Compare everything with a count of all facts at once."""
        should, found = await expected(self.pool), await stored(self.pool)
        assert found.careers == should.careers
        assert found.contributions == should.contributions
        assert found.cells == should.cells
