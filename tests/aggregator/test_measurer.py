"""Measuring on real Postgres: whatever comes in whatever order, the numbers are those of all facts counted at once."""

import random
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from services.aggregator.remeasuring import rebuild_metrics
from services.postgres import Connection, Pool, transaction
from tests.aggregator.measured import soil, soil_all, stored
from tests.aggregator.metered import MONDAY, NOW, Office, at, queue
from tests.aggregator.shards import SHARDS
from tests.builders import add_person


@pytest.fixture
async def office(pool: Pool) -> Office:
    return await Office.open(pool)


PEOPLE = [f"u{n}" for n in range(6)]
OTHERS = ["hub-1", "hub-2", "stranger"]
TEAMS = ["north", "south", None]
ZONES = [None, "Asia/Kolkata", "America/Los_Angeles", "Pacific/Auckland"]
KINDS = [
    *["crm.record.updated"] * 6,
    *["crm.session.login"] * 3,
    *["crm.record.created"] * 4,
    *["crm.record.stage_changed"] * 3,
    *["crm.record.viewed"] * 3,
    *["meeting.held"] * 3,
    *("crm.report.viewed", "crm.report.exported", "crm.feature.used", "crm.task.started", "crm.task.completed"),
    *("crm.record.merged", "crm.record.deleted", "workaround.reported", "crm.session.login_failed"),
]


class Fate:
    """Draws what happens to an office."""

    def __init__(self, seed: int, office: Office) -> None:
        self.rng = random.Random(seed)
        self.office = office
        self.today = 26.0

    def act(self) -> None:
        rng = self.rng
        kind = rng.choice(KINDS)
        data: dict[str, Any] = {"origin": rng.choice(["ui", "ui", "ui", "mobile", "unknown", "api", "import"])}
        if kind.startswith("crm.record"):
            data |= {"object": rng.choice(["opportunity", "contact"]), "record": f"r{rng.randrange(8)}"}
            data["stage"] = rng.choice([None, None, "new", "won", "lost"])
            data["owner"] = rng.choice([None, None, *PEOPLE, *OTHERS])
            data["close_date"] = rng.choice([None, (MONDAY + timedelta(days=rng.randrange(40))).date().isoformat()])
            data["fields"] = rng.choice([None, {"Amount": rng.choice(["filled", "empty", "placeholder"])}])
        if kind.startswith("crm.task"):
            data["task"] = "quote"
        if kind == "crm.feature.used":
            data["feature"] = rng.choice(["map", "a@b"])
        if rng.random() < 0.05:
            data["environment"] = "sandbox"
        if rng.random() < 0.05:
            data["on_behalf_of"] = "u0"
        data = {name: value for name, value in data.items() if value is not None}
        user = rng.choice([*PEOPLE, *PEOPLE, *OTHERS, None])
        self.office.act(user, min(at(rng.randrange(26), rng.randrange(96) / 4), at(self.today)), kind, **data)

    def day(self) -> date:
        return (MONDAY + timedelta(days=self.rng.randrange(-20, 26))).date()

    async def run(self, moments: Iterable[datetime]) -> None:
        """Let things happen, and measure now and then; at the last of ``moments`` for certain."""
        now = None
        for user in PEOPLE[:4]:
            async with transaction(self.office.pool) as tx:
                await self.join(tx, user)
                await soil(tx, user)
        for now in moments:
            for _ in range(self.rng.randrange(30)):
                self.act()
            for _ in range(self.rng.randrange(3)):
                await self.change()
            if self.rng.random() < 0.2:
                await self.settle()
            if self.rng.random() < 0.7:
                await self.office.fold()
            if self.rng.random() < 0.6:
                await self.office.measure(now)
        await self.office.measure(now or NOW)

    async def change(self) -> None:
        """Change something of the directory, as the API does."""
        rng = self.rng
        user = rng.choice(PEOPLE)
        change = rng.choice([self.join, self.move, self.leave, self.license, self.travel, self.merge, self.promote])
        async with transaction(self.office.pool) as tx:
            low = await change(tx, user)
            await soil(tx, user, low=low)
            await queue(tx, user)

    async def join(self, tx: Connection, user: str) -> None:
        if not await tx.fetchval("select exists (select from person where tenant = 'acme' and user_id = $1)", user):
            manager = self.rng.choice([None, *PEOPLE])
            team, start = self.rng.choice(TEAMS), self.day()
            await add_person(tx, user, shards=SHARDS, team=team, manager=manager, licensed_from=start)

    async def move(self, tx: Connection, user: str) -> date:
        day = self.day()
        sql = "delete from membership where tenant = 'acme' and user_id = $1 and valid_from >= $2"
        await tx.execute(sql, user, day)
        sql = """update membership set valid_to = $2 where tenant = 'acme' and user_id = $1
            and (valid_to is null or valid_to > $2)"""
        await tx.execute(sql, user, day)
        if await tx.fetchval("select exists (select from person where tenant = 'acme' and user_id = $1)", user):
            sql = """insert into membership (tenant, user_id, valid_from, team, role, manager, kind)
                values ('acme', $1, $2, $3, $4, $5, $6)"""
            kind = self.rng.choice(["human", "human", "human", "service"])
            manager, role = self.rng.choice([None, *PEOPLE]), self.rng.choice(["seller", "agent"])
            await tx.execute(sql, user, day, self.rng.choice(TEAMS), role, manager, kind)
        return day

    async def leave(self, tx: Connection, user: str) -> date:
        day = self.day()
        await tx.execute(
            """insert into absence (tenant, user_id, "first", "last") values ('acme', $1, $2, $3)
               on conflict do nothing""",
            user,
            day,
            day + timedelta(days=self.rng.randrange(8)),
        )
        return day

    async def license(self, tx: Connection, user: str) -> None:
        await tx.execute("delete from licence where tenant = 'acme' and user_id = $1", user)
        day = self.day()
        sql = "insert into licence (tenant, user_id, licensed_from, licensed_to) values ('acme', $1, $2, $3)"
        await tx.execute(sql, user, day, self.rng.choice([None, day + timedelta(days=12)]))

    async def travel(self, tx: Connection, user: str) -> None:
        sql = "update person set time_zone = $2 where tenant = 'acme' and user_id = $1"
        await tx.execute(sql, user, self.rng.choice(ZONES))

    async def promote(self, tx: Connection, user: str) -> None:
        sql = "update membership set leadership = not leadership where tenant = 'acme' and user_id = $1"
        await tx.execute(sql, user)

    async def merge(self, tx: Connection, user: str) -> None:
        identity = self.rng.choice([*OTHERS, "u5"])
        await tx.execute("delete from alias where tenant = 'acme' and identity = $1", identity)
        if user not in (identity, "u5") and self.rng.random() < 0.8:
            sql = "insert into alias (tenant, identity, user_id, actor) values ('acme', $1, $2, 'test')"
            await tx.execute(sql, identity, user)
        await queue(tx, identity)

    async def settle(self) -> None:
        """Change how the tenant counts."""
        async with transaction(self.office.pool) as tx:
            if self.rng.random() < 0.5:
                sql = """insert into wave (tenant, id, name, go_live, scope) values ('acme', $1, 'w', $2, $3)
                    on conflict (tenant, id) do update set go_live = excluded.go_live, scope = excluded.scope"""
                scope = self.rng.choice([{}, {"teams": ["north"]}, {"people": PEOPLE[:2]}])
                await tx.execute(sql, self.rng.choice("ab"), self.day(), scope)
            else:
                sql = "update tenant set holidays = $1, first_day_of_week = $2, roles = $3 where id = 'acme'"
                roles = {"agent": {"cadence": "weekly"}}
                await tx.execute(sql, [self.day()], self.rng.choice([1, 1, 7]), self.rng.choice([{}, roles]))
            await soil_all(tx)


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_comes_in_whatever_order_the_numbers_are_those_of_all_facts_at_once(
    office: Office, seed: int
) -> None:
    fate = Fate(seed, office)
    await fate.run([NOW] * 8)

    await office.check()
    assert (await rebuild_metrics(office.pool, "acme", lambda: NOW)).right


@pytest.mark.parametrize(("clock", "seed"), [("wall", 3), ("event", 4)])
async def test_as_time_goes_on_the_numbers_are_those_of_all_facts_so_far(pool: Pool, clock: str, seed: int) -> None:
    office = await Office.open(pool, clock=clock)
    fate = Fate(seed, office)
    fate.today = 0
    for _ in range(3):
        await fate.run([at(fate.today)] * 3)
        await office.check()
        fate.today += fate.rng.choice([0.5, 1, 3, 9])


async def test_what_was_kept_wrongly_is_found_and_put_right(office: Office) -> None:
    for user in PEOPLE[:4]:
        await office.person(user)
        office.act(user, at(3))
    office.act("u0", at(4), "crm.record.created", object="opportunity", record="o1", owner="u0")
    await office.measure()
    before = await stored(office.pool)
    await office.pool.execute("update metric_cell set num = num + 1 where metric = 'M11'")
    await office.pool.execute("delete from contribution where subject = 'u1' and week = $1", MONDAY.date())
    await office.pool.execute("update career set first_on = null where user_id = 'u2'")

    found = await rebuild_metrics(office.pool, "acme", lambda: NOW)

    assert (found.contributions, found.careers) == (1, 1)
    assert found.wrong_cells > 0
    assert await stored(office.pool) == before
    assert (await rebuild_metrics(office.pool, "acme", lambda: NOW)).right
