"""Alerts over HTTP: the list, one, its history, and acknowledging."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.alerts import item
from services.api.store.alerts import COLUMNS
from services.postgres import Pool
from tests.api.conftest import Client, Connect
from tests.builders import NOON, add_person


async def add_alert(pool: Pool, alert: str, tenant: str = "acme", **columns: Any) -> dict[str, Any]:
    row = {
        "id": alert,
        "rule": "user-never-logged-in-d3",
        "rule_version": 1,
        "severity": "critical",
        "tier": "confirmed",
        "state": "open",
        "suppressed_by": None,
        "subject_kind": "user",
        "subject_key": "anna",
        "wave": "north",
        "title": "Anna has not logged in by D+3",
        "opened_at": NOON,
        "updated_at": NOON,
        "resolved_at": None,
        "resolution": None,
        "window": {"from": "2026-03-02", "to": "2026-03-05"},
        "evidence": {"num": 0, "den": 1, "people": ["anna"]},
        "audience": [{"role": "manager", "person": "dustin"}],
        "action": "Call.",
        "episode": 1,
        "revision": 0,
        "acknowledged_at": None,
        "snoozed_until": None,
        "snooze_reason": None,
        "assignee": None,
        "plan_on": None,
        "escalation": 0,
        "useful": None,
        **columns,
    }
    names = ", ".join(f'"{name}"' for name in COLUMNS)
    places = ", ".join(f"${n}" for n in range(3, len(COLUMNS) + 3))
    await pool.execute(
        f"insert into alert (tenant, fingerprint, {names}) values ($1, $2, {places})",
        tenant,
        alert,
        *(row[n] for n in COLUMNS),
    )
    await pool.execute(
        """insert into alert_change (tenant, alert, kind, state, actor, as_of, body)
           values ($1, $2, 'opened', 'open', 'evaluator', $3, $4)""",
        tenant,
        alert,
        row["opened_at"],
        item(row),
    )
    return row


async def ids(api: Client, **params: Any) -> list[str]:
    answer = await api.get("/v1/alerts", params=params)
    assert answer.status_code == 200, answer.text
    return [entry["id"] for entry in answer.json()["items"]]


async def test_an_alert_is_shown_as_everybody_sees_it(api: Client, pool: Pool) -> None:
    row = await add_alert(pool, "a1")

    body = (await api.get("/v1/alerts/a1")).json()

    assert body["subject"] == {"kind": "user", "key": "anna"}
    assert body["evidence"] == row["evidence"]
    assert body["opened_at"] == "2026-03-02T12:00:00Z"
    assert body["links"] == {
        "self": "/v1/alerts/a1",
        "history": "/v1/alerts/a1/history",
        "wave": "/v1/waves/north/connection",
    }
    assert (await api.get("/v1/alerts")).json()["items"] == [body]


async def test_alerts_are_listed_newest_first_however_they_are_paged(api: Client, pool: Pool) -> None:
    rng = random.Random(7)
    want = []
    for n in range(30):
        opened = NOON + timedelta(seconds=rng.randint(0, 9), microseconds=rng.randint(0, 2))
        want.append((opened, f"a{n:02}"))
        await add_alert(pool, f"a{n:02}", opened_at=opened)

    seen: list[str] = []
    cursor = None
    while cursor is not None or not seen:
        page = (
            await api.get("/v1/alerts", params={"limit": rng.randint(1, 7), **({"cursor": cursor} if cursor else {})})
        ).json()
        seen += [entry["id"] for entry in page["items"]]
        cursor = page["next"]

    assert seen == [alert for _, alert in sorted(want, reverse=True)]


async def test_every_filter_filters(api: Client, pool: Pool) -> None:
    await add_alert(pool, "a", opened_at=datetime(2026, 3, 1, tzinfo=UTC))
    await add_alert(
        pool,
        "b",
        rule="adoption-drop-vs-week1",
        severity="info",
        tier="suspected",
        state="resolved",
        subject_kind="team",
        subject_key="North",
        wave=None,
        opened_at=datetime(2026, 3, 2, 23, 59, 59, tzinfo=UTC),
    )

    assert await ids(api) == ["b", "a"]
    assert await ids(api, state="open") == await ids(api, rule="user-never-logged-in-d3") == ["a"]
    assert await ids(api, severity="info") == await ids(api, tier="suspected") == ["b"]
    assert await ids(api, subject_kind="team") == await ids(api, subject="North") == ["b"]
    assert await ids(api, wave="north") == await ids(api, subject_kind="user", subject="anna") == ["a"]
    assert await ids(api, opened_from="2026-03-02") == await ids(api, opened_from="2026-03-02T23:59:59Z") == ["b"]
    assert await ids(api, opened_to="2026-03-02") == ["b", "a"]
    assert await ids(api, opened_to="2026-03-01") == await ids(api, opened_to="2026-03-02T23:59:59Z") == ["a"]
    assert await ids(api, opened_to="2026-03-02T23:59:59+00:00", opened_from="2026-03-01T00:00:01Z") == []


@pytest.mark.parametrize(
    "params",
    [
        {"state": "x"},
        {"severity": "loud"},
        {"tier": "sure"},
        {"subject_kind": "x"},
        {"opened_from": "yesterday"},
        {"opened_to": "2026-02-30"},
        {"opened_from": "0001-01-01T00:00:00+14:00"},
        {"opened_from": "2026-03-01T00:00:00"},
        {"opened_from": "2026-03-01T00:00:00+25:00"},
        {"opened_to": "9999-12-31"},
        {"rule": "x" * 300},
    ],
    ids=str,
)
async def test_a_filter_that_makes_no_sense_is_refused(api: Client, params: dict[str, str]) -> None:
    assert (await api.get("/v1/alerts", params=params)).status_code == 422


async def test_acknowledging_is_audited_and_doing_it_twice_changes_nothing(api: Client, pool: Pool) -> None:
    await add_alert(pool, "a1")

    first = await api.post("/v1/alerts/a1/acknowledge")
    again = await api.post("/v1/alerts/a1/acknowledge")

    assert (first.status_code, first.json()["state"], first.json()["revision"]) == (200, "acknowledged", 1)
    assert again.json() == first.json() == (await api.get("/v1/alerts/a1")).json()
    history = (await api.get("/v1/alerts/a1/history")).json()["items"]
    assert [(change["kind"], change["state"], change["actor"]) for change in history] == [
        ("opened", "open", "evaluator"),
        ("acknowledged", "acknowledged", "admin"),
    ]
    assert history[1]["alert"] | {"snooze_reason": None} == first.json()
    assert history[1]["alert"]["acknowledged_at"] == history[1]["as_of"]
    assert history[1]["as_of"] == "2026-03-02T12:00:00Z"


async def test_what_is_resolved_cannot_be_acknowledged(api: Client, pool: Pool) -> None:
    await add_alert(pool, "a1", state="resolved", resolved_at=NOON, resolution="connected")

    assert (await api.post("/v1/alerts/a1/acknowledge")).status_code == 409
    assert (await api.post("/v1/alerts/none/acknowledge")).status_code == 404


async def test_a_history_is_read_page_by_page(api: Client, pool: Pool) -> None:
    await add_alert(pool, "a1")
    await api.post("/v1/alerts/a1/acknowledge")

    first = (await api.get("/v1/alerts/a1/history?limit=1")).json()
    second = (await api.get("/v1/alerts/a1/history", params={"limit": 1, "cursor": first["next"]})).json()

    assert [entry["kind"] for entry in first["items"] + second["items"]] == ["opened", "acknowledged"]
    assert second["next"] is None
    assert (await api.get("/v1/alerts/none/history")).status_code == 404


async def test_a_bound_key_sees_and_acknowledges_the_alerts_of_its_line(
    api: Client, connect: Connect, pool: Pool
) -> None:
    await add_person(pool, "dustin", team="Leads")
    await add_person(pool, "anna", team="North", manager="dustin")
    await add_person(pool, "zoe", team="South")
    await add_alert(pool, "mine", subject_key="anna")
    await add_alert(pool, "foreign", subject_key="zoe")
    for kind, key in (("team", "North"), ("team", "South"), ("wave", "north"), ("tenant", "all"), ("role", "seller")):
        await add_alert(pool, f"{kind}-{key}", subject_kind=kind, subject_key=key)
    made = await api.post("/v1/keys", json={"tenant": "acme", "scopes": ["read", "manage"], "person": "dustin"})
    client = connect(made.json()["key"])
    missing = await client.get("/v1/alerts/none")

    assert sorted(await ids(client)) == ["mine", "team-North"]
    for path in ("", "/history"):
        hidden = await client.get(f"/v1/alerts/foreign{path}")
        assert (hidden.status_code, hidden.content) == (404, missing.content)
    assert (await client.post("/v1/alerts/foreign/acknowledge")).content == missing.content
    assert (await client.post("/v1/alerts/mine/acknowledge")).json()["state"] == "acknowledged"


async def test_where_single_persons_are_not_shown_no_alert_names_one(api: Client, pool: Pool) -> None:
    await add_alert(pool, "user")
    await add_alert(pool, "wave", subject_kind="wave", subject_key="north")
    await api.patch("/v1/tenants/acme", json={"privacy": {"individual_visibility": "off"}})

    assert await ids(api) == ["wave"]
    assert (await api.get("/v1/alerts/user")).status_code == 404
    assert (await api.get("/v1/alerts/wave")).json()["evidence"] == {"num": 0, "den": 1}
    history = (await api.get("/v1/alerts/wave/history")).json()["items"]
    assert "people" not in history[0]["alert"]["evidence"]
