"""A stopped webhook looks like an outage, never like people who stay away. On real Postgres."""

import json
from collections import Counter
from datetime import datetime, timedelta

import jsonschema
import pytest

from services.postgres import Pool
from tests.aggregator.evaluation import evaluator
from tests.aggregator.settle import TENANT, alerts_of, changes_of, connections_of, settle, write_facts
from tests.aggregator.world import MONDAY, World, at, crew, later, users
from tests.stack import ROOT

CREW = crew(20)
EARLY, MIDWEEK = users(CREW)[:8], users(CREW)[8:]
"""Who works on Mondays and Tuesdays too, and who only from Wednesday to Friday."""
LOST = later(15, 10), later(17, 0)
"""Of the third week: from Tuesday, ten o'clock, until Thursday."""
LOST_WEEK = later(15, 10), later(21, 0)


def worked(until: datetime, lost: tuple[datetime, datetime] | None = None) -> World:
    """Return the crew at work, from six weeks before the go-live on; of what was ``lost`` nothing is known."""
    world = World(CREW)
    for day in range(-42, (until - at(MONDAY, 0)).days + 1):
        if (weekday := day % 7) < 5:
            for hour in range(9, 17):
                instant = later(day, hour)
                who = EARLY if weekday < 2 and day > 1 else users(CREW)
                if instant < until and not (lost and lost[0] <= instant < lost[1]):
                    world.visit(who, instant)
    return world


async def hear(pool: Pool, world: World, source: str = "crm") -> None:
    """Write what the owners of the shards would have counted of each hour."""
    hours = Counter(instant.replace(minute=0, second=0) for instants in world.came.values() for instant in instants)
    await pool.execute("DELETE FROM source_hour WHERE tenant = $1 AND source = $2", TENANT, source)
    await pool.executemany(
        "INSERT INTO source_hour (tenant, source, hour, shard, events) VALUES ($1, $2, $3, 0, $4)",
        [(TENANT, source, hour, events) for hour, events in hours.items()],
    )
    await pool.execute(
        """INSERT INTO source_seen (tenant, source, shard, last_event_at, events) VALUES ($1, $2, 0, $3, $4)
           ON CONFLICT (tenant, source, shard) DO UPDATE
           SET last_event_at = excluded.last_event_at, events = excluded.events""",
        TENANT,
        source,
        max(hours) + timedelta(minutes=59),
        hours.total(),
    )


async def judged(pool: Pool, world: World, now: datetime) -> dict[str, str]:
    """Let the rules judge ``world`` as it is known at ``now``; return the state of the alerts by rule."""
    await write_facts(pool, world, now)
    await hear(pool, world)
    await evaluator(pool).evaluate(TENANT, now)
    return {alert.rule: f"{alert.state} {alert.resolution or ''}".strip() for alert in (await alerts_of(pool)).values()}


async def states(pool: Pool) -> list[str]:
    return [row["state"] for row in await pool.fetch("SELECT state FROM silence ORDER BY since")]


async def test_lost_webhooks_are_an_outage_and_their_replay_takes_it_back(pool: Pool) -> None:
    await settle(pool, worked(later(14)), later(14), clock="wall")

    assert await judged(pool, worked(later(15, 18), LOST), later(15, 18)) == {"source-silent": "open"}
    assert await judged(pool, worked(later(16, 18), LOST), later(16, 18)) == {"source-silent": "open"}
    assert await judged(pool, worked(later(17, 12), LOST), later(17, 12)) == {"source-silent": "resolved recovered"}
    assert await states(pool) == ["over"]
    assert await judged(pool, worked(later(21, 3), LOST), later(21, 3)) == {"source-silent": "resolved recovered"}
    await judged(pool, worked(later(21, 9)), later(21, 9))

    assert await states(pool) == ["filled"]
    assert {rule for _, rule, _ in await changes_of(pool)} == {"source-silent"}
    (alert,) = (await alerts_of(pool)).values()
    assert (alert.opened_at, alert.resolved_at) == (later(15, 10) + timedelta(minutes=59), later(17, 9))
    assert (alert.subject_kind, alert.subject_key, alert.wave) == ("tenant", "all", None)
    assert alert.evidence["source"] == "crm"


@pytest.mark.parametrize("heard", [False, True], ids=["unheard", "heard"])
async def test_a_week_that_was_lost_is_no_drop(pool: Pool, *, heard: bool) -> None:
    await settle(pool, worked(later(14)), later(14), clock="wall")
    now = later(21, 3)
    await write_facts(pool, worked(now, LOST_WEEK), now)
    if heard:
        await hear(pool, worked(now, LOST_WEEK))
    await evaluator(pool).evaluate(TENANT, now)

    rules = {alert.rule for alert in (await alerts_of(pool)).values()}
    assert rules == ({"source-silent"} if heard else {"adoption-drop-vs-week1"})

    if heard:
        assert await judged(pool, worked(later(22, 12), LOST_WEEK), later(22, 12)) == {
            "source-silent": "resolved recovered"
        }
        assert set(await judged(pool, worked(later(22, 13)), later(22, 13))) == {"source-silent"}
        assert await states(pool) == ["filled"]


async def test_nobody_is_said_to_stay_away_while_it_is_not_known_who_came(pool: Pool) -> None:
    lost = later(0, 10), later(4, 0)
    absent = MIDWEEK[:3]

    def known(until: datetime, lost: tuple[datetime, datetime] | None) -> World:
        world = worked(until, lost)
        for user in absent:
            world.came[user] = {instant for instant in world.came[user] if instant < later(0, 0)}
        return world

    await settle(pool, known(later(-1), None), later(-1), clock="wall", day_counting="calendar")
    seen = set()
    for day in (2, 3, 4, 5):
        seen |= set(await judged(pool, known(later(day, 13), lost), later(day, 13)))
        assert await judged(pool, known(later(day, 13), lost), later(day, 13)) is not None
    rows = {row.n: row.reason for row in (await connections_of(pool))["w"]}

    assert seen == {"source-silent"}
    assert {n: rows[n] for n in (0, 1, 2, 3)} == dict.fromkeys((0, 1, 2, 3), "source_silent")

    alerts = await judged(pool, known(later(7, 13), None), later(7, 13))
    named = {alert.subject_key for alert in (await alerts_of(pool)).values() if alert.subject_kind == "user"}
    assert named == set(absent)
    assert set(alerts) == {"source-silent", "user-never-logged-in-d3", "wave-connection-d5-below-target"}


async def test_on_the_event_clock_a_source_that_ends_with_the_data_is_not_silent(pool: Pool) -> None:
    await settle(pool, worked(later(14)), later(14))

    assert "source-silent" not in await judged(pool, worked(later(16, 18), LOST), later(30))


async def test_on_the_event_clock_another_source_shows_that_time_went_on(pool: Pool) -> None:
    await settle(pool, worked(later(14)), later(14))
    await write_facts(pool, worked(later(16, 18)), later(16, 18))
    await hear(pool, worked(later(16, 18), LOST))
    await hear(pool, worked(later(16, 18)), "mobile")
    await evaluator(pool).evaluate(TENANT, later(16, 18))
    (silent,) = (await alerts_of(pool)).values()
    assert (silent.rule, silent.state, silent.evidence["source"]) == ("source-silent", "open", "crm")

    await write_facts(pool, worked(later(16, 18)), later(16, 18))
    await hear(pool, worked(later(16, 18)))
    await hear(pool, worked(later(16, 18)), "mobile")
    await evaluator(pool).evaluate(TENANT, later(16, 18))

    assert [alert.resolution for alert in (await alerts_of(pool)).values()] == ["restated"]
    assert await states(pool) == []


async def test_what_is_not_read_yet_is_not_missing(pool: Pool) -> None:
    await settle(pool, worked(later(14)), later(14), clock="wall")
    await pool.execute("INSERT INTO position (shard, drained_at) VALUES (0, $1)", later(15, 10))

    assert await judged(pool, worked(later(16, 12), LOST), later(16, 12)) == {"watermark-stalled": "open"}


async def test_silences_that_stay_as_they_are_let_nobody_be_judged_anew(pool: Pool) -> None:
    world, few = worked(later(15, 18), LOST), World(CREW)
    few.came.update({user: world.came[user] for user in EARLY})
    await settle(pool, worked(later(14)), later(14), clock="wall")
    await write_facts(pool, world, later(15, 18))
    await hear(pool, world)
    await hear(pool, few, "api")
    each = evaluator(pool)
    found = [await each.evaluate(TENANT, later(15, 18) + timedelta(minutes=n)) for n in range(2)]

    assert await states(pool) == ["silent", "silent"]
    assert [evaluated and evaluated.scope.everything for evaluated in found] == [True, False]


async def test_the_alert_is_as_it_is_published(pool: Pool) -> None:
    await settle(pool, worked(later(14)), later(14), clock="wall")
    await judged(pool, worked(later(15, 18), LOST), later(15, 18))

    (change,) = await pool.fetch("SELECT body FROM alert_change")

    jsonschema.validate(change["body"], json.loads((ROOT / "schemas/json/alert.json").read_text()))
