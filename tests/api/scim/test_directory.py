"""What identity providers say reaches the directory, and with it the counting."""

from datetime import timedelta

import pytest

from tests.api.conftest import Client, Clock
from tests.api.scim.conftest import ENTERPRISE, Provider

BEGINNING = "0001-01-01"
COLUMNS = ("user", "name", "email", "role", "team", "manager", "licensed_from", "licensed_to", "kind")
FULL = {
    "displayName": "Anna Snelling",
    "emails": [{"value": "anna@home.example"}, {"value": "anna@acme.example", "type": "work", "primary": True}],
    "title": "Account Executive",
    "timezone": "Europe/Berlin",
    "externalId": "ext-1",
    ENTERPRISE: {"department": "North", "manager": {"value": "boss@acme.example"}},
}


async def test_a_new_user_is_a_person_from_the_beginning_with_a_licence_from_today(provider: Provider) -> None:
    await provider.user("anna@acme.example", **FULL)

    person = await provider.person("anna@acme.example")
    assert person["time_zone"] == "Europe/Berlin"
    assert {name: person[name] for name in COLUMNS} == {
        "user": "anna@acme.example",
        "name": "Anna Snelling",
        "email": "anna@acme.example",
        "role": "Account Executive",
        "team": "North",
        "manager": "boss@acme.example",
        "licensed_from": "2026-03-02",
        "licensed_to": None,
        "kind": "human",
    }
    assert await provider.spells("anna@acme.example") == [
        (BEGINNING, None, "North", "Account Executive", "boss@acme.example")
    ]
    assert await provider.queued() == ["anna@acme.example"]
    assert await provider.pool.fetchval("select external_id from person") == "ext-1"
    assert await provider.pool.fetchval("select version from tally where shard = -1") > 0


async def test_what_was_never_known_holds_from_the_beginning(provider: Provider, clock: Clock) -> None:
    key = await provider.user("anna@acme.example", title="AE")
    clock.now += timedelta(days=3)
    await provider.group("North", key)
    assert await provider.spells("anna@acme.example") == [(BEGINNING, None, "North", "AE", None)]

    await provider.patch(
        f"Users/{key}",
        {"op": "replace", "path": "title", "value": "Lead"},
        {"op": "add", "path": f"{ENTERPRISE}:manager", "value": "bo"},
    )

    assert await provider.spells("anna@acme.example") == [
        (BEGINNING, "2026-03-05", "North", "AE", "bo"),
        ("2026-03-05", None, "North", "Lead", "bo"),
    ]
    assert await provider.queued() == ["anna@acme.example"]


async def test_another_team_title_or_manager_holds_from_today_on(provider: Provider, clock: Clock) -> None:
    key = await provider.user("anna@acme.example", **FULL)
    await provider.queued()
    clock.now += timedelta(days=10)

    await provider.patch(f"Users/{key}", {"op": "Replace", "path": f"{ENTERPRISE}:department", "value": "South"})

    assert await provider.spells("anna@acme.example") == [
        (BEGINNING, "2026-03-12", "North", "Account Executive", "boss@acme.example"),
        ("2026-03-12", None, "South", "Account Executive", "boss@acme.example"),
    ]
    assert await provider.queued() == ["anna@acme.example"]


async def test_what_changes_nothing_queues_nothing(provider: Provider) -> None:
    key = await provider.user("anna@acme.example", **FULL)
    group = await provider.group("North", key)
    await provider.queued()
    version = await provider.pool.fetchval("select version from tally where shard = -1")

    shown = (await provider.client.get(f"/scim/v2/Users/{key}")).json()
    again = await provider.client.put(f"/scim/v2/Users/{key}", json=shown)
    await provider.patch(f"Users/{key}", {"op": "replace", "value": {"active": "True"}})
    await provider.patch(f"Groups/{group}", {"op": "Add", "path": "members", "value": [{"value": key}]})
    await provider.patch(f"Groups/{group}", {"op": "replace", "value": {"id": group, "displayName": "North"}})

    assert again.json() == shown
    assert await provider.queued() == []
    assert await provider.pool.fetchval("select version from tally where shard = -1") == version


async def test_a_licence_ends_with_the_day_and_opens_again_without_a_gap(provider: Provider, clock: Clock) -> None:
    key = await provider.user("anna@acme.example")
    clock.now += timedelta(days=10)

    async def licence() -> tuple[object, object]:
        person = await provider.person("anna@acme.example")
        return person["licensed_from"], person["licensed_to"]

    await provider.patch(f"Users/{key}", {"op": "Replace", "path": "active", "value": "False"})
    assert await licence() == ("2026-03-02", "2026-03-12")
    assert (await provider.client.get(f"/scim/v2/Users/{key}")).json()["active"] is False
    await provider.patch(f"Users/{key}", {"op": "Replace", "path": "active", "value": "False"})
    assert await licence() == ("2026-03-02", "2026-03-12")
    clock.now += timedelta(days=10)
    await provider.patch(f"Users/{key}", {"op": "Replace", "path": "active", "value": "True"})
    assert await licence() == ("2026-03-02", None)
    assert await provider.queued() == ["anna@acme.example"]


async def test_a_user_created_inactive_has_no_licence_until_active(provider: Provider, clock: Clock) -> None:
    key = await provider.user("anna@acme.example", active=False)
    assert (await provider.person("anna@acme.example"))["licensed_from"] is None
    clock.now += timedelta(days=3)

    await provider.patch(f"Users/{key}", {"op": "replace", "value": {"active": True}})

    assert (await provider.person("anna@acme.example"))["licensed_from"] == "2026-03-05"


async def test_days_are_those_of_the_tenant(api: Client, provider: Provider, clock: Clock) -> None:
    await api.patch("/v1/tenants/acme", json={"time_zone": "Pacific/Auckland"})
    clock.now += timedelta(hours=1)  # 13:00 in UTC is 02:00 of the next day

    await provider.user("anna@acme.example")

    assert (await provider.person("anna@acme.example"))["licensed_from"] == "2026-03-03"


async def test_before_the_first_event_of_an_event_clock_a_licence_is_from_the_beginning(
    api: Client, provider: Provider
) -> None:
    await api.patch("/v1/tenants/acme", json={"clock": "event"})
    key = await provider.user("anna@acme.example")
    assert (await provider.person("anna@acme.example"))["licensed_from"] == "1900-01-01"

    shown = await provider.patch(f"Users/{key}", {"op": "replace", "value": {"active": False}})

    assert shown["active"] is False
    assert (await provider.person("anna@acme.example"))["licensed_from"] is None


@pytest.mark.parametrize(
    ("user_type", "kind", "role"),
    [
        ("Service", "service", None),
        ("shared", "shared", None),
        ("test", "test", None),
        ("Service Account", "service", None),
        ("Contractor", "human", "Contractor"),
    ],
)
async def test_the_type_of_a_user_tells_who_is_no_person(
    provider: Provider, user_type: str, kind: str, role: str | None
) -> None:
    await provider.user("x@acme.example", userType=user_type)

    person = await provider.person("x@acme.example")
    assert (person["kind"], person["role"]) == (kind, role)


async def test_groups_are_teams_but_those_with_the_prefix_of_roles(provider: Provider, clock: Clock) -> None:
    key = await provider.user("anna@acme.example", title="AE", **{ENTERPRISE: {"department": "Sales"}})

    async def place() -> tuple[object, object]:
        person = await provider.person("anna@acme.example")
        return person["team"], person["role"]

    assert await place() == ("Sales", "AE")
    north = await provider.group("North", key)
    role = await provider.group("role: Seller", key)
    assert await place() == ("North", "Seller")
    await provider.group("Everybody", key)
    assert await place() == ("North", "Seller")
    told = await provider.group("Team:West", key)
    assert await place() == ("West", "Seller")
    await provider.client.delete(f"/scim/v2/Groups/{told}")
    clock.now += timedelta(days=5)
    await provider.patch(f"Groups/{north}", {"op": "Replace", "path": "displayName", "value": "North-East"})
    assert await place() == ("North-East", "Seller")
    await provider.patch(f"Groups/{north}", {"op": "Remove", "path": "members", "value": [{"value": key}]})
    assert await place() == ("Everybody", "Seller")
    await provider.client.delete(f"/scim/v2/Groups/{role}")
    assert await place() == ("Everybody", "AE")
    assert [spell[:3] for spell in await provider.spells("anna@acme.example")] == [
        (BEGINNING, "2026-03-02", "Sales"),
        ("2026-03-02", "2026-03-07", "North"),
        ("2026-03-07", None, "Everybody"),
    ]


async def test_the_tenant_says_what_groups_are(provider: Provider) -> None:
    client = provider.client
    key = await provider.user("anna@acme.example")
    for name in ("CRM-T-North", "CRM-R-Seller", "Everybody"):
        await provider.group(name, key)
    assert (await client.get("/v1/directory/scim")).json() == {
        "team_prefix": "Team:",
        "role_prefix": "Role:",
        "others": "team",
    }

    rules = {"team_prefix": "crm-t-", "role_prefix": "crm-r-", "others": "none"}
    assert (await client.put("/v1/directory/scim", json=rules)).json() == rules
    person = await provider.person("anna@acme.example")
    assert (person["team"], person["role"]) == ("North", "Seller")

    await client.put("/v1/directory/scim", json={"team_prefix": "", "role_prefix": "", "others": "none"})
    person = await provider.person("anna@acme.example")
    assert (person["team"], person["role"]) == (None, None)
    for bad in ({"others": "x"}, {"team_prefix": "a", "role_prefix": "A"}, {"team_prefix": "a\x00"}, {"more": 1}):
        assert (await client.put("/v1/directory/scim", json=bad)).status_code == 422, bad


async def test_whoever_an_import_brought_is_a_user_and_keeps_what_nobody_changes(
    api: Client, provider: Provider
) -> None:
    row = {"user": "anna", "name": "Anna Snelling", "email": "Anna@acme.example", "team": "North", "role": "seller"}
    await api.put(
        "/v1/directory/people", json=[{**row, "manager": "bo", "licensed_from": "2026-01-05"}, {"user": "bo"}]
    )
    await provider.queued()

    shown = (await provider.client.get("/scim/v2/Users", params={"filter": 'userName eq "ANNA"'})).json()
    user = shown["Resources"][0]
    assert (user["name"]["givenName"], user["name"]["familyName"], user["active"]) == ("Anna", "Snelling", True)
    assert user["emails"] == [{"value": "Anna@acme.example", "type": "work", "primary": True}]
    conflict = await provider.client.post("/scim/v2/Users", json={"userName": "Anna"})
    assert (conflict.status_code, conflict.json()["scimType"]) == (409, "uniqueness")

    await provider.patch(f"Users/{user['id']}", {"op": "replace", "path": "title", "value": "lead"})
    person = await provider.person("anna")
    assert (person["team"], person["role"], person["manager"]) == ("North", "lead", "bo")
    assert person["licensed_from"] == "2026-01-05"


async def test_a_new_user_with_the_address_of_somebody_imported_is_that_person(api: Client, provider: Provider) -> None:
    rows = [
        {"user": "anna", "email": "anna@acme.example", "licensed_from": "2026-01-05", "team": "North"},
        {"user": "s1", "email": "shared@acme.example"},
        {"user": "s2", "email": "shared@acme.example"},
    ]
    await api.put("/v1/directory/people", json=rows)

    key = await provider.user("Anna@acme.example", displayName="Anna Snelling")
    await provider.user("shared@acme.example")

    person = await provider.person("anna")
    assert (person["name"], person["team"], person["licensed_from"]) == ("Anna Snelling", "North", "2026-01-05")
    items = (await provider.client.get("/v1/directory/people")).json()["items"]
    assert [item["user"] for item in items] == ["anna", "s1", "s2", "shared@acme.example"]
    found = await provider.client.get("/scim/v2/Users", params={"filter": 'userName eq "anna@acme.example"'})
    assert [user["id"] for user in found.json()["Resources"]] == [key]


async def test_a_name_that_is_free_again_makes_another_person(provider: Provider) -> None:
    first = await provider.user("anna@acme.example")
    await provider.patch(f"Users/{first}", {"op": "Replace", "path": "userName", "value": "anna.b@acme.example"})

    second = await provider.user("anna@acme.example")

    users = await provider.pool.fetch("select user_id, user_name, scim_id from person order by 1")
    assert [tuple(row) for row in users] == [
        ("anna@acme.example", "anna.b@acme.example", first),
        ("anna@acme.example~2", "anna@acme.example", second),
    ]
    taken = await provider.client.patch(
        f"/scim/v2/Users/{second}",
        json={"Operations": [{"op": "replace", "path": "userName", "value": "ANNA.B@acme.example"}]},
    )
    assert (taken.status_code, taken.json()["scimType"]) == (409, "uniqueness")


async def test_who_is_deleted_leaves_no_user_but_keeps_the_past(provider: Provider, clock: Clock) -> None:
    key = await provider.user("anna@acme.example", **FULL)
    group = await provider.group("North", key)
    clock.now += timedelta(days=10)

    assert (await provider.client.delete(f"/scim/v2/Users/{key}")).status_code == 204

    for answer in (
        await provider.client.get(f"/scim/v2/Users/{key}"),
        await provider.client.delete(f"/scim/v2/Users/{key}"),
        await provider.client.put(f"/scim/v2/Users/{key}", json={"userName": "anna@acme.example"}),
    ):
        assert answer.status_code == 404
    assert (await provider.client.get("/scim/v2/Users")).json()["totalResults"] == 0
    assert await provider.members(group) == set()
    person = await provider.person("anna@acme.example")
    assert (person["team"], person["licensed_from"], person["licensed_to"]) == ("North", "2026-03-02", "2026-03-12")

    again = await provider.user("anna@acme.example", displayName="Anna S.")
    assert again != key
    person = await provider.person("anna@acme.example")
    assert (person["name"], person["licensed_from"], person["licensed_to"]) == ("Anna S.", "2026-03-02", None)


async def test_another_address_or_key_lets_the_events_be_recognised_anew(provider: Provider) -> None:
    key = await provider.user("anna@acme.example", **FULL)
    for operation in (
        {"op": "replace", "path": "externalId", "value": "ext-2"},
        {"op": "replace", "path": 'emails[type eq "work"].value', "value": "anna.b@acme.example"},
    ):
        await provider.queued()
        await provider.patch(f"Users/{key}", operation)
        assert await provider.queued() == ["anna@acme.example"]

    kept = (await provider.client.put(f"/scim/v2/Users/{key}", json={"userName": "anna@acme.example"})).json()
    assert (kept["externalId"], kept["active"], "title" in kept) == ("ext-2", True, False)


async def test_a_loop_of_managers_is_refused(provider: Provider) -> None:
    anna = await provider.user("anna@acme.example")
    await provider.user("bo@acme.example", **{ENTERPRISE: {"manager": {"value": anna}}})

    told = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "add", "path": f"{ENTERPRISE}:manager", "value": "bo@acme.example"}],
    }
    answer = await provider.client.patch(f"/scim/v2/Users/{anna}", json=told)

    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue")
    assert "anna@acme.example → bo@acme.example → anna@acme.example" in answer.json()["detail"]
    assert (await provider.person("anna@acme.example"))["manager"] is None


async def test_who_was_reported_to_may_report_to_them_from_now_on(provider: Provider, clock: Clock) -> None:
    anna = await provider.user("anna@acme.example")
    bo = await provider.user("bo@acme.example", **{ENTERPRISE: {"manager": {"value": anna}}})
    clock.now += timedelta(days=3)

    await provider.patch(f"Users/{bo}", {"op": "remove", "path": f"{ENTERPRISE}:manager"})
    await provider.patch(f"Users/{anna}", {"op": "add", "path": f"{ENTERPRISE}:manager", "value": bo})

    assert [spell[0] for spell in await provider.spells("anna@acme.example")] == [BEGINNING, "2026-03-05"]
