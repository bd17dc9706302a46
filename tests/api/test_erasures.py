"""Asking for a person to be forgotten, and what is told of outages and backfills."""

from datetime import UTC, date, datetime, timedelta

from services.postgres import Pool
from tests.api.conftest import Client, Connect

PEOPLE = "/v1/directory/people"


async def hire(api: Client, *users: str) -> None:
    people = [{"user": user, "team": "North", "licensed_from": "2026-01-01"} for user in users]
    assert (await api.put(PEOPLE, json=people)).json()["errors"] == []


async def test_an_erasure_is_asked_for_once_and_can_be_followed(api: Client, pool: Pool) -> None:
    await hire(api, "ada", "bo")
    await pool.execute("insert into alias (tenant, identity, user_id, actor) values ('acme', 'hub-1', 'ada', 'x')")

    asked = await api.delete("/v1/people/ada?mode=anonymise")
    again = await api.delete("/v1/people/ada")

    assert asked.status_code == 202
    assert again.json() == asked.json()
    body = asked.json()
    assert (body["mode"], body["state"], body["finished_at"]) == ("anonymise", "running", None)
    assert (await api.get(f"/v1/erasures/{body['id']}")).json() == body
    assert {each["what"] for each in body["report"]["stays"]} >= {
        "events on the Kafka topic",
        "backups of the database",
    }
    rows = await pool.fetch("select identity, main, done_at from erasing order by 1")
    assert [tuple(row) for row in rows] == [("ada", True, None), ("hub-1", False, None)]
    assert await pool.fetchval("select count(*) from directory_change where user_id in ('ada', 'hub-1')") >= 2


async def test_who_is_not_known_cannot_be_erased_and_nobody_may_who_does_not_manage(
    api: Client, connect: Connect, pool: Pool
) -> None:
    await hire(api, "ada", "bo")
    await pool.execute(
        "insert into person_link (tenant, identity, user_id, how) values ('acme', 'other-bo', 'bo', 'email')"
    )
    made = await api.post("/v1/keys", json={"tenant": "acme", "scopes": ["read"]})
    bound = await api.post("/v1/keys", json={"tenant": "acme", "scopes": ["manage"], "person": "ada"})

    assert (await api.delete("/v1/people/nobody")).status_code == 404
    assert (await api.delete("/v1/people/ada?mode=burn")).status_code == 422
    assert (await api.delete("/v1/people/other-bo")).status_code == 409
    assert (await api.get("/v1/erasures/1")).status_code == 404
    for key in (made, bound):
        assert (await connect(key.json()["key"]).delete("/v1/people/ada")).status_code == 403
    assert await pool.fetchval("select count(*) from erasure") == 0


async def test_another_tenant_sees_no_erasure(api: Client, connect: Connect) -> None:
    await hire(api, "ada")
    number = (await api.delete("/v1/people/ada")).json()["id"]
    await api.post("/v1/tenants", json={"id": "other"})

    assert (await connect(tenant="other").get(f"/v1/erasures/{number}")).status_code == 404


async def test_an_import_does_not_bring_back_who_was_erased(api: Client) -> None:
    await hire(api, "ada", "bo")
    await api.delete("/v1/people/ada")

    answer = (await api.put(PEOPLE, json=[{"user": "ada", "team": "South"}, {"user": "bo", "team": "South"}])).json()

    assert (answer["created"], answer["updated"]) == (0, 1)
    assert answer["errors"] == [{"row": 1, "column": "user", "reason": "was erased and is not taken again"}]


async def test_an_identity_provider_does_not_bring_back_who_was_erased(
    api: Client, connect: Connect, pool: Pool
) -> None:
    await hire(api, "ada")
    await api.delete("/v1/people/ada")
    await pool.execute("delete from person where user_id = 'ada'")  # as the owner of the shard does
    made = (await api.post("/v1/keys", json={"tenant": "acme", "scopes": ["manage"]})).json()["key"]
    user = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ada"}

    answer = await connect(made).post("/scim/v2/Users", json=user)

    assert answer.status_code == 409
    assert "was erased" in answer.json()["detail"]


async def test_an_identity_provider_makes_nobody_report_to_who_was_erased(
    api: Client, connect: Connect, pool: Pool
) -> None:
    await hire(api, "ada")
    await api.delete("/v1/people/ada")
    await pool.execute("delete from person where user_id = 'ada'")  # as the owner of the shard does
    made = (await api.post("/v1/keys", json={"tenant": "acme", "scopes": ["manage"]})).json()["key"]
    work = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    boss = {"value": "ada", "displayName": "Ada Lovelace"}
    user = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", work], "userName": "bo"}

    answer = await connect(made).post("/scim/v2/Users", json={**user, work: {"department": "North", "manager": boss}})

    assert (answer.status_code, answer.json()[work]) == (201, {"department": "North"})
    assert await pool.fetchval("select manager from membership where user_id = 'bo'") is None
    assert not await pool.fetchval("select exists (select from person p where p::text ilike '%lovelace%')")


async def test_a_silent_source_is_said_to_be_and_its_days_are_marked(api: Client, pool: Pool) -> None:
    since = datetime(2026, 3, 1, 9, tzinfo=UTC)
    await pool.execute(
        """insert into source_seen (tenant, source, shard, last_event_at) values ('acme', '/crm', 0, $1),
           ('acme', '/mobile', 0, $1)""",
        since,
    )
    await pool.execute(
        "insert into silence (tenant, source, since, opened_at, expected, seen, state)"
        " values ('acme', '/crm', $1, $1, 9, 0, 'silent')",
        since,
    )
    await pool.execute(
        """insert into window_delta (tenant, dimension, key, days, day, shard, licensed, active)
           values ('acme', 'tenant', 'all', 1, $1, 0, 5, 3)""",
        date(2026, 2, 27),
    )

    sources = (await api.get("/v1/status?wait=0")).json()["sources"]
    windows = (await api.get("/v1/windows?from=2026-02-27&to=2026-03-02")).json()["items"]

    assert {each["id"]: each["state"] for each in sources} == {"/crm": "silent", "/mobile": "quiet"}
    assert [each.get("reason") for each in windows] == [None, None, "source_silent", "source_silent"]
    assert {each["active"] for each in windows} == {3}


async def test_backfills_are_listed_the_newest_first(api: Client, pool: Pool) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    largest = [
        {"dimension": "tenant", "key": "all", "metric": "M11", "day": "2026-01-05", "before": [1, 9], "after": [5, 9]},
        {"dimension": "team", "key": "North", "metric": "M11", "day": "2026-01-05", "before": [1, 2], "after": [2, 2]},
    ]
    for number in range(3):
        await pool.execute(
            "insert into backfill (tenant, started_at, report) values ('acme', $1, $2)",
            start + timedelta(days=number),
            {"cells": number, "weeks": {"2026-01-05": number}, "largest": largest},
        )

    first = (await api.get("/v1/backfills?limit=2")).json()
    rest = (await api.get("/v1/backfills", params={"limit": 2, "cursor": first["next"]})).json()

    assert [each["cells"] for each in (*first["items"], *rest["items"])] == [2, 1, 0]
    assert rest["next"] is None
    assert [each["dimension"] for each in first["items"][0]["largest"]] == ["tenant"]
