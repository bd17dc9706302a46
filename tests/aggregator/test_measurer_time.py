"""Measuring as time goes on: late events, moves, merges, new weeks, what was known when, and deaths in between."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest

from services.aggregator.measurer import Measurer
from services.aggregator.remeasuring import rebuild_metrics
from services.aggregator.store import measures
from services.postgres import Pool, transaction
from tests.aggregator.measured import measurer, soil, soil_all, stored
from tests.aggregator.metered import MONDAY, NOW, Office, at, week
from tests.builders import add_tenant
from tests.patience import until


@pytest.fixture
async def office(pool: Pool) -> Office:
    return await Office.open(pool)


async def test_what_people_do_is_counted_in_their_groups(office: Office) -> None:
    for user, team in (("ada", "north"), ("bo", "north"), ("cy", "south")):
        await office.person(user, team=team)
    office.act("ada", at(0))
    office.act("cy", at(8), "meeting.held")
    await office.measure()

    await office.check()
    assert await office.cell("M11", week(0), "team", "north") == (1, 2, 0)
    assert await office.cell("M11", week(0), "team", "south") == (0, 1, 0)
    assert await office.cell("M19", at(8).date(), "team", "south") == (0, 1, 0)


async def test_a_late_event_restates_its_week_and_leaves_the_others_alone(office: Office) -> None:
    await office.person("ada")
    office.act(None, at(0))
    office.act("ada", at(7))
    office.act("ada", at(16))
    await office.measure()
    before = await office.cell("M11", week(2))

    office.act("ada", at(1))
    await office.measure(NOW + timedelta(hours=1))

    await office.check()
    assert await office.cell("M11", week(0)) == (1, 1, 1)
    assert await office.cell("M10", at(1).date()) == (1, 1, 1)
    assert await office.cell("M10", at(2).date()) == (0, 1, 0)
    assert await office.cell("M11", week(2)) == before


async def test_what_comes_before_a_window_is_final_does_not_restate_it(office: Office) -> None:
    await office.person("ada")
    office.act("ada", at(0))
    await office.measure(at(8))
    office.act("ada", at(4))
    await office.measure(at(7 + 2, 1))
    assert await office.cell("M11", week(0)) == (1, 1, 0)
    assert await office.cell("M10", at(4).date()) == (1, 1, 1)

    await office.person("bo")
    await office.measure(at(7 + 2, 3))

    assert await office.cell("M11", week(0)) == (1, 2, 1)


async def test_a_window_is_final_where_the_last_of_its_people_are(office: Office) -> None:
    await office.person("ada")
    await office.person("bo")
    await office.pool.execute("update person set time_zone = 'America/Los_Angeles' where user_id = 'bo'")
    office.act("ada", at(0))
    await office.measure(at(8))
    office.act("bo", at(1, 20))
    await office.measure(at(7 + 2, 3))

    assert await office.cell("M11", week(0)) == (2, 2, 0)


async def test_what_was_thought_before_is_kept(office: Office) -> None:
    await office.person("ada")
    office.act("ada", at(0))
    await office.measure(at(20))
    office.act("ada", at(1))
    await office.measure(at(21))
    office.act("ada", at(2))
    await office.person("bo")
    await office.measure(at(22))

    sql = """select known_at, num, den, revision from metric_past
        where metric = 'M12' and day = $1 and dimension = 'tenant'
        union all select known_at, num, den, revision from metric_cell
        where metric = 'M12' and day = $1 and dimension = 'tenant' order by 1"""
    assert [tuple(row) for row in await office.pool.fetch(sql, week(0))] == [(at(20), 0, 1, 0), (at(22), 0, 2, 1)]
    sql = sql.replace("'M12'", "'M10'")
    assert [tuple(row) for row in await office.pool.fetch(sql, at(1).date())] == [
        (at(20), 0, 1, 0),
        (at(21), 1, 1, 1),
        (at(22), 1, 2, 2),
    ]


async def test_a_week_counts_where_a_mover_spent_most_of_it_and_its_days_where_they_were(office: Office) -> None:
    await office.person("ada", team="north")
    await office.person("bo", team="north")
    for day in range(5):
        office.act("ada", at(day))
    await office.measure()

    await office.move("ada", at(2).date(), "south")
    await office.measure()

    await office.check()
    assert await office.cell("M11", week(0), "team", "south") == (1, 1, 1)
    assert await office.cell("M11", week(0), "team", "north") == (0, 1, 1)
    assert await office.cell("M10", at(1).date(), "team", "north") == (1, 2, 0)
    assert await office.cell("M10", at(2).date(), "team", "north") == (0, 1, 1)
    assert await office.cell("M11", week(0)) == (1, 2, 0)


async def test_two_keys_of_one_person_are_one_person_once_that_is_known(office: Office) -> None:
    await office.person("ada")
    await office.person("hub-1")
    office.act("hub-1", at(0))
    await office.measure()
    assert await office.cell("M11", week(0)) == (1, 2, 0)

    await office.merge("hub-1", "ada")
    await office.measure()

    await office.check()
    assert await office.cell("M11", week(0)) == (1, 1, 1)


async def test_a_person_who_was_merged_begins_when_the_first_of_their_entries_did(office: Office) -> None:
    await office.person("ada", licensed_from=week(2))
    await office.person("old", licensed_from=week(0), licensed_to=week(1) - timedelta(days=1))
    office.act("old", at(1))
    await office.measure()
    assert await office.cell("M3:1", week(2) + timedelta(days=1)) == (0, 1, 0)

    await office.merge("old", "ada")
    await office.measure()

    await office.check()
    assert await office.pool.fetchval("select day_zero from career") == week(0)
    assert await office.cell("M3:1", week(0) + timedelta(days=1)) == (1, 1, 0)
    assert await office.cell("M3:1", week(2) + timedelta(days=1)) == (0, 0, 1)
    assert await office.cell("M11", week(0)) == (1, 1, 0), "a licence of either is theirs"
    await office.pool.execute(
        "update licence set licensed_from = $1 where user_id = 'old'", week(0) + timedelta(days=2)
    )
    await soil(office.pool, "old", low=week(0))
    await office.measure()
    assert await office.pool.fetchval("select day_zero from career") == week(0) + timedelta(days=2)


async def test_in_a_new_week_everybody_is_counted_in_without_an_event(office: Office) -> None:
    await office.person("ada")
    await office.person("bo")
    office.act("ada", at(1), "crm.record.created", object="opportunity", record="o1", close_date="2026-03-10")
    await office.measure(at(2))
    assert await office.cell("M11", week(1)) is None

    await office.measure(at(21))

    await office.check()
    assert [await office.cell("M11", week(number)) for number in (1, 2, 3)] == [(0, 2, 0)] * 3
    assert not await measurer(office.pool).measure("acme", at(21))


async def test_the_rules_judge_everything_once_a_week_is_counted_for_the_first_time(office: Office) -> None:
    """They judge no week before, and nobody may change in a week that is new."""
    told = []
    await office.person("u0")
    for days in (0, 0, 1, 8):
        office.act("u0", at(3))
        await office.measure(NOW + timedelta(days=days))
        rows = await office.pool.fetch("delete from to_judge where tenant = 'acme' returning kind")
        told.append("all" in {row["kind"] for row in rows})

    assert told == [True, False, False, True]


async def test_an_open_week_tells_of_records_as_of_its_end_and_no_day_changes_that(office: Office) -> None:
    await office.person("ada")
    office.act("ada", at(0), "crm.record.created", object="opportunity", record="o1", close_date="2026-03-03")
    await office.measure(at(1))
    assert await office.cell("M27", week(0)) == (1, 1, 0)

    assert not await measurer(office.pool).measure("acme", at(6, 23.9)), "nothing waits, and the week is the same"

    await office.check()
    assert await measurer(office.pool).measure("acme", at(7))
    assert await office.cell("M27", week(0)) == (1, 1, 0)


async def test_a_week_stands_as_of_its_end_though_nobody_looked_then(office: Office) -> None:
    await office.person("ada")
    office.act("ada", at(0), "crm.record.created", object="opportunity", record="o1", close_date="2026-03-05")
    await office.measure(at(1))

    await office.measure(at(8))

    await office.check()
    assert await office.cell("M27", week(0)) == (1, 1, 0)


async def test_what_a_stranger_did_long_ago_counts_once_they_are_known(office: Office) -> None:
    await office.person("ada")
    office.act("ada", at(0))
    await office.measure(at(1))
    office.act("bo", at(-30))
    await office.measure(at(1, 12))

    await office.person("bo")
    await office.measure(at(2))

    await office.check()
    assert await office.cell("M11", week(-5)) == (1, 2, 0)


async def test_what_was_told_ahead_of_time_counts_when_its_day_comes(office: Office) -> None:
    await office.person("ada")
    office.act("ada", at(4, 0.1), "crm.record.created", object="opportunity", record="o1", close_date="2026-03-03")
    await office.measure(at(3, 23.99))

    await office.measure(at(4))

    await office.check()
    assert await office.cell("M27", week(0)) == (1, 1, 0)


async def test_on_the_event_clock_weeks_come_with_the_events(pool: Pool) -> None:
    office = await Office.open(pool, clock="event")
    await office.person("ada")
    await office.measure()
    assert await stored(pool) == ({}, {}, {"ada": (date(2026, 1, 1), None)})

    office.act("ada", at(1))
    await office.measure()
    office.act("ada", at(15))
    office.act("ada", at(3))
    await office.measure()

    await office.check()
    assert await office.cell("M11", week(2)) == (1, 1, 0)
    assert await office.cell("M10", at(3).date()) == (1, 1, 0)
    office.act("ada", at(0))
    await office.measure()
    assert await office.cell("M10", at(0).date()) == (1, 1, 1)


async def test_small_groups_are_hidden_from_the_first_number_on(pool: Pool) -> None:
    office = await Office.open(pool, min_group=3)
    for number in range(6):
        await office.person(f"n{number}", team="north")
    await office.person("lone", team="south")
    office.act("lone", at(0))
    await office.fold()
    hidden = "select key, reason from hidden_group where dimension = 'team' and week = $1 order by 1"
    seen = []

    def look(site: str) -> None:
        if site == "after_part":
            seen.append(asyncio.create_task(pool.fetch(hidden, week(0))))

    await office.measure(hook=look)
    first = await asyncio.gather(*seen)

    assert all({"south"} <= {row["key"] for row in rows} for rows in first[1:])
    assert [tuple(row) for row in await pool.fetch(hidden, week(0))] == [("north", "complement"), ("south", "small")]

    for number in range(2):
        await office.person(f"s{number}", team="south")
    await office.measure()

    assert await pool.fetch(hidden, week(0)) == []


SITES = ["in_begin", "after_begin", "in_part", "after_part", "in_finish"]


class DiedError(BaseException):
    pass


@pytest.mark.parametrize("site", SITES)
async def test_whoever_dies_loses_nothing_and_counts_nothing_twice(office: Office, site: str) -> None:
    for user in ("ada", "bo"):
        await office.person(user)
        office.act(user, at(0), "crm.record.created", object="opportunity", record=user, owner=user)
    await office.fold()

    def die(at_site: str) -> None:
        if at_site == site:
            raise DiedError

    for _ in range(2):
        with pytest.raises(DiedError):
            await office.measure(hook=die)
    await office.measure(NOW + timedelta(minutes=1))
    await office.measure(NOW + timedelta(minutes=1))

    await office.check()
    assert await office.pool.fetchval("select count(*) from metric_past") == 0
    assert await office.pool.fetchval("select count(*) from dirty") == 0


async def test_what_comes_while_others_are_measured_is_not_late_for_that(pool: Pool) -> None:
    """On the event clock a replay goes on by weeks while a pass is under way."""
    made = await Office.open(pool, clock="event")
    for user in ("ada", "bo"):
        await made.person(user)
    made.act(None, at(0))
    await made.measure()

    def die(at_site: str) -> None:
        if at_site == "after_begin":
            raise DiedError

    made.act("ada", at(1))
    with pytest.raises(DiedError):
        await made.measure(hook=die)
    for day in (2, 30):
        made.act("bo", at(day))
    await made.measure()
    begun = await made.cell("M11", week(0))
    await made.measure()
    gone_on = await made.cell("M11", week(0))
    await made.person("cy")
    await made.measure()

    assert (begun, gone_on) == ((1, 2, 0), (2, 2, 0))
    assert await made.cell("M11", week(0)) == (2, 3, 1)


async def test_time_that_goes_on_by_itself_is_followed_by_quarters_of_an_hour(pool: Pool) -> None:
    """Else somebody who waits takes weeks away that were judged: of those it is known how far time had come before."""
    made = await Office.open(pool, clock="event")
    made.act(None, at(0))
    await made.measure()
    for hour, due in ((9.2, []), (9.25, ["acme"]), (33, ["acme"])):
        made.act(None, at(0, hour))
        await made.fold()

        assert await measures.due(pool, NOW) == due
        if due:
            await made.measure()
            assert await pool.fetchval("select as_of from measured") == at(0, hour)
            assert await measures.due(pool, NOW) == []


async def test_two_measurers_at_once_count_once(office: Office) -> None:
    for number in range(8):
        await office.person(f"u{number}")
        office.act(f"u{number}", at(number))
    await office.fold()
    both = [measurer(office.pool, hook=lambda _site: None) for _ in range(2)]

    for _ in range(3):
        await asyncio.gather(*(each.measure("acme", NOW) for each in both), return_exceptions=True)
        office.act("u1", at(2))
        await office.fold()
    await office.measure()

    await office.check()


async def test_it_measures_what_is_committed_at_once(pool: Pool, database: str) -> None:
    office = await Office.open(pool)
    await office.person("ada")
    office.act("ada", at(0))
    await office.fold()
    await pool.execute("update position set drained_at = now() + interval '1 hour'")
    stop = asyncio.Event()
    running = asyncio.create_task(Measurer(pool, database, lambda: NOW).run(stop))
    try:
        await until(lambda: _is(office, (1, 1, 0)))
        await office.person("bo")
        await office.fold()
        await until(lambda: _is(office, (1, 2, 1)))
    finally:
        stop.set()
        await running


async def _is(office: Office, wanted: tuple[int, ...]) -> bool:
    return await office.cell("M11", week(0)) == wanted


async def test_what_concerns_a_tenant_reaches_everybody_in_parts(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.aggregator.measuring.spreading.AT_ONCE", 2)
    monkeypatch.setattr("services.aggregator.measurer.SUBJECTS", 2)
    for number in range(5):
        await office.person(f"u{number}")
        office.act(f"u{number}", at(5), "crm.record.created", object="opportunity", record=f"o{number}")
    await office.measure()
    assert await office.cell("M10", at(5).date()) is None

    async with transaction(office.pool) as tx:
        await tx.execute("update tenant set work_days = '{1,2,3,4,5,6}'")
        await soil_all(tx)
    await office.measure()

    await office.check()
    assert await office.cell("M10", at(5).date()) == (5, 5, 1)


async def test_a_late_event_does_not_wait_behind_a_whole_tenant(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        await office.person(f"u{number}")
        office.act(f"u{number}", at(5))
    await office.measure()
    monkeypatch.setattr("services.aggregator.measurer.SUBJECTS", 1)
    monkeypatch.setattr("services.aggregator.measurer.PASS_SECONDS", 0.001)
    await soil_all(office.pool)
    office.act("u3", at(3))
    passes = 0
    while await office.cell("M10", at(3).date()) == (0, 6, 0):
        await office.measure()
        passes += 1
        assert passes < 4
    assert await office.pool.fetchval("select count(*) from dirty") > 0

    monkeypatch.setattr("services.aggregator.measurer.PASS_SECONDS", 3600)
    await office.measure()

    await office.check()
    assert await office.cell("M10", at(3).date()) == (1, 6, 1)


async def test_who_cannot_be_measured_is_set_aside_and_holds_up_nobody(office: Office) -> None:
    for user in ("ada", "bo", "cy"):
        await office.person(user)
        office.act(user, at(0))
    await office.pool.execute("update person set time_zone = 'Nowhere/Atall' where user_id = 'bo'")
    await office.measure()
    assert await office.cell("M11", week(0)) == (2, 2, 0)
    assert not await measurer(office.pool).measure("acme", NOW)
    assert await office.pool.fetchval("select count(*) from dirty where subject = 'bo'") > 0

    await office.pool.execute("update person set time_zone = null")
    found = await rebuild_metrics(office.pool, "acme", lambda: NOW)
    await office.measure()

    await office.check()
    assert found.careers == 1
    assert await office.pool.fetchval("select count(*) from dirty") == 0
    assert (await office.cell("M11", week(0)))[:2] == (3, 3)


async def test_another_tenant_is_left_alone(office: Office) -> None:
    await add_tenant(office.pool, "other", clock="wall")
    await office.person("ada")
    office.act("ada", datetime(2026, 3, 3, tzinfo=UTC))
    await office.measure()

    assert await office.pool.fetchval("select count(*) from contribution where tenant = 'other'") == 0
    assert MONDAY.date() == week(0)


async def test_who_joins_later_is_told_in_steps_of_enough_people(pool: Pool) -> None:
    office = await Office.open(pool, min_group=3)
    for number in range(4):
        await office.person(f"n{number}", team="north", licensed_from=week(0))
        await office.person(f"s{number}", team="south", licensed_from=week(0))
    for number in range(2):
        await office.person(f"later{number}", team="south", licensed_from=week(0) + timedelta(days=1))
    office.act("n0", at(0))
    await office.measure()

    async def told(team: str | None = None) -> dict[int, int | None]:
        rows = await pool.fetch(
            """select day, step from metric_cell
               where metric = 'M3:1' and dimension = $1 and key = $2 and den > 0 order by day""",
            "team" if team else "tenant",
            team or "all",
        )
        return {(row["day"] - week(0)).days: row["step"] and (row["step"] - week(0)).days for row in rows}

    assert [await told(), await told("north"), await told("south")] == [{1: 1, 2: None}, {1: 1}, {1: 1, 2: None}]

    await office.person("last", team="north", licensed_from=week(1))
    await office.measure()
    assert [await told(), await told("north")] == [{1: 1, 2: 8, 8: 8}, {1: 1, 8: None}], "in no team are they enough"
    assert await told("south") == {1: 1, 2: None}

    await pool.execute("update licence set licensed_from = licensed_from + 1 where user_id in ('n0', 'n1')")
    await soil(pool, "n0", "n1", low=week(0))
    await office.measure()
    assert await told() == {1: 1, 2: 2, 8: None}
    assert await told("north") == {1: None, 2: None, 8: None}, "less the others two of them would be told"

    regrouped = await pool.fetch("select dimension, key, week from regrouped where dimension in ('tenant', 'team')")
    assert {tuple(row) for row in regrouped} == {
        ("tenant", "all", week(0)), ("team", "north", week(0)), *(("tenant", "all", week(n)) for n in (1, 2, 3)),
        *(("team", "north", week(n)) for n in (1, 2, 3)),
    }  # fmt: skip
