"""Values against a baseline, and how far a group has come, over HTTP."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pytest

from services.postgres import Pool
from tests.api.conftest import Client
from tests.api.numbers import MONDAY, add_cells, add_contribution, hide, measure, week

GROUP = {"dimension": "team", "key": "north"}
SPAN = {"from": str(MONDAY), "to": str(week(4) - timedelta(days=1))}
Stood = Mapping[str, tuple[str | None, int]]


async def values(api: Client, metric: str, **asked: Any) -> list[dict[str, Any]]:
    answer = await api.get(f"/v1/metrics/{metric}", params={**GROUP, **SPAN, **asked})
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def add_week(pool: Pool, day: date, stood: Stood) -> None:
    """Write a week as the measurer would; ``stood``: by person the team, and whether they were active."""
    for user, (team, active) in stood.items():
        await add_contribution(pool, user, day, {"M11": (active, 1)} if team else {}, team=team or "north")
    north = [active for team, active in stood.values() if team == "north"]
    await add_cells(pool, [("M11", day, sum(north), len(north))])


async def add_wave(pool: Pool, go_live: date) -> None:
    await pool.execute("insert into wave (tenant, id, name, go_live) values ('acme', 'all', 'All', $1)", go_live)


BASE: Stood = {
    **{f"kept{n}": ("north", 1) for n in range(5)},
    **{f"lost{n}": ("north", 1) for n in range(3)},
    "gained": ("north", 0),
    "leaver": ("north", 1),
    "mover": ("north", 0),
    "other": ("south", 1),
}
NOW: Stood = {
    **{f"kept{n}": ("north", 1) for n in range(5)},
    **{f"lost{n}": ("north", 0) for n in range(3)},
    "gained": ("north", 1),
    "leaver": (None, 0),
    "mover": ("south", 1),
    "other": ("north", 1),
    "joiner": ("north", 0),
}


async def test_a_change_tells_by_how_much_and_who_is_behind_it(api: Client, pool: Pool) -> None:
    await measure(pool)
    await add_wave(pool, MONDAY - timedelta(days=3))
    await add_week(pool, week(0), BASE)
    await add_week(pool, week(2), NOW)

    base, missing, now, _ = await values(api, "adoption.weekly_rate", baseline="week1")
    fall = (await values(api, "adoption.change_vs"))[2]

    assert (base["change"], missing["change"]) == (
        {"baseline": "week1", "reason": "missing_baseline"},
        {"baseline": "week1", "reason": "no_expected_people"},
    )
    change = now["change"]
    assert (change["num"], change["den"], change["window"]["start"], change["reason"]) == (9, 11, str(week(0)), None)
    assert change["relative"] == 2 / 9
    assert change["people"] == {
        "kept": 5,
        "lost": 3,
        "gained": 1,
        "idle": 0,
        "leavers": {"people": 1, "hits": 1},
        "moved_out": {"people": 1, "hits": 0},
        "joiners": {"people": 1, "hits": 0},
        "moved_in": {"people": 1, "hits": 1},
    }
    assert abs(sum(change["parts"].values()) - change["points"]) < 1e-9
    assert change["p"] == 5 / 16
    assert (fall["num"], fall["den"], fall["value"], fall["change"]) == (2, 9, 2 / 9, change)
    assert (fall["metric"], fall["parameter"]) == ("adoption.change_vs", {"baseline": "week1"})


async def test_whom_a_reader_may_not_see_is_not_told_by_a_change(api: Client, pool: Pool) -> None:
    await api.patch("/v1/tenants/acme", json={"privacy": {"min_group": 5, "individual_visibility": "off"}})
    await measure(pool)
    await add_wave(pool, MONDAY - timedelta(days=3))
    await add_week(pool, week(0), BASE)
    await add_week(pool, week(2), NOW)

    change = (await values(api, "adoption.weekly_rate", baseline="week1"))[2]["change"]
    await hide(pool, week(0))
    hidden = (await values(api, "adoption.weekly_rate", baseline="week1"))[2]["change"]

    assert (change["points"] > 0, change["people"], change["parts"], change["p"]) == (True, None, None, None)
    assert hidden == {"baseline": "week1", "reason": "missing_baseline"}


async def test_the_trailing_base_and_annotations(api: Client, pool: Pool) -> None:
    await measure(pool)
    rates = [8, 9, 6, 7]
    await add_cells(pool, [("M25", week(n) - timedelta(weeks=3), rate * 10, 100) for n, rate in enumerate(rates)])
    await add_cells(pool, [("M25", week(1), 35, 100)])

    trailing = await values(api, "dq.valid_completeness", baseline="trailing4")
    unknown = await values(api, "dq.score", baseline="annotation:7")
    begun = {"id": "reset", "kind": "reset", "title": "Fewer fields", "starts_on": str(week(-1) - timedelta(days=2))}
    assert (await api.post("/v1/annotations", json=begun)).status_code == 201
    noted = await values(api, "dq.valid_completeness", baseline="annotation:reset")

    assert trailing[1]["change"] | {"window": None} == {
        "baseline": "trailing4",
        "window": None,
        "num": 70,
        "den": 100,
        "value": 0.7,
        "relative": 0.5,
        "points": 35.0,
        "p": None,
        "insufficient": False,
        "people": None,
        "parts": None,
        "reason": None,
    }
    assert unknown[1]["change"] == {"baseline": "annotation:7", "reason": "missing_baseline"}
    told = noted[1]["change"]
    assert (str(week(-1)) in told["window"].values(), told["num"]) == (True, 60)
    assert told["relative"] == pytest.approx(1 - 35 / 60)


async def test_a_level_is_told_with_its_gates_and_the_first_question(api: Client, pool: Pool) -> None:
    await measure(pool)
    await add_wave(pool, date(2025, 12, 15))
    await add_cells(pool, [("M10", week(n), 57, 60) for n in range(4)])
    await add_cells(pool, [("M11", week(n), 12, 12) for n in range(4)])
    await add_cells(pool, [("M16:deal", week(2), 10, 10), ("M16:lead", week(3), 9, 10)])
    await add_cells(pool, [("M25", week(3), 60, 100), ("M26", week(3), 1, 60)])
    await hide(pool, week(0))

    first, *_, last = await values(api, "adoption.level")

    assert (first["verdict"], first["level"], first["gates"], first["reason"]) == ("too-small", 0, [], "suppressed")
    assert {name: last[name] for name in ("level", "verdict", "phase", "governing_layer", "state", "reason")} == {
        "level": 1,
        "verdict": "superficial",
        "phase": "stabilization-2",
        "governing_layer": "data_quality",
        "state": "provisional",
        "reason": None,
    }
    assert last["question"].startswith("Which fields are asked for")
    assert [(g["metric"], g["num"], g["den"], g["target"], g["passed"], g["reason"]) for g in last["gates"]] == [
        ("adoption.daily_rate", 57, 60, 85, True, None),
        ("behaviour.in_crm_creation", None, None, 80, None, "suppressed"),
        ("behaviour.pre_meeting_update", None, None, 80, None, "missing_field_states"),
        ("dq.score", 60, 100, 80, False, None),
    ]
    await pool.execute("delete from hidden_group")
    last = (await values(api, "adoption.level"))[-1]
    assert (last["level"], last["gates"][1]["num"], last["gates"][1]["den"]) == (2, 19, 20)


async def test_months_at_target_count_final_months_in_a_row(api: Client, pool: Pool) -> None:
    await measure(pool)
    start = date(2025, 11, 3)
    await add_cells(pool, [("M12", start + timedelta(weeks=n), 8 if n == 1 else 9, 10) for n in range(17)])

    found = await values(api, "adoption.months_at_target", **{"from": "2025-11-01", "to": "2026-03-02"})

    assert [(item["window"]["start"], item["value"], item["state"]) for item in found] == [
        ("2025-11-01", 0.0, "final"),
        ("2025-12-01", 1.0, "final"),
        ("2026-01-01", 2.0, "final"),
        ("2026-02-01", 3.0, "final"),
        ("2026-03-01", 3.0, "open"),
    ]
