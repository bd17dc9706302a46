"""How far logins are known, over HTTP: declared for a source, shown with its state, and what waves say of it."""

from datetime import timedelta
from typing import Any

import pytest

from services.postgres import Pool
from tests.api.conftest import Client, Connect
from tests.builders import NOON

DAY = timedelta(days=1)


@pytest.fixture
async def source(api: Client) -> str:
    """A source of the tenant acme."""
    made = await api.post("/v1/sources", json={"id": "dynamics", "kind": "dataverse"})
    assert made.status_code == 201
    return "dynamics"


async def logged_in(pool: Pool, name: str, at: Any, login: Any) -> None:
    await pool.execute(
        "insert into source_seen (tenant, source, shard, last_event_at, last_login_at) values ('acme', $1, 0, $2, $3)",
        name,
        at,
        login,
    )


async def declare(api: Client, until: str | None) -> Any:
    return await api.put("/v1/sources/dynamics/logins", json={"until": until})


@pytest.mark.usefixtures("source")
async def test_what_was_declared_is_kept_until_it_is_taken_back(api: Client, pool: Pool) -> None:
    before = (await api.get("/v1/sources/dynamics/logins")).json()
    declared = [(await declare(api, f"2026-03-0{day}T00:00:00+01:00")).json()["until"] for day in (2, 1)]
    forgotten = (await declare(api, None)).json()

    assert before == {"source": "dynamics", "until": None, "last_login_at": None, "state": "none"}
    assert declared == ["2026-03-01T23:00:00Z"] * 2
    assert forgotten == before
    assert await pool.fetchval("select version from tally where tenant = 'acme' and shard = -1") == 3


@pytest.mark.usefixtures("source")
@pytest.mark.parametrize(("days", "state"), [(1, "ok"), (3, "ok"), (3.1, "stale")])
async def test_a_source_is_stale_after_its_time(api: Client, pool: Pool, days: float, state: str) -> None:
    await logged_in(pool, "/hooks/dynamics", NOON, NOON - days * DAY)

    shown = (await api.get("/v1/sources/dynamics/logins")).json()
    assert shown["state"] == state
    if state == "stale":
        assert (await declare(api, "2026-03-01T00:00:00Z")).json()["state"] == "ok"


@pytest.mark.usefixtures("source")
async def test_collectors_and_managers_may_declare_and_others_not(api: Client, connect: Connect) -> None:
    statuses = {}
    for scope in ("ingest", "manage", "read", "scrape"):
        key = (await api.post("/v1/keys", json={"scopes": [scope]})).json()["key"]
        statuses[scope] = (await declare(connect(key), "2026-03-01T00:00:00Z")).status_code

    assert statuses == {"ingest": 200, "manage": 200, "read": 403, "scrape": 403}
    await api.post("/v1/tenants", json={"id": "other"})
    stranger = (await api.post("/v1/keys", json={"tenant": "other", "scopes": ["manage"]})).json()["key"]
    assert (await declare(connect(stranger), "2026-03-01T00:00:00Z")).status_code == 404
    assert (await connect(stranger).get("/v1/sources/dynamics/logins")).status_code == 404


@pytest.mark.usefixtures("source")
@pytest.mark.parametrize(
    "body", [{}, {"until": "soon"}, {"until": "2026-03-03T00:00:00Z"}, {"until": "2026-03-01T00:00"}]
)
async def test_an_instant_that_cannot_be_is_refused(api: Client, body: dict[str, Any]) -> None:
    assert (await api.put("/v1/sources/dynamics/logins", json=body)).status_code == 422


@pytest.mark.usefixtures("source")
async def test_the_status_tells_the_state_of_login_sources_where_logins_connect(api: Client, pool: Pool) -> None:
    await api.post("/v1/sources", json={"id": "zoho", "kind": "zoho"})
    await logged_in(pool, "/hooks/odoo", NOON - 5 * DAY, NOON - 5 * DAY)
    await logged_in(pool, "crm", NOON, None)

    seen = [(await api.get("/v1/status?wait=0")).json()["sources"]]
    await api.patch("/v1/tenants/acme", json={"connected_by": "login"})
    seen.append((await api.get("/v1/status?wait=0")).json()["sources"])

    assert [[(each["id"], each["state"]) for each in sources] for sources in seen] == [
        [("crm", "receiving"), ("/hooks/odoo", "quiet")],
        [("crm", "receiving"), ("/hooks/odoo", "stale"), ("/hooks/dynamics", "none")],
    ]


async def test_what_is_unknown_of_a_wave_has_no_value(api: Client, pool: Pool) -> None:
    await api.post("/v1/waves", json={"id": "north", "name": "North", "go_live": "2026-03-02"})
    await pool.execute(
        """insert into wave_connection (tenant, wave, n, num, den, settled, missing, reason) values
           ('acme', 'north', 2, 4, 9, true, '{ada}', null),
           ('acme', 'north', 3, 5, 9, false, '{}', 'login-source-stale')"""
    )
    items = (await api.get("/v1/waves/north/connection")).json()["items"]

    assert items == [
        {"n": 2, "settled": True, "missing": ["ada"], "num": 4, "den": 9, "value": 4 / 9},
        {"n": 3, "settled": False, "missing": [], "num": 5, "den": 9, "value": None, "reason": "login-source-stale"},
    ]
    await api.patch("/v1/tenants/acme", json={"privacy": {"min_group": 10, "individual_visibility": "off"}})
    hidden = (await api.get("/v1/waves/north/connection")).json()["items"]
    assert [item["reason"] for item in hidden] == ["suppressed"] * 2
