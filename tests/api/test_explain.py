"""Who is in a number and who is left out, as far as the reader may know."""

from datetime import timedelta
from typing import Any

import pytest

from services.postgres import Pool
from tests.api.conftest import Client, Connect
from tests.api.numbers import add_cells, add_contribution, hide, measure, week
from tests.api.test_auth import key
from tests.builders import add_person

GROUP = {"dimension": "team", "key": "north", "at": str(week(1))}


async def explained(client: Client, metric: str = "adoption.weekly_rate", **asked: Any) -> dict[str, Any]:
    answer = await client.get(f"/v1/metrics/{metric}/explain", params={**GROUP, **asked})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


@pytest.fixture
async def told(api: Client, pool: Pool) -> Client:
    """A team of three of whom one was active, one on leave, and a visitor from another team on Tuesday."""
    await measure(pool)
    for number in (0, 1):
        await add_cells(pool, [("M11", week(number), 1, 2), ("X:on_leave", week(number), 1, 0)])
    tuesday = week(1) + timedelta(days=1)
    await add_cells(pool, [("M10", week(1), 1, 2), ("M10", tuesday, 2, 3), ("M16:deal", tuesday, 20, 30)])
    both = {"M10@0": (1, 1), "M10@1": (1, 1), "M11": (1, 1), "M16:deal@1": (20, 30)}
    await add_contribution(pool, "ada", week(1), both)
    await add_contribution(pool, "ada", week(0), {"M11": (0, 1)})
    await add_contribution(pool, "bo", week(1), {"M10@0": (0, 1), "M10@1": (0, 1), "M11": (0, 1)})
    await add_contribution(pool, "cy", week(1), {"X:on_leave": (1, 0)}, reason="on_leave")
    await add_contribution(pool, "dora", week(1), both, team="south", moves={1: "north"})
    await add_contribution(pool, "erik", week(1), both, team="south", moves={1: "east"})
    return api


async def named(pool: Pool) -> list[tuple[str, str]]:
    rows = await pool.fetch("select route, subject from access_log order by seq")
    return [(row["route"], row["subject"]) for row in rows]


async def test_a_number_is_explained_by_its_people(told: Client, pool: Pool) -> None:
    body = await explained(told)

    assert {
        name: body[name] for name in ("num", "den", "value", "excluded", "numerator", "denominator", "left_out")
    } == {
        "num": 1,
        "den": 2,
        "value": 0.5,
        "excluded": {"on_leave": 1},
        "numerator": ["ada"],
        "denominator": ["ada", "bo"],
        "left_out": [{"user": "cy", "reason": "on_leave"}],
    }
    assert body["window"]["start"] == str(week(1))
    assert await named(pool) == [("/v1/metrics/explain", user) for user in ("ada", "bo", "cy")]


async def test_days_spent_elsewhere_are_explained_where_they_were_spent(told: Client) -> None:
    north = await explained(told, "adoption.daily_rate")
    south = await explained(told, "adoption.daily_rate", key="south")
    tuesday = await explained(told, "adoption.daily_rate", window="1d", at=str(week(1) + timedelta(days=1)))

    assert (north["denominator"], south["denominator"]) == (["ada", "bo", "dora"], ["dora", "erik"])
    assert [(day["num"], day["den"]) for day in north["days"][:3]] == [(1, 2), (2, 3), (None, None)]
    assert (tuesday["num"], tuesday["den"], tuesday["numerator"]) == (2, 3, ["ada", "dora"])


async def test_days_to_come_explain_nothing(told: Client, pool: Pool) -> None:
    monday, wednesday = week(4), week(4) + timedelta(days=2)
    await add_cells(pool, [("M10", monday, 1, 1), ("M10", wednesday, 0, 2), ("M11", monday, 1, 2)])
    await add_contribution(pool, "ada", monday, {"M10@0": (1, 1), "M10@2": (0, 1), "M11": (1, 1)})
    await add_contribution(pool, "bo", monday, {"M10@2": (0, 1), "M11": (0, 1)})

    body = await explained(told, "adoption.daily_rate", at=str(monday))

    assert (body["num"], body["den"], body["numerator"], body["denominator"]) == (1, 1, ["ada"], ["ada"])
    assert [day["day"] for day in body["days"]] == [str(monday)]


async def test_pages_follow_one_another(told: Client) -> None:
    first = await explained(told, "adoption.daily_rate", limit=2)
    second = await explained(told, "adoption.daily_rate", limit=2, cursor=first["next"])

    assert (first["denominator"], second["denominator"]) == (["ada", "bo"], ["dora"])
    third = await explained(told, "adoption.daily_rate", limit=2, cursor=second["next"])
    assert (third["denominator"], third["next"]) == ([], None)


async def test_records_are_explained_with_their_owners(told: Client, pool: Pool) -> None:
    await add_cells(pool, [("M25", week(1), 3, 40)])
    await add_contribution(pool, "deal\t7", week(1), {"M25": (3, 40)}, kind="record", owner="bo")

    body = await explained(told, "dq.score")

    assert (body["num"], body["den"], "numerator" in body) == (3, 40, False)
    assert body["records"] == [{"object": "deal", "record": "7", "owner": "bo", "num": 3, "den": 40}]
    assert await named(pool) == [("/v1/metrics/explain", "bo")]


async def test_what_adds_up_over_time_is_explained_by_all_of_it(told: Client, pool: Pool) -> None:
    await add_cells(pool, [("M1:3", week(0) + timedelta(days=4), 1, 2)])
    await add_contribution(pool, "finn", week(0), {"M1:3@4": (0, 1)})
    await pool.execute("""update contribution set counts = counts || '{"M1:3@4": [1, 1]}' where subject = 'ada'""")
    await pool.execute(
        "update contribution set counts = counts - 'M1:3@4' where subject = 'ada' and week = $1", week(1)
    )

    body = await explained(told, "access.connected_by", n="3")

    assert (body["num"], body["den"], body["reason"]) == (1, 2, "insufficient_sample")
    assert (body["numerator"], body["denominator"]) == (["ada"], ["ada", "finn"])


async def test_a_bound_key_is_told_of_its_line(told: Client, connect: Connect, pool: Pool) -> None:
    await add_person(pool, "bo", team="north")
    await add_person(pool, "cy", team="north", manager="bo")
    await add_person(pool, "ada", team="north")
    bo = connect(await key(told, "read", person="bo"))

    body = await explained(bo)
    elsewhere = await bo.get("/v1/metrics/adoption.weekly_rate/explain", params={**GROUP, "key": "south"})

    assert (body["num"], body["denominator"], body["left_out"][0]["user"]) == (1, ["bo"], "cy")
    assert elsewhere.status_code == 404


@pytest.mark.parametrize("visibility", ["off", "owner"])
async def test_where_single_persons_are_not_shown_there_are_counts_only(
    told: Client, connect: Connect, pool: Pool, visibility: str
) -> None:
    await told.patch("/v1/tenants/acme", json={"privacy": {"individual_visibility": visibility}})
    await add_person(pool, "bo", team="north")
    client = told if visibility == "off" else connect(await key(told, "read", person="bo"))

    body = await explained(client)

    assert (body["num"], body["den"], body["excluded"], body["individuals"]) == (1, 2, {"on_leave": 1}, False)
    assert {"numerator", "denominator", "left_out", "records"}.isdisjoint(body)
    assert await named(pool) == []


async def test_a_hidden_group_gives_nothing(told: Client, pool: Pool) -> None:
    await hide(pool, week(1))

    body = await explained(told)

    assert (body["num"], body["den"], body["excluded"], body["reason"]) == (None, None, None, "suppressed")
    assert {"numerator", "denominator", "left_out", "days"}.isdisjoint(body)
    assert await named(pool) == []


@pytest.mark.parametrize(
    ("metric", "params", "parameter"),
    [
        pytest.param("adoption.level", {}, "metric", id="a level"),
        pytest.param("access.last_seen_days", {}, "metric", id="what is known of single people only"),
        pytest.param("behaviour.in_crm_creation", {}, "object", id="creations of what?"),
        pytest.param("adoption.weekly_rate", {"window": "1d"}, "window", id="a weekly rate by day"),
        pytest.param("adoption.weekly_rate", {"cursor": "x"}, "cursor", id="a strange cursor"),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(
    api: Client, metric: str, params: dict[str, str], parameter: str
) -> None:
    answer = await api.get(f"/v1/metrics/{metric}/explain", params={**GROUP, **params})

    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, parameter)
