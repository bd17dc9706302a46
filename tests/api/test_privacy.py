"""Who may see single people and small groups over HTTP, what a preset stands for, and that looking is written down."""

from datetime import date, datetime
from typing import Any

import pytest

from services.postgres import Pool
from tests.api.conftest import Client, Connect
from tests.api.test_alerts import add_alert
from tests.builders import NOON, measured

PRESET = {
    "min_group": 10,
    "individual_visibility": "off",
    "instants": "day",
    "retention": {"activity": 90},
}
LINE = [
    {"user": "bo", "team": "North", "role": "lead", "licensed_from": "2026-01-01"},
    {"user": "anna", "team": "North", "role": "sales", "manager": "bo", "licensed_from": "2026-01-01"},
    {"user": "cy", "team": "South", "role": "sales", "licensed_from": "2026-01-01"},
]


async def reader(api: Client, connect: Connect, *scopes: str, person: str | None = None) -> Client:
    body = {"tenant": "acme", "scopes": ["read", *scopes], "person": person}
    made = await api.post("/v1/keys", json=body)
    assert made.status_code == 201, made.text
    return connect(made.json()["key"])


async def named(client: Client) -> list[str]:
    return [person["user"] for person in (await client.get("/v1/directory/people")).json()["items"]]


async def looks(api: Client, **asked: Any) -> list[tuple[str, str | None, int]]:
    items = (await api.get("/v1/access-log", params=asked)).json()["items"]
    return [(item["route"], item["subject"], item["people"]) for item in items]


async def test_the_preset_for_works_councils_stands_for_its_settings(api: Client) -> None:
    changed = await api.patch("/v1/tenants/acme", json={"privacy": {"preset": "works_council"}})
    made = await api.post(
        "/v1/tenants", json={"id": "other", "privacy": {"preset": "works_council", "min_group": 20, "retention": {}}}
    )

    assert changed.json()["privacy"] == PRESET
    assert made.json()["privacy"] == {**PRESET, "min_group": 20, "retention": {}}
    assert (await api.get("/v1/tenants/acme")).json()["privacy"] == PRESET


@pytest.mark.parametrize(
    "privacy",
    [
        pytest.param({"preset": "relaxed"}, id="an unknown preset"),
        pytest.param({"instants": "minute"}, id="an unknown exactness"),
        pytest.param({"retention": {"activity": 0}}, id="no day at all"),
        pytest.param({"retention": {"raw": 9}}, id="an unknown tier"),
    ],
)
async def test_bad_privacy_settings_are_refused(api: Client, privacy: dict[str, Any]) -> None:
    assert (await api.patch("/v1/tenants/acme", json={"privacy": privacy})).status_code == 422


async def test_the_data_sheet_is_told_and_printed(api: Client) -> None:
    await api.patch("/v1/tenants/acme", json={"name": "A <b> & _c_", "privacy": {"preset": "works_council"}})

    told = (await api.get("/v1/privacy")).json()
    page = await api.get("/v1/privacy", headers={"Accept": "text/html,application/xhtml+xml;q=0.9"})
    text = await api.get("/v1/privacy", headers={"Accept": "text/markdown"})

    assert (told["preset"], told["min_group"], told["instants"]) == ("works_council", 10, "day")
    days = {it["what"].partition(":")[0]: it["days"] for it in told["stored"]}
    assert (days["single events"], days["by person and day"], days["directory"]) == (90, 396, None)
    assert page.headers["content-type"].startswith("text/html")
    assert "A &lt;b&gt; &amp; _c_" in page.text
    assert text.headers["content-type"].startswith("text/markdown")
    assert r"A \<b\> & \_c\_" in text.text
    assert all(line in text.text for line in told["never_stored"])


@pytest.mark.parametrize(
    ("visibility", "person", "seen"),
    [
        pytest.param("manager", None, ["anna", "bo", "cy"], id="everybody, to the owner's key"),
        pytest.param("manager", "bo", ["anna", "bo"], id="the own line, to a manager"),
        pytest.param("owner", None, ["anna", "bo", "cy"], id="everybody, to the owner's key alone"),
        pytest.param("owner", "bo", ["bo"], id="nobody but themself, to a manager where the owner alone sees people"),
        pytest.param("off", None, [], id="nobody where no single person is shown"),
        pytest.param("off", "anna", ["anna"], id="nobody but themself"),
    ],
)
async def test_people_are_named_to(  # the ids end the sentence
    api: Client, connect: Connect, pool: Pool, visibility: str, person: str | None, seen: list[str]
) -> None:
    await api.put("/v1/directory/people", json=LINE)
    await api.patch("/v1/tenants/acme", json={"privacy": {"individual_visibility": visibility}})
    for user in ("anna", "cy"):
        await add_alert(pool, f"of-{user}", subject_kind="user", subject_key=user)
    client = await reader(api, connect, person=person)

    alerts = (await client.get("/v1/alerts")).json()["items"]
    statuses = {user: (await client.get(f"/v1/people/{user}")).status_code for user in ("anna", "bo", "cy")}

    assert await named(client) == seen
    assert sorted(alert["subject"]["key"] for alert in alerts) == [user for user in seen if user != "bo"]
    assert statuses == {user: 200 if user in seen else 404 for user in statuses}


async def test_whoever_keeps_the_directory_reads_all_of_it(api: Client, connect: Connect) -> None:
    await api.put("/v1/directory/people", json=LINE)
    await api.patch("/v1/tenants/acme", json={"privacy": {"individual_visibility": "off"}})

    assert await named(await reader(api, connect, "manage")) == ["anna", "bo", "cy"]


async def test_days_stand_for_instants_where_the_tenant_wants_it(api: Client, connect: Connect, pool: Pool) -> None:
    await api.put("/v1/directory/people", json=LINE)
    await pool.execute(
        """insert into person_day (tenant, user_id, day, events, first_at, last_at)
           values ('acme', 'anna', $1, 2, $2, $2)""",
        date(2026, 3, 1),
        datetime.fromisoformat("2026-03-01T23:30:00Z"),
    )
    await api.patch("/v1/tenants/acme", json={"time_zone": "Europe/Berlin", "privacy": {"preset": "works_council"}})

    told = (await (await reader(api, connect, person="anna")).get("/v1/people/anna")).json()

    assert told["first_activity_at"] == told["last_activity_at"] == "2026-03-01T23:00:00Z"
    assert (told["first_login_at"], told["active_days"]) == (None, 1)


async def test_every_look_at_a_person_is_written_down(api: Client, connect: Connect, pool: Pool) -> None:
    await api.put("/v1/directory/people", json=LINE)
    await api.post("/v1/waves", json={"id": "north", "name": "North", "go_live": "2026-03-02"})
    await pool.execute(
        """insert into wave_connection (tenant, wave, n, num, den, settled, missing)
           values ('acme', 'north', 1, 1, 2, true, '{anna}'), ('acme', 'north', 2, 1, 2, true, '{anna}')"""
    )
    await add_alert(pool, "a", subject_kind="user", subject_key="cy", evidence={})
    client = await reader(api, connect)

    expected: list[tuple[str, str | None, int]] = []
    for path, route, people in [
        ("/v1/people/anna", "/v1/people", ["anna"]),
        ("/v1/directory/people?team=North", "/v1/directory/people", ["anna", "bo"]),
        ("/v1/waves/north/connection", "/v1/waves", ["anna"]),
        ("/v1/alerts", "/v1/alerts", ["cy"]),
        ("/v1/alerts/a", "/v1/alerts", ["cy"]),
        ("/v1/directory/teams", "", []),
        ("/v1/windows", "", []),
    ]:
        assert (await client.get(path)).status_code == 200
        expected = [*((route, user, 1) for user in reversed(people)), *expected]
        assert await looks(api) == expected, path

    assert await looks(api, subject="cy") == [("/v1/alerts", "cy", 1)] * 2
    first = (await api.get("/v1/access-log", params={"limit": 4})).json()
    rest = (await api.get("/v1/access-log", params={"limit": 4, "cursor": first["next"]})).json()
    assert len(first["items"]) + len(rest["items"]) == len(expected)
    assert rest["next"] is None


@pytest.mark.parametrize(("visibility", "shown"), [("manager", ["anna", "cy"]), ("owner", ["anna", "cy"]), ("off", [])])
async def test_the_scope_of_a_wave_names_whom_the_directory_does(
    api: Client, connect: Connect, visibility: str, shown: list[str]
) -> None:
    scope = {"people": ["anna", "cy"], "roles": ["lead"]}
    await api.post("/v1/waves", json={"id": "north", "name": "North", "go_live": "2026-03-02", "scope": scope})
    await api.patch("/v1/tenants/acme", json={"privacy": {"individual_visibility": visibility}})
    client, keeper = await reader(api, connect), await reader(api, connect, "manage")

    one = (await client.get("/v1/waves/north")).json()
    listed = (await client.get("/v1/waves")).json()["items"]

    assert listed == [one]
    assert one["scope"] == {**scope, "people": shown}
    assert len(await looks(api, subject="anna")) == 2 * bool(shown)
    assert (await keeper.get("/v1/waves/north")).json()["scope"] == scope


async def test_a_long_list_of_people_is_one_look(api: Client, connect: Connect) -> None:
    await api.put("/v1/directory/people", json=[{"user": f"u{number:03}"} for number in range(101)])

    await (await reader(api, connect)).get("/v1/directory/people?limit=1000")

    assert await looks(api) == [("/v1/directory/people", None, 101)]


async def test_a_higher_bound_hides_all_groups_until_it_is_known_which_are_large_enough(
    api: Client, pool: Pool
) -> None:
    await pool.execute(
        """insert into contribution (tenant, kind, subject, week, team, role, counts, known_at)
           values ('acme', 'person', 'anna', '2026-03-02', 'North', 'rep', '{}', now()),
                  ('acme', 'person', 'bo', '2026-03-02', 'North', null, '{}', now())"""
    )
    hidden = "select dimension, key from hidden_group where week = '2026-03-02' order by 1"

    await api.patch("/v1/tenants/acme", json={"name": "Acme"})
    assert not await pool.fetch(hidden)
    await api.patch("/v1/tenants/acme", json={"privacy": {"min_group": 2}})

    assert [tuple(row) for row in await pool.fetch(hidden)] == [("role", "rep"), ("team", "North")]
    assert await pool.fetchval("select exists (select from dirty where kind = 'tenant')")


async def test_hidden_groups_are_hidden_on_every_surface(api: Client, connect: Connect, pool: Pool) -> None:
    people = [{"user": f"u{n}", "team": "North" if n < 6 else "South", "role": "rep"} for n in range(12)]
    await api.put("/v1/directory/people", json=people)
    await api.post("/v1/waves", json={"id": "north", "name": "North", "go_live": "2026-03-02"})
    await api.patch("/v1/tenants/acme", json={"privacy": {"min_group": 5, "individual_visibility": "off"}})
    await pool.execute(
        """insert into wave_connection (tenant, wave, n, num, den, settled, missing)
           values ('acme', 'north', 1, 3, 6, true, '{u1}')"""
    )
    worst = [{"team": team, "num": 1, "den": 6, "value": 1 / 6} for team in ("North", "South")]
    window = {"from": "2026-03-02", "to": "2026-03-03"}
    for identity, kind, key in (
        ("n", "team", "North"),
        ("s", "team", "South"),
        ("w", "wave", "north"),
        ("t", "tenant", "all"),
    ):
        evidence = {"num": 3, "den": 6, "worst_teams": worst}
        await add_alert(pool, identity, subject_kind=kind, subject_key=key, window=window, evidence=evidence)
    client = await reader(api, connect)

    async def shown() -> tuple[dict[str, int | None], set[str], list[str], int | None]:
        teams = (await client.get("/v1/directory/teams")).json()["items"]
        alerts = (await client.get("/v1/alerts")).json()["items"]
        told = [team["team"] for alert in alerts if alert["id"] == "t" for team in alert["evidence"]["worst_teams"]]
        wave = (await client.get("/v1/waves/north/connection")).json()["items"][0]
        return {team["key"]: team["people"] for team in teams}, {it["id"] for it in alerts}, told, wave["num"]

    before = await shown()
    await measured(pool, "acme", week=NOON.date())
    after = await shown()
    await measured(pool, "acme", "team:North", "wave:north", week=NOON.date())
    hidden = await shown()

    assert before == ({"North": None, "South": None}, {"t"}, [], None)
    assert after == ({"North": 6, "South": 6}, {"n", "s", "w", "t"}, ["North", "South"], 3)
    assert hidden == ({"North": None, "South": 6}, {"s", "t"}, ["South"], None)
