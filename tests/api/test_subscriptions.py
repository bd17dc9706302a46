"""Subscriptions over HTTP: made, shown without what opens doors, changed; deliveries looked at and repeated."""

from typing import Any

import pytest
from fastapi import FastAPI

from services.egress import checker, networks_of
from services.postgres import Pool
from services.sealing import seal_of
from tests.api.conftest import Client, Clock, Connect
from tests.builders import NOON

HOOK = {"kind": "webhook", "url": "https://8.8.4.4/in/secret-path?token=x"}
"""A public address, written so that no name is looked up."""
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="


async def _made(api: Client, **given: Any) -> dict[str, Any]:
    answer = await api.post("/v1/subscriptions", json={**HOOK, **given})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def _key(api: Client, **given: Any) -> str:
    made = await api.post("/v1/keys", json={"tenant": "acme", "scopes": ["read", "manage"], **given})
    return str(made.json()["key"])


async def test_the_secret_is_shown_once_and_the_address_never(api: Client, pool: Pool) -> None:
    made = await _made(api, id="desk", filter={"severities": ["critical"], "teams": ["North"]})
    shown = (await api.get("/v1/subscriptions/desk")).json()
    kept = await pool.fetchrow("select url, secrets from subscription")
    async with pool.acquire() as connection:
        seal = await seal_of(connection, "")

    assert made["secret"].startswith("whsec_")
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert shown["url"] == "https://8.8.4.4"
    assert shown["filter"] == {"severities": ["critical"], "teams": ["North"]}
    assert seal.open(kept["url"], "subscription/acme/desk").decode() == HOOK["url"]
    assert seal.open(kept["secrets"][0], "subscription/acme/desk").decode() == made["secret"]
    assert b"secret-path" not in kept["url"]


async def test_made_twice_under_one_key_it_is_made_once_and_has_one_secret(api: Client, pool: Pool) -> None:
    headers = {"Idempotency-Key": "once"}
    first, second = [await api.post("/v1/subscriptions", json=HOOK, headers=headers) for _ in range(2)]

    assert first.json() == second.json()
    assert await pool.fetchval("select count(*) from subscription") == 1
    assert first.json()["secret"] not in str(await pool.fetchval("select body::text from idempotency"))


async def test_it_is_told_of_what_happens_from_then_on(api: Client, pool: Pool) -> None:
    await pool.execute(
        """insert into alert_change (tenant, alert, kind, state, actor, as_of, body)
           select 'acme', 'a', 'opened', 'open', 'evaluator', now(), '{}' from generate_series(1, 3)"""
    )
    await _made(api, id="desk")

    assert await pool.fetchval("select cursor from subscription") == 3


@pytest.mark.parametrize(
    "given",
    [
        {"url": "http://8.8.4.4/"},
        {"url": "https://127.0.0.1/"},
        {"url": "https://localhost/"},
        {"url": "https://169.254.169.254/latest/meta-data"},
        {"url": "https://[::ffff:10.0.0.1]/"},
        {"url": "https://user:pass@8.8.4.4/"},
        {"url": "https://8.8.4.4:25/"},
        {"url": None},
        {"kind": "pigeon"},
        {"kind": "email"},
        {"kind": "alertmanager", "secret": SECRET},
        {"secret": "whsec_c2hvcnQ="},
        {"secret": "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="},
        {"options": {"unheard_of": 1}},
        {"filter": {"severities": ["loud"]}},
        {"filter": {"unheard_of": []}},
        {"filter": {"rules": ["x"] * 201}},
        {"id": "a/b"},
    ],
    ids=str,
)
async def test_what_cannot_be_told_is_refused(api: Client, given: dict[str, Any]) -> None:
    answer = await api.post("/v1/subscriptions", json={**HOOK, **given})

    assert answer.status_code == 422
    assert "pass@" not in answer.text


async def test_a_named_network_may_be_told(api: Client, app: FastAPI) -> None:
    usual, app.state.check_url = app.state.check_url, checker(networks_of("10.0.0.0/8"), proxied=False)
    try:
        good = await api.post("/v1/subscriptions", json={**HOOK, "url": "http://10.1.2.3:9093/"})
        bad = await api.post("/v1/subscriptions", json={**HOOK, "url": "http://192.168.1.1/"})
    finally:
        app.state.check_url = usual

    assert (good.status_code, bad.status_code) == (201, 422)


async def test_a_secret_is_changed_while_both_sign(api: Client, pool: Pool) -> None:
    first = await _made(api, id="desk", secret=SECRET)
    second = (await api.patch("/v1/subscriptions/desk", json={"rotate": True})).json()
    third = (await api.patch("/v1/subscriptions/desk", json={"rotate": True})).json()
    last = (await api.patch("/v1/subscriptions/desk", json={"retire": True})).json()
    async with pool.acquire() as connection:
        seal = await seal_of(connection, "")
    kept = await pool.fetchval("select secrets from subscription")

    assert first["secret"] == SECRET
    assert len({SECRET, second["secret"], third["secret"]}) == 3
    assert [second["secrets"], third["secrets"], last["secrets"], last["secret"]] == [2, 2, 1, None]
    assert [seal.open(each, "subscription/acme/desk").decode() for each in kept] == [third["secret"]]


async def test_it_is_changed_paused_and_deleted(api: Client, pool: Pool) -> None:
    await _made(api, id="desk", filter={"rules": ["source-silent"]})
    changed = (await api.patch("/v1/subscriptions/desk", json={"name": "Desk", "filter": {}, "state": "paused"})).json()
    elsewhere = await api.patch("/v1/subscriptions/desk", json={"url": "https://10.0.0.1/"})

    assert (changed["name"], changed["filter"], changed["state"]) == ("Desk", {}, "paused")
    assert elsewhere.status_code == 422
    assert (await api.delete("/v1/subscriptions/desk")).status_code == 204
    assert (await api.get("/v1/subscriptions/desk")).status_code == 404
    assert await pool.fetchval("select count(*) from subscription") == 0


async def test_what_was_switched_off_begins_anew_when_it_is_switched_on(
    api: Client, pool: Pool, clock: Clock, connect: Connect
) -> None:
    manager = connect(await _key(api))
    await _made(manager, id="desk")
    await manager.post("/v1/subscriptions/desk/test")
    await pool.execute("update subscription set state = 'disabled', reason = 'it failed', failing_since = now()")
    await pool.execute("update delivery set attempts = 9, began_at = began_at - interval '9 days'")
    shown = (await manager.patch("/v1/subscriptions/desk", json={"state": "active"})).json()

    assert (shown["state"], shown["reason"], shown["failing_since"]) == ("active", None, None)
    assert tuple(await pool.fetchrow("select attempts, began_at from delivery")) == (0, clock.now)
    assert await pool.fetchval("select count(*) from to_judge") == 1


async def test_who_switches_on_what_a_gone_key_made_stands_in_for_it(api: Client, pool: Pool, connect: Connect) -> None:
    await pool.execute("insert into person (tenant, user_id) values ('acme', 'boss')")
    await _made(connect(await _key(api)), id="desk")
    await _made(connect(await _key(api, person="boss")), id="mine")
    await pool.execute("update api_key set revoked_at = now() where tenant is not null")
    await pool.execute("update subscription set state = 'disabled'")
    answers = [(await api.patch(f"/v1/subscriptions/{name}", json={"state": "active"})) for name in ("desk", "mine")]

    assert [answer.status_code for answer in answers] == [200, 409]
    assert answers[0].json()["key_id"] == "admin"


async def test_a_bound_key_knows_its_own_subscriptions_only(api: Client, connect: Connect) -> None:
    boss, other = connect(await _key(api, person="boss")), connect(await _key(api, person="eve"))
    await _made(boss, id="mine")
    await _made(api, id="all")

    assert [each["id"] for each in (await boss.get("/v1/subscriptions")).json()["items"]] == ["mine"]
    assert [each["id"] for each in (await api.get("/v1/subscriptions")).json()["items"]] == ["all", "mine"]
    for path in ("", "/deliveries"):
        assert (await other.get(f"/v1/subscriptions/mine{path}")).status_code == 404
    assert (await other.delete("/v1/subscriptions/mine")).status_code == 404
    assert (await boss.post("/v1/subscriptions", json={"kind": "email"})).status_code == 403


async def test_another_tenant_sees_nothing_of_it(api: Client, connect: Connect) -> None:
    await _made(api, id="desk")
    await api.post("/v1/tenants", json={"id": "globex"})
    stranger = connect(tenant="globex")

    assert (await stranger.get("/v1/subscriptions")).json()["items"] == []
    assert (await stranger.get("/v1/subscriptions/desk")).status_code == 404
    assert (await stranger.post("/v1/subscriptions/desk/test")).status_code == 404
    assert (await stranger.post("/v1/subscriptions", json={**HOOK, "id": "desk"})).status_code == 201


async def test_under_one_key_one_message_is_sent_to_see_whether_it_arrives(api: Client, pool: Pool) -> None:
    await _made(api, id="desk")
    headers = {"Idempotency-Key": "once"}
    first, second = [(await api.post("/v1/subscriptions/desk/test", headers=headers)).json() for _ in range(2)]

    assert first == second
    assert await pool.fetchval("select count(*) from delivery") == 1


async def test_deliveries_show_every_attempt_and_are_made_again_under_their_id(
    api: Client, pool: Pool, clock: Clock
) -> None:
    await _made(api, id="desk")
    first = (await api.post("/v1/subscriptions/desk/test")).json()
    second = (await api.post("/v1/subscriptions/desk/test")).json()
    await pool.execute(
        """insert into delivery_attempt (delivery, number, tenant, at, outcome, status, milliseconds)
           values ($1, 1, 'acme', $2, 'refused', 500, 12), ($1, 2, 'acme', $2, 'unreachable', null, 3)""",
        first["id"],
        NOON,
    )
    await pool.execute("update delivery set state = 'given_up', attempts = 2, finished_at = now()")
    path = f"/v1/subscriptions/desk/deliveries/{first['id']}"
    shown = (await api.get(path)).json()
    page = (await api.get("/v1/subscriptions/desk/deliveries?limit=1")).json()
    rest = (await api.get("/v1/subscriptions/desk/deliveries", params={"cursor": page["next"]})).json()
    clock.now = NOON.replace(hour=15)
    again = (await api.post(f"{path}/redeliver")).json()

    assert [(each["number"], each["outcome"], each["status"]) for each in shown["attempts"]] == [
        (1, "refused", 500),
        (2, "unreachable", None),
    ]
    assert shown["body"]["type"] == "subscription.test"
    assert [each["id"] for each in page["items"] + rest["items"]] == [second["id"], first["id"]]
    assert (again["state"], again["message"], again["due_at"]) == ("waiting", first["message"], "2026-03-02T15:00:00Z")
    given_up = (await api.get("/v1/subscriptions/desk/deliveries?state=given_up")).json()["items"]
    assert [each["id"] for each in given_up] == [second["id"]]
    await pool.execute("update delivery set state = 'sending' where id = $1", first["id"])
    assert (await api.post(f"{path}/redeliver")).status_code == 409
    assert (await api.get("/v1/subscriptions/desk/deliveries/99999999999999999999")).status_code == 404


async def test_a_span_of_time_is_delivered_again(api: Client, pool: Pool) -> None:
    await _made(api, id="desk")
    for _ in range(4):
        await api.post("/v1/subscriptions/desk/test")
    await pool.execute(
        """update delivery set state = case when id % 2 = 0 then 'given_up' else 'delivered' end,
           created_at = timestamptz '2026-03-01' + id * interval '1 day'"""
    )
    path = "/v1/subscriptions/desk/redeliver"
    some = await api.post(path, json={"from": "2026-03-01T00:00:00Z", "to": "2026-03-04T00:00:00Z"})
    rest = await api.post(path, json={"from": "2026-03-01T00:00:00Z", "all": True})
    wrong = await api.post(path, json={"from": "2026-03-04T00:00:00Z", "to": "2026-03-04T00:00:00Z"})

    assert (some.status_code, some.json(), rest.json()) == (202, {"redelivered": 1}, {"redelivered": 3})
    assert wrong.status_code == 422
