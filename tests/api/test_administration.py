"""Administration is written down by the tables themselves, whoever changes them, and stays."""

from typing import Any

import httpx
import pytest

from services import postgres
from tests.api.conftest import Client, Connect

ADMIN = "admin"
SECRET = "of-the-app-0815"
UNWATCHED = {
    "tenant": {"activity_from", "created_at", "updated_at"},
    "api_key": {"created_at"},
    "source": {"created_at", "updated_at"},
    "rule_version": {"actor", "at"},
    "subscription": {"created_at", "cursor", "failing_since", "mornings_to", "reason", "updated_at"},
    "feed": {"created_at"},
}
"""What is kept in the course of the work; a new column stands here or in a trigger."""


async def deeds(api: Client, **asked: Any) -> list[tuple[str, ...]]:
    """Return what was done, the first first."""
    answer = await api.get("/v1/administration", params=asked)
    assert answer.status_code == 200, answer.text
    return [
        (it["actor"], it["action"], it["kind"], it["name"], " ".join(it["parts"]))
        for it in reversed(answer.json()["items"])
    ]


async def test_whoever_administers_is_written_down_with_what_changed_and_no_values(
    api: Client, connect: Connect
) -> None:
    made = (await api.post("/v1/keys", json={"tenant": "acme", "scopes": ["manage", "read"]})).json()
    keeper = connect(made["key"])
    source = {"id": "hub", "kind": "hubspot", "secrets": [SECRET]}
    hook = {"kind": "webhook", "name": "ours", "url": "https://8.8.4.4/secret-path"}
    before = len(await deeds(api))

    async def did(method: str, path: str, body: Any = None) -> httpx.Response:
        answer = await keeper.request(method, path, json=body)
        assert answer.is_success, answer.text
        return answer

    await did("POST", "/v1/sources", source)
    await did("PATCH", "/v1/sources/hub", {"secrets": ["another-0815", SECRET]})
    await did("PUT", "/v1/sources/hub/logins", {"until": "2026-03-01T00:00:00Z"})
    await did("PUT", "/v1/sources/hub/logins", {"until": "2026-02-01T00:00:00Z"})  # changes nothing
    await did("DELETE", "/v1/sources/hub")
    subscription = (await did("POST", "/v1/subscriptions", hook)).json()["id"]
    await did("PATCH", f"/v1/subscriptions/{subscription}", {"name": "theirs"})
    feed = (await did("POST", "/v1/feeds")).json()["id"]
    await did("DELETE", f"/v1/feeds/{feed}")
    await did("PATCH", "/v1/tenants/acme", {"name": "Acme Ltd."})
    await did("POST", "/v1/directory/quality/approve")
    await did("PUT", "/v1/rules/adoption-drop-vs-week1", {"severity": "info"})
    await did("DELETE", f"/v1/keys/{made['id']}")
    told = await deeds(api)
    answers = (await api.get("/v1/administration")).text

    assert told[before:] == [
        (made["id"], "made", "source", "hub", ""),
        (made["id"], "changed", "source", "hub", "secrets"),
        (made["id"], "changed", "source", "hub", "logins_until"),
        (made["id"], "deleted", "source", "hub", ""),
        (made["id"], "made", "subscription", subscription, ""),
        (made["id"], "changed", "subscription", subscription, "name"),
        (made["id"], "made", "feed", feed, ""),
        (made["id"], "changed", "feed", feed, "revoked_at"),
        (made["id"], "changed", "tenant", "acme", "name"),
        (made["id"], "changed", "tenant", "acme", "quality_approved_at"),
        (made["id"], "made", "rule", "adoption-drop-vs-week1", ""),
        (made["id"], "changed", "key", made["id"], "revoked_at"),
    ]
    assert (ADMIN, "made", "key", made["id"], "") in told
    assert [private for private in (SECRET, "Ltd", "secret-path") if private in answers] == []


async def test_one_tenant_one_kind_or_one_actor_can_be_asked_for_by_pages(api: Client, connect: Connect) -> None:
    everything = connect()
    await api.post("/v1/tenants", json={"id": "other"})
    await api.post("/v1/keys", json={"tenant": "other", "scopes": ["read"]})
    first = (await everything.get("/v1/administration", params={"limit": 1})).json()
    rest = (await everything.get("/v1/administration", params={"limit": 1, "cursor": first["next"]})).json()
    others = await connect(tenant="other").get("/v1/administration")

    assert [it["kind"] for it in others.json()["items"]] == ["key", "tenant"]
    assert [it["kind"] for it in (*first["items"], *rest["items"])] == ["key", "tenant"]
    assert [deed[2] for deed in await deeds(everything, kind="tenant", actor=ADMIN)] == ["tenant", "tenant"]


async def test_what_is_done_by_hand_is_written_down_too_and_what_machines_note_is_not(
    api: Client, pool: postgres.Pool
) -> None:
    before = await deeds(api)
    await pool.execute("update tenant set min_group = 7, activity_from = '2026-03-01' where id = 'acme'")
    await pool.execute("update tenant set activity_from = '2026-03-02', updated_at = now() where id = 'acme'")
    await pool.execute("update tenant set name = name")

    assert (await deeds(api))[len(before) :] == [
        ("uptake by tests", "changed", "tenant", "acme", "activity_from min_group")
    ]


async def test_every_column_of_what_is_administered_is_watched_but_those_kept_in_the_course_of_the_work(
    pool: postgres.Pool,
) -> None:
    rows = await pool.fetch(
        """select tgrelid::regclass::text as name,
             array_agg(attname::text) filter (where attnum <> all(tgattr::int2[])) as columns
           from pg_trigger join pg_attribute on attrelid = tgrelid and attnum > 0 and not attisdropped
           where tgname = 'administered' group by 1"""
    )

    assert {row["name"]: set(row["columns"]) for row in rows} == UNWATCHED


@pytest.mark.parametrize(
    "statement",
    ["update administration set actor = 'x'", "delete from administration", "truncate administration"],
    ids=["an update is refused", "a deletion is refused", "a truncation is refused"],
)
async def test_nobody_takes_back_what_was_written_down(pool: postgres.Pool, statement: str) -> None:
    with pytest.raises(postgres.DATABASE_ERRORS, match="administration is append-only"):
        await pool.execute(statement)
