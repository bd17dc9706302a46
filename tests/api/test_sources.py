"""Sources over HTTP: made, shown without their secrets, rotated, and how the CRM is connected."""

import json

import pytest

from schemas.sources import KINDS
from services import sealing
from services.api.fields import GIVEN
from services.api.setups import SETUPS
from services.postgres import Pool
from tests.api.conftest import Client, Connect

HUBSPOT = {"id": "hubspot-eu", "kind": "hubspot", "secrets": ["client-secret-1"], "options": {"portal": "62515"}}


async def secrets(pool: Pool, source: str) -> list[str]:
    async with pool.acquire() as connection:
        seal = await sealing.seal_of(connection, "")
        sealed = await connection.fetchval("select secrets from source where id = $1", source)
    return [seal.open(each, f"source/{source}").decode() for each in sealed]


async def test_a_source_is_made_and_its_secret_never_shown(api: Client, pool: Pool) -> None:
    made = await api.post("/v1/sources", json=HUBSPOT)
    again = await api.post("/v1/sources", json=HUBSPOT)
    shown = await api.get("/v1/sources/hubspot-eu")
    async with pool.acquire() as connection:
        row = str(await connection.fetchrow("select * from source"))

    assert (made.status_code, again.status_code) == (201, 409)
    assert shown.json()["secrets"] == 1
    assert shown.json()["options"] == {"portal": "62515"}
    assert "client-secret" not in made.text + shown.text + row
    assert await secrets(pool, "hubspot-eu") == ["client-secret-1"]


async def test_an_admin_key_names_the_tenant_of_a_source_in_its_body_or_in_the_header(
    api: Client, connect: Connect
) -> None:
    nameless = connect()
    made = await nameless.post("/v1/sources", json={**HUBSPOT, "tenant": "acme"})
    refused = [await nameless.post("/v1/sources", json=HUBSPOT | more) for more in ({}, {"tenant": "globex"})]

    assert (made.status_code, made.json()["tenant"]) == (201, "acme")
    assert [answer.status_code for answer in refused] == [422, 404]
    assert refused[0].json()["errors"][0]["pointer"] == "/tenant"
    assert (await api.get("/v1/sources/hubspot-eu")).status_code == 200


@pytest.mark.parametrize("kind", sorted(KINDS))
async def test_every_kind_can_be_made_and_tells_how_it_is_set_up(api: Client, kind: str) -> None:
    given = ["whsec_" + "QUJD" * 8] if KINDS[kind].secret_given else []
    made = await api.post("/v1/sources", json={"id": "crm", "kind": kind, "secrets": given})
    setup = (await api.get("/v1/sources/crm/setup")).json()

    assert made.status_code == 201
    assert setup["url"].startswith("http://127.0.0.1:8081")
    assert setup["steps"]
    assert "{url}" not in json.dumps(setup)
    assert ("crm" in setup["url"]) is not KINDS[kind].by_key
    assert (setup["secret"] is None) is KINDS[kind].secret_given
    assert KINDS.keys() == SETUPS.keys()


async def test_two_secrets_are_active_while_senders_change_over(api: Client, pool: Pool) -> None:
    await api.post("/v1/sources", json={"id": "odoo", "kind": "odoo"})
    [first] = await secrets(pool, "odoo")
    counts = [(await api.patch("/v1/sources/odoo", json={"rotate": True})).json()["secrets"] for _ in range(2)]
    newest, older = await secrets(pool, "odoo")

    assert counts == [2, 2]
    assert first not in (newest, older)
    assert (await api.get("/v1/sources/odoo/setup")).json()["secret"] == newest


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"id": "x", "kind": "nothing"}, 422),
        ({"id": "x", "kind": "hubspot"}, 422),
        ({"id": "x/y", "kind": "odoo"}, 422),
        ({"id": "x", "kind": "odoo", "secrets": ["has/a/slash"]}, 422),
        ({"id": "x", "kind": "odoo", "secrets": ["short"]}, 422),
        ({"id": "x", "kind": "odoo", "secrets": ["one-secret", "two-secrets", "three-secrets"]}, 422),
        ({"id": "x", "kind": "odoo", "options": {"unheard_of": 1}}, 422),
        ({"id": "x", "kind": "odoo", "options": {"link": "a NUL \0"}}, 422),
        ({"id": "x", "kind": "segment", "options": {"login_events": [f"login {n}" for n in range(5000)]}}, 422),
        ({"id": "x", "kind": "odoo", "options": {"software_users": "1"}}, 422),
        ({"id": "x", "kind": "odoo", "options": {"requests_per_second": -1}}, 422),
        ({"id": "x", "kind": "odoo", "tenant": "globex"}, 404),
    ],
    ids=lambda value: json.dumps(value)[:60],
)
async def test_what_cannot_be_a_source_is_refused(api: Client, body: object, status: int) -> None:
    assert (await api.post("/v1/sources", json=body)).status_code == status


async def test_a_key_leads_to_one_source(api: Client) -> None:
    first = await api.post("/v1/sources", json={"id": "seg", "kind": "segment", "secrets": ["write-key-1"]})
    second = await api.post("/v1/sources", json={"id": "hog", "kind": "posthog", "secrets": ["write-key-1"]})

    assert (first.status_code, second.status_code) == (201, 409)


async def test_a_source_of_another_tenant_does_not_exist(api: Client, connect: Connect) -> None:
    await api.post("/v1/sources", json=HUBSPOT)
    stranger = connect(tenant="globex")
    await stranger.post("/v1/tenants", json={"id": "globex"})
    paths = ["/v1/sources/hubspot-eu", "/v1/sources/hubspot-eu/setup"]
    answers = [(await stranger.get(path)).status_code for path in paths]
    answers += [(await stranger.patch(paths[0], json={"options": {}})).status_code]
    answers += [(await stranger.delete(paths[0])).status_code]

    assert answers == [404] * 4
    assert (await stranger.get("/v1/sources")).json()["items"] == []
    assert (await api.delete(paths[0])).status_code == 204
    assert (await api.get(paths[0])).status_code == 404


async def test_the_field_registry_is_the_tenants_own_or_the_default(api: Client) -> None:
    own = {"objects": {"opportunity": {"names": ["Chance"], "stage": ["Phase"]}}, "placeholders": ["folgt"]}
    default = (await api.get("/v1/field-registry")).json()
    kept = (await api.put("/v1/field-registry", json=own)).json()
    refused = await api.put("/v1/field-registry", json={"objects": {"x": {"unheard": []}}})

    assert default["default"]
    assert "Opportunity" in default["objects"]["opportunity"]["names"]
    assert kept["objects"]["opportunity"]["stage"] == ["Phase"]
    assert (await api.get("/v1/field-registry")).json() == kept
    assert refused.status_code == 422
    assert (await api.delete("/v1/field-registry")).status_code == 204
    assert (await api.get("/v1/field-registry")).json()["default"]


async def test_a_field_registry_that_makes_no_sense_is_refused_with_the_place(api: Client) -> None:
    deal = {"stages": ["New"], "due_stage": "Old", "link": "http://x/{record}", "commit_stage": "won"}
    refused = await api.put("/v1/field-registry", json={"objects": {"deal": deal}})

    assert refused.status_code == 422
    pointers = [error["pointer"] for error in refused.json()["errors"]]
    assert pointers == ["/objects/deal/due_stage", "/objects/deal/commit_stage", "/objects/deal/link"]
    for wrong in ({"next_step_days": 0}, {"outcome": {"status": {"won": "maybe"}}}, {"fields": {"a": {"x": 1}}}):
        assert (await api.put("/v1/field-registry", json={"objects": {"deal": wrong}})).status_code == 422
    assert (await api.get("/v1/field-registry")).json()["default"]


async def test_what_is_given_of_a_field_registry_is_what_is_shown(api: Client, pool: Pool) -> None:
    await pool.execute("delete from dirty")
    kept = await api.put("/v1/field-registry", json=GIVEN)

    deal = kept.json()["objects"]["opportunity"]
    given = GIVEN["objects"]["opportunity"]
    assert {name: deal[name] for name in given} == {**given, "fields": deal["fields"]}
    assert (deal["next_step_days"], deal["commit"], deal["duplicates"]) == (14, ["commit"], True)
    assert deal["fields"]["loss reason"]["due_stage"] == "lost"
    await api.delete("/v1/field-registry")
    assert [row["kind"] for row in await pool.fetch("select kind from dirty")] == ["tenant", "tenant"]


async def test_the_link_of_a_source_leads_over_https_to_one_host(api: Client) -> None:
    for link in ("http://a.example/{record}", "https://user:secret@a.example/{record}", "https://a.example/"):
        made = await api.post("/v1/sources", json={"id": "x", "kind": "zoho", "options": {"link": link}})
        assert made.status_code == 422, link
        assert made.json()["errors"][0]["pointer"] == "/options"
        assert "secret" not in made.text
