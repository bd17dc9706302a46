"""What the rules over weeks and people find on real Postgres, and what it costs to look at a part of a tenant."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from services.aggregator.domain.findings import Finding, Subject
from services.aggregator.domain.scope import EVERYTHING, TENANT, Scope
from services.aggregator.gathering import Ground, policy_of, zones
from services.aggregator.store import cohorts, evaluation
from services.aggregator.watching.watch import Watched, watch
from services.postgres import Connection, Pool, transaction
from services.rules.pack import DEFAULT
from services.rules.shape import Rule
from tests.aggregator.evaluation import evaluator
from tests.aggregator.groups import rule
from tests.aggregator.metered import Office, at, week
from tests.builders import add_person, add_tenant

WEEK = timedelta(days=7)
STALE, DROP = "stale-close-dates", "adoption-drop-trailing"
LATE = datetime(2026, 5, 4, 12, tzinfo=UTC)
"""After nine weeks."""


async def ground(tx: Connection, now: datetime) -> Ground:
    case = await evaluation.case(tx, "acme")
    assert case is not None
    waves = await cohorts.waves(tx, "acme")
    return Ground("acme", case, policy_of(case), DEFAULT, waves, await zones(tx, "acme", case), now)


async def watched(pool: Pool, scope: Scope = EVERYTHING, now: datetime = LATE) -> Watched:
    async with transaction(pool, isolation="repeatable_read") as tx:
        return await watch(tx, await ground(tx, now), scope)


def of(found: Watched, rule: str) -> list[Finding]:
    return [each for each in found.findings if each.rule == rule]


async def cells(pool: Pool, rows: list[tuple[str, str, str, date, int, int]]) -> None:
    columns = list(map(list, zip(*rows, strict=True)))
    await pool.execute(
        """insert into metric_cell (tenant, dimension, key, metric, day, num, den, known_at, revision)
           select 'acme', q.*, timestamptz '2026-03-01', 0
           from unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::bigint[], $6::bigint[]) as q""",
        *columns,
    )


async def counted(pool: Pool, number: int = 9) -> None:
    """Say that so many weeks are counted."""
    await pool.executemany(
        "insert into measured_week (tenant, week, known_at) values ('acme', $1, now())",
        [(week(n),) for n in range(number)],
    )


def stale(key: str, *nums: int, dimension: str = "team") -> list[tuple[str, str, str, date, int, int]]:
    return [(dimension, key, "M27", week(n), num, 100) for n, num in enumerate(nums)]


# ---------------------------------------------------------------- groups


@pytest.fixture
async def teams(pool: Pool) -> AsyncIterator[Pool]:
    await add_tenant(pool, clock="wall", min_group=1)
    await counted(pool)
    await cells(
        pool,
        [
            *stale("North", *[30] * 9),
            *stale("South", *[5] * 9),
            *stale("East", *[5] * 7, 30, 30),
            *stale("all", *[10] * 9, dimension="tenant"),
        ],
    )
    return pool  # type: ignore[return-value]


def scope(*names: str) -> Scope:
    return Scope(groups=frozenset({TENANT, *(Subject("team", name) for name in names)}))


async def test_only_who_is_in_the_scope_is_judged(teams: Pool) -> None:
    everybody = await watched(teams)
    north = await watched(teams, scope("North"))

    assert [(each.subject.key, each.opened_at) for each in of(everybody, STALE)] == [
        ("East", at(63, 2)),
        ("North", at(14, 2)),
    ]
    assert of(north, STALE) == [each for each in of(everybody, STALE) if each.subject.key == "North"]
    assert {each.subject.key for each in north.evaluations if each.rule == STALE} == {"North"}


async def test_a_week_is_judged_two_hours_after_its_end(teams: Pool) -> None:
    before = of(await watched(teams, now=at(63, 1.99)), STALE)
    after = of(await watched(teams, now=at(63, 2)), STALE)

    assert [each.subject.key for each in before] == ["North"]
    assert [each.subject.key for each in after] == ["East", "North"]


@pytest.mark.parametrize(("queued", "now", "waits"), [(1, 1.5, 0), (1, 2, 1), (2, 3, 0)])
async def test_a_week_that_is_not_final_for_somebody_who_waits_is_judged_again(
    teams: Pool, queued: float, now: float, waits: int
) -> None:
    sql = "insert into dirty (tenant, kind, subject, queued_at) values ('acme', 'person', 'ann', $1)"
    await teams.execute(sql, at(65, queued))
    await watched(teams, now=at(65, now))

    assert await teams.fetchval("select count(*) from to_judge") == waits


async def test_a_week_of_which_something_waits_to_be_counted_is_judged_later(teams: Pool) -> None:
    sql = "insert into dirty (tenant, kind, subject, queued_at) values ('acme', 'person', 'ann', $1)"
    await teams.execute(sql, at(62, 23))

    assert [each.subject.key for each in of(await watched(teams, now=at(63, 3)), STALE)] == ["North"]
    assert await teams.fetchval("select kind from to_judge where tenant = 'acme'") == "all"
    await teams.execute("delete from dirty")
    await teams.execute("delete from to_judge")
    assert len(of(await watched(teams, now=at(63, 3)), STALE)) == 2
    assert await teams.fetchval("select count(*) from to_judge") == 0


async def test_before_anything_is_counted_nothing_is_withdrawn(teams: Pool) -> None:
    await teams.execute("delete from measured_week")
    found = await watched(teams)

    assert (STALE, None) in found.unjudged
    assert ("user-lapsed", None) in found.unjudged
    assert of(found, STALE) == []


async def test_what_is_hidden_is_not_told_by_an_alert(teams: Pool) -> None:
    await teams.execute("update tenant set min_group = 5")
    await teams.execute(
        "insert into hidden_group (tenant, week, dimension, key, reason) values ('acme', $1, 'team', 'North', 'small')",
        week(1),
    )
    found = await watched(teams)
    said = {each.window_to: each for each in found.evaluations if each.rule == STALE and each.subject.key == "North"}

    assert [each.opened_at for each in of(found, STALE) if each.subject.key == "North"] == [at(28, 2)]
    hidden = said[week(1) + timedelta(days=6)]
    assert (hidden.reason, hidden.num, hidden.den) == ("suppressed", None, None)


async def test_what_was_judged_before_is_said_again_only_where_it_changed(teams: Pool) -> None:
    await teams.execute(
        "insert into evaluation (tenant, version, as_of, evaluated_at) values ('acme', 1, $1, $1)", LATE
    )
    await teams.execute("update metric_cell set known_at = $1 where key = 'South' and day = $2", LATE, week(3))

    found = await watched(teams)
    weeks = [
        (each.subject.key, (each.window_from - week(0)).days // 7) for each in found.evaluations if each.rule == STALE
    ]
    assert weeks == [
        ("East", 8),
        ("North", 8),
        *(("South", n) for n in range(3, 9)),
    ]


async def test_the_middle_of_all_teams_is_remembered_for_who_is_judged_alone(teams: Pool) -> None:
    rows = [
        ("team", name, "M12", week(n), num, 100)
        for name, num in (("North", 40), ("South", 80), ("East", 90))
        for n in range(9)
    ]
    await cells(teams, [*rows, *(("tenant", "all", "M12", week(n), 210, 300) for n in range(9))])
    everybody = await watched(teams)
    middles = [each for each in everybody.evaluations if each.rule == "team-lagging" and each.subject == TENANT]
    assert {(each.baseline or {}).get("num") for each in middles} == {80}
    await teams.executemany(
        """insert into rule_evaluation (tenant, rule, subject_kind, subject_key, window_to, window_from, rule_version,
             revision, outcome, baseline, as_of)
           values ('acme', $1, 'tenant', 'all', $2, $3, 1, 0, 'not_judged', $4, $5)""",
        [(each.rule, each.window_to, each.window_from, dict(each.baseline or {}), LATE) for each in middles],
    )

    north = await watched(teams, scope("North"))

    assert [each.subject.key for each in of(everybody, "team-lagging")] == ["North"]
    assert of(north, "team-lagging") == of(everybody, "team-lagging")
    assert ("composition-shift", None) in north.unjudged


# ---------------------------------------------------------------- people


async def test_people_who_stop_are_found_one_by_one_and_together(pool: Pool) -> None:
    office = await Office.open(pool)
    crew = [f"p{n}" for n in range(8)]
    for user in crew:
        await office.person(user, team="North", manager="boss")
    for day in (n for n in range(63) if n % 7 < 5):
        for number, user in enumerate(crew):
            if number >= 4 or day < 35:
                office.act(user, at(day))
    office.act("p8", at(30))
    await office.person("p8", team="South")
    await office.measure(LATE)

    found = await watched(pool)
    drops = {each.subject: each for each in of(found, DROP)}
    evidence = drops[Subject("team", "North")].evidence

    assert set(drops) == {TENANT, Subject("team", "North"), Subject("role", "seller")}
    assert (evidence["num"], evidence["lost"], evidence["gained"]) == (4, 4, 0)
    assert evidence["composition"] == {
        **dict.fromkeys(("gained", "leavers", "leavers_active", "joiners", "joiners_active", "moved_out"), 0),
        **dict.fromkeys(("moved_in", "other"), 0),
        "lost": 4,
    }
    assert [each.subject.key for each in of(found, "user-lapsed")] == crew[:4]
    assert [each.subject.key for each in of(found, "one-and-done-user")] == ["p8"]
    one = await watched(pool, Scope(users=frozenset({"p0", "p8"})))
    assert [each.subject.key for each in one.findings if each.subject.kind == "user"] == ["p0", "p8"]


# ---------------------------------------------------------------- operations


async def test_the_signals_of_operations_come_and_go(teams: Pool) -> None:
    await teams.execute("insert into tally (tenant, shard, version, folded, unmapped) values ('acme', 0, 1, 1000, 30)")
    await teams.execute("insert into position (shard, drained_at) values (0, $1)", LATE)
    await teams.execute(
        """insert into subscription (tenant, id, kind, name, key_id, failing_since)
           values ('acme', 's', 'webhook', 'hook', 'key', $1)""",
        LATE - timedelta(hours=2),
    )
    await teams.executemany(
        """insert into dead_letter (tenant, shard, log_offset, mark, key, value, reason, created_at)
           values ('acme', 0, $1, 0, '', '', 'bad', $2)""",
        [(n, LATE - timedelta(hours=9)) for n in range(20)],
    )

    await evaluator(teams).evaluate("acme", LATE)
    first = await operations_of(teams)
    await teams.execute("update tally set folded = 100000")
    await teams.execute("update subscription set failing_since = null")
    later_on = LATE + timedelta(hours=1)
    await teams.execute("update position set drained_at = $1", later_on)
    await evaluator(teams).evaluate("acme", later_on)
    second = await operations_of(teams)
    await evaluator(teams).evaluate("acme", later_on + timedelta(minutes=1))

    assert first == {
        "delivery-failing": ("open", None),
        "reject-rate-high": ("resolved", "recovered"),
        "unmapped-actors": ("open", None),
    }
    assert second == dict.fromkeys(first, ("resolved", "recovered"))
    assert await operations_of(teams) == second


async def test_too_few_champions_are_told_of_until_there_are_enough(teams: Pool) -> None:
    async def standing() -> list[str]:
        rows = await teams.fetch("select state from alert where rule = 'champion-coverage-low' order by opened_at")
        return [row["state"] for row in rows]

    for user in ("ada", "bo", "cy"):
        await add_person(teams, user)
    await teams.execute("update membership set function = 'sales' where tenant = 'acme'")
    await evaluator(teams).evaluate("acme", LATE)
    nobody_named = await standing()
    await teams.execute("update membership set function = 'service', champion = true where user_id = 'ada'")
    await judge_anew(teams)
    await evaluator(teams).evaluate("acme", LATE + timedelta(hours=1))
    first = await standing()
    await teams.execute("update membership set champion = true where tenant = 'acme'")
    await judge_anew(teams)
    await evaluator(teams).evaluate("acme", LATE + timedelta(hours=2))

    assert (nobody_named, first, await standing()) == ([], ["open"], ["resolved"])


async def test_a_live_wave_without_a_sponsor_is_told_of_until_somebody_is_named(teams: Pool) -> None:
    async def standing() -> list[tuple[str, list[str]]]:
        sql = "select state, evidence -> 'waves_without_sponsor' as waves from alert where rule = 'sponsor-absent'"
        return [tuple(row) for row in await teams.fetch(sql)]

    await teams.execute("insert into wave (tenant, id, name, go_live) values ('acme', 'two', 'Two', $1)", week(7))
    await evaluator(teams).evaluate("acme", LATE)
    nobody_named = await standing()
    await teams.execute(
        "insert into wave (tenant, id, name, go_live, sponsor) values ('acme', 'old', 'Old', $1, 'dora')", week(-60)
    )
    await judge_anew(teams)
    await evaluator(teams).evaluate("acme", LATE + timedelta(hours=1))
    first = await standing()
    contact = "insert into contact (tenant, role, address, kind) values ('acme', 'sponsor', 'dora', 'person')"
    await teams.execute(contact)
    await judge_anew(teams)
    await evaluator(teams).evaluate("acme", LATE + timedelta(hours=2))

    assert (nobody_named, first) == ([], [("open", ["Two"])])
    assert await standing() == [("resolved", ["Two"])]


async def judge_anew(pool: Pool) -> None:
    await pool.execute("insert into to_judge (tenant, kind, key) values ('acme', 'all', '')")


async def operations_of(pool: Pool) -> dict[str, tuple[str, str | None]]:
    rows = await pool.fetch("select rule, state, resolution from alert where tenant = 'acme'")
    names = {rule.id for rule in DEFAULT.values() if rule.pack == "operations"}
    return {row["rule"]: (row["state"], row["resolution"]) for row in rows if row["rule"] in names}


async def test_a_final_number_that_changed_is_told_of_once(teams: Pool) -> None:
    await cells(teams, [("team", "North", "M11", week(2), 86, 100), ("tenant", "all", "M11", week(2), 86, 100)])
    await teams.execute("update metric_cell set revision = 1, known_at = $1 where metric = 'M11'", LATE - WEEK / 7)
    await teams.execute(
        """insert into metric_past (tenant, dimension, key, metric, day, known_at, num, den, revision)
           select tenant, dimension, key, metric, day, timestamptz '2026-03-30', 80, 100, 0 from metric_cell
           where metric = 'M11'""",
    )

    [north] = of(await watched(teams, Scope(groups=frozenset({Subject("team", "North")}))), "restatement-large")

    assert (north.subject.key, north.opened_at) == ("North", LATE - WEEK / 7)
    assert (north.evidence["week"], north.evidence["points"]) == (week(2), 6)
    await teams.execute("update tenant set min_group = 90")
    await teams.execute("update metric_past set num = 70, den = 89")
    assert of(await watched(teams, Scope(everything=True)), "restatement-large") == [], "too few to be told of then"


async def test_who_works_as_no_person_can_is_found(pool: Pool) -> None:
    office = await Office.open(pool)
    everybody = ("ann", "early", "late", "many", "reads", "imports", "robot")
    for user in everybody:
        await office.person(user, team="North")
    await office.merge("early@crm", "early")
    await pool.execute("update membership set kind = 'service' where user_id = 'robot'")
    for hour in range(16):  # in 16 hours of the clock, not much more than 14 hours apart
        office.act("early" if hour % 2 else "early@crm", at(7, hour + 0.99 * (hour == 0)))
    for hour in range(15):
        office.act("late", at(7, hour))
    for n in range(20):
        for user in ("many", "robot"):
            office.act(user, at(7, n / 20))
        for user in ("ann", "imports"):
            office.act(user, at(7, n / 10))
        office.act("reads", at(7, n / 20), "crm.record.viewed")
        office.act("imports", at(7, n / 20), origin="import")
    await office.measure(LATE)
    strict = {**DEFAULT, "suspected-automation": rule("suspected-automation", count=20)}

    async def found(scope: Scope, rules: Mapping[str, Rule] = strict) -> list[tuple[object, ...]]:
        async with transaction(pool, isolation="repeatable_read") as tx:
            told = of(await watch(tx, replace(await ground(tx, LATE), rules=rules), scope), "suspected-automation")
        return [(each.subject.key, each.evidence["active_hours"], each.evidence["writes"]) for each in told]

    assert await found(EVERYTHING) == [("early", 16, 1), ("many", 1, 20)]
    assert await found(Scope(users=frozenset({"many", "ann"}))) == [("many", 1, 20)]
    assert await found(EVERYTHING, DEFAULT) == [("early", 16, 1)]


async def test_what_was_found_stays_when_its_events_are_kept_no_more(pool: Pool) -> None:
    office = await Office.open(pool)
    await office.person("bot", team="North")
    for hour in range(16):
        office.act("bot", at(56, hour))
    await office.measure(LATE)

    async def told() -> list[tuple[object, ...]]:
        await judge_anew(pool)
        await evaluator(pool).evaluate("acme", LATE)
        rows = await pool.fetch("select a::text from alert a where rule = 'suspected-automation'")
        return [tuple(row) for row in rows]

    before = await told()
    await pool.execute("delete from activity")
    await pool.execute("update tenant set activity_from = $1", at(58).date())

    assert len(before) == 1
    assert await told() == before
    assert (await operations_of(pool))["suspected-automation"] == ("resolved", "recovered")


async def test_deals_that_nobody_reads_are_found_where_reading_is_counted(teams: Pool) -> None:
    def handed(key: str, code: str, num: int, dimension: str = "team") -> list[tuple[str, str, str, date, int, int]]:
        return [(dimension, key, code, week(n) + timedelta(days=3), num, 5) for n in range(9)]

    await cells(
        teams,
        [
            *(row for key in ("North", "South", "East") for row in handed(key, "M29", 5)),
            *handed("North", "M29r", 2),
            *handed("South", "M29r", 3),
            *(row for code in ("M29", "M29r") for row in handed("all", code, 5, "tenant")),
        ],
    )

    [north] = of(await watched(teams), "handoff-incomplete")

    assert (north.subject.key, north.opened_at) == ("North", at(14, 2))
    assert north.evidence["handoff_read"] == {"num": 8, "den": 20, "value": Fraction(2, 5)}
    assert of(await watched(teams, scope("North")), "handoff-incomplete") == [north]


# ---------------------------------------------------------------- what it costs


class Metered:
    """A connection that counts its statements, and the pages that each touches."""

    def __init__(self, tx: Any) -> None:
        self._tx = tx
        self.statements = 0
        self.pages = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._tx, name)
        if name not in {"fetch", "fetchrow", "fetchval"}:
            return method

        async def asked(sql: str, *arguments: Any) -> Any:
            told = await self._tx.fetchval(f"explain (analyze, buffers, format json) {sql}", *arguments)
            plan = (json.loads(told) if isinstance(told, str) else told)[0]["Plan"]
            self.statements += 1
            self.pages += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
            return await method(sql, *arguments)

        return asked


async def cost(pool: Pool, scope: Scope) -> tuple[int, int, list[Finding]]:
    async with transaction(pool, isolation="repeatable_read") as tx:
        it = await ground(tx, LATE)
        metered = Metered(tx)
        found = await watch(metered, it, scope)  # type: ignore[arg-type]
    return metered.statements, metered.pages, [each for each in found.findings if each.rule == STALE]


async def fill(pool: Pool, first: int, end: int) -> None:
    rows = [
        ("team", f"team-{n:05}", code, week(number), 30, 100)
        for n in range(first, end)
        for code in ("M10", "M11", "M12", "M27", "M28")
        for number in range(9)
    ]
    await cells(pool, rows)
    await pool.execute("vacuum analyze metric_cell")


async def test_a_hundred_teams_cost_the_same_among_two_thousand(pool: Pool) -> None:
    await add_tenant(pool, clock="wall", min_group=1)
    await counted(pool)
    await cells(
        pool, [("tenant", "all", code, week(n), 30, 100) for code in ("M10", "M11", "M12", "M27") for n in range(9)]
    )
    names = [f"team-{n:05}" for n in range(100)]
    await fill(pool, 0, 100)
    alone = await cost(pool, scope(*names))
    await fill(pool, 100, 2000)
    among = await cost(pool, scope(*names))
    few = await cost(pool, scope(names[0]))

    assert among[0] == alone[0] == few[0]
    assert among[1] <= 1.3 * alone[1]
    assert few[1] < among[1] / 10
    assert among[2] == alone[2]
    assert len(among[2]) == 100
