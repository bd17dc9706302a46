"""One person over HTTP, and what a key bound to a person sees."""

from datetime import date
from typing import Any

import pytest

from services.postgres import Pool
from tests.api.conftest import Client, Connect
from tests.builders import NOON, add_person

FOREST = [
    ("top", None, "board"),
    ("mid", "top", "lead"),
    ("low", "mid", "crew"),
    ("new", "low", "crew"),
    ("peer", "top", "lead"),
    ("far", None, "away"),
]
HELD: dict[str, Any] = {
    "role": "seller",
    "manager": "dustin",
    "kind": "human",
    "function": None,
    "location": None,
    "segment": None,
    "champion": False,
    "leadership": False,
    "opted_out": False,
    "work_days": None,
}


@pytest.fixture
async def forest(api: Client, pool: Pool) -> Client:
    for user, manager, team in FOREST:
        await add_person(pool, user, manager=manager, team=team, licensed_from=date(2026, 1, 5))
    return api


async def bound(api: Client, connect: Connect, person: str) -> Client:
    made = await api.post("/v1/keys", json={"tenant": "acme", "scopes": ["read", "manage"], "person": person})
    return connect(made.json()["key"])


async def test_a_person_is_shown_with_what_is_known(api: Client, pool: Pool) -> None:
    await add_person(pool, "anna", team="North", role="seller", manager="dustin", licensed_from=date(2026, 1, 5))
    await api.put("/v1/directory/people", json=[{"user": "anna", "team": "South"}])
    days = [(date(2026, 1, 7), 1, True), (date(2026, 1, 9), 3, False)]
    for day, events, login in days:
        at = NOON.replace(month=1, day=day.day)
        await pool.execute(
            """insert into person_day (tenant, user_id, day, events, first_at, last_at, first_login_at, last_login_at)
               values ('acme', 'anna', $1, $2, $3, $3, $4, $4)""",
            day,
            events,
            at,
            at if login else None,
        )
    for wave in (
        {"id": "w3", "go_live": "2026-04-01", "scope": {"people": ["anna"]}},
        {"id": "w2", "go_live": "2026-02-01", "scope": {"teams": ["North"]}},
        {"id": "w0", "go_live": "2026-01-01", "scope": {"teams": ["South"]}},
        {"id": "w1", "go_live": "2026-01-02", "scope": {"roles": ["seller"], "teams": ["none"]}},
        {"id": "w4", "go_live": "2026-05-01"},
    ):
        assert (await api.post("/v1/waves", json={"name": "w", **wave})).status_code == 201

    body = (await api.get("/v1/people/anna")).json()

    assert body == {
        "user": "anna",
        "name": "anna",
        "email": None,
        "kind": "human",
        "team": "South",
        "role": "seller",
        "manager": "dustin",
        "licensed_from": "2026-01-05",
        "licensed_to": None,
        "waves": ["w1", "w2", "w3", "w4"],
        "day_zero": "2026-01-05",
        "first_login_at": "2026-01-07T12:00:00Z",
        "last_login_at": "2026-01-07T12:00:00Z",
        "first_activity_at": "2026-01-07T12:00:00Z",
        "last_activity_at": "2026-01-09T12:00:00Z",
        "last_seen_days": None,
        "active_days": 2,
        "time_zone": None,
        "calendar": None,
        "active_from": None,
        "active_to": None,
        "memberships": [
            {**HELD, "valid_from": None, "valid_to": "2026-03-02", "team": "North"},
            {**HELD, "valid_from": "2026-03-02", "valid_to": None, "team": "South"},
        ],
        "licences": [{"licensed_from": "2026-01-05", "licensed_to": None, "price": None}],
        "absences": [],
        "identities": [],
        "merged_into": None,
    }


async def test_every_look_at_a_person_is_written_down(api: Client, pool: Pool) -> None:
    await add_person(pool, "anna")
    await api.get("/v1/people/anna")
    tag = (await api.get("/v1/people/anna")).headers["etag"]
    await api.get("/v1/people/anna", headers={"If-None-Match": tag})
    await api.get("/v1/people/nobody")

    rows = await pool.fetch("select tenant, key_id, route, subject from access_log")

    assert [tuple(row) for row in rows] == [("acme", "admin", "/v1/people", "anna")] * 3


async def test_a_user_may_be_named_in_any_way(api: Client) -> None:
    names = ["a/b", "Ünï ☃", "a b", "a%b", "a?b#c", "..", "' or 1=1 --"]
    await api.put("/v1/directory/people", json=[{"user": name} for name in names])

    for name in names:
        address = "".join(f"%{byte:02X}" for byte in name.encode())
        assert (await api.get(f"/v1/people/{address}")).json()["user"] == name


@pytest.mark.usefixtures("forest")
async def test_where_single_persons_are_not_shown_there_is_nothing(api: Client, connect: Connect) -> None:
    missing = await api.get("/v1/people/none")
    manager = await bound(api, connect, "mid")
    assert (await manager.get("/v1/people/low")).status_code == 200

    await api.patch("/v1/tenants/acme", json={"privacy": {"individual_visibility": "owner"}})
    assert (await manager.get("/v1/people/low")).content == missing.content
    assert (await api.get("/v1/people/low")).status_code == 200

    await api.patch("/v1/tenants/acme", json={"privacy": {"individual_visibility": "off"}})
    assert (await api.get("/v1/people/low")).content == missing.content


@pytest.mark.usefixtures("forest")
async def test_a_bound_key_sees_its_line_and_nobody_else(api: Client, connect: Connect) -> None:
    client = await bound(api, connect, "mid")
    missing = await client.get("/v1/people/none")

    for user, _, _ in FOREST:
        answer = await client.get(f"/v1/people/{user}")
        if user in ("mid", "low", "new"):
            assert answer.status_code == 200
        else:
            assert (answer.status_code, answer.content) == (404, missing.content)
            assert answer.headers == missing.headers
    listed = (await client.get("/v1/directory/people")).json()["items"]
    assert [item["user"] for item in listed] == ["low", "mid", "new"]
    assert (await client.get("/v1/directory/teams")).json()["items"] == [
        {"key": "crew", "people": 2},
        {"key": "lead", "people": 1},
    ]


@pytest.mark.usefixtures("forest")
async def test_a_bound_key_sees_the_windows_of_its_teams(api: Client, connect: Connect, pool: Pool) -> None:
    groups = [
        ("tenant", "all"),
        ("team", "board"),
        ("team", "lead"),
        ("team", "crew"),
        ("team", "away"),
        ("role", "seller"),
    ]
    for dimension, key in groups:
        await pool.execute(
            """insert into window_delta (tenant, dimension, key, days, day, shard, licensed)
               values ('acme', $1, $2, 1, '2026-03-01', 0, 9)""",
            dimension,
            key,
        )
    client = await bound(api, connect, "mid")

    async def keys(**params: Any) -> list[str]:
        items = (await client.get("/v1/windows", params={"from": "2026-03-02", **params})).json()["items"]
        return [f"{item['dimension']}/{item['key']}" for item in items]

    assert await keys() == ["team/crew", "team/lead"]
    assert await keys(dimension="team", limit=1) == ["team/crew"]
    assert await keys(dimension="tenant") == await keys(key="away") == await keys(dimension="role") == []
    assert await keys(key="lead") == ["team/lead"]


async def test_a_circle_of_managers_ends(api: Client, connect: Connect, pool: Pool) -> None:
    for user, manager in (("a", "b"), ("b", "c"), ("c", "a"), ("self", "self")):
        await add_person(pool, user, manager=manager)

    in_circle, alone = await bound(api, connect, "a"), await bound(api, connect, "self")

    assert [i["user"] for i in (await in_circle.get("/v1/directory/people")).json()["items"]] == ["a", "b", "c"]
    assert [i["user"] for i in (await alone.get("/v1/directory/people")).json()["items"]] == ["self"]


@pytest.mark.usefixtures("forest")
async def test_a_key_bound_to_nobody_sees_nobody(api: Client, connect: Connect) -> None:
    client = await bound(api, connect, "ghost")

    for path in ("directory/people", "directory/teams", "windows", "alerts", "waves"):
        assert (await client.get(f"/v1/{path}")).json()["items"] == []


@pytest.mark.usefixtures("forest")
async def test_a_line_is_the_one_of_today(api: Client, connect: Connect) -> None:
    client = await bound(api, connect, "mid")
    await api.put(
        "/v1/directory/people", json=[{"user": "far", "manager": "mid"}], params={"effective_from": "2026-03-03"}
    )
    assert (await client.get("/v1/people/far")).status_code == 404

    await api.put(
        "/v1/directory/people", json=[{"user": "far", "manager": "mid"}], params={"effective_from": "2026-03-02"}
    )

    assert (await client.get("/v1/people/far")).status_code == 200


async def test_working_days_since_a_person_connected_are_theirs(api: Client, pool: Pool) -> None:
    """Seen on Thursday evening, asked for on Monday noon. What does not connect does not count."""
    await add_person(pool, "anna")
    await pool.execute(
        """insert into person_day (tenant, user_id, day, events, first_at, last_at, first_qualifying_at, qualifying)
           select 'acme', 'anna', at::date, 1, at, at, case when at < '2026-02-27' then at end, 1
           from unnest(array['2026-02-26 22:30Z', '2026-03-01 09:00Z']::timestamptz[]) at"""
    )

    async def days() -> Any:
        return (await api.get("/v1/people/anna")).json()["last_seen_days"]

    assert await days() == 2, "Friday and Monday"
    await pool.execute("update person set time_zone = 'Asia/Bahrain'")
    assert await days() == 1, "it was Friday there"
    await pool.execute("update membership set work_days = '{7,1,2,3,4}'")
    assert await days() == 2, "Sunday and Monday"
    await api.patch("/v1/tenants/acme", json={"connected_by": "login"})
    assert await days() is None
