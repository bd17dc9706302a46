"""An attacker with a calendar: what is told as of one day, or as it was known then, less what is told otherwise.

The people are measured as the product does it; every number is fetched over HTTP, of every group and day. The attacker
knows who counts in which number: only what these people did is to be found out.
"""

import itertools
import random
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import pytest

from services.postgres import Pool
from tests.aggregator.measured import soil
from tests.aggregator.metered import MONDAY, NOW, Office, at, queue, week
from tests.api.conftest import Client, Clock, Connect

K = 5
PRIME = (1 << 61) - 1
TEAMS = {"North": 9, "South": 12, "West": 15}
LATE = {5: "North", 7: "South", 9: "South", 12: "West", 15: "North", 17: "West", 18: "West", 20: "South"}
"""Who begins later than the others: on which day, and in which team."""
DAY = timedelta(days=1)
ADDS_UP = {
    "access.connected_by": "M1",
    "access.connected_on": "M2",
    "access.joiner_connected_by": "M3",
    "access.return_rate": "M5",
    "access.retained": "M6",
    "sandbox.usage": "M9",
}


def derived(sums: Iterable[frozenset[str]]) -> dict[str, int]:
    """Return a value for each person that leaves all ``sums`` at zero: what else is zero follows from them.

    By chance nothing else is: of the values that are free each is one of 10^18.
    """
    rows: dict[str, dict[str, int]] = {}
    for people in sums:
        rest = dict.fromkeys(people, 1)
        for lead in sorted(rows):
            if factor := rest.get(lead, 0):
                for name, value in rows[lead].items():
                    rest[name] = (rest.get(name, 0) - factor * value) % PRIME
        rest = {name: value for name, value in rest.items() if value}
        if rest:
            inverse = pow(rest[min(rest)], -1, PRIME)
            rows[min(rest)] = {name: value * inverse % PRIME for name, value in rest.items()}
    rng, values = random.Random(7), dict[str, int]()
    for name in sorted(set().union(*sums), reverse=True):
        row = rows.get(name)
        rest_of = sum(value * values[other] for other, value in row.items() if other != name) if row else 0
        values[name] = -rest_of % PRIME if row else rng.randrange(PRIME)
    return values


def follow(sums: Iterable[frozenset[str]]) -> list[tuple[str, ...]]:
    """Return single persons and pairs of whom the sums tell, and those who are the difference of two sums."""
    sums = set(sums)
    values = derived(sums)
    found = [(one,) for one, value in values.items() if not value]
    found += [pair for pair in itertools.combinations(values, 2) if not (values[pair[0]] + values[pair[1]]) % PRIME]
    return found + [tuple(b - a) for a, b in itertools.permutations(sums, 2) if a < b and len(b - a) < K]


@pytest.fixture
async def office(pool: Pool) -> Office:
    """Three teams that went live together, and eight people who came later, one at a time."""
    rng = random.Random(3)
    made = await Office.open(pool, min_group=K, individual_visibility="off", quality_approved_at=NOW)
    users = [(f"{team}{n}", team, 0) for team, size in TEAMS.items() for n in range(size)]
    users += [(f"late{start}", team, start) for start, team in LATE.items()]
    for place, (user, team, start) in enumerate(users):
        await made.person(user, team=team, role="ab"[place % 2], licensed_from=(MONDAY + start * DAY).date())
        for day in range(start, 26):
            if day % 7 < 5 and rng.random() < 0.4:
                made.act(user, at(day), "crm.record.updated")
    sql = "insert into wave (tenant, id, name, go_live, scope) values ('acme', 'w', 'Wave', $1, '{}')"
    await pool.execute(sql, MONDAY.date())
    return made


async def counted(pool: Pool) -> dict[tuple[str, date], dict[str, tuple[set[tuple[str, str]], int]]]:
    """Return by code and day who counts, in which groups, and what is to be found out of them."""
    found: dict[tuple[str, date], dict[str, tuple[set[tuple[str, str]], int]]] = {}
    for row in await pool.fetch("select * from contribution where kind = 'person'"):
        for code, (num, den) in row["counts"].items():
            name, _, offset = code.partition("@")
            if den:
                groups = {("tenant", "all"), ("wave", "w"), ("team", row["team"]), ("role", row["role"])}
                found.setdefault((name, row["week"] + int(offset or 0) * DAY), {})[row["subject"]] = groups, num
    return found


async def told(client: Client, metric: str, group: tuple[str, str], **asked: str) -> list[dict[str, Any]]:
    span = {"from": week(0).isoformat(), "to": NOW.date().isoformat(), "limit": "1000"}
    answer = await client.get(f"/v1/metrics/{metric}", params={"dimension": group[0], "key": group[1], **span, **asked})
    assert answer.status_code == 200, answer.text
    return [item for item in answer.json()["items"] if item["den"] is not None]


async def reader(connect: Connect, clock: Clock) -> Client:
    clock.now = NOW
    made = await connect(tenant="acme").post("/v1/keys", json={"tenant": "acme", "scopes": ["read"]})
    return connect(made.json()["key"])


GROUPS = [("tenant", "all"), ("wave", "w"), *(("team", team) for team in TEAMS), ("role", "a"), ("role", "b")]


async def test_what_adds_up_tells_from_day_to_day_of_nobody_who_came_in_between(
    office: Office, connect: Connect, clock: Clock
) -> None:
    await office.measure()
    client = await reader(connect, clock)
    people = await counted(office.pool)
    cells = await office.pool.fetch("select dimension, key, metric, day, step from metric_cell where step is not null")
    steps = {(row["dimension"], row["key"], row["metric"], row["day"]): row["step"] for row in cells}
    sums: dict[str, set[frozenset[str]]] = {}
    shown: dict[tuple[str, str], set[frozenset[str]]] = {}

    for (metric, code), group in itertools.product(ADDS_UP.items(), GROUPS):
        stand = {
            name: [
                (user, num, steps.get((*group, name, day), date.max))
                for (each, day), crowd in people.items()
                for user, (there, num) in crowd.items()
                if each == name and group in there
            ]
            for name in {name for name, _ in people if name.startswith(code)}
        }
        for item in await told(client, metric, group, window="1d"):
            name = code if item["parameter"] is None else f"{code}:{item['parameter']['n']}"
            end = date.fromisoformat(item["window"]["end"])
            first = end - timedelta(days=56) if code == "M3" else date.min
            inside = {user: num for user, num, step in stand[name] if first <= step < end}
            assert (item["num"], item["den"]) == (sum(inside.values()), len(inside))
            sums.setdefault(name, set()).add(frozenset(inside))
            shown.setdefault((name, group[0]), set()).add(frozenset(inside))

    assert not {name: found for name, known in sums.items() if (found := follow(known))}
    assert {("M1:1", "team"), ("M3:1", "tenant"), ("M5", "team")} <= shown.keys()
    assert len(shown["M5", "tenant"]) > 2, "it is told step by step"


async def test_what_was_known_before_tells_of_nobody_who_counts_elsewhere_now(
    office: Office, connect: Connect, clock: Clock
) -> None:
    first, second = NOW - timedelta(hours=6), NOW - timedelta(hours=3)
    await office.measure(first)
    before = await counted(office.pool)
    await office.measure(second)
    await office.pool.execute("update licence set licensed_from = $1 where user_id = 'late5'", week(2))
    await soil(office.pool, "late5", low=week(0))
    await queue(office.pool, "late5")
    await office.move("South3", week(1), "West")
    await office.measure()
    now = await counted(office.pool)
    client = await reader(connect, clock)
    then = second.isoformat().replace("+00:00", "Z")

    sums: dict[date, set[frozenset[str]]] = {}
    missing = set()
    for group, (asked, people) in itertools.product(GROUPS, [({"as_of": then}, before), ({}, now)]):
        items = {item["window"]["start"]: item for item in await told(client, "adoption.weekly_rate", group, **asked)}
        for start in map(week, range(4)):
            inside = {user: num for user, (there, num) in people["M11", start].items() if group in there}
            if item := items.get(start.isoformat()):
                assert (item["num"], item["den"]) == (sum(inside.values()), len(inside))
                sums.setdefault(start, set()).add(frozenset(inside))
            elif asked:
                missing.add((start, group))

    assert not {start: found for start, known in sums.items() if (found := follow(known))}
    assert (week(1), ("team", "West")) in missing
    assert (week(0), ("team", "South")) not in missing, "of whom nothing else became known"
