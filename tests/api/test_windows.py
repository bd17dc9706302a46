"""Windows over HTTP, against a plain model of the differences."""

import random
from collections import defaultdict
from datetime import date, timedelta
from typing import Any

import pytest

from services.api.store.windows import FIELDS, Place, Question, page_statement
from services.postgres import Connection, Pool
from tests.api.conftest import Client, Clock
from tests.builders import measured

TODAY = date(2026, 3, 2)
ORDER = {"1d": 1, "7d": 7, "28d": 28}
Delta = tuple[str, str, int, date, int, tuple[int, ...]]


async def write(connection: Connection, deltas: list[Delta], tenant: str = "acme") -> None:
    await connection.executemany(
        f"""insert into window_delta (tenant, dimension, key, days, day, shard, {", ".join(FIELDS)})
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)""",
        [(tenant, dimension, key, days, day, shard, *values) for dimension, key, days, day, shard, values in deltas],
    )


def random_deltas(rng: random.Random) -> list[Delta]:
    made: list[Delta] = []
    groups = [("tenant", "all"), *(("team", f"t{n}") for n in range(4)), *(("role", f"r{n}") for n in range(2))]
    for dimension, key in groups:
        for days in (1, 7, 28):
            for shard in range(3):
                for offset in rng.sample(range(-20, 30), rng.randint(0, 8)):
                    values = tuple(rng.randint(-2, 3) for _ in FIELDS)
                    made.append(
                        (dimension, key, days, TODAY - timedelta(days=20) + timedelta(days=offset), shard, values)
                    )
    return made


def model(deltas: list[Delta], first: date, last: date) -> list[tuple[Any, ...]]:
    groups: dict[tuple[str, str, int], list[Delta]] = defaultdict(list)
    for delta in deltas:
        groups[delta[:3]].append(delta)
    cells = []
    for (dimension, key, days), mine in sorted(groups.copy().items()):
        as_of = first
        while as_of <= last:
            values = [sum(delta[5][n] for delta in mine if delta[3] <= as_of) for n in range(len(FIELDS))]
            for n in (FIELDS.index("actions"), FIELDS.index("active_user_days")):
                values[n] -= values[n] if days == 1 else 0
                held = (delta for delta in groups[dimension, key, 1] if 0 <= (as_of - delta[3]).days < days)
                values[n] += sum(delta[5][n] for delta in held)
            if values[0] > 0:
                cells.append((dimension, key, days, as_of.isoformat(), *values))
            as_of += timedelta(days=1)
    return cells


async def listed(api: Client, limits: random.Random | None = None, **params: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor = None
    while True:
        limit = limits.choice([1, 2, 3, 7, 50, 1000]) if limits else 1000
        asked = {**params, "limit": limit, **({"cursor": cursor} if cursor else {})}
        answer = await api.get("/v1/windows", params=asked)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["items"]) <= limit
        items += page["items"]
        cursor = page["next"]
        if cursor is None:
            return items


def cells(items: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(i["dimension"], i["key"], ORDER[i["window"]], i["as_of"], *(i[f] for f in FIELDS)) for i in items]


@pytest.mark.parametrize("seed", range(12))
async def test_windows_equal_the_sum_of_their_differences_however_they_are_paged(
    api: Client, pool: Pool, seed: int
) -> None:
    rng = random.Random(seed)
    deltas = random_deltas(rng)
    await write(pool, deltas)
    await write(pool, [("team", "t1", 7, TODAY, 0, (9, 9, 9, 9, 9, 9))], tenant="other")
    first = TODAY - timedelta(days=rng.randint(0, 45))
    last = first + timedelta(days=rng.randint(0, 60))
    want = model(deltas, first, min(last, TODAY))
    span = {"from": str(first), "to": str(last)}

    assert cells(await listed(api, rng, **span)) == want
    for dimension in ("tenant", "team", "role"):
        of_one = [cell for cell in want if cell[0] == dimension]
        assert cells(await listed(api, rng, dimension=dimension, **span)) == of_one
        got = cells(await listed(api, rng, dimension=dimension, window="7d", **span))
        assert got == [cell for cell in of_one if cell[2] == 7]
    got = cells(await listed(api, rng, key="t2", window="28d", **span))
    assert got == [cell for cell in want if cell[1:3] == ("t2", 28)]


async def test_the_last_28_days_are_shown_when_nothing_is_said(api: Client, pool: Pool) -> None:
    await write(pool, [("tenant", "all", 1, date(2020, 1, 1), 0, (10, 5, 4, 9, 5, 0))])

    items = await listed(api)

    assert [item["as_of"] for item in items] == [str(TODAY - timedelta(days=27 - n)) for n in range(28)]
    assert items[0]["active_rate"] == {"num": 5, "den": 10, "value": 0.5}
    assert items[0]["login_rate"] == {"num": 4, "den": 10, "value": 0.4}


async def test_a_window_is_open_then_provisional_then_final_or_restated(api: Client, pool: Pool, clock: Clock) -> None:
    await api.patch("/v1/tenants/acme", json={"time_zone": "Europe/Berlin"})
    await write(pool, [("tenant", "all", 1, date(2026, 2, 1), 0, (10, 0, 0, 0, 0, 0))])
    await write(pool, [("tenant", "all", 1, date(2026, 2, 10), 0, (0, 1, 0, 0, 0, 1))])
    await write(pool, [("tenant", "all", 1, date(2026, 2, 11), 0, (0, -1, 0, 0, 0, -1))])

    async def states() -> dict[str, str]:
        return {item["as_of"]: item["state"] for item in await listed(api)}

    seen = await states()
    assert (seen["2026-03-02"], seen["2026-03-01"], seen["2026-02-28"]) == ("open", "provisional", "provisional")
    assert (seen["2026-02-27"], seen["2026-02-10"], seen["2026-02-11"]) == ("final", "restated", "final")
    end_of_the_28th = clock.now.replace(month=2, day=28, hour=23)
    clock.now = end_of_the_28th + timedelta(hours=50, seconds=-1)
    assert (await states())["2026-02-28"] == "provisional"
    clock.now = end_of_the_28th + timedelta(hours=50)
    assert (await states())["2026-02-28"] == "final"


async def test_a_small_group_is_not_shown(api: Client, pool: Pool) -> None:
    await api.patch("/v1/tenants/acme", json={"privacy": {"min_group": 5}})
    await measured(pool)
    await write(
        pool, [("team", "small", 1, TODAY, 0, (4, 3, 2, 9, 3, 0)), ("team", "tall", 1, TODAY, 0, (5, 3, 2, 9, 3, 0))]
    )

    small, tall = await listed(api)

    assert small["reason"] == "suppressed"
    hidden = ("licensed", "active", "logged_in", "actions", "active_user_days", "active_rate", "login_rate")
    assert {small[name] for name in hidden} == {None}
    assert (tall["licensed"], "reason" in tall) == (5, False)


async def test_on_the_event_clock_today_is_the_day_of_the_newest_event(api: Client, pool: Pool) -> None:
    await api.patch("/v1/tenants/acme", json={"clock": "event"})
    await write(pool, [("tenant", "all", 1, date(2013, 1, 1), 0, (10, 0, 0, 0, 0, 0))])
    assert await listed(api) == []
    assert await listed(api, **{"from": "2013-01-01", "to": "2013-12-31"}) == []
    assert await listed(api, **{"from": "2013-01-01"}) == await listed(api, to="2013-12-31") == []

    await pool.execute(
        """insert into tally (tenant, shard, newest)
           values ('acme', 0, '2013-01-05 08:00Z'), ('acme', 1, '2013-01-03 08:00Z')"""
    )

    assert [item["as_of"] for item in await listed(api)][-1] == "2013-01-05"
    assert len(await listed(api, **{"from": "2012-01-01", "to": "2016-12-31"})) == 5
    assert await listed(api, **{"from": "2013-01-06"}) == []


@pytest.mark.parametrize(
    "params",
    [
        pytest.param({"from": "2026-03-02", "to": "2026-03-01"}, id="from after to"),
        pytest.param({"from": "2026-13-01"}, id="a thirteenth month"),
        pytest.param({"from": "infinity"}, id="infinity"),
        pytest.param({"to": "0001-01-01"}, id="the year 1"),
        pytest.param({"to": "9999-12-31"}, id="the year 9999"),
        pytest.param({"to": "1500000000"}, id="a number"),
        pytest.param({"to": "2026-01-01T00:00:00Z"}, id="a time"),
        pytest.param({"dimension": "person"}, id="another dimension"),
        pytest.param({"window": "30d"}, id="another window"),
        pytest.param({"key": "x" * 257}, id="a long key"),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(api: Client, params: dict[str, str]) -> None:
    answer = await api.get("/v1/windows", params=params)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] in (*params, "from")


async def test_a_cursor_belongs_to_its_question_and_tenant(api: Client, pool: Pool) -> None:
    await api.post("/v1/tenants", json={"id": "other"})
    await write(pool, [("team", "a", 1, date(2020, 1, 1), 0, (10, 0, 0, 0, 0, 0))])
    cursor = (await api.get("/v1/windows?limit=1")).json()["next"]

    same = await api.get("/v1/windows", params={"cursor": cursor, "limit": 5})
    other_filter = await api.get("/v1/windows", params={"cursor": cursor, "dimension": "team"})
    other_tenant = await api.get("/v1/windows", params={"cursor": cursor}, headers={"Uptake-Tenant": "other"})

    assert [same.status_code, other_filter.status_code, other_tenant.status_code] == [200, 422, 422]
    assert len(same.json()["items"]) == 5


async def test_writes_between_two_pages_neither_repeat_nor_skip_what_was_there(api: Client, pool: Pool) -> None:
    await write(pool, [("team", key, 1, TODAY, 0, (10, 0, 0, 0, 0, 0)) for key in ("b", "d", "f")])
    first = (await api.get("/v1/windows?limit=2")).json()
    await write(pool, [("team", key, 1, TODAY, 0, (10, 0, 0, 0, 0, 0)) for key in ("a", "c", "e")])

    second = (await api.get("/v1/windows", params={"limit": 9, "cursor": first["next"]})).json()

    assert [item["key"] for item in first["items"] + second["items"]] == ["b", "d", "e", "f"]


def scans(plan: dict[str, Any]) -> list[dict[str, Any]]:
    found = [plan] if plan.get("Relation Name") == "window_delta" else []
    return found + [scan for child in plan.get("Plans", []) for scan in scans(child)]


async def test_a_page_reads_its_own_groups_and_no_others(pool: Pool) -> None:
    await pool.execute(
        """insert into window_delta (tenant, dimension, key, days, day, shard, licensed, active)
           select 'acme', 'team', 't' || lpad(t::text, 4, '0'), w, date '2025-01-01' + d * 10, s, 1, 1
           from generate_series(1, 1000) t, unnest(array[1, 7, 28]) w,
                generate_series(0, 19) d, generate_series(0, 1) s"""
    )
    await pool.execute("analyze window_delta")
    rows = 1000 * 3 * 20 * 2
    last = date(2025, 7, 30)
    for windows in ([1, 7, 28], [7]):
        for dimensions in (["team"], ["role", "team", "tenant"]):
            for after in (None, Place("team", "t0500", 7, last)):
                question = Question(dimensions, None, windows, last, last)
                statement, arguments = page_statement("acme", question, after, 100)
                answer = await pool.fetchval(f"explain (analyze, buffers, format json) {statement}", *arguments)
                plan = answer[0]["Plan"]

                found = scans(plan)
                assert found
                assert all("Index" in scan["Node Type"] for scan in found)
                read = sum(scan["Actual Rows"] * scan["Actual Loops"] for scan in found)
                assert read < 101 * (40 + 2) * 1.2 < rows / 20
                assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 2500


async def test_the_whole_history_may_be_asked_for(api: Client) -> None:
    answer = await api.get("/v1/windows?from=1900-01-01&to=2200-12-31")

    assert answer.status_code == 200
