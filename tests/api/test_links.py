"""Identities over HTTP: decided, taken back, listed. What follows for the windows is the aggregator's."""

from typing import Any

import pytest

from schemas.topics import person_key, shard_of
from services.postgres import Pool
from tests.api.conftest import Client, Connect
from tests.builders import SHARDS, add_person

MERGE = "/v1/directory/merge"
UNMERGE = "/v1/directory/unmerge"
LINKS = "/v1/directory/links"


@pytest.fixture
async def api(api: Client, pool: Pool) -> Client:
    """The admin's client; anna, bo and cy are in the directory, and nothing waits."""
    for user in ("anna", "bo", "cy"):
        await add_person(pool, user, manager="bo" if user == "cy" else None)
    await pool.execute("delete from directory_change")
    return api


async def found(pool: Pool, identity: str, user: str | None, how: str, *candidates: str) -> None:
    await pool.execute(
        "insert into person_link (tenant, identity, user_id, how, candidates) values ('acme', $1, $2, $3, $4)",
        identity,
        user,
        how,
        list(candidates),
    )


async def shown(api: Client, query: str = "") -> dict[str, tuple[Any, ...]]:
    items = (await api.get(f"{LINKS}{query}")).json()["items"]
    return {item["identity"]: (item["how"], item["user"]) for item in items}


async def test_merging_decides_queues_and_writes_down_who_did_it(api: Client, pool: Pool) -> None:
    done = await api.post(MERGE, json={"user": "anna", "aliases": ["hub-1", "hub-2", "hub-1"]})

    assert done.json() == {"merged": 2, "unchanged": 0}
    assert await shown(api) == {"hub-1": ("alias", "anna"), "hub-2": ("alias", "anna")}
    queued = await pool.fetch("select user_id, shard from directory_change order by 1")
    assert [tuple(row) for row in queued] == [
        (identity, shard_of(person_key("acme", identity), SHARDS)) for identity in ("hub-1", "hub-2")
    ]
    audit = await pool.fetchrow("select identity, before, after, actor from alias_change order by identity limit 1")
    assert tuple(audit) == ("hub-1", None, "anna", "admin")
    assert await pool.fetchval("select version from tally where shard = -1") is not None


async def test_a_person_shows_the_day_zero_of_the_earliest_entry_merged_into_theirs(api: Client, pool: Pool) -> None:
    await pool.execute("update licence set licensed_from = '2026-03-16' where user_id = 'anna'")
    await pool.execute("update licence set licensed_from = '2026-02-02' where user_id = 'bo'")
    assert (await api.get("/v1/people/anna")).json()["day_zero"] == "2026-03-16"

    await api.post(MERGE, json={"user": "anna", "aliases": ["bo"]})

    assert (await api.get("/v1/people/anna")).json()["day_zero"] == "2026-02-02"


async def test_merging_again_changes_nothing_and_merging_elsewhere_moves(api: Client, pool: Pool) -> None:
    await api.post(MERGE, json={"user": "anna", "aliases": ["hub-1"]})
    await pool.execute("delete from directory_change")

    again = await api.post(MERGE, json={"user": "anna", "aliases": ["hub-1"]})
    assert again.json() == {"merged": 0, "unchanged": 1}
    assert await pool.fetchval("select count(*) from directory_change") == 0

    await api.post(MERGE, json={"user": "bo", "aliases": ["hub-1"]})
    assert await shown(api) == {"hub-1": ("alias", "bo")}
    assert await pool.fetchval("select count(*) from alias_change") == 2


async def test_unmerging_takes_a_decision_back_and_pins_what_was_found(api: Client, pool: Pool) -> None:
    await api.post(MERGE, json={"user": "anna", "aliases": ["hub-1"]})
    await found(pool, "hub-2", "anna", "email")

    done = await api.post(UNMERGE, json={"aliases": ["hub-1", "hub-2", "cy"]})

    assert done.json() == {"reversed": 1, "pinned": 1, "unchanged": 1}
    assert await shown(api) == {"hub-2": ("pinned", None)}
    await api.post(MERGE, json={"user": "bo", "aliases": ["hub-2"]})
    assert await shown(api) == {"hub-2": ("alias", "bo")}


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"user": "nobody", "aliases": ["x"]}, 404, None),
        ({"user": "bo", "aliases": ["x"]}, 422, "/user"),
        ({"user": "cy", "aliases": ["x", "cy"]}, 422, "/aliases/1"),
        ({"user": "cy", "aliases": ["anna"]}, 422, "/aliases/0"),
        ({"user": "cy", "aliases": []}, 422, "/aliases"),
        ({"user": "cy", "aliases": ["x"] * 1001}, 422, "/aliases"),
        ({"user": "cy", "aliases": ["a\0"]}, 422, "/aliases/0"),
        ({"user": "cy", "aliases": [7]}, 422, "/aliases/0"),
        ({"user": "cy", "aliases": ["x"], "force": True}, 422, "/force"),
    ],
    ids=[
        "nobody of the directory", "somebody who is merged away", "themselves", "somebody others are merged into",
        "nothing", "too much", "a NUL", "no text", "more than is known",
    ],
)  # fmt: skip
async def test_what_cannot_be_merged_is_refused_with_its_place(
    api: Client, pool: Pool, body: dict[str, Any], status: int, pointer: str | None
) -> None:
    await api.post(MERGE, json={"user": "anna", "aliases": ["bo"]})
    answer = await api.post(MERGE, json=body)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert pointer is None or [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert await pool.fetchval("select count(*) from alias") == 1


async def test_links_are_listed_by_user_and_reason_page_by_page(api: Client, pool: Pool) -> None:
    await api.post(MERGE, json={"user": "anna", "aliases": ["c", "a"]})
    await found(pool, "b", "anna", "email")
    await found(pool, "d", None, "ambiguous", "anna", "bo")
    await found(pool, "e", "bo", "external_id")
    await found(pool, "anna", "anna", "self")

    first = (await api.get(f"{LINKS}?limit=3")).json()
    rest = (await api.get(LINKS, params={"limit": 3, "cursor": first["next"]})).json()

    assert [item["identity"] for item in first["items"] + rest["items"]] == ["a", "b", "c", "d", "e"]
    assert rest["next"] is None
    assert rest["items"][0]["candidates"] == ["anna", "bo"]
    assert list(await shown(api, "?user=bo")) == ["d", "e"]
    assert list(await shown(api, "?how=alias")) == ["a", "c"]
    assert (await api.get(f"{LINKS}?how=magic")).status_code == 422


async def test_a_bound_key_sees_the_identities_of_its_line_only_and_decides_nothing(
    api: Client, connect: Connect
) -> None:
    await api.post(MERGE, json={"user": "cy", "aliases": ["c"]})
    await api.post(MERGE, json={"user": "anna", "aliases": ["a"]})
    given = {"tenant": "acme", "scopes": ["read", "manage"], "person": "bo"}
    bound = connect((await api.post("/v1/keys", json=given)).json()["key"])

    assert await shown(bound) == {"c": ("alias", "cy")}
    assert (await bound.post(MERGE, json={"user": "cy", "aliases": ["x"]})).status_code == 403
    assert (await bound.post(UNMERGE, json={"aliases": ["c"]})).status_code == 403


async def test_a_person_shows_the_identities_and_into_whom_they_were_merged(api: Client, pool: Pool) -> None:
    await api.post(MERGE, json={"user": "anna", "aliases": ["bo"]})
    await found(pool, "hub-2", "anna", "email")

    anna, bo = [(await api.get(f"/v1/people/{user}")).json() for user in ("anna", "bo")]

    assert anna["identities"] == [{"identity": "bo", "how": "alias"}, {"identity": "hub-2", "how": "email"}]
    assert (anna["merged_into"], bo["merged_into"], bo["identities"]) == (None, "anna", [])
