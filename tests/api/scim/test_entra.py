"""What Entra ID sends: the requests of its published protocol reference, with and without its compliance flag."""

from tests.api.scim.conftest import ENTERPRISE, USER, Provider

CREATED = {
    "schemas": [USER, ENTERPRISE],
    "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
    "userName": "Test_User_00aa00aa-bb11-cc22-dd33-44ee44ee44ee",
    "active": True,
    "emails": [
        {"primary": True, "type": "work", "value": "Test_User_11bb11bb-cc22-dd33-ee44-55ff55ff55ff@testuser.com"}
    ],
    "meta": {"resourceType": "User"},
    "name": {"formatted": "givenName familyName", "familyName": "familyName", "givenName": "givenName"},
    "roles": [],
}
GROUP = {
    "schemas": [
        "urn:ietf:params:scim:schemas:core:2.0:Group",
        "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group",
    ],
    "externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159",
    "displayName": "displayName",
    "meta": {"resourceType": "Group"},
}


async def test_a_user_lives_through_the_published_sequence(provider: Provider) -> None:
    client = provider.client
    test = await client.get("/scim/v2/Users", params={"filter": 'userName eq "non-existent user"'})
    assert (test.status_code, test.json()["totalResults"], test.json()["Resources"]) == (200, 0, [])

    made = await client.post("/scim/v2/Users", json=CREATED)
    assert made.status_code == 201
    shown = made.json()
    key = shown["id"]
    for name in ("externalId", "userName", "active", "emails", "name"):
        assert shown[name] == CREATED[name]
    assert shown["meta"]["resourceType"] == "User"
    assert shown["meta"]["created"] <= shown["meta"]["lastModified"]

    for condition in (
        f'userName eq "{CREATED["userName"]}"',
        f'externalId eq "{CREATED["externalId"]}"',
        f'emails[type eq "work"].value eq "{shown["emails"][0]["value"]}"',
        f'id eq "{key}"',
    ):
        page = (await client.get("/scim/v2/Users", params={"filter": condition})).json()
        assert [user["id"] for user in page["Resources"]] == [key], condition

    changed = await provider.patch(
        f"Users/{key}",
        {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "updatedEmail@microsoft.com"},
        {"op": "Replace", "path": "name.familyName", "value": "updatedFamilyName"},
    )
    assert changed["emails"] == [{"value": "updatedEmail@microsoft.com", "type": "work", "primary": True}]
    assert changed["name"]["familyName"] == "updatedFamilyName"

    renamed = await provider.patch(
        f"Users/{key}",
        {"op": "Replace", "path": "userName", "value": "5b50642d-79fc-4410-9e90-4c077cdd1a59@testuser.com"},
    )
    assert renamed["userName"] == "5b50642d-79fc-4410-9e90-4c077cdd1a59@testuser.com"
    assert (await provider.person(CREATED["userName"]))["email"] == "updatedEmail@microsoft.com"  # type: ignore[arg-type]

    disabled = await provider.patch(f"Users/{key}", {"op": "Replace", "path": "active", "value": False})
    assert disabled["active"] is False
    found = (await client.get("/scim/v2/Users", params={"filter": f'userName eq "{renamed["userName"]}"'})).json()
    assert found["Resources"][0]["active"] is False

    assert (await client.delete(f"/scim/v2/Users/{key}")).status_code == 204
    assert (await client.get(f"/scim/v2/Users/{key}")).status_code == 404


async def test_a_group_lives_through_the_published_sequence(provider: Provider) -> None:
    client = provider.client
    user, other = await provider.user("u1@acme.example"), await provider.user("u2@acme.example")
    made = await client.post("/scim/v2/Groups", json=GROUP)
    assert (made.status_code, made.json()["members"], made.json()["externalId"]) == (201, [], GROUP["externalId"])
    group = made.json()["id"]

    one = (await client.get(f"/scim/v2/Groups/{group}?excludedAttributes=members")).json()
    assert "members" not in one
    address = '/scim/v2/Groups?excludedAttributes=members&filter=displayName eq "displayName"'
    page = (await client.get(address)).json()
    assert [(found["id"], "members" in found) for found in page["Resources"]] == [(group, False)]

    name = "1879db59-3bdf-4490-ad68-ab880a269474updatedDisplayName"
    assert await provider.patch(f"Groups/{group}", {"op": "Replace", "path": "displayName", "value": name}) is None

    for member in (user, other):
        add = {"op": "Add", "path": "members", "value": [{"$ref": None, "value": member}]}
        assert await provider.patch(f"Groups/{group}", add) is None
    has = f'/scim/v2/Groups?excludedAttributes=members&filter=id eq "{group}" and members eq "{user}"'
    assert (await client.get(has)).json()["totalResults"] == 1

    remove = {"op": "Remove", "path": "members", "value": [{"$ref": None, "value": user}]}
    assert await provider.patch(f"Groups/{group}", remove) is None
    assert await provider.members(group) == {other}
    assert (await client.get(has)).json()["totalResults"] == 0

    assert (await client.delete(f"/scim/v2/Groups/{group}")).status_code == 204


async def test_without_its_compliance_flag_false_is_a_word_and_every_attribute_has_a_path(provider: Provider) -> None:
    key = await provider.user("pvlo@acme.example")

    changed = await provider.patch(
        f"Users/{key}",
        {"op": "Replace", "path": "displayName", "value": "Pvlo"},
        {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "TestBcwqnm@test.microsoft.com"},
        {"op": "Replace", "path": "name.givenName", "value": "Gtfd"},
        {"op": "Replace", "path": "name.familyName", "value": "Pkqf"},
        {"op": "Replace", "path": "externalId", "value": "Eqpj"},
        {"op": "Replace", "path": f"{ENTERPRISE}:employeeNumber", "value": "Eqpj"},
        {"op": "Add", "path": "nickName", "value": "Babs"},
        {"op": "Add", "path": 'phoneNumbers[type eq "mobile"].value', "value": "555-0100"},
        {"op": "Add", "path": 'addresses[type eq "work"].formatted', "value": "1 Main Street"},
    )
    assert changed["displayName"] == "Pvlo"
    assert changed["emails"] == [{"type": "work", "value": "TestBcwqnm@test.microsoft.com"}]
    assert changed["name"] == {"givenName": "Gtfd", "familyName": "Pkqf"}
    assert changed[ENTERPRISE] == {"employeeNumber": "Eqpj"}
    assert (changed["externalId"], changed["nickName"]) == ("Eqpj", "Babs")
    assert "phoneNumbers" not in changed
    assert await provider.pool.fetchval("select external_id from person") == "Eqpj"

    off = await provider.patch(f"Users/{key}", {"op": "Replace", "path": "active", "value": "False"})
    on = await provider.patch(f"Users/{key}", {"op": "Replace", "path": "active", "value": "True"})
    assert (off["active"], on["active"]) == (False, True)


async def test_with_its_compliance_flag_names_have_dots_and_colons_in_one_value(provider: Provider) -> None:
    key = await provider.user("kkom@acme.example")

    changed = await provider.patch(
        f"Users/{key}",
        {"op": "replace", "path": 'emails[type eq "work"].value', "value": "TestMhvaes@test.microsoft.com"},
        {
            "op": "replace",
            "value": {
                "displayName": "Bjfe",
                "name.givenName": "Kkom",
                "name.familyName": "Unua",
                f"{ENTERPRISE}:employeeNumber": "Aklq",
                f"{ENTERPRISE}:department": "North",
            },
        },
        {"op": "replace", "path": "active", "value": False},
    )

    assert (changed["displayName"], changed["name"]) == ("Bjfe", {"givenName": "Kkom", "familyName": "Unua"})
    assert changed[ENTERPRISE] == {"employeeNumber": "Aklq", "department": "North"}
    assert changed["active"] is False
    person = await provider.person("kkom@acme.example")
    assert (person["name"], person["team"]) == ("Bjfe", "North")


async def test_a_manager_is_told_as_a_value_or_as_an_object_and_found_by_the_id(provider: Provider) -> None:
    boss, key = await provider.user("boss@acme.example"), await provider.user("anna@acme.example")
    path = f"{ENTERPRISE}:manager"

    async def manager() -> object:
        return (await provider.person("anna@acme.example"))["manager"]

    await provider.patch(f"Users/{key}", {"op": "Add", "path": path, "value": boss})
    assert await manager() == "boss@acme.example"
    condition = f'id eq "{key}" and manager eq "{boss}"'
    found = await provider.client.get("/scim/v2/Users", params={"filter": condition, "attributes": "id"})
    assert found.json()["Resources"] == [{"schemas": [USER, ENTERPRISE], "id": key}]

    await provider.patch(f"Users/{key}", {"op": "Remove", "path": path})
    assert await manager() is None
    await provider.patch(f"Users/{key}", {"op": "Replace", "path": path, "value": {"value": boss}})
    assert await manager() == "boss@acme.example"
    await provider.patch(f"Users/{key}", {"op": "Replace", "value": {path: "someone@else.example"}})
    assert await manager() == "someone@else.example"
    await provider.patch(f"Users/{key}", {"op": "Replace", "path": f"{path}.value", "value": "BOSS@acme.example"})
    assert await manager() == "boss@acme.example"
    await provider.patch(f"Users/{key}", {"op": "Replace", "path": path, "value": ""})
    assert await manager() is None


async def test_the_role_of_the_application_becomes_the_role(provider: Provider) -> None:
    key = await provider.user("anna@acme.example", title="Account Executive")
    assert (await provider.person("anna@acme.example"))["role"] == "Account Executive"

    path = 'roles[primary eq "True"]'
    shown = await provider.patch(f"Users/{key}", {"op": "Add", "path": f"{path}.value", "value": "seller"})
    assert shown["roles"] == [{"primary": True, "value": "seller"}]
    assert (await provider.person("anna@acme.example"))["role"] == "seller"
    await provider.patch(f"Users/{key}", {"op": "Replace", "path": f"{path}.value", "value": "lead"})
    assert (await provider.person("anna@acme.example"))["role"] == "lead"
