"""Backtests by what was known then, on real Postgres: day by day they come to what the evaluator came to then."""

import asyncio
import random
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

from services.aggregator.backtests import tried_on
from services.aggregator.domain.alerts import Alert
from services.aggregator.domain.links import Seat
from services.aggregator.domain.windows import FOREVER, Term
from services.aggregator.knowing import ONLY_NOW
from services.aggregator.store import links, partitions
from services.postgres import Pool, transaction
from tests.aggregator.evaluation import evaluator
from tests.aggregator.settle import TENANT, alerts_of, settle, tick, write_facts
from tests.aggregator.test_watching import LATE, STALE, cells, counted, stale, week
from tests.aggregator.world import MONDAY, World, crew, later, users
from tests.builders import add_tenant

DROP = "adoption-drop-vs-week1"
DAYS = 24
EARLY = datetime(2026, 1, 1, tzinfo=UTC)
EPOCH = date(1970, 1, 1)
Visits = Mapping[tuple[str, datetime], datetime]
"""Who came when, and when that was received."""


def visits(seed: int, names: list[str]) -> Visits:
    """Return a launch in which every other visit is told days later, and half of the people stop in week 2."""
    chance = random.Random(seed)
    found: dict[tuple[str, datetime], datetime] = {}
    for place, name in enumerate(names):
        first, stops = chance.randint(0, 6), 11 if place % 2 else DAYS
        for day in range(first, stops):
            if chance.random() < 0.4:
                at = later(day, chance.uniform(7, 19))
                late = timedelta(days=chance.uniform(2, 9)) if chance.random() < 0.5 else timedelta(seconds=2)
                found[name, at] = at + late
    return found


def late_week(names: list[str]) -> Visits:
    """Return who comes each week; of week 2 half of it is told when week 3 is nearly over."""
    return {
        (name, at): at + timedelta(days=11 if day == 8 and place % 2 else 0)
        for day in (1, 8, 15, 22)
        for place, name in enumerate(names)
        for at in [later(day)]
    }


async def known_from(pool: Pool, at: datetime) -> None:
    for table in ("person", "wave"):
        await pool.execute(f"update {table} set created_at = $1", at)
    await pool.execute("update person set updated_at = created_at")


async def receive(pool: Pool, told: Visits) -> None:
    """Keep what was received, as an owner of a shard does."""
    async with transaction(pool) as tx:
        await partitions.make(tx, sorted({at.date() for _, at in told}))
    await pool.executemany(
        """insert into activity (tenant, user_id, at, identity, kind, source, origin, received_at)
           values ($1, $2, $3, $4, 'crm.record.viewed', 'crm', 'ui', $5)""",
        [(TENANT, user, at, uuid4(), received) for (user, at), received in told.items()],
    )


async def enrol(pool: Pool, world: World) -> None:
    """Note under which terms people are counted."""
    seats = {}
    for member in world.members:
        start = ((member.licensed_from or MONDAY) - EPOCH).days
        groups = (("tenant", "all"), ("team", member.team or ""), ("role", member.role or ""))
        seats[TENANT, member.user] = Seat(tuple(Term(*group, start, FOREVER) for group in groups))
    async with transaction(pool) as tx:
        await links.enrol(tx, seats)


def of(alert: Alert) -> tuple[object, ...]:
    return alert.rule, alert.severity, alert.subject.key, alert.opened_at, alert.resolved_at, alert.resolution


def of_episode(each: Mapping[str, Any]) -> tuple[object, ...]:
    ends = each["opened_at"], each["closed_at"]
    return each["rule"], each["severity"], each["subject"]["key"], *ends, each["resolution"]


async def test_it_names_the_alerts_that_were_opened_day_by_day(pool: Pool) -> None:
    east = crew(8, "East")
    world = World([*crew(11), *crew(8, "South"), *east])
    told = {**visits(1, users(world.members[:19])), **late_week(users(east))}
    await settle(pool, world, later(0), clock="wall")
    await known_from(pool, EARLY)
    living = evaluator(pool)
    for day in range(1, DAYS + 1):
        moment = later(day, 0)
        for (user, at), received in told.items():
            if received <= moment:
                world.came[user].add(at)
        await write_facts(pool, world, moment)
        await living.evaluate(TENANT, moment)
    lived = {alert.id: of(alert) for alert in (await alerts_of(pool)).values()}
    await enrol(pool, world)
    await receive(pool, told)

    then = await tried_on(pool, TENANT, {"knowledge": "then"}, moment)
    now = await tried_on(pool, TENANT, {}, moment)

    present = {rule for rule, said in then["said"].items() if said == ONLY_NOW}
    lived = {name: each for name, each in lived.items() if each[0] not in present}
    assert {each["id"]: of_episode(each) for each in then["episodes"]} == lived
    restated = {each["id"]: each for each in then["episodes"] if each["resolution"] == "restated"}
    assert {"user-never-logged-in-d3", DROP} <= {each["rule"] for each in restated.values()}
    assert not restated.keys() & {each["id"] for each in now["episodes"]}
    assert {each["rule"] for each in now["episodes"]} >= {DROP}


async def test_numbers_that_changed_later_are_judged_as_they_were_and_corrected_when_they_changed(pool: Pool) -> None:
    await add_tenant(pool, clock="wall", min_group=1)
    await counted(pool)
    await pool.execute("update measured_week set known_at = '2026-03-01'")
    whole = stale("all", *[20] * 9, dimension="tenant")
    await cells(pool, [*stale("North", *[30] * 9), *stale("South", *[5] * 9), *whole])
    changed = datetime(2026, 4, 15, 12, tzinfo=UTC)
    await pool.execute(
        """insert into metric_past (tenant, dimension, key, metric, day, num, den, known_at, revision)
           select tenant, dimension, key, metric, day, num, den, known_at, 0 from metric_cell where key = 'North'""",
    )
    await pool.execute("update metric_cell set num = 5, known_at = $1 where key = 'North'", changed)
    await pool.execute("create temp table made_before (n int)")  # so that Postgres keeps statements as they were read
    asked = {STALE: {"params": {"at_least": 25, "closes_at": 15}}}

    now, then, again = [
        await tried_on(pool, TENANT, {"knowledge": knowledge, "rules": asked}, LATE)
        for knowledge in ("now", "then", "now")
    ]

    [episode] = then["episodes"]
    assert now["episodes"] == again["episodes"] == []
    assert episode["subject"] == {"kind": "team", "key": "North"}
    assert (episode["resolution"], episode["closed_at"]) == ("restated", datetime(2026, 4, 16, tzinfo=UTC))
    assert (then["said"], now["said"]) == ({}, {})
    before = await tried_on(pool, TENANT, {"knowledge": "then", "rules": asked, "to": "2026-04-14"}, LATE)
    assert [each["resolution"] for each in before["episodes"]] == [None]


async def test_what_came_to_light_too_late_was_told_to_nobody(pool: Pool) -> None:
    await add_tenant(pool, clock="wall", min_group=1)
    await counted(pool)
    whole = stale("all", *[20] * 9, dimension="tenant")
    await cells(pool, [*stale("North", *[30] * 9), *stale("South", *[5] * 6, *[30] * 3), *whole])
    imported = datetime(2026, 5, 3, 12, tzinfo=UTC)
    for table in ("metric_cell", "measured_week"):
        await pool.execute(f"update {table} set known_at = $1", imported)
    asked = {STALE: {"params": {"at_least": 25, "closes_at": 15}}}

    now, then = [
        await tried_on(pool, TENANT, {"knowledge": knowledge, "rules": asked}, LATE) for knowledge in ("now", "then")
    ]

    assert {each["subject"]["key"] for each in now["episodes"]} == {"North", "South"}
    [south] = then["episodes"]
    assert (south["subject"]["key"], south["told_at"]) == ("South", datetime(2026, 5, 4, tzinfo=UTC))


async def test_who_was_entered_later_was_not_missed_then(pool: Pool) -> None:
    world = World(crew(2))
    await settle(pool, world, later(20), clock="wall")
    await known_from(pool, EARLY)
    await enrol(pool, world)
    await pool.execute("update person set created_at = $1, updated_at = $1 where user_id = 'north-01'", later(10))

    asked = (tried_on(pool, TENANT, {"knowledge": "then"}, later(20)) for _ in range(2))
    found, beside = await asyncio.gather(*asked)

    assert found == beside
    told = {each["subject"]["key"]: each["told_at"] for each in found["episodes"] if each["subject"]["kind"] == "user"}
    assert told == {"north-00": later(2, 12), "north-01": later(11, 0)}


async def test_a_tenant_of_whom_nothing_is_known_has_no_episodes(pool: Pool) -> None:
    await add_tenant(pool, clock="wall")

    assert (await tried_on(pool, TENANT, {"knowledge": "then"}, LATE))["episodes"] == []


async def test_what_is_not_known_of_then_is_said(pool: Pool) -> None:
    await settle(pool, World(crew(2)), later(20))
    on_event_clock = await tried_on(pool, TENANT, {"knowledge": "then"}, later(0))
    now = await tried_on(pool, TENANT, {}, later(0))
    await pool.execute("update tenant set clock = 'wall', min_group = 5")
    await known_from(pool, EARLY)
    await pool.execute("update person set updated_at = now()")
    await pool.execute(
        "insert into regrouped (tenant, week, dimension, key, known_at) values ('acme', $1, 'team', 'North', now())",
        week(0),
    )
    await tick(pool, later(20))

    said = (await tried_on(pool, TENANT, {"knowledge": "then"}, later(20)))["said"]

    assert on_event_clock["episodes"] == now["episodes"] != []
    assert set(on_event_clock["said"].values()) == {"approximate: on the event clock all is judged as it is known now"}
    assert said["directory-stale"] == ONLY_NOW
    assert said["user-never-logged-in-d3"] == "approximate: people were changed in the directory since"
    assert said[STALE] == "approximate: weeks in which other people counted are left out"
    assert "source-silent" not in said
