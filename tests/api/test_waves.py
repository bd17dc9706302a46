"""Waves and their connection over HTTP."""

from typing import Any

import pytest

from services.postgres import Pool
from tests.api.conftest import Client, Connect
from tests.builders import measured

WAVE = {"id": "north", "name": "North", "go_live": "2026-03-02", "scope": {"teams": ["North"]}, "sponsor": "dustin"}


async def connected(pool: Pool, rows: list[tuple[int, int, int, bool, list[str]]]) -> None:
    await pool.executemany(
        """insert into wave_connection (tenant, wave, n, num, den, settled, missing)
           values ('acme', 'north', $1, $2, $3, $4, $5)""",
        rows,
    )


async def test_a_wave_is_declared_once_and_told_to_the_evaluator(api: Client, pool: Pool) -> None:
    made = await api.post("/v1/waves", json=WAVE)

    assert made.status_code == 201
    assert {name: made.json()[name] for name in WAVE} == WAVE
    assert (await api.post("/v1/waves", json=WAVE)).status_code == 409
    assert (await api.get("/v1/waves/north")).json() == made.json()
    assert (await api.get("/v1/waves")).json() == {"items": [made.json()], "next": None}
    assert await pool.fetchval("select version from tally where tenant = 'acme' and shard = -1") == 1


async def test_a_repeated_declaration_gets_the_first_answer(api: Client, pool: Pool) -> None:
    headers = {"Idempotency-Key": "w"}

    first = await api.post("/v1/waves", json=WAVE, headers=headers)
    again = await api.post("/v1/waves", json=WAVE, headers=headers)
    other = await api.post("/v1/waves", json={**WAVE, "id": "south"}, headers=headers)

    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert again.json() == first.json()
    assert await pool.fetchval("select count(*) from wave") == 1


@pytest.mark.parametrize(
    "change",
    [
        {"id": "a b"},
        {"go_live": "soon"},
        {"go_live": "9999-12-31"},
        {"go_live": None},
        {"scope": {"everyone": True}},
        {"scope": {"teams": "North"}},
        {"scope": {"teams": ["\u0000"]}},
        {"scope": {"people": [""]}},
        {"name": ""},
        {"sponsor": 5},
    ],
    ids=str,
)
async def test_a_bad_wave_is_refused(api: Client, change: dict[str, Any]) -> None:
    assert (await api.post("/v1/waves", json={**WAVE, **change})).status_code == 422


async def test_connection_is_shown_as_it_was_computed(api: Client, pool: Pool) -> None:
    await api.post("/v1/waves", json=WAVE)
    assert (await api.get("/v1/waves/north/connection")).json() == {"items": []}
    await connected(pool, [(0, 1, 3, True, ["bo", "cy"]), (1, 2, 3, False, ["cy"]), (4, 2, 3, False, ["cy"])])

    items = (await api.get("/v1/waves/north/connection")).json()["items"]

    assert items == [
        {"n": 0, "num": 1, "den": 3, "value": 1 / 3, "settled": True, "missing": ["bo", "cy"]},
        {"n": 1, "num": 2, "den": 3, "value": 2 / 3, "settled": False, "missing": ["cy"]},
    ]


async def test_a_wave_of_nobody_has_no_rate(api: Client, pool: Pool) -> None:
    await api.post("/v1/waves", json=WAVE)
    await connected(pool, [(0, 0, 0, True, [])])

    item = (await api.get("/v1/waves/north/connection")).json()["items"][0]

    assert (item["num"], item["den"], item["value"]) == (0, 0, None)


async def test_without_visibility_no_name_and_no_small_cohort_is_shown(api: Client, pool: Pool) -> None:
    await api.patch("/v1/tenants/acme", json={"privacy": {"min_group": 5, "individual_visibility": "off"}})
    await measured(pool)
    await api.post("/v1/waves", json=WAVE)
    await connected(pool, [(0, 1, 3, True, ["bo", "cy"]), (1, 2, 6, True, ["cy"])])

    small, tall = (await api.get("/v1/waves/north/connection")).json()["items"]

    assert small == {"n": 0, "num": None, "den": None, "value": None, "settled": True, "reason": "suppressed"}
    assert tall == {"n": 1, "num": 2, "den": 6, "value": 1 / 3, "settled": True}


async def test_a_bound_key_sees_no_wave(api: Client, connect: Connect) -> None:
    await api.post("/v1/waves", json=WAVE)
    made = (await api.post("/v1/keys", json={"tenant": "acme", "scopes": ["read"], "person": "dustin"})).json()
    client = connect(made["key"])

    assert (await client.get("/v1/waves")).json()["items"] == []
    for path in ("north", "north/connection"):
        seen, missing = await client.get(f"/v1/waves/{path}"), await client.get("/v1/waves/none")
        assert (seen.status_code, seen.content) == (404, missing.content)
