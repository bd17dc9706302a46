"""Deals from the log to the numbers of teams: due fields, reviews, new owners, weeks in which nothing happens."""

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from services.postgres import Pool, transaction
from tests.aggregator.measured import soil, soil_all
from tests.aggregator.metered import NOW, Office, at, queue, week
from tests.metrics.deals import REGISTRY


@pytest.fixture
async def office(pool: Pool) -> Office:
    """Ada of the north and eve of the south report to bo; their CRM is that of ``REGISTRY``."""
    made = await Office.open(pool, fields=msgspec.to_builtins(REGISTRY))
    await made.person("bo", team="leads")
    for user, team in (("ada", "north"), ("eve", "south")):
        await made.person(user, team=team, manager="bo")
    return made


def tell(office: Office, user: str, day: float, kind: str = "updated", **data: Any) -> None:
    """Log that somebody did something with the one deal."""
    office.act(user, at(day), f"crm.record.{kind}", object="deal", record="7", **data)


async def numbers(office: Office, number: int, team: str = "north") -> dict[str, tuple[int, int]]:
    """Return the numbers of records of a team in a week, by code; of those that count by the day, with the offset."""
    rows = await office.pool.fetch(
        """select metric, day - $1 as day, num, den from metric_cell
           where dimension = 'team' and key = $2 and day >= $1 and day < $1 + 7 and den > 0""",
        week(number),
        team,
    )
    wanted = {f"M{code}" for code in (17, 18, 25, 26, 27, 28, 29, 30, 31, 32)} | {"M29r"}
    return {
        row["metric"] + (f"@{row['day']}" if row["metric"] in ("M29", "M29r", "M30") else ""): (row["num"], row["den"])
        for row in rows
        if row["metric"] in wanted
    }


async def test_a_deal_counts_week_by_week_also_where_nothing_happens(office: Office) -> None:
    filled = {"Amount": "filled", "NextStep": "filled"}
    tell(office, "ada", 1, "created", owner="ada", stage="First", close_date="2026-03-20", fields=filled)
    tell(office, "ada", 8, "stage_changed", stage="Proposal", fields={"Budget__c": "placeholder"})
    tell(office, "bo", 9, "viewed")
    office.act("bo", at(10), "meeting.held", origin="sync")
    await office.measure()

    assert await numbers(office, 0) == {
        "M18": (0, 1),
        "M25": (1, 1),
        "M26": (0, 1),
        "M27": (0, 1),
        "M28": (1, 1),
        "M30@1": (0, 1),
        "M31": (1, 1),
    }
    second = {"M18": (1, 1), "M25": (1, 2), "M26": (1, 2), "M27": (0, 1), "M28": (1, 1), "M31": (0, 1)}
    assert await numbers(office, 1) == {**second, "M17": (1, 1)}
    assert await numbers(office, 2) == {**second, "M27": (1, 1), "M28": (0, 1)}
    await office.check()


async def test_a_won_deal_is_handed_over_and_leaves(office: Office) -> None:
    await office.person("cy", team="care", role="success")
    tell(office, "ada", 0, "created", owner="ada")
    tell(office, "ada", 4, "stage_changed", stage="Closed Won", fields={"Contact": "filled"})
    tell(office, "ada", 7, fields={"Goals": "filled"})
    tell(office, "cy", 8, "viewed")
    await office.measure()

    won = await numbers(office, 0)
    assert {code: won[code] for code in ("M29@4", "M29r@4", "M25")} == {
        "M29@4": (1, 1),
        "M29r@4": (1, 1),
        "M25": (0, 3),
    }
    assert await numbers(office, 1) == {}
    await office.check()


async def test_numbers_move_with_the_owner_and_follow_what_comes_late(office: Office) -> None:
    tell(office, "ada", 1, "created", owner="ada", fields={"Amount": "filled"})
    await office.measure()
    tell(office, "bo", 8, owner="eve")
    await office.measure()
    assert ("M25" in await numbers(office, 1), "M25" in await numbers(office, 1, "south")) == (False, True)
    assert (await numbers(office, 0))["M25"] == (1, 1)

    tell(office, "ada", 2, fields={"Amount": "empty"})
    tell(office, "ada", 14, "merged")
    await office.measure()
    assert (await numbers(office, 0))["M25"] == (0, 1)
    assert (await numbers(office, 0))["M30@1"] == (1, 1)
    assert (await numbers(office, 2, "south"))["M25"] == (0, 1)
    await office.check()


async def test_a_new_registry_holds_for_all_weeks(office: Office) -> None:
    tell(office, "ada", 1, "created", owner="ada", fields={"Amount": "filled"})
    await office.measure()
    registry = msgspec.to_builtins(REGISTRY)
    registry["objects"]["deal"]["decision"].append("Region")
    await office.pool.execute("update tenant set fields = $1 where id = 'acme'", registry)
    async with office.pool.acquire() as connection, connection.transaction():
        await soil_all(connection)
    await office.measure()

    assert (await numbers(office, 0))["M25"] == (await numbers(office, 2))["M25"] == (1, 2)
    assert NOW.date() > date(2026, 3, 20)
    await office.check()


async def test_a_deal_waits_for_its_owner_to_become_known(office: Office) -> None:
    tell(office, "robot", 1, "created", owner="x-17", origin="sync", fields={"Amount": "filled"})
    await office.measure()
    assert await numbers(office, 1) == {}

    await office.merge("x-17", "ada")
    await office.measure()
    assert (await numbers(office, 1))["M25"] == (1, 1)
    await office.check()


async def test_a_review_that_is_told_of_under_two_names_of_one_person_is_one(office: Office) -> None:
    await office.merge("hub-1", "bo")
    tell(office, "ada", 1, "created", owner="ada", stage="First", close_date="2026-03-20")
    for name in ("bo", "hub-1"):
        office.act(name, at(3), "meeting.held", origin="sync")
    await office.measure()

    assert (await numbers(office, 0))["M17"] == (1, 1)
    await office.check()


@pytest.mark.parametrize("licensed_from", [date(2026, 1, 1), None])
async def test_reviews_follow_their_holder_from_team_to_team(office: Office, licensed_from: date | None) -> None:
    await office.person("gil", team="south", licensed_from=licensed_from)
    for record, owner in (("7", "ada"), ("8", "eve")):
        data = {"object": "deal", "record": record, "owner": owner, "close_date": "2026-03-31"}
        office.act(owner, at(0), "crm.record.created", **data)
    office.act("gil", at(3), "meeting.held", origin="sync")
    await office.measure()
    assert ["M17" in await numbers(office, 0, team) for team in ("north", "south")] == [False, True]

    await office.move("gil", at(-1).date(), "north")
    await office.measure()

    assert ["M17" in await numbers(office, 0, team) for team in ("north", "south")] == [True, False]
    await office.check()


async def test_reviews_follow_who_their_holder_turns_out_to_be_though_neither_is_live(office: Office) -> None:
    await office.person("gil", team="south", licensed_from=None)
    await office.person("gil-2", team="north", licensed_from=None)
    for record, owner in (("7", "ada"), ("8", "eve")):
        data = {"object": "deal", "record": record, "owner": owner, "close_date": "2026-03-31"}
        office.act(owner, at(0), "crm.record.created", **data)
    office.act("gil-2", at(3), "meeting.held", origin="sync")
    await office.measure()
    assert ["M17" in await numbers(office, 0, team) for team in ("north", "south")] == [True, False]

    await office.merge("gil-2", "gil")
    await office.measure()
    assert ["M17" in await numbers(office, 0, team) for team in ("north", "south")] == [False, True]
    await office.check()

    async with transaction(office.pool) as tx:
        await tx.execute("delete from alias")
        await queue(tx, "gil-2")
    await office.measure()
    assert ["M17" in await numbers(office, 0, team) for team in ("north", "south")] == [True, False]
    await office.check()


async def test_a_handover_waits_for_the_working_days_that_its_seller_turns_out_to_have(office: Office) -> None:
    tell(office, "ada", 0, "created", owner="ada")
    tell(office, "ada", 4, "stage_changed", stage="Closed Won", fields={"Contact": "filled"})
    tell(office, "ada", 9, fields={"Goals": "filled"})
    await office.measure()
    assert (await numbers(office, 0))["M29@4"] == (0, 1)

    tuesday = week(1) + timedelta(days=1)
    async with transaction(office.pool) as tx:
        await tx.execute("update membership set valid_to = $1 where user_id = 'ada'", tuesday)
        sql = """insert into membership (tenant, user_id, valid_from, team, role, work_days)
                 values ('acme', 'ada', $1, 'north', 'seller', '{4,5}')"""
        await tx.execute(sql, tuesday)
        await soil(tx, "ada", low=tuesday)
        await queue(tx, "ada")
    await office.measure()

    assert (await numbers(office, 0))["M29@4"] == (1, 1)
    await office.check()
