"""What people do to an alert over HTTP: what each state allows, what is kept of it, and who may."""

import asyncio
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from schemas.alerts import CHANNEL
from services.postgres import Pool
from services.rules.life import BY_HAND, BY_PEOPLE, STATES
from tests.api.conftest import Client, Connect
from tests.api.test_alerts import add_alert
from tests.builders import NOON, add_person

TOMORROW = (NOON + timedelta(days=1)).isoformat()
ACTS: dict[str, tuple[str, Any]] = {
    "acknowledged": ("acknowledge", None),
    "snoozed": ("snooze", {"until": TOMORROW, "reason": "on leave"}),
    "assigned": ("assign", {"person": "dustin"}),
    "planned": ("plan", {"on": "2026-03-05"}),
    "noted": ("note", {"text": "called, will try again"}),
    "labelled": ("label", {"useful": False}),
    "resolved": ("resolve", {"reason": "it was a test", "resolution": "false_alarm"}),
}


async def act(api: Client, alert: str, kind: str, **headers: str) -> Any:
    path, body = ACTS[kind]
    return await api.post(f"/v1/alerts/{alert}/{path}", json=body, headers=headers)


async def history(api: Client, alert: str) -> list[dict[str, Any]]:
    return list((await api.get(f"/v1/alerts/{alert}/history")).json()["items"])


def columns(state: str) -> dict[str, Any]:
    return {
        "state": state,
        "acknowledged_at": NOON if state == "acknowledged" else None,
        "snoozed_until": NOON + timedelta(hours=1) if state == "snoozed" else None,
        "resolved_at": NOON if state == "resolved" else None,
        "resolution": "connected" if state == "resolved" else None,
    }


@pytest.mark.parametrize("state", STATES)
async def test_the_table_of_transitions_is_what_the_api_does(api: Client, pool: Pool, state: str) -> None:
    await add_person(pool, "dustin")
    for kind, allowed in BY_PEOPLE.items():
        alert = f"{state}-{kind}"
        await add_alert(pool, alert, **columns(state))
        answer = await act(api, alert, kind)
        kinds = [change["kind"] for change in await history(api, alert)]

        if state not in allowed:
            assert (answer.status_code, kinds) == (409, ["opened"]), kind
        elif (state, kind) == ("acknowledged", "acknowledged"):
            assert kinds == ["opened"]
        else:
            assert (answer.json()["state"], answer.json()["revision"]) == (allowed[state], 1), kind
            assert kinds == ["opened", kind]


async def test_what_somebody_said_stands_in_the_history_with_the_key(api: Client, pool: Pool) -> None:
    await add_person(pool, "dustin")
    await add_alert(pool, "a1")
    for kind in ("snoozed", "assigned", "planned", "noted", "labelled", "acknowledged", "resolved"):
        assert (await act(api, "a1", kind)).status_code == 200, kind

    told = await history(api, "a1")
    assert {change["actor"] for change in told[1:]} == {"admin"}
    assert {change["kind"]: change["detail"] for change in told} == {
        "opened": {},
        "snoozed": {"until": "2026-03-03T12:00:00Z", "reason": "on leave"},
        "assigned": {"person": "dustin"},
        "planned": {"on": "2026-03-05"},
        "noted": {"text": "called, will try again"},
        "labelled": {"useful": False},
        "acknowledged": {},
        "resolved": {"reason": "it was a test", "resolution": "false_alarm"},
    }
    shown = (await api.get("/v1/alerts/a1")).json()
    assert (shown["assignee"], shown["plan_on"], shown["useful"]) == ("dustin", "2026-03-05", False)
    assert (shown["state"], shown["resolution"], shown["snoozed_until"]) == ("resolved", "false_alarm", None)
    assert "on leave" not in str([change["alert"] for change in told])


async def test_the_evaluator_is_to_look_at_what_somebody_answered(api: Client, pool: Pool) -> None:
    await add_alert(pool, "a1")
    await act(api, "a1", "snoozed")
    assert await pool.fetchval("select due_at from alert") == NOON
    await act(api, "a1", "resolved")
    assert await pool.fetchval("select due_at from alert") is None


async def test_what_stands_already_changes_nothing_and_a_repeated_request_is_answered_as_before(
    api: Client, pool: Pool
) -> None:
    await add_alert(pool, "a1")
    first, again = await act(api, "a1", "snoozed"), await act(api, "a1", "snoozed")
    assert again.json() == first.json()
    once = await act(api, "a1", "noted", **{"Idempotency-Key": "k"})
    twice = await act(api, "a1", "noted", **{"Idempotency-Key": "k"})
    other = await api.post("/v1/alerts/a1/note", json={"text": "other"}, headers={"Idempotency-Key": "k"})

    assert once.json() == twice.json()
    assert other.status_code == 422
    assert [change["kind"] for change in await history(api, "a1")] == ["opened", "snoozed", "noted"]


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("snooze", {"until": NOON.isoformat(), "reason": "x"}, "/until"),
        ("snooze", {"until": TOMORROW}, "/reason"),
        ("snooze", {"until": TOMORROW, "reason": " "}, "/reason"),
        ("snooze", {"until": "soon", "reason": "x"}, "/until"),
        ("plan", {"on": "2026-03-01"}, "/on"),
        ("note", {"text": ""}, "/text"),
        ("note", {"text": "x" * 2001}, "/text"),
        ("note", {"text": "a\x00b"}, None),
        ("resolve", {"resolution": "handled"}, "/reason"),
        ("resolve", {"reason": "x", "resolution": "restated"}, "/resolution"),
        ("assign", {"person": "stranger"}, "/person"),
        ("label", {"useful": "perhaps"}, "/useful"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    api: Client, pool: Pool, path: str, body: dict[str, Any], pointer: str | None
) -> None:
    await add_alert(pool, "a1")

    answer = await api.post(f"/v1/alerts/a1/{path}", json=body)

    assert answer.status_code in (400, 422)
    assert pointer is None or pointer in [error.get("pointer") for error in answer.json()["errors"]]
    assert [change["kind"] for change in await history(api, "a1")] == ["opened"]


def test_people_resolve_in_words_that_facts_do_not_use() -> None:
    assert not {"connected", "licence_ended", "recovered", "superseded", "phase_ended", "restated"} & set(BY_HAND)


async def test_a_manager_answers_for_the_own_line_and_gives_it_to_nobody_else(
    api: Client, connect: Connect, pool: Pool
) -> None:
    await add_person(pool, "dustin", team="Leads")
    await add_person(pool, "anna", team="North", manager="dustin")
    await add_person(pool, "zoe", team="South")
    await add_alert(pool, "mine", subject_key="anna")
    await add_alert(pool, "foreign", subject_key="zoe")
    made = await api.post("/v1/keys", json={"tenant": "acme", "scopes": ["read", "manage"], "person": "dustin"})
    client = connect(made.json()["key"])
    reader = await api.post("/v1/keys", json={"tenant": "acme", "scopes": ["read"], "person": "dustin"})

    for kind in ACTS:
        assert (await act(client, "foreign", kind)).status_code == 404
        refused = await act(connect(reader.json()["key"]), "mine", kind)
        assert (refused.status_code, "bound" in refused.json()["detail"]) == (403, False)
    assert (await client.post("/v1/alerts/mine/assign", json={"person": "zoe"})).status_code == 422
    assert (await client.post("/v1/alerts/mine/assign", json={"person": "anna"})).json()["assignee"] == "anna"


async def test_where_single_persons_are_not_shown_nobody_is_named_as_the_one_who_takes_care(
    api: Client, pool: Pool
) -> None:
    await add_person(pool, "dustin")
    await add_alert(pool, "wave", subject_kind="wave", subject_key="north")
    await act(api, "wave", "assigned")
    await api.patch("/v1/tenants/acme", json={"privacy": {"individual_visibility": "off"}})

    assert (await api.get("/v1/alerts/wave")).json()["assignee"] is None
    told = (await history(api, "wave"))[1]
    assert (told["detail"], told["alert"]["assignee"]) == ({}, None)


async def test_changes_are_numbered_as_they_are_committed_and_wake_who_listens(api: Client, pool: Pool) -> None:
    """Whoever reads on from the highest number it saw misses nothing, however many write at once."""
    woken: list[str] = []

    def hear(*heard: Any) -> None:
        woken.append(heard[-1])

    async with pool.acquire() as listener:
        await listener.add_listener(CHANNEL, hear)
        for n in range(12):
            await add_alert(pool, f"a{n}")
        seen = await pool.fetchval("select max(seq) from alert_change")
        told: list[int] = []
        answering = asyncio.gather(*(act(api, f"a{n}", "noted") for n in range(12)))
        while not answering.done() or len(told) < 12:
            rows = await pool.fetch("select seq from alert_change where seq > $1 order by seq", seen)
            told += [row["seq"] for row in rows]
            seen = max([seen, *told])
            await asyncio.sleep(0.001)
        await answering
        await listener.remove_listener(CHANNEL, hear)

    assert (
        sorted(told)
        == told
        == [row["seq"] for row in await pool.fetch("select seq from alert_change where kind = 'noted' order by seq")]
    )
    assert set(woken) == {"acme"}


async def test_times_are_those_of_the_tenant(api: Client, pool: Pool) -> None:
    await pool.execute("update tenant set clock = 'event' where id = 'acme'")
    newest = datetime.fromisoformat("2026-03-20T23:30:00Z")
    await pool.execute("insert into tally (tenant, shard, version, newest) values ('acme', 0, 1, $1)", newest)
    await add_alert(pool, "a1")

    assert (await act(api, "a1", "snoozed")).status_code == 422
    assert (await act(api, "a1", "planned")).status_code == 422
    assert (await api.post("/v1/alerts/a1/plan", json={"on": str(date(2026, 3, 21))})).status_code == 200
    assert (await history(api, "a1"))[1]["as_of"] == "2026-03-20T23:30:00Z"
