"""Judging whom something changed for ends where judging everybody does, and costs what happened."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.aggregator.domain.alerts import Alert
from services.aggregator.domain.findings import Subject
from services.aggregator.evaluator import Evaluator
from services.aggregator.store import alerts as alert_store
from services.api.store import alerts as answers
from services.embedded import Postgres
from services.postgres import Pool, close_pool, connect_pool, transaction
from tests.aggregator.evaluation import evaluator
from tests.aggregator.metered import MONDAY, Office, at
from tests.databases import Databases

GO_LIVE = MONDAY.date()
FINAL = at(60)
OF_THE_WAY = {"restatement-large", "watermark-stalled"}
"""What tells of how numbers came in, and not of what they are."""
TEAMS = ("North", "South", "East", "West")
PEOPLE = [f"{team.lower()}-{number}" for team in TEAMS for number in range(7)]


async def office(pool: Pool) -> Office:
    made = await Office.open(pool, clock="event", day_counting="calendar")
    for user in PEOPLE:
        await made.person(user, team=user.partition("-")[0].title(), role="seller", manager="boss")
    await pool.execute(
        """insert into wave (tenant, id, name, go_live, scope, sponsor) values
           ('acme', 'all', 'All', $1, '{}', 'ceo'), ('acme', 'south', 'South', $2, '{"teams": ["South"]}', null)""",
        GO_LIVE,
        GO_LIVE + timedelta(days=9),
    )
    return made


def visits(rng: random.Random) -> list[tuple[str, datetime]]:
    """Return who came when: some never, some late, and two teams that stop."""
    found = []
    for user in PEOPLE:
        first = rng.choice([0, 1, 2, 3, 4, 6, 12, 70])
        leaves = rng.choice([12, 25]) if user.startswith(("south", "east")) else rng.choice([30, 60])
        found += [(user, at(day, rng.uniform(6, 20))) for day in range(first, leaves) if rng.random() < 0.4]
    return found


async def told(pool: Pool) -> dict[str, Alert]:
    """Return the alerts less those withdrawn, and less what tells of the way."""
    async with transaction(pool) as tx:
        alerts = await alert_store.stored(tx, "acme")
    return {
        alert.fingerprint: replace(alert, updated_at=FINAL, revision=0, loud_since=None, due_at=None)
        for alert in alerts
        if alert.resolution != "restated" and alert.rule not in OF_THE_WAY
    }


async def answer(pool: Pool, rng: random.Random, now: datetime) -> None:
    """Let somebody do something to an alert that lives."""
    living = await pool.fetch("select id from alert where state <> 'resolved' order by opened_at, id")
    if not living:
        return
    columns: dict[str, Any] = rng.choice(
        [
            {"state": "acknowledged", "acknowledged_at": now, "snoozed_until": None},
            {"state": "snoozed", "snoozed_until": now + timedelta(days=rng.randint(1, 9)), "acknowledged_at": None},
            {"plan_on": now.date() + timedelta(days=rng.randint(0, 5))},
        ]
    )
    async with transaction(pool) as tx:
        await answers.change(tx, "acme", rng.choice(living)["id"], columns, now, again=True)


async def arrive(made: Office, events: Sequence[tuple[str, datetime]], each: Evaluator) -> None:
    for user, when in events:
        made.act(user, when)
    await made.fold()
    while await made.pool.fetchval("select exists (select from dirty)"):  # a pass on a busy machine leaves some
        await made.measure(FINAL)
    while (await each.evaluate("acme", FINAL)) and await made.pool.fetchval("select exists (select from to_judge)"):
        pass


@pytest.mark.parametrize("seed", [1, 2])
async def test_whoever_is_judged_the_alerts_are_those_of_judging_everybody(pool: Pool, seed: int) -> None:
    """What comes in late moves no clock, so that only whom it concerns is judged anew."""
    rng = random.Random(seed)
    made, each, come = await office(pool), evaluator(pool), visits(rng)
    come.sort(key=lambda visit: visit[1])
    early = [visit for visit in come if rng.random() < 0.6]
    late = [visit for visit in come if visit not in set(early)]
    for day in (3, 12, 45):
        now = [visit for visit in early if day - 30 <= (visit[1] - MONDAY).days < day]
        early = [visit for visit in early if visit not in set(now)]
        await arrive(made, now, each)
        await answer(pool, rng, await pool.fetchval("select max(newest) from tally"))
    await arrive(made, [*early, ("north-0", FINAL)], each)
    judged = 0
    while late:
        some, late = late[: (size := rng.randint(5, 40))], late[size:]
        await arrive(made, some, each)
        judged += 1
    assert judged > 3

    before = await told(pool)
    whole = await evaluator(pool).evaluate("acme", FINAL)
    assert whole is not None
    assert [each.kind for each in whole.changes if each.alert.rule not in OF_THE_WAY] == []
    assert await told(pool) == before
    assert {alert.family for alert in before.values()} >= {"user-not-connected", "adoption-drop-vs-week1"}


async def test_the_order_of_arrival_leaves_no_trace(
    pool: Pool, databases: Databases, postgres_server: Postgres
) -> None:
    rng = random.Random(9)
    come = visits(rng)
    name = await databases.lend()
    other = await connect_pool(postgres_server.url(name), name="tests")
    found = []
    for where, pieces in ((pool, 1), (other, 5)):
        made, each = await office(where), evaluator(where)
        await arrive(made, [("north-0", at(0)), ("north-0", FINAL)], each)
        rng.shuffle(come)
        for piece in range(pieces):
            await arrive(made, come[piece::pieces], each)
        found.append(await told(where))
    await close_pool(other)
    await databases.take_back(name)

    assert found[0] == found[1]


async def test_an_event_concerns_the_person_and_the_groups_and_time_everybody(pool: Pool) -> None:
    made, each = await office(pool), evaluator(pool)
    await arrive(made, [("north-0", at(0)), ("north-0", FINAL)], each)
    made.act("south-1", at(50))
    await made.measure(FINAL)
    one = await each.evaluate("acme", FINAL)
    nobody = await each.evaluate("acme", FINAL)
    made.act("south-1", at(10))
    await made.measure(FINAL)
    early = await each.evaluate("acme", FINAL)
    made.act("south-1", at(61))
    await made.fold()
    later = await each.evaluate("acme", FINAL)

    assert one is not None
    assert one.scope.users == {"south-1"}
    assert one.scope.groups == {Subject("team", "South"), Subject("role", "seller"), Subject("tenant", "all")}
    assert one.scope.launches == {"all", "south"}, "their alerts of not having come are open"
    assert nobody is not None
    assert not nobody.scope
    assert early is not None
    assert early.scope.launches == {"all", "south"}
    assert later is not None
    assert later.scope.everything
