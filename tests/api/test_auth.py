"""Keys and what they open. The matrix is made from the routes: a new route without an expectation fails."""

from datetime import timedelta
from typing import Any

import pytest

from services.api.store.keys import ensure_admin_key
from services.postgres import Pool, close_pool, connect_pool
from services.settings import SettingError
from tests.api.conftest import ADMIN, Client, Clock, Connect

NEEDS = {
    "POST /v1/tenants": "admin",
    "GET /v1/tenants": "read",
    "GET /v1/tenants/{tenant}": "read",
    "PATCH /v1/tenants/{tenant}": "manage",
    "POST /v1/keys": "manage",
    "GET /v1/keys": "manage",
    "GET /v1/keys/{key_id}": "manage",
    "DELETE /v1/keys/{key_id}": "manage",
    "PUT /v1/directory/people": "manage",
    "GET /v1/directory/people": "read",
    "PUT /v1/directory/people/{user:path}/absences": "manage",
    "GET /v1/directory/people/{user:path}/absences": "read",
    "GET /v1/directory/quality": "read",
    "GET /v1/directory/quality/suspected": "read",
    "POST /v1/directory/quality/approve": "manage",
    "GET /v1/directory/teams": "read",
    "GET /v1/directory/roles": "read",
    "DELETE /v1/people/{user}": "manage",
    "GET /v1/erasures/{number}": "manage",
    "GET /v1/backfills": "read",
    "POST /v1/waves": "manage",
    "GET /v1/waves": "read",
    "GET /v1/waves/{wave}": "read",
    "GET /v1/waves/{wave}/connection": "read",
    "GET /v1/windows": "read",
    "GET /v1/metrics": "read",
    "GET /v1/metrics/{metric}": "read",
    "GET /v1/metrics/{metric}/explain": "read",
    "GET /v1/people/{user:path}": "read",
    "GET /v1/alerts": "read",
    "GET /v1/alerts/{alert}": "read",
    "GET /v1/alerts/{alert}/history": "read",
    "GET /v1/alerts/{alert}/diagnosis": "read",
    "GET /v1/alerts/stream": "read",
    **{
        f"POST /v1/alerts/{{alert}}/{act}": "manage"
        for act in ("acknowledge", "assign", "label", "note", "plan", "resolve", "snooze")
    },
    "GET /v1/annotations": "read",
    "GET /v1/annotations/{annotation}": "read",
    "POST /v1/annotations": "manage",
    "PATCH /v1/annotations/{annotation}": "manage",
    "DELETE /v1/annotations/{annotation}": "manage",
    "GET /v1/contacts": "manage",
    "PUT /v1/contacts": "manage",
    "GET /v1/feeds": "read",
    "POST /v1/feeds": "read",
    "DELETE /v1/feeds/{feed}": "read",
    **{f"GET /feeds/{{token}}/alerts.{ending}": None for ending in ("atom", "ics", "json", "stream")},
    "GET /v1/rules": "read",
    "GET /v1/rules/{rule}": "read",
    "GET /v1/rules/{rule}/evaluations": "read",
    "PUT /v1/rules/{rule}": "manage",
    "DELETE /v1/rules/{rule}": "manage",
    "POST /v1/rules/backtest": "manage",
    "GET /v1/rules/backtest/{number}": "manage",
    "POST /v1/subscriptions": "manage",
    "GET /v1/subscriptions": "manage",
    "GET /v1/subscriptions/{subscription}": "manage",
    "PATCH /v1/subscriptions/{subscription}": "manage",
    "DELETE /v1/subscriptions/{subscription}": "manage",
    "POST /v1/subscriptions/{subscription}/test": "manage",
    "POST /v1/subscriptions/{subscription}/redeliver": "manage",
    "GET /v1/subscriptions/{subscription}/deliveries": "manage",
    "GET /v1/subscriptions/{subscription}/deliveries/{delivery}": "manage",
    "POST /v1/subscriptions/{subscription}/deliveries/{delivery}/redeliver": "manage",
    "GET /v1/dead-letters": "manage",
    "GET /v1/dead-letters/{letter}": "manage",
    "POST /v1/dead-letters/{letter}/replayed": "manage",
    "GET /v1/status": "read",
    **{
        f"{method} /scim/v2/{kind}s{key}": "manage"
        for kind, name in (("User", "scim_id"), ("Group", "group_id"))
        for method, key in (
            ("GET", ""),
            ("POST", ""),
            *((method, f"/{{{name}}}") for method in ("GET", "PUT", "PATCH", "DELETE")),
        )
    },
    "GET /scim/v2/ServiceProviderConfig": "manage",
    "GET /scim/v2/ResourceTypes": "manage",
    "GET /scim/v2/ResourceTypes/{name}": "manage",
    "GET /scim/v2/Schemas": "manage",
    "GET /scim/v2/Schemas/{urn}": "manage",
    "GET /v1/directory/scim": "manage",
    "PUT /v1/directory/scim": "manage",
    "POST /v1/directory/merge": "manage",
    "POST /v1/directory/unmerge": "manage",
    "GET /v1/directory/links": "read",
    "POST /v1/sources": "manage",
    "GET /v1/sources": "manage",
    "GET /v1/sources/{source}": "manage",
    "PATCH /v1/sources/{source}": "manage",
    "DELETE /v1/sources/{source}": "manage",
    "GET /v1/sources/{source}/setup": "manage",
    "GET /v1/sources/{source}/logins": "ingest manage",
    "PUT /v1/sources/{source}/logins": "ingest manage",
    "GET /v1/field-registry": "read",
    "GET /v1/worklists": "read",
    "GET /v1/privacy": "read",
    "GET /v1/access-log": "manage",
    "GET /v1/administration": "admin",
    "PUT /v1/field-registry": "manage",
    "DELETE /v1/field-registry": "manage",
    "GET /healthz": None,
    "GET /readyz": None,
    "GET /metrics": None,
}
BODIES: dict[str, Any] = {
    "POST /v1/tenants": {"id": "new"},
    "POST /v1/keys": {"scopes": ["manage"]},
    "POST /v1/waves": {"id": "w", "name": "w", "go_live": "2026-03-02"},
    "PATCH /v1/tenants/{tenant}": {"name": "x"},
    "PUT /v1/directory/people": [],
    "PUT /v1/directory/people/{user:path}/absences": [],
}


async def ask(client: Client, route: str) -> int:
    method, path = route.split(" ")
    path = path.replace("{tenant}", "acme").replace("{user:path}", "x").replace("{key_id}", "x")
    path = path.replace("{wave}", "x").replace("{alert}", "x").replace("/status", "/status?wait=0")
    path = path.replace("/alerts/stream", "/alerts/stream?after=nothing")  # which would never end
    path = path.replace("{metric}", "adoption.weekly_rate")
    return (await client.request(method, path, json=BODIES.get(route))).status_code


async def key(api: Client, *scopes: str, **more: Any) -> str:
    made = await api.post("/v1/keys", json={"scopes": list(scopes), **({"tenant": "acme"} | more)})
    assert made.status_code == 201, made.text
    return str(made.json()["key"])


def test_every_route_has_an_expectation(document: dict[str, Any]) -> None:
    described = {f"{method.upper()} {path}" for path, operations in document["paths"].items() for method in operations}

    assert {name.replace(":path", "") for name in NEEDS} == described


@pytest.mark.usefixtures("api")
async def test_no_route_opens_without_a_key(connect: Connect) -> None:
    nobody = connect(key=None)

    for route, scope in NEEDS.items():
        assert (await ask(nobody, route) == 401) is (scope is not None), route


@pytest.mark.parametrize("scope", ["ingest", "read", "manage", "scrape"])
async def test_a_key_opens_what_its_scope_says(api: Client, connect: Connect, scope: str) -> None:
    client = connect(await key(api, scope))

    for route, needed in NEEDS.items():
        if needed is None:
            continue
        status = await ask(client, route)
        assert (status != 403) is (scope in needed.split()), (route, status)


async def test_a_bound_key_may_read_and_acknowledge_and_nothing_else(api: Client, connect: Connect) -> None:
    client = connect(await key(api, "read", "manage", person="anna"))

    for route, needed in NEEDS.items():
        if needed is None:
            continue
        answered = route.startswith("POST /v1/alerts/") or "/v1/subscriptions" in route
        allowed = needed == "read" or answered
        assert (await ask(client, route) != 403) is allowed, route


async def test_a_foreign_tenant_is_answered_as_one_that_does_not_exist(api: Client, connect: Connect) -> None:
    await api.post("/v1/tenants", json={"id": "other"})
    secret = await key(api, "read", "manage", "ingest")

    for route in NEEDS:
        if "{tenant}" in route:
            method, path = route.split(" ")
            client = connect(secret)
            foreign = await client.request(method, path.replace("{tenant}", "other"), json=BODIES.get(route))
            missing = await client.request(method, path.replace("{tenant}", "none"), json=BODIES.get(route))
        else:
            foreign = await connect(secret, "other").get("/v1/waves")
            missing = await connect(secret, "none").get("/v1/waves")
        assert (foreign.status_code, foreign.content) == (404, missing.content)


@pytest.mark.usefixtures("api")
async def test_an_admin_names_the_tenant(connect: Connect) -> None:
    assert (await connect().get("/v1/windows")).status_code == 422
    assert (await connect(tenant="none").get("/v1/windows")).status_code == 404
    assert (await connect(tenant="acme").get("/v1/windows")).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("", id="empty"),
        pytest.param("Bearer", id="no key"),
        pytest.param("Bearer x", id="no key of ours"),
        pytest.param("Basic " + ADMIN, id="another scheme"),
        pytest.param("Bearer upt_admin_0123456789abcdeX", id="another secret"),
        pytest.param("Bearer upt_other_0123456789abcdef", id="another id"),
        pytest.param("Bearer " + "upt_admin_" + "x" * 10_240, id="ten kilobytes"),
        pytest.param("Bearer " + ADMIN + " x", id="something behind it"),
        pytest.param("Bearer upt_admin_0123456789abc\xe9f", id="not ASCII"),
    ],
)
async def test_what_is_no_valid_key_opens_nothing(connect: Connect, header: str) -> None:
    answer = await connect(key=None).get("/v1/tenants", headers=[(b"Authorization", header.encode("latin-1"))])

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_two_keys_at_once_and_a_key_in_the_address_open_nothing(connect: Connect) -> None:
    headers = [("Authorization", f"Bearer {ADMIN}"), ("Authorization", f"Bearer {ADMIN}")]
    client = connect(key=None)

    assert (await client.get("/v1/tenants", headers=headers)).status_code == 401
    assert (await client.get(f"/v1/tenants?key={ADMIN}&access_token={ADMIN}")).status_code == 401


@pytest.mark.usefixtures("api")
async def test_two_tenants_at_once_are_refused(connect: Connect) -> None:
    answer = await connect(tenant=None).get("/v1/waves", headers=[("Uptake-Tenant", "none"), ("Uptake-Tenant", "acme")])

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_scheme_is_read_in_any_case(connect: Connect) -> None:
    answer = await connect(key=None).get("/v1/tenants", headers={"Authorization": f"bearer {ADMIN}"})

    assert answer.status_code == 200


async def test_a_revocation_holds_from_the_next_request_on(api: Client, connect: Connect) -> None:
    secret = await key(api, "read")
    client = connect(secret)
    assert (await client.get("/v1/waves")).status_code == 200

    assert (await api.delete(f"/v1/keys/{secret.split('_')[1]}")).status_code == 204

    assert (await client.get("/v1/waves")).status_code == 401


async def test_a_key_ends_when_it_expires(api: Client, connect: Connect, clock: Clock) -> None:
    ends = clock.now + timedelta(hours=1)
    client = connect(await key(api, "read", expires_at=ends.isoformat()))
    clock.now = ends - timedelta(seconds=1)
    assert (await client.get("/v1/waves")).status_code == 200

    clock.now = ends

    assert (await client.get("/v1/waves")).status_code == 401


async def test_no_secret_is_stored_or_shown_again(api: Client, pool: Pool) -> None:
    headers = {"Idempotency-Key": "k"}
    made = await api.post("/v1/keys", json={"tenant": "acme", "scopes": ["read"]}, headers=headers)
    secret = made.json()["key"].split("_", 2)[2]

    again = await api.post("/v1/keys", json={"tenant": "acme", "scopes": ["read"]}, headers=headers)

    assert again.json() == made.json()
    assert secret not in (await api.get("/v1/keys")).text
    stored = await pool.fetch(
        "select to_jsonb(k)::text as row from api_key k union all select to_jsonb(i)::text from idempotency i"
    )
    assert len(stored) == 3
    assert not any(secret in row["row"] for row in stored)


async def test_nobody_makes_a_key_that_may_do_more(api: Client, connect: Connect) -> None:
    await api.post("/v1/tenants", json={"id": "other"})
    client = connect(await key(api, "manage", "read"))

    async def status(**body: Any) -> int:
        return (await client.post("/v1/keys", json=body)).status_code

    assert await status(scopes=["read"]) == 201
    assert await status(scopes=["ingest"]) == 403
    assert await status(scopes=["admin"]) == 403
    assert await status(scopes=["read"], tenant="other") == 404
    assert await status(scopes=["read"], tenant="none") == 404
    assert await status(scopes=["read"], expires_at="2020-01-01T00:00:00Z") == 422
    assert await status(scopes=["read"], expires_at="0001-01-01T00:00:00+14:00") == 422
    assert await status(scopes=["manage", "read"], person="a\x00") == 422
    assert (await api.post("/v1/keys", json={"tenant": "acme", "scopes": ["ingest"], "person": "x"})).status_code == 422
    assert (await api.post("/v1/keys", json={"tenant": "acme", "scopes": ["admin"]})).status_code == 422


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/keys", {"scopes": ["read"]}), ("/v1/sources", {"id": "s", "kind": "custom"})],
    ids=["a key", "a source"],
)
async def test_what_is_made_is_of_the_tenant_in_the_body_else_in_the_header_else_of_the_key(
    api: Client, connect: Connect, path: str, body: dict[str, Any]
) -> None:
    await api.post("/v1/tenants", json={"id": "other"})
    keeper = await key(api, "manage", "read")

    async def made(client: Client, **more: str) -> object:
        answer = await client.post(path, json=body | more)
        if answer.is_success and "kind" in body:
            await connect(tenant=answer.json()["tenant"]).delete(f"{path}/s")
        return answer.json().get("tenant", answer.status_code)

    assert await made(connect(tenant="other"), tenant="acme") == "acme"
    assert await made(connect(tenant="other")) == "other"
    assert await made(connect()) == 422
    assert await made(connect(keeper)) == "acme"
    assert await made(connect(keeper), tenant="other") == 404
    assert await made(connect(keeper, "other")) == 404


async def test_a_key_sees_the_keys_of_its_tenant_only(api: Client, connect: Connect) -> None:
    await api.post("/v1/tenants", json={"id": "other"})
    foreign = (await key(api, "read", tenant="other")).split("_")[1]
    client = connect(await key(api, "manage"))

    listed = (await client.get("/v1/keys")).json()["items"]

    assert {item["tenant"] for item in listed} == {"acme"}
    assert (await client.get(f"/v1/keys/{foreign}")).status_code == 404
    assert (await client.delete(f"/v1/keys/{foreign}")).status_code == 404
    assert (await api.get(f"/v1/keys/{foreign}")).status_code == 200


async def test_the_first_admin_key_is_made_once(database: str) -> None:
    pool = await connect_pool(database, name="tests")
    try:
        async with pool.acquire() as connection:
            made = await ensure_admin_key(connection, "")
            assert made is not None
            assert made.startswith("upt_")
            assert await ensure_admin_key(connection, "") is None

            assert await ensure_admin_key(connection, ADMIN) is None
            assert await ensure_admin_key(connection, ADMIN) is None
            assert await connection.fetchval("select count(*) from api_key") == 2

            with pytest.raises(SettingError, match="UPTAKE_ADMIN_KEY"):
                await ensure_admin_key(connection, "upt_admin_anothersecretofthesameid")
            with pytest.raises(SettingError, match="UPTAKE_ADMIN_KEY"):
                await ensure_admin_key(connection, "secret")
    finally:
        await close_pool(pool)
