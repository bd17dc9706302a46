"""Tenants over HTTP."""

import asyncio
from typing import Any

import pytest

from services.postgres import Pool
from tests.api.conftest import Client, Connect


async def test_a_tenant_has_a_default_for_everything_but_its_id(connect: Connect) -> None:
    made = await connect().post("/v1/tenants", json={"id": "acme"})

    assert made.status_code == 201
    body = made.json()
    del body["created_at"], body["updated_at"]
    assert body == {
        "id": "acme",
        "name": "acme",
        "time_zone": "UTC",
        "clock": "wall",
        "day_counting": "working",
        "work_days": [1, 2, 3, 4, 5],
        "holidays": [],
        "first_day_of_week": 1,
        "connected_by": "activity",
        "privacy": {"min_group": 5, "individual_visibility": "manager", "instants": "exact", "retention": {}},
        "roles": {},
        "labels": {},
    }


async def test_an_id_is_given_once(api: Client) -> None:
    again = await api.post("/v1/tenants", json={"id": "acme"})

    assert again.status_code == 409
    assert again.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("setting", "pointer"),
    [
        pytest.param({"time_zone": "Mars/Phobos"}, "/time_zone", id="no such time zone"),
        pytest.param({"time_zone": "../../etc/passwd"}, "/time_zone", id="a path for a time zone"),
        pytest.param({"time_zone": "America"}, "/time_zone", id="a directory of time zones"),
        pytest.param({"clock": "sun"}, "/clock", id="no such clock"),
        pytest.param({"work_days": []}, "/work_days", id="a week without a working day"),
        pytest.param({"work_days": [0]}, "/work_days/0", id="a day before Monday"),
        pytest.param({"work_days": [True]}, "/work_days/0", id="true for a day"),
        pytest.param({"holidays": ["2026-02-30"]}, "/holidays/0", id="a day that does not exist"),
        pytest.param({"holidays": [1500000000]}, "/holidays/0", id="a number for a day"),
        pytest.param({"first_day_of_week": 8}, "/first_day_of_week", id="an eighth day"),
        pytest.param({"privacy": {"min_group": 0}}, "/privacy/min_group", id="a group of nobody"),
        pytest.param({"privacy": {"min_group": 10**30}}, "/privacy/min_group", id="a group beyond any integer"),
        pytest.param({"privacy": {"who": 1}}, "/privacy/who", id="an unknown privacy setting"),
        pytest.param({"privcy": {}}, "/privcy", id="a misspelt setting"),
        pytest.param({"name": "a\x00b"}, "/name", id="a NUL in the name"),
        pytest.param({"name": ""}, "/name", id="no name"),
        pytest.param({"labels": {"a": 1}}, "/labels/a", id="a number for a label"),
        pytest.param({"id": "a/b"}, "/id", id="a slash in the id"),
        pytest.param({"id": "x" * 65}, "/id", id="a long id"),
    ],
)
async def test_a_bad_setting_is_refused_with_its_place(connect: Connect, setting: dict[str, Any], pointer: str) -> None:
    answer = await connect().post("/v1/tenants", json={"id": "acme", **setting})

    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


async def test_settings_change_one_by_one(api: Client) -> None:
    changed = await api.patch("/v1/tenants/acme", json={"privacy": {"min_group": 8}, "labels": {"region": "emea"}})

    assert changed.status_code == 200
    assert changed.json()["privacy"] == {
        "min_group": 8,
        "individual_visibility": "manager",
        "instants": "exact",
        "retention": {},
    }
    assert changed.json()["labels"] == {"region": "emea"}
    assert (await api.get("/v1/tenants/acme")).json() == changed.json()


@pytest.mark.parametrize(
    "change",
    [
        {"clock": None},
        {"name": None},
        {"privacy": {"min_group": None}},
        {"privacy": None},
        {"time_zone": 5},
        {"id": "b"},
    ],
    ids=["no clock", "no name", "no least group", "no privacy", "a number for a zone", "another id"],
)
async def test_a_change_is_checked_like_a_new_tenant(api: Client, change: dict[str, Any]) -> None:
    answer = await api.patch("/v1/tenants/acme", json=change)

    assert answer.status_code == 422
    assert answer.json()["errors"]


async def test_a_change_is_told_to_the_evaluator(api: Client, pool: Pool) -> None:
    await api.patch("/v1/tenants/acme", json={"connected_by": "login"})

    assert await pool.fetchval("select version from tally where tenant = 'acme' and shard = -1") == 1


@pytest.mark.parametrize("change", [{"time_zone": "Europe/Berlin"}, {"clock": "event"}], ids=["the zone", "the clock"])
async def test_clock_and_zone_are_fixed_once_events_were_counted(
    api: Client, pool: Pool, change: dict[str, Any]
) -> None:
    assert (await api.patch("/v1/tenants/acme", json=change)).status_code == 200
    assert (await api.patch("/v1/tenants/acme", json={"time_zone": "UTC", "clock": "wall"})).status_code == 200
    await pool.execute("insert into tally (tenant, shard, folded) values ('acme', 3, 1)")

    refused = await api.patch("/v1/tenants/acme", json=change)

    assert refused.status_code == 409
    assert (await api.patch("/v1/tenants/acme", json={"time_zone": "UTC", "name": "Acme"})).status_code == 200


async def test_tenants_are_listed_page_by_page(connect: Connect) -> None:
    client = connect()
    for name in ("b", "a", "c"):
        await client.post("/v1/tenants", json={"id": name})

    first = (await client.get("/v1/tenants?limit=2")).json()
    second = (await client.get("/v1/tenants", params={"limit": 2, "cursor": first["next"]})).json()

    assert [item["id"] for item in first["items"] + second["items"]] == ["a", "b", "c"]
    assert second["next"] is None


async def test_two_requests_with_one_idempotency_key_make_one_tenant(connect: Connect) -> None:
    client = connect()
    headers = {"Idempotency-Key": "once"}

    answers = await asyncio.gather(
        *(client.post("/v1/tenants", json={"id": "acme"}, headers=headers) for _ in range(4))
    )

    assert [answer.status_code for answer in answers] == [201] * 4
    assert all(answer.json() == answers[0].json() for answer in answers)
    other = await client.post("/v1/tenants", json={"id": "other"}, headers=headers)
    assert other.status_code == 422


@pytest.mark.parametrize("zone", ["localtime", "Factory", "posixrules"])
async def test_a_time_zone_that_means_whatever_the_machine_is_set_to_is_refused(api: Client, zone: str) -> None:
    answer = await api.post("/v1/tenants", json={"id": "elsewhere", "time_zone": zone})

    assert answer.status_code == 422
