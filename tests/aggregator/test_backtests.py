"""Backtests on real Postgres: they find what the evaluator finds, and leave nothing behind but their result."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.aggregator import backtests
from services.aggregator.backtests import Backtests, tried_on
from services.aggregator.domain.findings import Subject
from services.aggregator.store import backtests as store
from services.aggregator.store import unnaming
from services.aggregator.store.erasing import Order
from services.postgres import Pool, transaction
from services.rules.pack import DEFAULT
from tests.aggregator.evaluation import evaluator
from tests.aggregator.metered import week
from tests.aggregator.settle import TENANT, alerts_of, settle
from tests.aggregator.test_evaluator import D3, random_world
from tests.aggregator.test_watching import LATE, STALE, cells, counted, stale
from tests.aggregator.world import MONDAY, World, crew, later
from tests.builders import add_tenant

WRITTEN = (
    *("alert", "alert_change", "rule_evaluation", "wave_connection", "evaluation", "to_judge", "silence"),
    *("delivery", "told", "rule_version"),
)


async def written(pool: Pool) -> dict[str, list[str]]:
    return {table: sorted(row[0] for row in await pool.fetch(f"select t::text from {table} t")) for table in WRITTEN}


async def ask(pool: Pool, number: str = "bt_1", **request: Any) -> None:
    await pool.execute(
        "insert into backtest (tenant, id, actor, request) values ($1, $2, 'k1', $3)", TENANT, number, request
    )


async def came(pool: Pool, number: str = "bt_1") -> Mapping[str, Any]:
    row = await pool.fetchrow("select * from backtest where id = $1", number)
    assert row is not None
    return dict(row)


def told(episode: Mapping[str, Any]) -> tuple[object, ...]:
    subject = Subject(episode["subject"]["kind"], episode["subject"]["key"])
    opened, closed = (at and datetime.fromisoformat(at) for at in (episode["opened_at"], episode["closed_at"]))
    return (
        *(episode[name] for name in ("rule", "rule_version", "severity", "tier")),
        *(subject, episode["wave"], episode["title"], opened, closed),
        *(episode[name] for name in ("resolution", "suppressed_by", "episode")),
        *(episode[name] for name in ("window", "evidence", "action")),
    )


@pytest.mark.parametrize("seed", [1, 2])
async def test_it_names_the_alerts_that_the_evaluator_opened_and_writes_nothing_else(pool: Pool, seed: int) -> None:
    world = random_world(seed)
    now = later(130)
    await settle(pool, world, now, time_zone=str(world.calendar.zone))
    await evaluator(pool).evaluate(TENANT, now)
    alerts = await alerts_of(pool)
    before = await written(pool)
    await ask(pool)

    assert await Backtests(pool, lambda: later(0)).do_next()

    result = (await came(pool))["result"]
    assert {each["id"]: told(each) for each in result["episodes"]} == {
        alert.id: (
            *(alert.rule, alert.rule_version, alert.severity, alert.tier, alert.subject, alert.wave, alert.title),
            *(alert.opened_at, alert.resolved_at, alert.resolution, alert.suppressed_by, alert.episode),
            *(alert.window, alert.evidence, alert.action),
        )
        for alert in alerts.values()
    }
    audiences = {alert.id: alert.audience for alert in alerts.values()}
    for each in result["episodes"]:
        assert each["audience"] == audiences[each["id"]][: len(each["audience"])]  # who did not answer is behind them
    assert len(alerts) > 20
    assert await written(pool) == before
    assert datetime.fromisoformat(result["as_of"]) == now


async def test_before_the_first_evaluation_it_finds_the_same(pool: Pool) -> None:
    await settle(pool, random_world(4), later(60))
    before = await written(pool)

    found = await tried_on(pool, TENANT, {}, later(0))
    only = await tried_on(pool, TENANT, {"rules": {D3: {}}}, later(0))

    assert await written(pool) == before
    assert {each["rule"] for each in only["episodes"]} == {D3} < {each["rule"] for each in found["episodes"]}
    await evaluator(pool).evaluate(TENANT, later(60))
    assert {each["id"] for each in found["episodes"]} == {alert.id for alert in (await alerts_of(pool)).values()}


async def test_a_draft_is_judged_in_the_place_of_the_rule_and_told_alone(pool: Pool) -> None:
    await add_tenant(pool, clock="wall", min_group=1)
    await counted(pool)
    await cells(
        pool, [*stale("North", *[30] * 9), *stale("South", *[22] * 9), *stale("all", *[26] * 9, dimension="tenant")]
    )
    await evaluator(pool).evaluate(TENANT, LATE)
    before = await written(pool)

    def opened(found: Mapping[str, Any]) -> set[tuple[str, int, str]]:
        return {(each["rule"], each["rule_version"], each["subject"]["key"]) for each in found["episodes"]}

    stands = await tried_on(pool, TENANT, {}, LATE)
    draft = {STALE: {"params": {"at_least": 25, "closes_at": 15}}}
    tried = await tried_on(pool, TENANT, {"rules": draft}, LATE)
    off = await tried_on(pool, TENANT, {"rules": {STALE: {"enabled": False}}}, LATE)

    version = DEFAULT[STALE].version
    assert {(STALE, version, "North"), (STALE, version, "South")} <= opened(stands)
    assert opened(tried) == {(STALE, version + 1, "North")}
    assert opened(off) == set()
    assert await written(pool) == before


async def test_the_other_ways_of_a_share_to_open_are_tried_and_swept(pool: Pool) -> None:
    await add_tenant(pool, clock="wall", min_group=1)
    await counted(pool)
    nums = {"M26": [1, 1, 1, 1, 1, 1, 1, 1, 7], "M25": [50, 50, 50, 50, 50, 51, 52, 53, 54]}
    await cells(
        pool,
        [
            (*group, code, week(n), num, 100)
            for group in (("team", "North"), ("tenant", "all"))
            for code, listed in nums.items()
            for n, num in enumerate(listed)
        ],
    )
    placeholders = "placeholder-values-high"
    sweep = {"rule": placeholders, "parameter": "rise", "values": [5, 6, 7]}

    found = await tried_on(pool, TENANT, {"rules": {placeholders: {}}, "sweep": sweep}, LATE)
    alone = await tried_on(pool, TENANT, {"rules": {placeholders: {"params": {"rise_with": "dq.score"}}}}, LATE)

    assert [each["evidence"]["rise"]["points"] for each in found["episodes"]] == [6.0, 6.0]
    assert [(each["value"], len(each["episodes"])) for each in found["sweep"]] == [(5, 2), (6, 2), (7, 0)]
    assert len(alone["episodes"]) == 2


async def test_what_gathering_writes_is_taken_back(pool: Pool) -> None:
    await add_tenant(pool, clock="wall", min_group=1)
    await counted(pool)
    await cells(pool, [*stale("North", *[30] * 9), *stale("all", *[26] * 9, dimension="tenant")])
    waits = LATE - timedelta(days=30)
    sql = "insert into dirty (tenant, kind, subject, queued_at) values ($1, 'person', 'ann', $2)"
    await pool.execute(sql, TENANT, waits)
    before = await written(pool)

    found = await tried_on(pool, TENANT, {}, LATE)

    assert {each["rule"] for each in found["episodes"]} == {STALE}
    assert before["to_judge"] == []
    assert await written(pool) == before


async def test_only_what_was_open_on_the_days_is_told(pool: Pool) -> None:
    world = World([*crew(2), *crew(1, "South")])
    world.visit(["north-00"], later(6))
    world.visit(["south-00"], later(20))
    await settle(pool, world, later(40))

    async def open_on(first: int | None, last: int | None) -> set[tuple[str, int]]:
        days = {"from": first, "to": last}
        request = {name: None if n is None else str(MONDAY + timedelta(days=n)) for name, n in days.items()}
        found = await tried_on(pool, TENANT, request, later(0))
        return {
            (each["subject"]["key"], (each["opened_on"] - MONDAY).days)
            for each in found["episodes"]
            if each["rule"] == D3
        }

    north, stays, south = ("north-00", 2), ("north-01", 2), ("south-00", 2)
    assert await open_on(None, None) == {north, stays, south}
    assert await open_on(None, 1) == set()
    assert await open_on(None, 2) == {north, stays, south}
    assert await open_on(6, None) == {north, stays, south}
    assert await open_on(7, None) == {stays, south}
    assert await open_on(21, 30) == {stays}


async def test_the_newest_episodes_are_told_and_the_rest_counted(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    await settle(pool, random_world(1), later(60))
    every = await tried_on(pool, TENANT, {}, later(0))
    monkeypatch.setattr("services.aggregator.domain.trial.MOST", 3)

    few = await tried_on(pool, TENANT, {}, later(0))

    assert few["episodes"] == every["episodes"][:3]
    assert (every["left_off"], few["left_off"]) == (0, len(every["episodes"]) - 3)
    opened = [each["opened_at"] for each in every["episodes"]]
    assert opened == sorted(opened, reverse=True)


async def test_a_tenant_without_events_has_no_episodes(pool: Pool) -> None:
    await add_tenant(pool)

    assert (await tried_on(pool, TENANT, {}, later(0)))["episodes"] == []


async def test_one_whose_process_died_is_taken_again_and_its_late_answer_is_not(pool: Pool) -> None:
    await settle(pool, World(crew(1)), later(4))
    await ask(pool)
    mine = Backtests(pool, lambda: later(0))
    await pool.execute("update backtest set started_at = now() - interval '9 minutes'")
    assert not await mine.do_next()
    await pool.execute("update backtest set started_at = now() - interval '11 minutes'")
    async with pool.acquire() as connection:
        late = await store.take(connection)
    assert late is not None
    await pool.execute("update backtest set started_at = now() - interval '12 minutes'")

    assert await mine.do_next()
    done = await came(pool)
    async with pool.acquire() as connection:
        await store.finish(connection, late, None, "late")

    assert (await came(pool)) == done
    assert [each["rule"] for each in done["result"]["episodes"]] == [D3]
    assert not await mine.do_next()


async def test_what_fails_is_told_and_the_next_goes_on(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    await settle(pool, World(crew(1)), later(4))
    await ask(pool, "bt_1", **{"from": "no day"})
    await ask(pool, "bt_2")
    mine = Backtests(pool, lambda: later(0))

    assert [await mine.do_next() for _ in range(3)] == [True, True, False]
    assert (await came(pool, "bt_1"))["error"] == backtests.FAILED
    assert (await came(pool, "bt_2"))["error"] is None

    monkeypatch.setattr(backtests, "LONGEST", 0.0)
    await ask(pool, "bt_3")
    assert await mine.do_next()
    assert (await came(pool, "bt_3"))["error"] == backtests.TOO_LONG


async def test_while_postgres_does_not_answer_it_is_tried_again_for_an_hour(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_tenant(pool)
    await ask(pool)

    async def away(*_: object) -> None:
        raise ConnectionResetError

    mine = Backtests(pool, lambda: later(0))
    monkeypatch.setattr(backtests, "tried_on", away)
    assert await mine.do_next()
    assert (await came(pool))["started_at"] is None
    await pool.execute("update backtest set asked_at = now() - interval '61 minutes'")
    assert await mine.do_next()

    assert (await came(pool))["error"] == backtests.FAILED


async def test_what_was_asked_for_a_week_ago_is_forgotten(pool: Pool) -> None:
    await add_tenant(pool)
    await ask(pool, "bt_1")
    await pool.execute("update backtest set asked_at = now() - interval '8 days'")

    assert not await Backtests(pool, lambda: later(0)).do_next()
    assert await pool.fetchval("select count(*) from backtest") == 0


async def test_it_goes_with_a_person_who_is_erased_also_when_it_is_in_hand(pool: Pool) -> None:
    await settle(pool, World(crew(1)), later(4))
    await ask(pool, "bt_1")
    assert await Backtests(pool, lambda: later(0)).do_next()
    await ask(pool, "bt_2")
    async with pool.acquire() as connection:
        taken = await store.take(connection)
    assert taken is not None

    async with transaction(pool) as tx:
        order = Order(1, TENANT, "north-00", ("north-00",), main=True, mode="erase", stand_in=None)
        counts = await unnaming.alerts(tx, order)
    async with pool.acquire() as connection:
        await store.finish(connection, taken, {"episodes": ["north-00"]})

    assert counts["backtest"] == 2
    assert await pool.fetchval("select count(*) from backtest") == 0


async def test_each_value_of_a_sweep_finds_what_the_rule_finds_with_it(pool: Pool) -> None:
    await add_tenant(pool, clock="wall", min_group=1)
    await counted(pool)
    whole = stale("all", *[26] * 9, dimension="tenant")
    await cells(pool, [*stale("North", *[30] * 9), *stale("South", *[5] * 4, *[22] * 5), *whole])
    sweep = {"rule": STALE, "parameter": "at_least", "values": [20, 25]}

    def found(episodes: list[Mapping[str, Any]]) -> list[tuple[object, ...]]:
        return [(each["rule"], each["subject"]["key"], each["opened_on"], each["closed_on"]) for each in episodes]

    swept = (await tried_on(pool, TENANT, {"sweep": sweep}, LATE))["sweep"]

    for row in swept:
        draft = {STALE: {"params": {"at_least": row["value"]}}}
        alone = await tried_on(pool, TENANT, {"rules": draft}, LATE)
        assert found(row["episodes"]) == found(alone["episodes"])
    assert [len(row["episodes"]) for row in swept] == [2, 1]
