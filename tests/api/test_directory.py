"""Importing and reading the directory over HTTP."""

import json
from datetime import date
from typing import Any

import pytest

from schemas.topics import person_key, shard_of
from services.postgres import Pool
from tests.api.conftest import Client
from tests.builders import SHARDS

HEADER = "user,name,email,role,team,manager,licensed_from,licensed_to\n"
CSV = {"Content-Type": "text/csv"}


async def put(api: Client, body: str | bytes | list[Any], **params: str) -> dict[str, Any]:
    if isinstance(body, list):
        answer = await api.put("/v1/directory/people", json=body, params=params)
    else:
        content = body.encode() if isinstance(body, str) else body
        answer = await api.put("/v1/directory/people", content=content, headers=CSV, params=params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def spells(pool: Pool, user: str) -> list[tuple[Any, ...]]:
    rows = await pool.fetch(
        "select valid_from, valid_to, team, role, manager from membership where user_id = $1 order by 1", user
    )
    return [tuple(row) for row in rows]


async def queued(pool: Pool) -> list[str]:
    """Return who is queued, and forget them."""
    return [
        row["user_id"]
        for row in await pool.fetch(
            "with gone as (delete from directory_change returning *) select * from gone order by seq"
        )
    ]


def day(text: str) -> date:
    return date.fromisoformat(text)


async def test_a_file_is_imported_and_repeating_it_changes_nothing(api: Client, pool: Pool) -> None:
    text = HEADER + "anna,Anna,a@x.example,seller,North,bo,2026-01-05,\nbo,Bo,,seller,South,,2026-01-05,2026-03-31\n"

    assert await put(api, text) == {"created": 2, "updated": 0, "unchanged": 0, "errors": []}
    assert await put(api, text) == {"created": 0, "updated": 0, "unchanged": 2, "errors": []}

    assert await queued(pool) == ["anna", "bo"]
    assert await spells(pool, "anna") == [(day("0001-01-01"), None, "North", "seller", "bo")]
    listed = (await api.get("/v1/directory/people")).json()["items"]
    assert [(item["user"], item["team"], item["licensed_to"]) for item in listed] == [
        ("anna", "North", None),
        ("bo", "South", "2026-03-31"),
    ]


async def test_csv_and_json_say_the_same(api: Client) -> None:
    await put(api, HEADER + "anna,Anna,,seller,North,,2026-01-05,\n")

    again = await put(
        api,
        [
            {
                "user": "anna",
                "name": "Anna",
                "role": "seller",
                "team": "North",
                "manager": None,
                "licensed_from": "2026-01-05",
                "licensed_to": None,
            }
        ],
    )

    assert again["unchanged"] == 1


async def test_a_change_is_queued_for_the_shard_of_the_person_when_it_could_count(api: Client, pool: Pool) -> None:
    await pool.execute("insert into installation values ('shards', '12')")
    await put(api, [{"user": "anna", "name": "Anna", "team": "North", "licensed_from": "2026-01-05"}])
    assert await pool.fetchval("select shard from directory_change") == shard_of(person_key("acme", "anna"), 12)
    await put(api, [{"user": "dustin"}])
    await queued(pool)
    cases: list[tuple[dict[str, Any], bool]] = [
        ({"name": "Anna S."}, False),
        ({"email": "a@x.example"}, True),
        ({"manager": "dustin"}, False),
        ({"location": "Kiel"}, False),
        ({"team": "South"}, True),
        ({"role": "seller"}, True),
        ({"licensed_to": "2026-12-31"}, True),
        ({"kind": "service"}, True),
        ({"kind": "service"}, False),
    ]
    for change, counts in cases:
        await put(api, [{"user": "anna", **change}])
        assert bool(await queued(pool)) is counts, change
    assert await pool.fetchval("select version from tally where shard = -1") == len(cases) + 1


async def test_a_dry_run_says_what_would_change_and_changes_nothing(api: Client, pool: Pool) -> None:
    await put(api, [{"user": "anna", "team": "North"}])
    await queued(pool)

    said = await put(api, [{"user": "anna", "team": "South"}, {"user": "bo"}, {"user": ""}], dry_run="true")

    assert (said["created"], said["updated"], len(said["errors"])) == (1, 1, 1)
    assert await queued(pool) == []
    assert await pool.fetchval("select count(*) from person") == 1
    assert await pool.fetchval("select team from membership") == "North"
    assert await pool.fetchval("select version from tally where shard = -1") == 1


async def test_another_team_holds_from_today_on(api: Client, pool: Pool) -> None:
    await put(api, [{"user": "anna", "team": "North", "role": "seller"}])

    await put(api, [{"user": "anna", "team": "South"}])

    assert await spells(pool, "anna") == [
        (day("0001-01-01"), day("2026-03-02"), "North", "seller", None),
        (day("2026-03-02"), None, "South", "seller", None),
    ]


async def test_another_team_holds_from_the_day_that_is_told(api: Client, pool: Pool) -> None:
    await put(api, [{"user": "anna", "team": "A"}])
    await put(api, [{"user": "anna", "team": "B"}], effective_from="2026-02-01")
    await put(api, [{"user": "anna", "team": "C"}], effective_from="2026-04-01")
    assert [(s[0], s[2]) for s in await spells(pool, "anna")] == [
        (day("0001-01-01"), "A"),
        (day("2026-02-01"), "B"),
        (day("2026-04-01"), "C"),
    ]

    assert (await put(api, [{"user": "anna", "team": "B"}]))["unchanged"] == 1  # what is planned stays planned

    await put(api, [{"user": "anna", "team": "D"}], effective_from="2026-01-15")
    assert [(s[0], s[1], s[2]) for s in await spells(pool, "anna")] == [
        (day("0001-01-01"), day("2026-01-15"), "A"),
        (day("2026-01-15"), None, "D"),
    ]


async def test_before_the_first_event_a_change_holds_from_the_beginning(api: Client, pool: Pool) -> None:
    await api.patch("/v1/tenants/acme", json={"clock": "event"})
    await put(api, [{"user": "anna", "team": "A"}])
    await put(api, [{"user": "anna", "team": "B"}])
    assert await spells(pool, "anna") == [(day("0001-01-01"), None, "B", None, None)]

    await pool.execute("insert into tally (tenant, shard, newest) values ('acme', 0, '2017-03-06 12:00Z')")
    await put(api, [{"user": "anna", "team": "C"}])

    assert [s[0] for s in await spells(pool, "anna")] == [day("0001-01-01"), day("2017-03-06")]


BAD_ROWS = [
    pytest.param(",Bo,,,,,,", "user", id="no user"),
    pytest.param(f"{'x' * 257},Bo,,,,,,", "user", id="a user too long"),
    pytest.param("b\x00o,Bo,,,,,,", "user", id="a NUL"),
    pytest.param("bo,Bo,,,,,2026-02-30,", "licensed_from", id="a day that does not exist"),
    pytest.param("bo,Bo,,,,,05.01.2026,", "licensed_from", id="a day in another format"),
    pytest.param("bo,Bo,,,,,1e9,", "licensed_from", id="a number for a day"),
    pytest.param("bo,Bo,,,,,2026-01-05,2026-01-04", "licensed_to", id="a licence that ends before it starts"),
    pytest.param("bo,Bo,,,,,0001-01-01,", "licensed_from", id="a day of the year 1"),
    pytest.param("bo,Bo,,,,", None, id="too few cells"),
    pytest.param("bo,Bo,,,,,,,,", None, id="too many cells"),
    pytest.param('bo,"Bo,,,,,,', None, id="a quote that is never closed"),
    pytest.param('bo,"Bo"x,,,,,,', None, id="text after a quote"),
    pytest.param("anna,Anna again,,,,,,", "user", id="a person named twice"),
    pytest.param(f"bo,{'x' * 200_000},,,,,,", None, id="a cell beyond any measure"),
]


@pytest.mark.parametrize(("row", "column"), BAD_ROWS)
async def test_one_bad_row_never_stops_the_others(api: Client, pool: Pool, row: str, column: str | None) -> None:
    said = await put(api, f"{HEADER}anna,Anna,,,,,2026-01-05,\n{row}\ncy,Cy,,,,,2026-01-05,\n")

    assert (said["created"], said["updated"]) == (2, 0)
    assert [(error["row"], error["column"]) for error in said["errors"]] == [(2, column)]
    assert [r["user_id"] for r in await pool.fetch("select user_id from person order by 1")] == ["anna", "cy"]


async def test_bytes_that_are_no_utf8_spoil_their_row_only(api: Client) -> None:
    said = await put(api, HEADER.encode() + b"anna,Anna,,,,,,\nbo,Bj\xf6rn,,,,,,\ncy,Cy,,,,,,\n")

    assert said["created"] == 2
    assert [(error["row"], error["column"]) for error in said["errors"]] == [(2, "name")]


async def test_text_is_kept_as_it_stands(api: Client) -> None:
    words = [
        "=1+1",
        "+1",
        "-2+3",
        "@x",
        '=HYPERLINK("x")',
        "a\nb",
        'say "hi"',
        "; drop table x",
        "\u2019\u202e",
        " x ",
    ]
    await put(api, [{"user": f"u{n}", "name": word} for n, word in enumerate(words)])

    listed = (await api.get("/v1/directory/people")).json()["items"]

    assert [item["name"] for item in listed] == words


async def test_quotes_line_ends_a_byte_order_mark_and_stray_quotes_are_read(api: Client) -> None:
    body = (
        '\ufeffUser, Name ,Team\r\n"anna","Snelling, Anna","No""rth"\r\n\r\nbo,"two\r\nlines",South\r\ncy,5" wide,\r\n'
    )

    said = await put(api, body)

    assert said == {"created": 3, "updated": 0, "unchanged": 0, "errors": []}
    listed = (await api.get("/v1/directory/people")).json()["items"]
    assert [(i["name"], i["team"]) for i in listed] == [
        ("Snelling, Anna", 'No"rth'),
        ("two\r\nlines", "South"),
        ('5" wide', None),
    ]


async def test_a_column_that_is_not_ours_is_reported_and_left_out(api: Client) -> None:
    said = await put(api, "user,shoe size\nanna,39\nbo,42\n")

    assert said["created"] == 2
    assert [(error["row"], error["column"]) for error in said["errors"]] == [(0, "shoe size")]
    assert (await put(api, [{"user": "cy", "shoe size": 40}]))["errors"][0]["row"] == 0


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        pytest.param(b"", "no header", id="an empty file"),
        pytest.param(b"name,team\nAnna,North\n", "'user'", id="no column for the user"),
        pytest.param(b"user;name;team\nanna;Anna;North\n", "semicolons", id="semicolons"),
        pytest.param("user,name\nanna,Anna\n".encode("utf-16"), "UTF-16", id="UTF-16"),
        pytest.param(b"user,team,team\nanna,A,B\n", "twice", id="a column twice"),
        pytest.param(b"user" + b",x" * 100_000 + b"\n", "columns", id="a hundred thousand columns"),
    ],
)
async def test_a_file_without_a_usable_header_is_refused_with_a_hint(api: Client, body: bytes, hint: str) -> None:
    answer = await api.put("/v1/directory/people", content=body, headers=CSV)

    assert answer.status_code == 422
    assert hint in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"{", 400, id="half a JSON"),
        pytest.param(b"[" * 10_000 + b"]" * 10_000, 400, id="deep JSON"),
        pytest.param(b'[{"user": "\xff"}]', 400, id="no UTF-8"),
        pytest.param(b'{"user": "anna"}', 422, id="an object"),
        pytest.param(b"null", 422, id="null"),
    ],
)
async def test_a_body_that_is_no_array_is_refused(api: Client, body: bytes, status: int) -> None:
    answer = await api.put("/v1/directory/people", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == status


async def test_values_of_a_wrong_type_are_errors_of_their_row(api: Client) -> None:
    rows = [
        1,
        None,
        [],
        {},
        {"user": 5},
        {"user": None},
        {"user": "a", "champion": "perhaps"},
        {"user": "b", "kind": "robot"},
    ]
    rows += [
        {"user": "c", "time_zone": "Mars/Phobos"},
        {"user": "d", "licensed_from": 20260101},
        {"user": "e", "team": {"x": 1}},
    ]

    said = await put(api, [*rows, {"user": "ok", "champion": True, "time_zone": "Europe/Berlin"}])

    assert said["created"] == 1
    assert [error["row"] for error in said["errors"]] == list(range(1, 12))


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "text/csv; charset=latin-1", ""])
async def test_another_kind_of_body_is_refused(api: Client, kind: str) -> None:
    answer = await api.put("/v1/directory/people", content=b"user\n", headers={"Content-Type": kind})

    assert answer.status_code == 415


async def test_an_open_end_may_be_written_as_the_year_9999(api: Client, pool: Pool) -> None:
    await put(api, HEADER + "anna,Anna,,,,,2026-01-05,9999-12-31\n")

    assert await pool.fetchval("select licensed_to from licence") is None


async def test_a_licence_cannot_be_cut_off_before_its_start(api: Client) -> None:
    await put(api, [{"user": "anna", "licensed_from": "2026-01-05"}])

    said = await put(api, [{"user": "anna", "licensed_to": "2026-01-01"}])

    assert [(error["row"], error["column"]) for error in said["errors"]] == [(1, "licensed_to")]


@pytest.mark.parametrize(
    "bad", ["2026-02-30", "yesterday", "0001-01-01", "9999-12-31", "2026-13-01", "infinity", "1e9", ""]
)
async def test_effective_from_is_a_day(api: Client, bad: str) -> None:
    answer = await api.put("/v1/directory/people", json=[], params={"effective_from": bad})

    assert answer.status_code == 422


async def test_people_are_listed_by_team_and_role_page_by_page(api: Client) -> None:
    people = [{"user": f"u{n:02}", "team": "AB"[n % 2], "role": "xyz"[n % 3]} for n in range(20)]
    await put(api, people)
    await put(api, [{"user": "u00", "team": "C"}])

    async def listed(**params: str) -> list[str]:
        users: list[str] = []
        cursor = None
        while True:
            page = (
                await api.get(
                    "/v1/directory/people", params={"limit": "3", **params, **({"cursor": cursor} if cursor else {})}
                )
            ).json()
            users += [item["user"] for item in page["items"]]
            cursor = page["next"]
            if cursor is None:
                return users

    assert await listed() == [f"u{n:02}" for n in range(20)]
    assert await listed(team="A") == [f"u{n:02}" for n in range(2, 20, 2)]
    assert await listed(team="B", role="y") == ["u01", "u07", "u13", "u19"]
    teams = (await api.get("/v1/directory/teams")).json()["items"]
    assert teams == [{"key": "A", "people": 9}, {"key": "B", "people": 10}, {"key": "C", "people": 1}]
    first = (await api.get("/v1/directory/roles?limit=2")).json()
    second = (await api.get("/v1/directory/roles", params={"limit": 2, "cursor": first["next"]})).json()
    assert [role["key"] for role in first["items"] + second["items"]] == ["x", "y", "z"]


@pytest.mark.slow
async def test_many_thousand_people_are_imported_in_bounded_time(api: Client, pool: Pool) -> None:
    count = 20_000
    bosses = ["", *(f"user-{n // 10}" for n in range(1, count))]
    text = HEADER + "".join(
        f"user-{n},Person {n},p{n}@x.example,seller,team-{n % 500},{bosses[n]},2026-01-05,\n" for n in range(count)
    )
    answer = await api.put("/v1/directory/people", content=text.encode(), headers=CSV)

    assert json.loads(answer.content) == {"created": count, "updated": 0, "unchanged": 0, "errors": []}
    assert await pool.fetchval("select count(*) from directory_change") == count
    assert await pool.fetchval("select count(distinct shard) from directory_change") == SHARDS


async def test_half_a_surrogate_pair_in_one_row_of_json_costs_no_other_row(api: Client) -> None:
    body = b'[{"user": "anna"}, {"user": "ben\\ud800"}, {"user": "carl"}]'

    answer = await api.put("/v1/directory/people", content=body, headers={"Content-Type": "application/json"})

    assert (answer.json()["created"], [error["row"] for error in answer.json()["errors"]]) == (2, [2])
