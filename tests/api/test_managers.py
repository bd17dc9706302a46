"""Loops of managers, against a plain calendar on which each day is followed by itself; and that nobody makes one."""

import random
import time
from datetime import date, timedelta
from typing import Any

from services.api import managers
from services.api.managers import NEVER, Line, Loop
from services.postgres import Pool
from tests.api.conftest import Client

START = date(2026, 1, 1)
DAYS = [START + timedelta(days=n) for n in range(12)]
Lines = dict[str, list[Line]]


def on(day: date, lines: Lines) -> dict[str, str]:
    return {user: line.manager for user, held in lines.items() for line in held if line.start <= day < line.end}


def looping(day: date, lines: Lines) -> set[str]:
    boss, found = on(day, lines), set()
    for user in boss:
        seen, here = set(), user
        while here in boss and here not in seen:
            seen.add(here)
            here = boss[here]
        if here == user:
            found.add(user)
    return found


def random_lines(rng: random.Random, people: str) -> Lines:
    found: Lines = {}
    for user in people:
        days = sorted(rng.sample(DAYS, 2))
        spans = rng.choice([[(START, NEVER)], [(days[0], days[1]), (days[1], NEVER)], [(days[0], NEVER)], []])
        found[user] = [Line(a, b, rng.choice(people)) for a, b in spans if rng.random() < 0.7]
    return found


def test_every_loop_that_a_plain_calendar_finds_is_found_and_no_other() -> None:
    for seed in range(600):
        rng = random.Random(seed)
        lines = random_lines(rng, "abcdef"[: rng.randint(2, 6)])
        looping_days = [day for day in DAYS if looping(day, lines)]
        found = managers.refused(lines, lines)

        assert bool(found) is bool(looping_days), seed
        for user, loop in found.items():
            assert user in loop.people
            assert set(loop.people) <= looping(max(loop.since, START), lines)


def test_refusing_what_is_named_ends_without_a_loop() -> None:
    for seed in range(300):
        rng = random.Random(seed)
        lines = random_lines(rng, "abcdefgh")
        for _ in range(9):
            for user in managers.refused(lines, lines):
                lines[user] = []
        assert not any(looping(day, lines) for day in DAYS)


def test_the_last_of_those_that_moved_is_blamed_and_nobody_for_a_loop_that_stood() -> None:
    def line(manager: str) -> list[Line]:
        return [Line(START, NEVER, manager)]

    lines = {"a": line("b"), "b": line("c"), "c": line("a"), "d": line("a")}

    assert managers.refused(lines, {"c": line("a"), "b": line("c")}) == {"b": Loop(("c", "a", "b"), START)}
    assert managers.refused(lines, {"d": line("a")}) == {}
    assert str(Loop(("a", "b"), START)) == "a → b → a"
    assert str(Loop(tuple("abcdefghijk"), START)) == "a → b → c → d → e → f → g → … → a"


def test_a_line_of_fifty_thousand_people_costs_no_square_of_it() -> None:
    count = 50_000
    lines = {f"u{n}": [Line(START, NEVER, f"u{n + 1}")] for n in range(count)}
    started = time.process_time()

    assert managers.refused(lines, lines) == {}
    lines[f"u{count}"] = [Line(START, NEVER, "u0")]
    assert list(managers.refused(lines, lines)) == [f"u{count}"]
    assert time.process_time() - started < 100


async def put(api: Client, rows: list[dict[str, Any]], **params: str) -> dict[str, Any]:
    answer = await api.put("/v1/directory/people", json=rows, params=params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def bosses(pool: Pool) -> dict[str, str | None]:
    rows = await pool.fetch("select user_id, manager from membership where valid_to is null order by 1")
    return {row["user_id"]: row["manager"] for row in rows}


async def test_a_loop_is_refused_and_the_rest_of_its_row_holds(api: Client, pool: Pool) -> None:
    await put(api, [{"user": "anna"}, {"user": "bo", "manager": "anna"}, {"user": "cy", "manager": "bo"}])

    said = await put(api, [{"user": "dee"}, {"user": "anna", "manager": "cy", "team": "North"}])

    assert said["errors"] == [
        {"row": 2, "column": "manager", "reason": "would close a loop: anna → cy → bo → anna"},
    ]
    assert (said["created"], said["updated"]) == (1, 1)
    assert await bosses(pool) == {"anna": None, "bo": "anna", "cy": "bo", "dee": None}
    assert await pool.fetchval("select team from membership where user_id = 'anna' and valid_to is null") == "North"
    assert (await put(api, [{"user": "anna", "manager": "anna"}]))["errors"][0]["reason"].endswith("anna → anna")


async def test_the_rows_of_one_file_are_judged_together(api: Client, pool: Pool) -> None:
    await put(api, [{"user": "anna"}, {"user": "bo", "manager": "anna"}])

    swapped = await put(api, [{"user": "anna", "manager": "bo"}, {"user": "bo", "manager": None}])
    looped = await put(
        api, [{"user": "x", "manager": "y"}, {"user": "y", "manager": "z"}, {"user": "z", "manager": "x"}]
    )

    assert swapped["errors"] == []
    assert [(error["row"], error["column"]) for error in looped["errors"]] == [(3, "manager")]
    assert await bosses(pool) == {"anna": "bo", "bo": None, "x": "y", "y": "z", "z": None}


async def test_a_loop_on_a_day_to_come_or_past_is_one(api: Client) -> None:
    await put(api, [{"user": "anna"}, {"user": "bo"}])
    await put(api, [{"user": "bo", "manager": "anna"}], effective_from="2026-06-01")

    now = await put(api, [{"user": "anna", "manager": "bo"}])
    past = await put(api, [{"user": "anna", "manager": "bo"}], effective_from="2020-01-01")
    await put(api, [{"user": "bo", "manager": None}], effective_from="2026-06-01")
    free = await put(api, [{"user": "anna", "manager": "bo"}])

    assert len(now["errors"]) == len(past["errors"]) == 1
    assert free["errors"] == []


async def test_what_is_left_as_it_was_may_close_another_loop_and_that_is_refused_too(api: Client, pool: Pool) -> None:
    await put(api, [{"user": "anna", "manager": "bo"}, {"user": "bo"}])

    said = await put(api, [{"user": "anna", "manager": "nobody"}, {"user": "bo", "manager": "anna"}])

    assert [(error["row"], error["reason"]) for error in said["errors"]] == [
        (1, "is not in the directory, nor in this file"),
        (2, "would close a loop: bo → anna → bo"),
    ]
    assert await bosses(pool) == {"anna": "bo", "bo": None}


async def test_a_manager_may_stand_further_down_or_be_known_already(api: Client, pool: Pool) -> None:
    await put(api, [{"user": "old"}])

    said = await put(
        api, [{"user": "a", "manager": "b"}, {"user": "b", "manager": "old"}, {"user": "c", "manager": "d"}]
    )

    assert [(error["row"], error["column"]) for error in said["errors"]] == [(3, "manager")]
    assert await bosses(pool) == {"a": "b", "b": "old", "c": None, "old": None}


async def test_a_dry_run_finds_the_same_and_writes_nothing(api: Client, pool: Pool) -> None:
    rows = [{"user": "a", "manager": "b"}, {"user": "b", "manager": "a"}, {"user": "c", "manager": "nobody"}]

    dry = await put(api, rows, dry_run="true")

    assert await pool.fetchval("select count(*) from person") == 0
    assert await pool.fetchval("select count(*) from dirty") == 0
    assert await put(api, rows) == dry
