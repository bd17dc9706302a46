"""How complete a directory is, and whether that is enough to show groups."""

from typing import Any

from services.postgres import Pool
from tests.api.conftest import Client, Connect

LICENSED = {"licensed_from": "2026-01-05", "team": "North", "role": "seller"}


async def quality(api: Client) -> dict[str, Any]:
    return dict((await api.get("/v1/directory/quality")).json())


async def test_shares_are_of_the_people_who_are_there(api: Client) -> None:
    people: list[dict[str, Any]] = [
        {**LICENSED, "user": "boss", "email": "boss@x.example", "calendar": "pt"},
        {**LICENSED, "user": "anna", "email": "a@x.example", "manager": "boss"},
        {**LICENSED, "user": "bo", "email": "A@x.example", "team": None},
        {"user": "cy", "manager": "boss"},
        {**LICENSED, "user": "gone", "licensed_to": "2026-02-28", "team": None},
        {**LICENSED, "user": "left", "active_to": "2026-02-28", "team": None},
        {"user": "robot", "kind": "service"},
    ]
    await api.put("/v1/directory/people", json=people)

    body = await quality(api)

    assert body["people"] == 4
    assert {name: (share["num"], share["den"]) for name, share in body["shares"].items()} == {
        "manager": (3, 4),
        "known_manager": (2, 2),
        "team": (2, 4),
        "role": (3, 4),
        "calendar": (1, 4),
        "licence": (3, 4),
        "email": (3, 4),
    }
    assert body["duplicates"] == {"ambiguous_identities": 0, "shared_emails": 1}
    assert body["unmapped"] == {"actors": 0, "events": 0}
    assert body["cycles"] == 0
    assert body["group_views"] == {
        "enabled": False,
        "reason": "directory_incomplete",
        "below": ["manager", "team", "role", "licence"],
        "approved_at": None,
    }


async def test_who_acts_and_is_nobody_and_a_loop_that_stood_are_shown(api: Client, pool: Pool) -> None:
    await api.put("/v1/directory/people", json=[{**LICENSED, "user": user} for user in ("anna", "bo")])
    await pool.execute("update membership set manager = case user_id when 'anna' then 'bo' else 'anna' end")
    for user in ("anna", "stranger", "linked"):
        await pool.execute(
            """insert into person_day (tenant, user_id, day, events, first_at, last_at)
               values ('acme', $1, '2026-03-01', 4, '2026-03-01', '2026-03-01')""",
            user,
        )
    await pool.execute("insert into person_link values ('acme', 'linked', 'anna', 'email')")
    await pool.execute("""insert into person_link values ('acme', 'who', null, 'ambiguous', '["anna", "bo"]')""")
    await pool.execute("insert into tally (tenant, shard, unmapped) values ('acme', 0, 4)")

    body = await quality(api)

    assert body["unmapped"] == {"actors": 1, "events": 4}
    assert body["duplicates"]["ambiguous_identities"] == 1
    assert body["cycles"] == 1


async def test_nine_in_ten_are_enough_and_less_is_when_approved(api: Client) -> None:
    people = [{**LICENSED, "user": f"u{n}", "manager": "u0" if n else None} for n in range(10)]
    await api.put("/v1/directory/people", json=people)
    assert (await quality(api))["group_views"] == {"enabled": True, "reason": None, "below": [], "approved_at": None}

    await api.put("/v1/directory/people", json=[{"user": "u1", "team": None}])
    assert (await quality(api))["group_views"]["enabled"] is True
    await api.put("/v1/directory/people", json=[{"user": "u2", "team": None}])
    assert (await quality(api))["group_views"]["below"] == ["team"]

    approved = (await api.post("/v1/directory/quality/approve")).json()

    assert approved == {"enabled": True, "reason": None, "below": ["team"], "approved_at": "2026-03-02T12:00:00Z"}
    assert (await quality(api))["group_views"] == approved


async def test_a_directory_without_people_has_no_shares_and_hides_nothing(api: Client) -> None:
    body = await quality(api)

    assert body["shares"]["team"] == {"num": 0, "den": 0, "value": None}
    assert body["group_views"]["enabled"] is True


async def test_a_bound_key_does_not_see_it_and_only_who_manages_approves(api: Client, connect: Connect) -> None:
    await api.put("/v1/directory/people", json=[{"user": "anna"}])
    keys = [
        (await api.post("/v1/keys", json={"tenant": "acme", "scopes": ["read"], **more})).json()["key"]
        for more in ({"person": "anna"}, {})
    ]
    bound, reader = connect(keys[0]), connect(keys[1])

    assert (await bound.get("/v1/directory/quality")).status_code == 404
    assert (await reader.get("/v1/directory/quality")).status_code == 200
    assert (await reader.post("/v1/directory/quality/approve")).status_code == 403


async def test_who_never_sleeps_is_suspected_to_be_software(api: Client, pool: Pool, connect: Connect) -> None:
    people = [{**LICENSED, "user": user} for user in ("anna", "bo", "cy", "dee")]
    await api.put("/v1/directory/people", json=[*people, {**LICENSED, "user": "robot", "kind": "service"}])
    await pool.execute(
        "create table activity_20260225 partition of activity for values from ('2026-02-25') to ('2026-02-28')"
    )
    await pool.execute("insert into person_link values ('acme', 'bo-2', 'bo', 'email')")
    worked = [
        ("anna", 24, "ui"),
        ("robot", 24, "ui"),
        ("cy", 15, "ui"),
        ("dee", 24, "api"),
        ("bo", 12, "ui"),
        ("bo-2", 24, "ui"),
    ]
    for user, hours, origin in worked:
        await pool.execute(
            """insert into activity (tenant, user_id, at, identity, kind, source, origin, received_at)
               select 'acme', $1, '2026-02-25 00:30Z'::timestamptz + n * interval '1 hour', gen_random_uuid(), 'crm.x',
                   's', $3, now() from generate_series(0, $2 - 1) n""",
            user,
            hours,
            origin,
        )
    await pool.execute(
        """insert into person_day (tenant, user_id, day, events, first_at, last_at)
           select 'acme', u, '2026-02-25', 24, '2026-02-25 00:30Z', '2026-02-25 23:30Z'
           from unnest(array['anna', 'bo', 'cy', 'dee', 'robot']) u"""
    )
    path = "/v1/directory/quality/suspected"

    assert (await api.get(path)).json()["items"] == [
        {"user": user, "day": "2026-02-25", "hours": 24} for user in ("anna", "bo")
    ]
    assert await pool.fetchval("select array_agg(subject order by subject) from access_log") == ["anna", "bo"]

    await api.patch("/v1/tenants/acme", json={"privacy": {"individual_visibility": "off"}})
    read = (await api.post("/v1/keys", json={"tenant": "acme", "scopes": ["read"]})).json()["key"]
    assert (await connect(read).get(path)).json()["items"] == []
