"""What Okta sends: its SCIM 2.0 specification test, and the sequences of its protocol reference."""

import pytest

from services.api.scim.errors import ERROR
from tests.api.scim.conftest import SCIM, USER, Provider

LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
JSON = {"Content-Type": "application/json", "Accept": "application/scim+json; charset=utf-8"}
RANDOM = {
    "schemas": [USER],
    "userName": "Okta.User.7@acme.example",
    "name": {"givenName": "Rosa", "familyName": "Lind"},
    "emails": [{"primary": True, "value": "okta.user.7@acme.example", "type": "work"}],
    "displayName": "Rosa Lind",
    "active": True,
}
CREATED = {
    "schemas": [USER],
    "userName": "test.user@okta.local",
    "name": {"givenName": "Test", "familyName": "User"},
    "emails": [{"primary": True, "value": "test.user@okta.local", "type": "work"}],
    "displayName": "Test User",
    "locale": "en-US",
    "externalId": "00ujl29u0le5T6Aj10h7",
    "groups": [],
    "password": "1mz050nq",
    "active": True,
}


async def test_the_specification_test_passes(provider: Provider) -> None:
    client = provider.client
    await provider.user("first@acme.example", **{k: v for k, v in RANDOM.items() if k not in ("schemas", "userName")})

    listed = await client.get("/scim/v2/Users?count=1&startIndex=1")
    assert listed.status_code == 200
    page = listed.json()
    assert LIST in page["schemas"]
    assert all(isinstance(page[name], int) for name in ("itemsPerPage", "startIndex", "totalResults"))
    shown = page["Resources"][0]
    assert shown["name"]["familyName"]
    assert shown["name"]["givenName"]
    assert shown["userName"]
    assert shown["active"] is True
    assert shown["emails"][0]["value"]

    one = await client.get(f"/scim/v2/Users/{shown['id']}")
    assert (one.status_code, one.json()["id"]) == (200, shown["id"])

    for name in ("nobody@acme.example", RANDOM["userName"]):
        none = await client.get("/scim/v2/Users", params={"filter": f'userName eq "{name}"'})
        assert (none.status_code, none.json()["totalResults"], none.json()["schemas"]) == (200, 0, [LIST])

    missing = await client.get("/scim/v2/Users/00000000-0000-0000-0000-000000000000")
    assert (missing.status_code, missing.json()["schemas"], missing.json()["status"]) == (404, [ERROR], "404")
    assert missing.json()["detail"]

    made = await client.post("/scim/v2/Users", json=RANDOM, headers=JSON)
    assert made.status_code == 201
    assert made.json()["active"] is True
    assert (made.json()["name"], made.json()["userName"]) == (RANDOM["name"], RANDOM["userName"])
    assert USER in made.json()["schemas"]
    assert made.headers["location"] == made.json()["meta"]["location"]
    assert made.headers["content-type"] == "application/scim+json"

    again = await client.get(f"/scim/v2/Users/{made.json()['id']}")
    assert again.json() == made.json()

    refused = await client.post("/scim/v2/Users", json=RANDOM, headers=JSON)
    assert (refused.status_code, refused.json()["scimType"], refused.json()["schemas"]) == (409, "uniqueness", [ERROR])

    capitals = await client.get("/scim/v2/Users", params={"filter": f'userName eq "{RANDOM["userName"].upper()}"'})  # type: ignore[attr-defined]
    assert (capitals.status_code, capitals.json()["totalResults"]) == (200, 1)

    groups = await client.get("/scim/v2/Groups")
    assert (groups.status_code, groups.json()["Resources"]) == (200, [])


async def test_a_user_is_looked_up_created_changed_by_put_and_deactivated(provider: Provider) -> None:
    client = provider.client
    lookup = "/scim/v2/Users?filter=userName%20eq%20%22test.user%40okta.local%22&startIndex=1&count=100"
    assert (await client.get(lookup)).json()["totalResults"] == 0

    made = await client.post("/scim/v2/Users", json=CREATED)
    key = made.json()["id"]
    assert "password" not in made.text
    assert (await client.get(lookup)).json()["Resources"][0]["id"] == key

    body = (await client.get(f"/scim/v2/Users/{key}")).json()
    body["name"] = {"givenName": "Another", "middleName": "Excited", "familyName": "User"}
    changed = await client.put(f"/scim/v2/Users/{key}", json=body)
    assert (changed.status_code, changed.json()["name"]) == (200, body["name"])
    assert changed.json()["externalId"] == CREATED["externalId"]

    off = await provider.patch(f"Users/{key}", {"op": "replace", "value": {"active": False}})
    assert off["active"] is False
    person = await provider.person("test.user@okta.local")
    assert (person["licensed_from"], person["licensed_to"]) == (None, None)  # never licensed for a whole day

    on = await client.put(f"/scim/v2/Users/{key}", json={**body, "active": True})
    assert on.json()["active"] is True
    assert (await provider.person("test.user@okta.local"))["licensed_from"] == "2026-03-02"


async def test_a_password_reaches_no_table(provider: Provider) -> None:
    key = await provider.user("test.user@okta.local", password="meaningless-1mz050nq")
    await provider.patch(f"Users/{key}", {"op": "replace", "value": {"password": "meaningless-2"}})
    await provider.patch(f"Users/{key}", {"op": "replace", "path": "password", "value": "meaningless-3"})

    row = await provider.pool.fetchval("select person::text from person")
    assert "meaningless" not in row


async def test_a_group_is_pushed_renamed_filled_and_deleted(provider: Provider) -> None:
    client = provider.client
    first, second = await provider.user("a@acme.example"), await provider.user("b@acme.example")
    body = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Test SCIMv2", "members": []}
    made = await client.post("/scim/v2/Groups", json=body)
    assert (made.status_code, made.json()["members"], made.json()["displayName"]) == (201, [], "Test SCIMv2")
    group = made.json()["id"]

    rename = {"op": "replace", "value": {"id": group, "displayName": "Test SCIMv20"}}
    assert await provider.patch(f"Groups/{group}", rename) is None
    assert (await client.get(f"/scim/v2/Groups/{group}")).json()["displayName"] == "Test SCIMv20"

    await provider.patch(
        f"Groups/{group}", {"op": "add", "path": "members", "value": [{"value": second, "display": "b@acme.example"}]}
    )
    await provider.patch(
        f"Groups/{group}",
        {"op": "remove", "path": f'members[value eq "{second}"]'},
        {"op": "add", "path": "members", "value": [{"value": first, "display": "a@acme.example"}]},
    )
    assert await provider.members(group) == {first}
    assert (await provider.person("a@acme.example"))["team"] == "Test SCIMv20"
    assert (await provider.person("b@acme.example"))["team"] is None

    both = [{"value": first, "display": "a"}, {"value": second, "display": "b"}]
    await provider.patch(f"Groups/{group}", {"op": "replace", "path": "members", "value": both})
    assert await provider.members(group) == {first, second}
    shown = (await client.get(f"/scim/v2/Users/{first}")).json()["groups"]
    assert [(entry["value"], entry["display"]) for entry in shown] == [(group, "Test SCIMv20")]

    put = await client.put(f"/scim/v2/Groups/{group}", json={"displayName": "West", "members": both[:1]})
    assert (put.status_code, [member["value"] for member in put.json()["members"]]) == (200, [first])

    gone = await client.delete(f"/scim/v2/Groups/{group}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await client.get(f"/scim/v2/Groups/{group}")).status_code == 404
    assert (await provider.person("a@acme.example"))["team"] is None


@pytest.mark.parametrize("key", ["Bearer upt_acme_0123456789abcdef", "Basic dXNlcjpwYXNz", "SSWS x", ""])
async def test_whoever_has_no_key_is_told_so_in_the_words_of_scim(provider: Provider, key: str) -> None:
    answer = await provider.client.get("/scim/v2/Users", headers={**SCIM, "Authorization": key})

    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/scim+json")
    assert (answer.json()["schemas"], answer.json()["status"]) == ([ERROR], "401")
    assert answer.headers["www-authenticate"] == "Bearer"
