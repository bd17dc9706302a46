"""Work lists: which records wait for somebody, why, and who may see whose."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from services.postgres import Connection, Pool, transaction
from tests.api.conftest import Client, Connect
from tests.builders import NOON, add_person, add_tenant, keep

DAY = timedelta(days=1)
WEEK = date(2026, 3, 2)
LINE = {"ada": "bo", "eve": "bo", "cy": None, "bo": None}


async def tell(tx: Connection, record: str, kind: str = "updated", at: datetime = NOON, **more: Any) -> None:
    """Keep what an event says of a record."""
    await keep(
        tx, at, f"crm.record.{kind}", **{"source": "/hooks/crm", "object": "opportunity", "record": record, **more}
    )


async def deal(
    tx: Connection, record: str, owner: str = "ada", *, team: str = "north", week: date = WEEK, **more: Any
) -> None:
    """Keep a deal that was made today and counted in ``week``."""
    await tell(tx, record, "created", **{"at": NOON - timedelta(hours=1), "owner": owner, **more})
    await counted(tx, f"{more.get('object', 'opportunity')}\t{record}", owner, team, week)


async def counted(tx: Connection, subject: str, owner: str, team: str, week: date = WEEK) -> None:
    await tx.execute(
        """insert into contribution (tenant, kind, subject, week, team, owner, counts, known_at)
           values ('acme', 'record', $1, $2, $3, $4, '{}', $5)""",
        subject,
        week,
        team,
        owner,
        NOON,
    )


@pytest.fixture
async def desk(api: Client, pool: Pool) -> Pool:  # noqa: ARG001 - the tenant must be there
    """A house in which ada and eve report to bo, and everybody was counted in this week."""
    async with transaction(pool) as tx:
        for user, manager in LINE.items():
            await add_person(tx, user, team="south" if user == "eve" else "north", manager=manager)
        await tx.execute("insert into measured_week (tenant, week, known_at) values ('acme', $1, $2)", WEEK, NOON)
    return pool


READY = {
    "close_date": date(2026, 5, 1),
    "fields": {"Amount": "filled", "CloseDate": "filled", "NextStep": "filled"},
}


async def listed(api: Client, **asked: Any) -> dict[str, Any]:
    answer = await api.get("/v1/worklists", params=asked)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def records(api: Client, **asked: Any) -> list[str]:
    return [item["record"] for item in (await listed(api, **asked))["items"]]


async def test_a_record_waits_for_what_its_policy_asks(api: Client, desk: Pool) -> None:
    async with transaction(desk) as tx:
        await deal(tx, "ready", **READY)
        await deal(tx, "gaps", fields={"Amount": "placeholder", "CloseDate": "empty", "NextStep": "empty"})
        await deal(tx, "late", **{**READY, "close_date": date(2026, 3, 1)})
        await deal(tx, "today", **{**READY, "close_date": NOON.date()})
        await deal(tx, "gone", fields={})
        await tell(tx, "gone", "deleted", NOON)
        await deal(tx, "lost", stage="Closed Lost")

    found = {item["record"]: item for item in (await listed(api))["items"]}
    assert found.keys() == {"gaps", "late"}
    assert found["gaps"] == {
        "object": "opportunity",
        "record": "gaps",
        "owner": "ada",
        "link": None,
        "reasons": [
            {"reason": "placeholder", "field": "amount", "role": None},
            {"reason": "missing", "field": "close date", "role": None},
            {"reason": "no_next_step", "field": "next step", "role": None},
        ],
    }
    assert [reason["reason"] for reason in found["late"]["reasons"]] == ["stale_close_date"]


async def test_whoever_makes_a_record_for_somebody_else_does_not_own_it(api: Client, desk: Pool) -> None:
    async with transaction(desk) as tx:
        await tell(tx, "made", "created", NOON - timedelta(hours=1), on_behalf_of="eve", fields={"Amount": "empty"})
        await counted(tx, "opportunity\tmade", "ada", "north")

    assert [item["owner"] for item in (await listed(api))["items"]] == [None]


async def test_a_won_deal_waits_for_its_handover(api: Client, desk: Pool) -> None:
    registry = {
        "objects": {
            "opportunity": {
                "close_date": ["CloseDate"],
                "won": ["Won"],
                "handoff": ["Goals"],
                "fields": {"Goals": {"owner": "success"}},
            }
        }
    }
    assert (await api.put("/v1/field-registry", json=registry)).status_code == 200
    async with transaction(desk) as tx:
        await deal(tx, "won", stage="won")
        await deal(tx, "whole", stage="Won", fields={"goals": "filled"})
        await deal(tx, "old", at=NOON - 29 * DAY, stage="Won")

    assert (await listed(api))["items"] == [
        {
            "object": "opportunity",
            "record": "won",
            "owner": "ada",
            "link": None,
            "reasons": [{"reason": "handoff", "field": "Goals", "role": "success"}],
        }
    ]


async def test_a_list_is_narrowed_by_owner_team_object_and_reason(api: Client, desk: Pool) -> None:
    async with transaction(desk) as tx:
        await deal(tx, "1", **{**READY, "close_date": date(2026, 3, 1)})
        await deal(tx, "2", "eve", team="south")
        await deal(tx, "3", object="contact", fields={"email": "empty"})
        await deal(tx, "4", week=WEEK - timedelta(days=7))
        await deal(tx, "5", week=WEEK - timedelta(days=14))

    assert await records(api) == ["3", "1", "2", "4"]
    assert await records(api, owner="eve") == ["2"]
    assert await records(api, team="south") == ["2"]
    assert await records(api, team="south", owner="ada") == []
    assert await records(api, object="contact") == ["3"]
    assert await records(api, reason="stale_close_date") == ["1"]
    assert await records(api, reason="no_evidence") == []
    assert (await api.get("/v1/worklists", params={"reason": "x"})).status_code == 422


async def test_a_record_is_on_the_list_of_who_has_it_now(api: Client, desk: Pool) -> None:
    async with transaction(desk) as tx:
        await deal(tx, "1")
        await tell(tx, "1", at=NOON, owner="eve-crm")
        await counted(tx, "opportunity\t1", "eve-crm", "south", WEEK - timedelta(days=7))
        await tx.execute(
            """insert into person_link (tenant, identity, user_id, how, candidates)
               values ('acme', 'eve-crm', 'eve', 'email', '[]')"""
        )

    assert await records(api, owner="ada") == []
    assert [item["owner"] for item in (await listed(api))["items"]] == ["eve"]


async def test_what_was_dropped_is_known_from_what_was_kept_of_it(api: Client, desk: Pool) -> None:
    async with transaction(desk) as tx:
        await tell(tx, "1", "created", NOON - 9 * DAY, owner="ada", fields={"Amount": "empty"})
        await tell(tx, "1", "updated", NOON, fields={"NextStep": "filled", "CloseDate": "filled"})
        await counted(tx, "opportunity\t1", "ada", "north")
        await tx.execute(
            """insert into record_base (tenant, object, record, as_of, state)
               values ('acme', 'opportunity', '1', $1, $2)""",
            NOON - DAY,
            {"alive": True, "outcome": "open", "owner": "eve", "fields": {"amount": ["placeholder"]}},
        )

    [item] = (await listed(api))["items"]
    assert item["owner"] == "eve"
    assert item["reasons"] == [{"reason": "placeholder", "field": "amount", "role": None}]


async def test_a_link_leads_into_the_crm(api: Client, desk: Pool) -> None:
    source = {"id": "crm", "kind": "salesforce-cdc", "options": {"link": "https://a.example/{object}/{record}?x"}}
    assert (await api.post("/v1/sources", json=source)).status_code == 201
    async with transaction(desk) as tx:
        await deal(tx, "a/b")
        await deal(tx, "other", source="/elsewhere")

    links = {item["record"]: item["link"] for item in (await listed(api))["items"]}
    assert links == {"a/b": "https://a.example/Opportunity/a%2Fb?x", "other": None}

    own = {"objects": {"opportunity": {"decision": ["Amount"], "link": "https://b.example/{record}"}}}
    assert (await api.put("/v1/field-registry", json=own)).status_code == 200
    links = {item["record"]: item["link"] for item in (await listed(api))["items"]}
    assert links == {"a/b": "https://b.example/a%2Fb", "other": "https://b.example/other"}


async def test_pages_go_through_all_records_once(api: Client, desk: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.api.worklists.CHUNK", 3)
    monkeypatch.setattr("services.api.worklists.MOST", 6)
    async with transaction(desk) as tx:
        for number in range(20):
            await deal(tx, f"{number:02}", **({} if number % 3 else READY))

    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await listed(api, limit=2, **cursor)
        assert len(page["items"]) <= 2
        seen += [item["record"] for item in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert seen == [f"{number:02}" for number in range(20) if number % 3]
    assert (await api.get("/v1/worklists", params={**cursor, "owner": "ada"})).status_code == 422


async def bound(api: Client, connect: Connect, person: str) -> Client:
    made = await api.post("/v1/keys", json={"scopes": ["read"], "tenant": "acme", "person": person})
    return connect(made.json()["key"])


async def test_a_bound_key_sees_its_line_and_every_look_at_somebody_is_logged(
    api: Client, connect: Connect, desk: Pool
) -> None:
    async with transaction(desk) as tx:
        for record, owner in (("1", "ada"), ("2", "eve"), ("3", "cy"), ("4", "bo")):
            await deal(tx, record, owner)
    manager, seller = await bound(api, connect, "bo"), await bound(api, connect, "ada")

    assert await records(manager) == ["1", "2", "4"]
    assert await records(seller) == ["1"]
    assert await records(seller, owner="ada") == ["1"]
    assert (await seller.get("/v1/worklists", params={"owner": "eve"})).status_code == 404
    assert (await manager.get("/v1/worklists", params={"owner": "cy"})).status_code == 404
    logged = await desk.fetch("select subject from access_log where route = '/v1/worklists' order by 1")
    assert [row["subject"] for row in logged] == ["ada", "eve"]


async def test_where_single_persons_are_not_shown_records_have_no_owner(
    api: Client, connect: Connect, desk: Pool
) -> None:
    async with transaction(desk) as tx:
        await deal(tx, "1")
        await deal(tx, "2", "eve", team="south")
        await tx.execute("update tenant set individual_visibility = 'off', min_group = 2")
        await tx.execute(
            """insert into hidden_group (tenant, week, dimension, key, reason)
               values ('acme', $1, 'team', 'south', 'small')""",
            WEEK,
        )
    manager = await bound(api, connect, "bo")
    seller = await bound(api, connect, "ada")

    assert [(item["record"], item["owner"]) for item in (await listed(api))["items"]] == [("1", None), ("2", None)]
    assert (await api.get("/v1/worklists", params={"owner": "ada"})).status_code == 404
    assert await listed(api, team="south") == {"items": [], "next": None, "reason": "suppressed"}
    assert await records(api, team="north") == ["1"]
    assert await records(manager) == []
    assert [item["owner"] for item in (await listed(seller, owner="ada"))["items"]] == ["ada"]
    assert not await desk.fetch("select from access_log where route = '/v1/worklists'")


async def test_before_anything_was_counted_nothing_waits(api: Client, connect: Connect, pool: Pool) -> None:
    assert await listed(api) == {"items": [], "next": None, "reason": None}
    async with transaction(pool) as tx:
        await add_tenant(tx, "other")
    made = await api.post("/v1/keys", json={"scopes": ["read"], "tenant": "other"})
    assert await records(connect(made.json()["key"])) == []
