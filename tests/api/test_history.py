"""The directory over time, over HTTP: what holds from when on, who is away, and what is measured anew because of it."""

from datetime import date
from typing import Any

import pytest

from services.postgres import Pool
from tests.api.conftest import Client, Clock, Connect

TERMS = "team, kind, function, location, segment, champion, leadership, opted_out, work_days"
BEGINNING = date(1, 1, 1)


def day(text: str) -> date:
    return date.fromisoformat(text)


async def put(api: Client, rows: list[dict[str, Any]] | str, **params: str) -> dict[str, Any]:
    if isinstance(rows, str):
        headers = {"Content-Type": "text/csv"}
        answer = await api.put("/v1/directory/people", content=rows.encode(), headers=headers, params=params)
    else:
        answer = await api.put("/v1/directory/people", json=rows, params=params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def spells(pool: Pool, column: str) -> list[tuple[Any, ...]]:
    rows = await pool.fetch(f"select valid_from, valid_to, {column} from membership order by user_id, valid_from")
    return [tuple(row) for row in rows]


async def licences(pool: Pool) -> list[tuple[Any, ...]]:
    rows = await pool.fetch("select licensed_from, licensed_to, price from licence order by user_id, licensed_from")
    return [tuple(row) for row in rows]


async def dirty(pool: Pool) -> list[tuple[str, str, date | None]]:
    """Return what is queued to be measured anew, and forget it."""
    rows = await pool.fetch("with gone as (delete from dirty returning *) select * from gone order by seq")
    assert all(row["high"] is None for row in rows)
    return [(row["kind"], row["subject"], row["low"]) for row in rows]


async def test_every_column_is_taken_from_csv_and_shown_again(api: Client) -> None:
    said = await put(
        api,
        "user,team,licensed_from,licensed_to,price,kind,function,location,segment,champion,leadership,opted_out,"
        "work_days,time_zone,calendar,active_from,active_to\n"
        'anna,North,2026-01-05,,49.90,human,Sales,Kiel,A,yes,no,no,"mon-wed",Asia/Bahrain,de-by,2026-01-07,\n',
    )

    assert said == {"created": 1, "updated": 0, "unchanged": 0, "errors": []}
    shown = (await api.get("/v1/directory/people")).json()["items"]
    assert shown == [
        {
            "user": "anna",
            "name": None,
            "email": None,
            "role": None,
            "team": "North",
            "manager": None,
            "licensed_from": "2026-01-05",
            "licensed_to": None,
            "price": 49.9,
            "kind": "human",
            "function": "Sales",
            "location": "Kiel",
            "segment": "A",
            "champion": True,
            "leadership": False,
            "opted_out": False,
            "work_days": [1, 2, 3],
            "time_zone": "Asia/Bahrain",
            "calendar": "DE-BY",
            "active_from": "2026-01-07",
            "active_to": None,
        }
    ]
    assert (await put(api, shown))["unchanged"] == 1


async def test_without_a_day_the_team_changes_today_and_the_rest_always_was_so(api: Client, pool: Pool) -> None:
    await put(api, [{"user": "anna", "team": "A"}])
    await put(api, [{"user": "anna", "team": "B", "location": "Kiel", "champion": True}])

    assert await spells(pool, "team, location, champion") == [
        (BEGINNING, day("2026-03-02"), "A", "Kiel", True),
        (day("2026-03-02"), None, "B", "Kiel", True),
    ]


async def test_with_a_day_all_that_is_given_holds_from_it_on(api: Client, pool: Pool) -> None:
    await put(api, [{"user": "anna", "team": "A", "location": "Kiel", "licensed_from": "2026-01-05", "price": 10}])
    given = {"user": "anna", "location": "Rome", "kind": "shared", "work_days": [1, 2], "licensed_from": "2026-01-05"}
    await put(api, [{**given, "price": 12}], effective_from="2026-02-01")

    assert await spells(pool, "team, location, kind, work_days") == [
        (BEGINNING, day("2026-02-01"), "A", "Kiel", "human", None),
        (day("2026-02-01"), None, "A", "Rome", "shared", [1, 2]),
    ]
    assert await licences(pool) == [
        (day("2026-01-05"), day("2026-01-31"), 10),
        (day("2026-02-01"), None, 12),
    ]
    assert (await put(api, [{**given, "price": 12}], effective_from="2026-02-01"))["unchanged"] == 1

    await put(api, [{"user": "anna", "licensed_from": None}], effective_from="2026-04-01")
    assert (await licences(pool))[-1] == (day("2026-02-01"), day("2026-03-31"), 12)


async def test_what_is_as_it_stands_today_leaves_the_past_alone(api: Client, pool: Pool) -> None:
    await put(api, [{"user": "anna", "location": "Kiel", "licensed_from": "2026-01-05", "licensed_to": "2026-01-31"}])
    present = {"user": "anna", "location": "Rome", "licensed_from": "2026-02-10", "licensed_to": None}
    await put(api, [present], effective_from="2026-02-10")
    before = await spells(pool, "location"), await licences(pool)
    assert [len(part) for part in before] == [2, 2]

    assert (await put(api, [present]))["unchanged"] == 1

    assert (await spells(pool, "location"), await licences(pool)) == before


async def test_several_licences_and_absences_may_be_given_as_lists(api: Client, pool: Pool) -> None:
    person = {
        "user": "anna",
        "licences": [{"from": "2026-05-01", "price": 9.5}, {"from": "2026-01-05", "to": "2026-03-31"}],
        "absences": [{"from": "2026-02-02", "to": "2026-02-03"}, {"from": "2026-02-04", "to": "2026-02-06"}],
    }
    await put(api, [person])

    shown = (await api.get("/v1/people/anna")).json()
    assert shown["licences"] == [
        {"licensed_from": "2026-01-05", "licensed_to": "2026-03-31", "price": None},
        {"licensed_from": "2026-05-01", "licensed_to": None, "price": 9.5},
    ]
    assert shown["absences"] == [{"from": "2026-02-02", "to": "2026-02-06", "kind": "leave"}]
    assert (await put(api, [person]))["unchanged"] == 1
    assert (await put(api, "user,licences\nanna,2026\n"))["errors"][0]["row"] == 0
    assert len(await licences(pool)) == 2

    said = await put(api, [{"user": "anna", "licensed_from": "2026-03-01", "licensed_to": None}, {"user": "bo"}])
    assert [(error["row"], error["column"]) for error in said["errors"]] == [(1, "licensed_to")]
    assert said["created"] == 1


CHANGES = [
    pytest.param({"name": "Anna S."}, {}, None, id="a name"),
    pytest.param({"team": "South"}, {}, "2026-03-02", id="a team"),
    pytest.param({"manager": "bo"}, {"effective_from": "2026-03-09"}, "2026-03-09", id="a manager"),
    pytest.param({"location": "Rome"}, {}, "0001-01-01", id="a location"),
    pytest.param({"opted_out": True}, {"effective_from": "2026-02-01"}, "2026-02-01", id="opting out"),
    pytest.param({"licensed_to": "2026-06-30"}, {}, "2026-07-01", id="the end of a licence"),
    pytest.param({"licensed_from": "2026-01-09"}, {}, "2026-01-05", id="the start of a licence"),
    pytest.param({"price": 3}, {"effective_from": "2026-02-01"}, "2026-02-01", id="a price"),
    pytest.param({"calendar": "PT"}, {}, "0001-01-01", id="a calendar"),
    pytest.param({"active_to": "2026-06-30"}, {}, "0001-01-01", id="the last day"),
    pytest.param({"absences": [{"from": "2026-02-02", "to": "2026-02-05"}]}, {}, "2026-02-02", id="an absence"),
]


@pytest.mark.parametrize(("given", "params", "since"), CHANGES)
async def test_a_change_is_measured_anew_from_the_first_day_it_changes(
    api: Client, pool: Pool, given: dict[str, Any], params: dict[str, str], since: str | None
) -> None:
    await put(api, [{"user": "anna", "team": "North", "licensed_from": "2026-01-05"}, {"user": "bo"}])
    await dirty(pool)

    await put(api, [{"user": "anna", **given}], **params)

    low = None if since == "0001-01-01" else since and day(since)
    assert await dirty(pool) == ([] if since is None else [("person", "anna", low)])
    await put(api, [{"user": "anna", **given}], **params)
    assert await dirty(pool) == []


async def test_absences_are_replaced_and_shown(api: Client, pool: Pool) -> None:
    await put(api, [{"user": "a/b"}, {"user": "bo"}])
    await dirty(pool)
    address = "/v1/directory/people/a/b/absences"
    assert (await api.get(address)).json() == {"items": []}

    given = [
        {"from": "2026-04-08", "to": "2026-04-10"},
        {"from": "2026-04-06", "to": "2026-04-07"},
        {"from": "2026-05-04", "to": "2026-05-04", "kind": "Sick"},
    ]
    answer = await api.put(address, json=given)

    shown = [
        {"from": "2026-04-06", "to": "2026-04-10", "kind": "leave"},
        {"from": "2026-05-04", "to": "2026-05-04", "kind": "sick"},
    ]
    assert answer.json() == (await api.get(address)).json() == {"items": shown}
    assert await dirty(pool) == [("person", "a/b", day("2026-04-06"))]
    await api.put(address, json=shown)
    assert await dirty(pool) == []
    await api.put(address, json=shown[:1])
    assert await dirty(pool) == [("person", "a/b", day("2026-05-04"))]
    assert await pool.fetchval("select count(*) from access_log where subject = 'a/b'") == 2


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"\xff", 400),
        (b"{}", 422),
        (b"7", 422),
        (b'[{"from": "2026-04-08"}]', 422),
        (b'[{"from": "2026-04-08", "to": "2026-04-01"}]', 422),
        (b'[{"from": "2026-04-08", "to": "2026-04-09", "kind": "a\\u0000"}]', 422),
        (
            b'[{"from": "2026-04-01", "to": "2026-04-09"}, {"from": "2026-04-05", "to": "2026-04-20", "kind": "x"}]',
            422,
        ),
    ],
)
async def test_absences_that_cannot_be_are_refused(api: Client, body: bytes, status: int) -> None:
    await put(api, [{"user": "anna"}])

    answer = await api.put("/v1/directory/people/anna/absences", content=body)

    assert answer.status_code == status, answer.text


async def test_absences_are_seen_by_who_may_see_the_person(api: Client, connect: Connect) -> None:
    await put(api, [{"user": "boss"}, {"user": "anna", "manager": "boss"}, {"user": "bo"}])
    made = await api.post("/v1/keys", json={"tenant": "acme", "scopes": ["read", "manage"], "person": "boss"})
    bound = connect(made.json()["key"])

    assert (await bound.get("/v1/directory/people/anna/absences")).status_code == 200
    for user in ("bo", "nobody"):
        assert (await bound.get(f"/v1/directory/people/{user}/absences")).status_code == 404
    assert (await bound.put("/v1/directory/people/anna/absences", json=[])).status_code == 403
    assert (await api.put("/v1/directory/people/nobody/absences", json=[])).status_code == 404
    await api.patch("/v1/tenants/acme", json={"privacy": {"individual_visibility": "off"}})
    assert (await api.get("/v1/directory/people/anna/absences")).status_code == 404


ROLES = {
    "seller": {
        "cadence": "per_week",
        "per_week": 3,
        "core": [{"type": "crm.record.updated", "object": "opportunity"}, {"type": "crm.report.viewed"}],
    },
    "boss": {"cadence": "weekly"},
}


async def test_what_roles_are_expected_to_do_is_kept(api: Client) -> None:
    answer = await api.patch("/v1/tenants/acme", json={"roles": ROLES})

    assert answer.json()["roles"] == ROLES
    assert (await api.patch("/v1/tenants/acme", json={"name": "Other"})).json()["roles"] == ROLES
    assert (await api.get("/v1/tenants/acme")).json()["roles"] == ROLES


@pytest.mark.parametrize(
    "roles",
    [
        {"seller": {"cadence": "hourly"}},
        {"seller": {"cadence": "per_week", "per_week": 8}},
        {"seller": {"per_week": "3"}},
        {"seller": {"core": [{"object": "deal"}]}},
        {"seller": {"core": [{"type": "x", "more": 1}]}},
        {"seller": {"unknown": 1}},
        {"": {}},
        {"x" * 300: {}},
        {"a\x00": {}},
        [],
        None,
    ],
)
async def test_roles_that_cannot_be_are_refused(api: Client, roles: Any) -> None:
    assert (await api.patch("/v1/tenants/acme", json={"roles": roles})).status_code == 422


async def test_settings_that_metrics_rest_on_are_measured_anew_and_others_are_not(api: Client, pool: Pool) -> None:
    measured: list[dict[str, Any]] = [
        {"work_days": [1, 2, 3]},
        {"holidays": ["2026-12-25"]},
        {"first_day_of_week": 7},
        {"time_zone": "Asia/Bahrain"},
        {"connected_by": "login"},
        {"day_counting": "calendar"},
        {"roles": ROLES},
        {"privacy": {"min_group": 7}},
    ]
    for settings in measured:
        await api.patch("/v1/tenants/acme", json=settings)
        assert [kind for kind, _, _ in await dirty(pool)] == ["tenant"], settings
        await api.patch("/v1/tenants/acme", json=settings)
        assert await dirty(pool) == [], settings
    for settings in ({"name": "Other"}, {"labels": {"a": "b"}}):
        await api.patch("/v1/tenants/acme", json=settings)
        assert await dirty(pool) == []
    await api.post("/v1/waves", json={"id": "w", "name": "w", "go_live": "2026-03-02"})
    assert [kind for kind, _, _ in await dirty(pool)] == ["tenant"]


async def test_merging_is_measured_anew_for_both(api: Client, pool: Pool) -> None:
    await put(api, [{"user": "anna"}, {"user": "old"}])
    await dirty(pool)

    await api.post("/v1/directory/merge", json={"user": "anna", "aliases": ["old"]})
    assert await dirty(pool) == [("person", "anna", None), ("person", "old", None)]
    await api.post("/v1/directory/unmerge", json={"aliases": ["old"]})
    assert await dirty(pool) == [("person", "anna", None), ("person", "old", None)]


async def test_day_zero_waits_for_the_wave_the_licence_the_first_day_and_the_end_of_a_leave(
    api: Client, clock: Clock
) -> None:
    assert clock.now
    await put(api, [{"user": "anna", "team": "North", "licensed_from": "2026-03-09"}])

    async def zero() -> str | None:
        found: str | None = (await api.get("/v1/people/anna")).json()["day_zero"]
        return found

    assert await zero() == "2026-03-09"
    await api.post("/v1/waves", json={"id": "w", "name": "w", "go_live": "2026-03-16", "scope": {"teams": ["North"]}})
    assert await zero() == "2026-03-16"
    await put(api, [{"user": "anna", "active_from": "2026-03-18"}])
    assert await zero() == "2026-03-18"
    await api.put("/v1/directory/people/anna/absences", json=[{"from": "2026-03-16", "to": "2026-03-20"}])
    assert await zero() == "2026-03-23"
    await put(api, [{"user": "anna", "team": "South"}], effective_from="2026-01-01")
    assert await zero() == "2026-03-23"  # in the wave before
    await put(api, [{"user": "anna", "licensed_from": None}])
    assert await zero() is None
