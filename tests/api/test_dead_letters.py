"""Dead letters over HTTP: listed without what was delivered, opened one at a time, and marked by their replay."""

import base64
import json
from datetime import timedelta
from typing import Any

import pytest

from schemas.letters import Letter, context, pack
from services.postgres import Pool
from services.sealing import Seal, seal_of
from tests.api.conftest import Client, Connect
from tests.builders import NOON

TEXT = "Smith & Sons have phoned"


async def add_letter(pool: Pool, number: int, tenant: str = "acme", seal: Seal | None = None, **columns: Any) -> str:
    """Insert a letter as the aggregator keeps it; return its id."""
    at = NOON + timedelta(hours=number)
    letter = Letter("crm", "POST", ("lead",), {"content-type": "application/json"}, json.dumps(TEXT).encode(), at)
    async with pool.acquire() as connection:
        seal = seal or await seal_of(connection, "")
    row = {
        "tenant": tenant,
        "letter": f"letter-{tenant}-{number}",
        "source": "crm",
        "kind": "odoo",
        "reasons": [{"pointer": "", "reason": "is not a JSON object"}],
        "reason": "is not a JSON object",
        "value": seal.close(pack(letter), context(tenant)),
        "received_at": at,
        "log_offset": number,
        **columns,
    }
    places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
    await pool.execute(f"insert into dead_letter ({', '.join(row)}) values ({places})", *row.values())
    return str(row["letter"] or "")


async def ids(api: Client, **query: Any) -> list[str]:
    answer = await api.get("/v1/dead-letters", params=query)
    assert answer.status_code == 200, answer.text
    return [it["id"].removeprefix("letter-acme-") for it in answer.json()["items"]]


async def test_the_list_says_where_and_why_and_never_what(api: Client, pool: Pool) -> None:
    name = await add_letter(pool, 1)
    answer = await api.get("/v1/dead-letters")

    assert answer.json() == {
        "items": [
            {
                "id": name,
                "source": "crm",
                "kind": "odoo",
                "state": "open",
                "reasons": [{"pointer": "", "reason": "is not a JSON object"}],
                "received_at": "2026-03-02T13:00:00Z",
                "replayable": True,
                "replayed_at": None,
                "outcome": None,
            }
        ],
        "next": None,
    }
    assert b"Smith" not in await pool.fetchval("select value from dead_letter")


async def test_the_list_is_filtered_and_paged_the_newest_first(api: Client, pool: Pool) -> None:
    for number in range(6):
        await add_letter(
            pool,
            number,
            source="even" if number % 2 == 0 else "odd",
            state="replayed" if number == 3 else "open",
            reasons=[{"pointer": "/0", "reason": "first"}, {"pointer": "/1", "reason": f"second of {number}"}],
        )
    first = (await api.get("/v1/dead-letters", params={"limit": 4})).json()
    await add_letter(pool, 7)
    second = (await api.get("/v1/dead-letters", params={"limit": 4, "cursor": first["next"]})).json()
    foreign = await api.get("/v1/dead-letters", params={"source": "odd", "cursor": first["next"]})

    assert [it["id"][-1] for it in first["items"] + second["items"]] == list("543210")
    assert second["next"] is None
    assert foreign.status_code == 422
    assert await ids(api, source="odd") == ["5", "3", "1"]
    assert await ids(api, state="replayed") == ["3"]
    assert await ids(api, reason="second of 4") == ["4"]
    assert await ids(api, reason="is not a JSON object") == ["7", "5", "4", "3", "2", "1", "0"]
    assert await ids(api, **{"from": "2026-03-02T16:00:00Z", "to": "2026-03-02T18:00:00Z"}) == ["5", "4"]
    assert await ids(api, to="2026-03-01") == []
    assert (await api.get("/v1/status", params={"wait": 0})).json()["dead_letters_open"] == 6


@pytest.mark.parametrize("query", ["state=closed", "from=now", "to=2026-02-30", "limit=0", "cursor=x", "source=%00"])
async def test_a_question_that_cannot_be_read_is_refused(api: Client, query: str) -> None:
    assert (await api.get(f"/v1/dead-letters?{query}")).status_code == 422


async def test_whoever_opens_a_letter_is_written_down(api: Client, pool: Pool) -> None:
    name = await add_letter(pool, 1)
    answer = (await api.get(f"/v1/dead-letters/{name}")).json()

    assert json.loads(base64.b64decode(answer["body_base64"])) == TEXT
    assert (answer["method"], answer["steps"]) == ("POST", ["lead"])
    assert answer["headers"] == {"content-type": "application/json"}
    assert [tuple(row) for row in await pool.fetch("select tenant, key_id, route, subject from access_log")] == [
        ("acme", "admin", "/v1/dead-letters", name)
    ]


async def test_a_letter_under_a_key_that_is_gone_is_told_so(api: Client, pool: Pool) -> None:
    name = await add_letter(pool, 1, seal=Seal(bytes(32)))

    assert (await api.get(f"/v1/dead-letters/{name}")).status_code == 409


async def test_a_letter_of_another_tenant_is_not_there(api: Client, connect: Connect, pool: Pool) -> None:
    await api.post("/v1/tenants", json={"id": "other"})
    name = await add_letter(pool, 1, "other")
    key = (await api.post("/v1/keys", json={"tenant": "acme", "scopes": ["manage"]})).json()["key"]
    client = connect(key)

    assert (await client.get("/v1/dead-letters")).json()["items"] == []
    assert (await client.get(f"/v1/dead-letters/{name}")).status_code == 404
    assert (await client.post(f"/v1/dead-letters/{name}/replayed", json={"accepted": 1})).status_code == 404


async def test_a_replay_is_noted_with_its_outcome(api: Client, pool: Pool) -> None:
    name = await add_letter(pool, 1)
    bad = [{"pointer": "/0", "reason": "is still wrong"}]
    first = await api.post(f"/v1/dead-letters/{name}/replayed", json={"accepted": 1, "bad": bad})
    second = await api.post(f"/v1/dead-letters/{name}/replayed", json={"accepted": 2})

    assert (first.json()["state"], first.json()["outcome"]) == ("still-bad", {"accepted": 1, "bad": bad, "by": "admin"})
    assert (second.json()["state"], second.json()["replayed_at"]) == ("replayed", "2026-03-02T12:00:00Z")
    assert await ids(api, state="open") == []
    assert (await api.post(f"/v1/dead-letters/{name}/replayed", json={"accepted": -1})).status_code == 422


async def test_a_record_of_the_events_topic_is_listed_and_cannot_be_replayed(api: Client, pool: Pool) -> None:
    columns = {"letter": None, "shard": 3, "mark": 5, "source": None, "kind": None, "reasons": [], "value": b"\xff"}
    await add_letter(pool, 1, **columns)
    [item] = (await api.get("/v1/dead-letters")).json()["items"]
    opened = (await api.get(f"/v1/dead-letters/{item['id']}")).json()

    assert item["id"].startswith("log-")
    assert not item["replayable"]
    assert item["reasons"] == [{"pointer": "", "reason": "is not a JSON object"}]
    assert opened["body_base64"] == "/w=="
    assert (await api.post(f"/v1/dead-letters/{item['id']}/replayed", json={"accepted": 1})).status_code == 409
