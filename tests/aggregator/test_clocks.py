"""A tenant on the event clock: its alerts are of its time, whatever the wall clock shows. On real Postgres."""

from datetime import datetime, timedelta

import pytest

from services.aggregator.backtests import tried_on
from services.aggregator.store import evaluation
from services.postgres import Pool
from tests.aggregator.evaluation import evaluator
from tests.aggregator.metered import Office, at, week
from tests.builders import add_tenant

TODAY = at(3650)
"""What the wall clock shows, years after everything that happened."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def alerts(pool: Pool, rule: str) -> list[tuple[str, str, datetime, datetime | None]]:
    """Return state, subject, beginning and end of the alerts of ``rule``."""
    sql = "select state, subject_key, opened_at, resolved_at from alert where rule = $1 order by opened_at, subject_key"
    return [tuple(row) for row in await pool.fetch(sql, rule)]


async def test_who_receives_nothing_lives_on_the_wall_clock_and_is_told_of_in_the_time_of_the_tenant(
    pool: Pool,
) -> None:
    await add_tenant(pool, clock="event")
    await pool.execute("insert into tally (tenant, shard, version, newest) values ('acme', 0, 1, $1)", at(0))
    await pool.execute(
        """insert into subscription (tenant, id, kind, name, key_id, failing_since)
           values ('acme', 's', 'webhook', 'hook', 'key', $1)""",
        TODAY,
    )
    each = evaluator(pool)

    async def judged(now: datetime) -> list[tuple[str, str, datetime, datetime | None]]:
        await pool.execute("insert into to_judge (tenant, kind, key) values ('acme', 'tenant', 'all')")
        await each.evaluate("acme", now)
        return await alerts(pool, "delivery-failing")

    early = await judged(TODAY + 0.9 * HOUR)
    failing = await judged(TODAY + HOUR)
    since = await pool.fetchval("select evidence ->> 'since' from alert")
    await pool.execute("update tally set newest = $1, version = 2", at(1))
    lasting = await judged(TODAY + 9 * HOUR)
    tried = await tried_on(pool, "acme", {}, TODAY + 9 * HOUR)
    await pool.execute("update subscription set failing_since = null")

    assert early == []
    assert failing == lasting == [("open", "all", at(0), None)]
    assert datetime.fromisoformat(since) == TODAY
    assert [(each["rule"], each["closed_at"]) for each in tried["episodes"]] == [("delivery-failing", None)]
    assert await judged(TODAY + 10 * HOUR) == [("resolved", "all", at(0), at(1))]
    assert await pool.fetchval("select count(*) from alert_change") == 2


@pytest.mark.parametrize(("newest", "ended"), [(12, None), (30, at(16, 2))], ids=["of late", "long ago"])
async def test_a_number_that_was_restated_is_told_of_as_of_when_it_was_final(
    pool: Pool, newest: float, ended: datetime | None
) -> None:
    office = await Office.open(pool, clock="event")
    for user in ("ada", "bo", "cy", "di", "ed"):
        await office.person(user, team="North")
    office.act("ada", at(0))
    office.act(None, at(newest))
    await office.measure(TODAY)
    office.act("bo", at(1))
    await office.measure(TODAY + DAY)
    await evaluator(pool).evaluate("acme", TODAY + DAY)

    assert await office.cell("M11", week(0)) == (2, 5, 1)
    state = "open" if ended is None else "resolved"
    assert set(await alerts(pool, "restatement-large")) == {(state, key, at(9, 2), ended) for key in ("all", "North")}


@pytest.mark.parametrize("clock", ["event", "wall"])
@pytest.mark.parametrize("version", [None, 1], ids=["nothing was done", "it was set up"])
async def test_before_its_first_event_nobody_waits_to_be_judged(pool: Pool, clock: str, version: int | None) -> None:
    await add_tenant(pool, clock=clock)
    if version is not None:
        await pool.execute("insert into tally (tenant, shard, version) values ('acme', -1, $1)", version)
    await pool.execute("insert into to_judge (tenant, kind, key) values ('acme', 'all', '')")
    waiting = await evaluation.due(pool, TODAY)
    await evaluator(pool).evaluate("acme", TODAY)

    assert waiting == ["acme"]
    assert await evaluation.due(pool, TODAY) == []
    assert await pool.fetchval("select count(*) from to_judge") == 0
