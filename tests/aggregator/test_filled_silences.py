"""What comes in late for a silence is measured before anybody judges it as known. On real Postgres."""

from datetime import date, datetime

import pytest

from services.aggregator.store import dirty
from services.postgres import Pool
from tests.aggregator.evaluation import evaluator
from tests.aggregator.metered import Office, at

NOW = at(56, 17)
"""A Monday; nothing was heard of the week before."""
LOST = at(49, 0), at(56, 0)
HOURS = [at(day, hour) for day in range(57) if day % 7 < 5 for hour in range(9, 17)]


async def office(pool: Pool, clock: str) -> Office:
    """Return an office of eight, one of whom works each hour, and of one on the road, of whom another source tells."""
    made = await Office.open(pool, clock=clock)
    for number in range(9):
        await made.person(f"p{number}", team="North", manager="boss")
    for when in HOURS:
        made.act("p8", when, source="/road")
        if not lost(when):
            made.act(f"p{when.hour - 9}", when)
    made.act("p8", NOW, source="/road")
    return made


def lost(when: datetime) -> bool:
    return LOST[0] <= when < LOST[1]


async def told(pool: Pool) -> tuple[list[str], set[str]]:
    """Return the states of the silences, and the rules that ever opened an alert."""
    silences = await pool.fetch("select state from silence order by source, since")
    opened = await pool.fetch("select distinct body ->> 'rule' as rule from alert_change")
    return [row["state"] for row in silences], {row["rule"] for row in opened}


@pytest.mark.parametrize(("clock", "after"), [("event", []), ("wall", ["filled"])])
async def test_no_rule_sees_old_numbers_without_the_silence(pool: Pool, clock: str, after: list[str]) -> None:
    made, each = await office(pool, clock), evaluator(pool)

    async def judged() -> tuple[list[str], set[str]]:
        await pool.execute("update position set drained_at = $1", NOW)
        await each.evaluate("acme", NOW)
        return await told(pool)

    await made.measure(NOW)
    silent = await judged()
    for when in filter(lost, HOURS):
        made.act(f"p{when.hour - 9}", when)
    await made.fold()
    folded = await judged()
    waits = await pool.fetchval("select count(*) from to_judge")
    await made.measure(NOW)
    made.act("p0", NOW)
    await made.fold()
    measured = await judged()

    assert silent == folded == (["over"], {"source-silent"})
    assert waits == 1, "who waits is judged again, also when nothing else happens"
    assert measured == (after, {"source-silent"}), "whoever works today keeps nobody from it"
    assert await pool.fetchval("select count(*) from to_judge") == 0


async def test_a_week_is_over_where_it_ends_last(pool: Pool) -> None:
    made, each = await Office.open(pool, clock="event"), evaluator(pool)
    await made.person("ada")
    await pool.execute("update person set time_zone = 'America/Los_Angeles'")
    mondays = [at(day, hour) for day in range(0, 57, 7) for hour in range(9)]
    for when in mondays:
        made.act("ada", when, source="/road")
        if when < at(56, 0) or when == mondays[-1]:
            made.act("ada", when)

    async def judged() -> list[str]:
        await each.evaluate("acme", NOW)
        return (await told(pool))[0]

    await made.measure(NOW)
    silent = await judged()
    for when in mondays[-9:-1]:
        made.act("ada", when)
    await made.fold()
    folded = await judged()
    await made.measure(NOW)

    assert silent == folded == ["silent"], "it was Sunday yet in Los Angeles"
    assert await judged() == []


@pytest.mark.parametrize(
    ("kind", "low", "high", "reaches"),
    [
        pytest.param("person", 9, 9, True, id="it happened on a day of it"),
        pytest.param("person", 1, 4, False, id="before"),
        pytest.param("person", 11, 11, False, id="after"),
        pytest.param("person", None, None, True, id="anything may have changed"),
        pytest.param("record", 28, None, True, id="a change of records reaches back as far as it was put off"),
        pytest.param("record", 28, 28, False, id="what was done to a record does not"),
        pytest.param("week", 9, 9, False, id="who is hidden changes no number"),
    ],
)
async def test_what_waits_reaches_the_days_on_which_it_changed(
    pool: Pool, kind: str, low: int | None, high: int | None, *, reaches: bool
) -> None:
    days = [None if day is None else date(2026, 3, day) for day in (low, high)]
    sql = "insert into dirty (tenant, kind, subject, low, high) values ('acme', $1, 'x', $2, $3)"
    await pool.execute(sql, kind, *days)

    assert await dirty.reaching(pool, "acme", date(2026, 3, 5), date(2026, 3, 10)) is reaches
