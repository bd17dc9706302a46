"""One evaluation on real Postgres: what it reads equals plain counting, what it writes it writes once."""

import asyncio
import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from schemas.tables import alert as alert_table
from services.aggregator.domain.calendar import Calendar
from services.aggregator.domain.ladder import Ladder
from services.aggregator.domain.waves import Wave, connections
from services.aggregator.store import cohorts, weeks
from services.aggregator.store.weeks import Pair
from services.metrics.shape import Policy
from services.postgres import Pool, transaction
from tests.aggregator.evaluation import evaluator
from tests.aggregator.settle import TENANT, alerts_of, changes_of, connections_of, settle, tick, write_facts
from tests.aggregator.world import MONDAY, Book, World, crew, later, users

D3 = "user-never-logged-in-d3"
HOLIDAY = MONDAY + timedelta(days=3)


# ---------------------------------------------------------------- what it reads


def random_world(seed: int) -> World:
    chance = random.Random(seed)
    members = [
        replace(
            member,
            role=chance.choice(["seller", "engineer", None]),
            team=chance.choice([member.team, member.team, None]),
            licensed_from=MONDAY - timedelta(days=chance.randint(-20, 30)),
            licensed_to=chance.choice([None, None, MONDAY + timedelta(days=chance.randint(0, 90))]),
        )
        for team in ("North", "South", "East", "West")
        for member in crew(chance.choice([3, 8, 25]), team)
    ]
    waves = [
        Wave("all", "All", MONDAY, sponsor="ceo"),
        Wave("south", "South", MONDAY + timedelta(days=9), teams=("South",), sponsor="cso"),
        Wave("mixed", "Mixed", MONDAY + timedelta(days=2), ("East",), ("engineer",), ("north-01", "nobody"), "cto"),
        Wave("future", "Future", MONDAY + timedelta(days=300), sponsor="ceo"),
    ]
    zone = ZoneInfo(chance.choice(["UTC", "America/New_York", "Asia/Kathmandu"]))
    world = World(members, waves, Calendar(zone, working=seed % 2 == 0, holidays=frozenset({HOLIDAY})), min_group=3)
    world.logins = None if seed % 3 else {user: set() for user in users(members)}
    for user in users(members):
        keen, leaves = chance.random() ** 2, chance.randint(5, 200)
        came = {later(day, chance.uniform(0, 24)) for day in range(-5, leaves) if chance.random() < keen}
        world.visit([user], later(chance.randint(0, 20), chance.uniform(0, 24)))
        world.came[user] |= came
        if world.logins is not None:
            world.logins[user] = {instant for instant in world.came[user] if chance.random() < 0.3}
            world.told = later(3 * seed)
    return world


@pytest.mark.parametrize("seed", range(6))
async def test_what_it_finds_equals_plain_counting(pool: Pool, seed: int) -> None:
    world = random_world(seed)
    book = Book(Ladder(world.calendar))
    zone = str(world.calendar.zone)
    await settle(pool, world, later(0), time_zone=zone)

    for day in (2, 4, 6, 16, 30, 59, 130):
        now = later(day, 12 + seed)
        await write_facts(pool, world, now)
        await evaluator(pool).evaluate(TENANT, now)
        book.advance(world.judge(now), now)

        assert await alerts_of(pool) == book.alerts
        assert await connections_of(pool) == {
            wave.id: connections(world.rollout(wave), world.calendar, now) for wave in world.waves
        }
    assert len(book.history) > 20


async def test_people_are_compared_by_where_they_counted_on_both_last_days(pool: Pool) -> None:
    world = World([*crew(6), *crew(2, "South")])
    base, as_of = MONDAY + timedelta(days=6), MONDAY + timedelta(days=20)
    world.visit(["north-00", "north-01", "north-02", "south-00"], later(1))
    world.visit(["north-02", "north-03", "north-04", "south-01"], later(15))
    await settle(pool, world, later(30))
    await pool.execute("UPDATE membership SET valid_to = $1 WHERE user_id = 'north-04'", as_of)
    await pool.execute("UPDATE licence SET licensed_from = $1 WHERE user_id = 'north-05'", as_of)
    await pool.execute("DELETE FROM licence WHERE user_id ~ 'south'")

    pairs = [Pair("team", "North", base, as_of), Pair("tenant", "all", base, as_of), Pair("role", "none", base, as_of)]
    async with transaction(pool) as tx:
        found = await weeks.same_people(tx, TENANT, pairs)
    assert [tuple(found[pair])[:5] for pair in pairs] == [(4, 2, 1, 1, 1), (4, 2, 1, 1, 1), (0, 0, 0, 0, 0)]


@pytest.mark.parametrize(
    ("away", "sundays", "own", "counted"),
    [
        pytest.param([(0, 1)], False, None, True, id="two of five days"),
        pytest.param([(0, 1), (4, 4)], False, None, False, id="two days and one"),
        pytest.param([(0, 1), (5, 6)], False, None, True, id="a weekend beside it"),
        pytest.param([(0, 1), (6, 6)], True, None, False, id="where one works on Sundays"),
        pytest.param([(0, 1)], False, [1, 2, 3], False, id="two of the three days of part time"),
        pytest.param([(3, 6)], False, [1, 2, 3], True, id="the days off of part time"),
    ],
)
async def test_who_is_on_leave_for_most_of_a_week_is_not_compared(
    pool: Pool, away: list[tuple[int, int]], own: list[int] | None, *, sundays: bool, counted: bool
) -> None:
    base, as_of = MONDAY + timedelta(days=6), MONDAY + timedelta(days=13)
    await settle(pool, World(crew(2)), later(30))
    if sundays:
        await pool.execute("UPDATE tenant SET work_days = '{7,1,2,3,4}'")
    await pool.execute("UPDATE membership SET work_days = $1 WHERE user_id = 'north-00'", own)
    for first, last in away:
        span = [MONDAY + timedelta(days=7 + day) for day in (first, last)]
        await pool.execute("INSERT INTO absence VALUES ($1, 'north-00', $2, $3)", TENANT, *span)

    async with transaction(pool) as tx:
        [found] = (await weeks.same_people(tx, TENANT, [Pair("team", "North", base, as_of)])).values()

    assert (found.stayed, found.leavers) == ((2, 0) if counted else (1, 1))


async def test_what_people_did_is_compared_one_by_one(pool: Pool) -> None:
    world = World(crew(4))
    base, as_of = MONDAY + timedelta(days=6), MONDAY + timedelta(days=13)
    for day in (1, 8):
        world.visit(["north-00", "north-01", "north-02"], later(day))
    world.visit(["north-03"], later(1))
    await settle(pool, world, later(30))
    sql = "UPDATE person_day SET actions = $3 WHERE user_id = $1 AND day = $2"
    did = {"north-00": (10, 9), "north-01": (9, 10), "north-02": (10, 10)}
    for user, counts in did.items():
        for day, actions in zip((1, 8), counts, strict=True):
            await pool.execute(sql, user, MONDAY + timedelta(days=day), actions)

    async with transaction(pool) as tx:
        [found] = (await weeks.same_people(tx, TENANT, [Pair("team", "North", base, as_of)])).values()

    assert (found.lost, found.less, found.more) == (1, 1, 1)


async def test_the_cohort_is_who_was_in_the_team_on_the_go_live_day(pool: Pool) -> None:
    world = World([*crew(3), *crew(2, "South")], [Wave("north", "North", MONDAY, teams=("North",))])
    await settle(pool, world, later(9))
    await pool.execute("UPDATE membership SET valid_to = $1 WHERE user_id = 'north-00'", MONDAY)
    await pool.execute("UPDATE membership SET valid_to = $1 WHERE user_id = 'north-01'", MONDAY + timedelta(days=1))
    await pool.execute("UPDATE membership SET kind = 'service' WHERE user_id = 'north-02'")
    await pool.execute(
        "INSERT INTO membership (tenant, user_id, valid_from, team, manager) "
        "VALUES ($1, 'north-01', $2, 'South', 'new')",
        TENANT,
        MONDAY + timedelta(days=1),
    )
    await evaluator(pool).evaluate(TENANT, later(9))

    assert (await connections_of(pool))["north"][0].missing == ["north-01"]
    [alert] = (await alerts_of(pool)).values()
    assert alert.audience[0] == {"role": "manager", "person": "boss"}
    assert alert.evidence["team"] == "North"


async def test_a_licence_in_several_parts_counts_once_and_ends_where_nothing_adjoins(pool: Pool) -> None:
    world = World(crew(3), [Wave("north", "North", MONDAY, teams=("North",))])
    await settle(pool, world, later(9))
    split, gap = MONDAY + timedelta(days=2), MONDAY + timedelta(days=20)
    await pool.execute("UPDATE licence SET licensed_to = $1, price = 1 WHERE user_id <> 'north-02'", split)
    for user, start, end in (("north-00", 1, gap), ("north-00", 40, None), ("north-01", 1, None)):
        first = split + timedelta(days=start)
        await pool.execute("INSERT INTO licence VALUES ($1, $2, $3, $4, 2)", TENANT, user, first, end)

    async with transaction(pool) as tx:
        people = (await cohorts.cohorts(tx, TENANT, world.waves, "activity"))["north"]
        late = await cohorts.stragglers(tx, TENANT, {world.waves[0]: users(world.members)}, Policy(), {"north": {}})

    assert sorted(user for group in people for user in group.people) == ["north-00", "north-01", "north-02"]
    assert {person.user: person.licensed_to for person in late["north"]} == {
        "north-00": gap,
        "north-01": None,
        "north-02": None,
    }


# ---------------------------------------------------------------- what it writes


async def test_evaluating_twice_writes_nothing_twice(pool: Pool) -> None:
    await settle(pool, random_world(1), later(60))
    first = await evaluator(pool).evaluate(TENANT, later(60))
    rows = await pool.fetch("SELECT *, xmin::text FROM alert_change ORDER BY seq")
    marks = await pool.fetch("SELECT id, xmin::text FROM alert UNION ALL SELECT wave, xmin::text FROM wave_connection")

    second = await evaluator(pool).evaluate(TENANT, later(60))
    assert first is not None
    assert second is not None
    assert len(first.changes) == len(rows) > 0
    assert not second.changes
    assert await pool.fetch("SELECT *, xmin::text FROM alert_change ORDER BY seq") == rows
    again = await pool.fetch("SELECT id, xmin::text FROM alert UNION ALL SELECT wave, xmin::text FROM wave_connection")
    assert again == marks


async def test_the_history_holds_the_alert_as_it_is_published(pool: Pool) -> None:
    await settle(pool, World(crew(1)), later(4))
    await evaluator(pool).evaluate(TENANT, later(4))

    row = await pool.fetchrow("SELECT * FROM alert_change")
    [alert] = (await alerts_of(pool)).values()
    assert (row["kind"], row["state"], row["actor"], row["as_of"]) == ("opened", "open", "evaluator", later(4))
    assert row["body"] == {
        "id": alert.id,
        "rule": D3,
        "rule_version": 1,
        "severity": "critical",
        "tier": "confirmed",
        "state": "open",
        "suppressed_by": None,
        "subject": {"kind": "user", "key": "north-00"},
        "title": "Wave one: still not connected three days after go-live",
        "opened_at": "2026-03-04T12:00:00Z",
        "updated_at": "2026-03-06T09:00:00Z",
        "resolved_at": None,
        "resolution": None,
        "window": {"from": "2026-03-02", "to": "2026-03-05", "n": 3},
        "evidence": {
            "num": 0,
            "den": 1,
            "value": 0.0,
            "threshold": 1.0,
            "day_zero": "2026-03-02",
            "days_since": 3,
            "licence_start": "2026-01-31",
            "team": "North",
            "team_connected": {"num": 0, "den": 1, "value": 0.0},
        },
        "audience": [{"role": "manager", "person": "boss"}, {"role": "champion"}],
        "action": alert.action,
        "links": {
            "self": f"/v1/alerts/{alert.id}",
            "history": f"/v1/alerts/{alert.id}/history",
            "wave": "/v1/waves/w/connection",
        },
        "acknowledged_at": None,
        "snoozed_until": None,
        "assignee": None,
        "plan_on": None,
        "escalation": 0,
        "useful": None,
        "episode": 1,
        "revision": 0,
    }


async def test_every_column_of_an_alert_is_written(pool: Pool) -> None:
    await settle(pool, World(crew(1)), later(4))
    await evaluator(pool).evaluate(TENANT, later(4))

    row = await pool.fetchrow("SELECT * FROM alert")
    assert set(row.keys()) == set(alert_table.columns.keys())
    assert {name for name, value in row.items() if value is None} == {
        *("suppressed_by", "resolved_at", "resolution", "acknowledged_at", "snoozed_until", "snooze_reason"),
        *("assignee", "plan_on", "useful"),
    }


async def test_late_facts_resolve_and_later_ones_withdraw(pool: Pool) -> None:
    world = World(crew(2))
    await settle(pool, world, later(5))
    await evaluator(pool).evaluate(TENANT, later(5))
    world.visit(["north-00"], later(6))
    world.visit(["north-01"], later(1))
    await write_facts(pool, world, later(6, 10))
    await evaluator(pool).evaluate(TENANT, later(6, 10))

    assert await changes_of(pool) == [
        ("opened", D3, "north-00"),
        ("escalated", D3, "north-00"),
        ("opened", D3, "north-01"),
        ("escalated", D3, "north-01"),
        ("resolved", D3, "north-00"),
        ("resolved", D3, "north-01"),
    ]
    assert sorted(str(alert.resolution) for alert in (await alerts_of(pool)).values()) == ["connected", "restated"]


async def test_an_acknowledgement_at_the_same_moment_is_not_lost(pool: Pool) -> None:
    world = World(crew(1))
    await settle(pool, world, later(3))
    await evaluator(pool).evaluate(TENANT, later(3))
    await tick(pool, later(4))
    async with transaction(pool) as tx:
        await tx.execute("UPDATE alert SET state = 'acknowledged'")
        evaluation = asyncio.create_task(evaluator(pool).evaluate(TENANT, later(4)))
        await asyncio.sleep(0.2)
        assert not evaluation.done()
    await evaluation

    [alert] = (await alerts_of(pool)).values()
    assert (alert.state, alert.rule) == ("acknowledged", D3)


async def test_two_evaluations_of_one_tenant_at_once_write_what_one_would(pool: Pool) -> None:
    await settle(pool, random_world(2), later(60))
    await asyncio.gather(*(evaluator(pool).evaluate(TENANT, later(60)) for _ in range(4)))

    changes = await pool.fetch("SELECT alert, kind FROM alert_change")
    assert len(changes) == len(set(changes)) > 0


async def test_an_evaluation_that_is_cut_off_leaves_nothing(pool: Pool) -> None:
    await settle(pool, random_world(3), later(60))
    async with transaction(pool) as blocking:
        await blocking.execute("LOCK TABLE evaluation IN ACCESS EXCLUSIVE MODE")
        task = asyncio.create_task(evaluator(pool).evaluate(TENANT, later(60)))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert await pool.fetchval("SELECT count(*) FROM alert_change") == 0
    assert await pool.fetchval("SELECT count(*) FROM wave_connection") == 0
    await evaluator(pool).evaluate(TENANT, later(60))
    assert await pool.fetchval("SELECT count(*) FROM alert_change") > 0


async def test_a_tenant_without_events_has_connections_and_no_alerts(pool: Pool) -> None:
    await settle(pool, World(crew(2)), later(0))
    await tick(pool, None)
    evaluated = await evaluator(pool).evaluate(TENANT, later(50))

    assert evaluated is not None
    assert evaluated.as_of is None
    assert not evaluated.changes
    rows = (await connections_of(pool))["w"]
    assert [(row.num, row.den, row.settled) for row in rows] == [(0, 2, False)] * 8


async def test_a_wall_clock_tenant_lives_in_the_time_it_is_given(pool: Pool) -> None:
    await settle(pool, World(crew(1)), later(0), clock="wall")
    await evaluator(pool).evaluate(TENANT, later(4))

    assert await changes_of(pool) == [("opened", D3, "north-00")]


async def test_a_tenant_that_does_not_exist_is_no_error(pool: Pool) -> None:
    assert await evaluator(pool).evaluate("nobody", later(4)) is None


async def test_the_ends_of_the_calendar_are_no_error(pool: Pool) -> None:
    ends = [Wave("first", "First", date.min), Wave("last", "Last", date.max)]
    await settle(pool, World(crew(12, licensed_from=date.min)), later(0), time_zone="Pacific/Auckland")
    await pool.executemany(
        "INSERT INTO wave (tenant, id, name, go_live) VALUES ($1, $2, $3, $4)",
        [(TENANT, wave.id, wave.name, wave.go_live) for wave in ends],
    )

    assert await evaluator(pool).evaluate(TENANT, datetime(2026, 3, 20, tzinfo=UTC)) is not None
