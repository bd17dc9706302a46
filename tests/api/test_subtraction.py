"""An attacker with a calculator: whatever a reader may fetch, added and subtracted, tells nothing of a hidden group.

The people are measured as the product does it; then every number is fetched over HTTP, of every group and window. Who
is in which group is known to the attacker, as it is to whoever works there.
"""

import itertools
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI

from services.aggregator.evaluator import Evaluator
from services.postgres import Pool
from services.settings import Settings
from tests.aggregator.metered import NOW, Office, at
from tests.api.conftest import Client, Clock, Connect
from tests.metrics.test_suppression import Attacker, Group

K = 5
TEAMS = {"North": 4, "South": 6, "West": 17, "East": 11, None: 3}
"""Four are too few; three are in no team."""
COLUMNS = ("team", "role", "function", "location", "segment")
WAVES = {"one": ["West", "East"], "two": ["North", "South"]}


def office_people() -> list[dict[str, str | None]]:
    """Return people in groups that overlap, contain and equal each other."""
    people: list[dict[str, str | None]] = []
    for team, size in TEAMS.items():
        for number in range(size):
            place = {"North": "Kiel", "South": "Kiel", "West": "Bonn", "East": "Bonn" if number < 5 else "Ulm"}
            people.append(
                {
                    "team": team,
                    "role": "lead" if number < 2 else "sales" if number % 3 else "agent",
                    "function": "Field" if team in ("West", "East") else "Inside",
                    "location": place.get(team or "", "Ulm"),
                    "segment": "A" if number % 2 else None,
                    "wave": next((wave for wave, teams in WAVES.items() if team in teams), None),
                }
            )
    return people


PEOPLE = office_people()
GROUPS: dict[Group, set[int]] = {("tenant", "all"): set(range(len(PEOPLE)))}
for _place, _person in enumerate(PEOPLE):
    for _dimension, _key in _person.items():
        if _key is not None:
            GROUPS.setdefault((_dimension, _key), set()).add(_place)
SMALL = [group for group, members in GROUPS.items() if len(members) < K]


def attacker(shown: set[Group]) -> Attacker:
    """Return who knows the sums over ``shown``, of people one by one."""
    atoms = {
        frozenset({("person", str(place)), *(group for group, members in GROUPS.items() if place in members)}): 1
        for place in range(len(PEOPLE))
    }
    return Attacker(atoms, {group for groups in atoms for group in groups} - shown)


@pytest.fixture
async def office(pool: Pool) -> Office:
    """The people at work for four weeks, counted and measured."""
    made, rng = (
        await Office.open(pool, min_group=K, individual_visibility="off", quality_approved_at=NOW),
        random.Random(5),
    )
    for place, person in enumerate(PEOPLE):
        await made.person(f"u{place}", team=person["team"], role=person["role"])
        await pool.execute(
            "update membership set function = $2, location = $3, segment = $4 where user_id = $1",
            f"u{place}",
            *(person[name] for name in COLUMNS[2:]),
        )
        for day in itertools.product(range(4), range(5)):
            if rng.random() < 0.4:
                made.act(f"u{place}", at(day[0] * 7 + day[1]), rng.choice(["crm.record.updated", "crm.session.login"]))
    for wave, teams in WAVES.items():
        sql = "insert into wave (tenant, id, name, go_live, scope) values ('acme', $1, $1, $2, $3)"
        await pool.execute(sql, wave, at(0).date(), {"teams": teams})
    await made.measure()
    await Evaluator(pool, "", Settings(), lambda: NOW).evaluate("acme", NOW)
    return made


EXPORTED = ("uptake_adoption_", "uptake_metric_ratio", "uptake_wave_")


def told(item: dict[str, Any]) -> bool:
    """Whether an item tells any number."""
    numbers = ("licensed", "active", "logged_in", "actions", "active_user_days", "num", "den", "value", "people")
    beside = ("active_rate", "login_rate", "excluded", "beside", "change")
    return any(item.get(name) is not None for name in numbers) or any(item.get(name) for name in beside)


async def pages(client: Client, path: str, **asked: Any) -> AsyncIterator[dict[str, Any]]:
    cursor = None
    while True:
        answer = await client.get(path, params={**asked, "limit": 1000, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        for item in answer.json()["items"]:
            yield item
        if not (cursor := answer.json()["next"]):
            return


async def fetched(client: Client) -> set[tuple[str, Group]]:
    """Return of which groups any number is told, and where."""
    span = {"from": (NOW.date() - timedelta(days=25)).isoformat(), "to": NOW.date().isoformat()}
    seen = {
        ("windows", (item["dimension"], item["key"]))
        async for item in pages(client, "/v1/windows", **span)
        if told(item)
    }
    for column in ("team", "role"):
        found = pages(client, f"/v1/directory/{column}s")
        seen |= {("directory", (column, item["key"])) async for item in found if told(item)}
    for dimension, key in GROUPS:
        found = pages(client, "/v1/metrics", dimension=dimension, key=key, **span)
        seen |= {("metrics", (dimension, key)) async for item in found if told(item)}
    for wave in WAVES:
        items = (await client.get(f"/v1/waves/{wave}/connection")).json()["items"]
        assert items
        seen |= {("waves", ("wave", wave)) for item in items if told(item)}
    async for alert in pages(client, "/v1/alerts"):
        seen.add(("alerts", (alert["subject"]["kind"], alert["subject"]["key"])))
        seen |= {("alerts", ("team", team["team"])) for team in alert["evidence"].get("worst_teams", ())}
    return seen


async def scraped(app: FastAPI, client: Client, pool: Pool) -> set[tuple[str, Group]]:
    """Return the groups whose gauges are exported."""
    await app.state.adoption.read(pool, NOW)
    lines = (await client.get("/metrics")).text.splitlines()
    assert all(any(line.startswith(name) for line in lines) for name in EXPORTED)
    found = [line.replace('wave="', 'dimension="wave",key="') for line in lines if line.startswith(EXPORTED)]
    return {
        ("gauges", group)
        for group in GROUPS
        if any(f'dimension="{group[0]}",key="{group[1]}"' in line for line in found)
    }


async def test_nothing_of_a_small_group_follows_from_all_that_may_be_fetched(
    office: Office, app: FastAPI, connect: Connect, clock: Clock
) -> None:
    clock.now = NOW
    made = await connect(tenant="acme").post("/v1/keys", json={"tenant": "acme", "scopes": ["read", "scrape"]})
    client = connect(made.json()["key"])

    seen = await fetched(client) | await scraped(app, client, office.pool)
    shown = {group for _, group in seen}
    calculator = attacker(shown)
    hidden = set(GROUPS) - shown

    assert {"windows", "directory", "metrics", "gauges"} <= {surface for surface, _ in seen}
    assert set(SMALL) < hidden
    assert ("tenant", "all") in shown
    assert len(shown) > len(GROUPS) // 2
    assert not [group for group in hidden if calculator.knows(GROUPS[group])]
    assert not [pair for pair in itertools.combinations(range(len(PEOPLE)), 2) if calculator.knows(pair)]
    assert not [(one,) for one in range(len(PEOPLE)) if calculator.knows((one,))]
    nowhere = {name: {n for n, person in enumerate(PEOPLE) if person[name] is None} for name in COLUMNS}
    assert not [name for name, people in nowhere.items() if 0 < len(people) < K and calculator.knows(people)]
    for one, two in itertools.combinations(shown, 2):
        for rest in (GROUPS[one] - GROUPS[two], GROUPS[two] - GROUPS[one], GROUPS[one] & GROUPS[two]):
            assert not 0 < len(rest) < K or not calculator.knows(rest), (one, two)


def test_the_attacker_would_find_a_small_group_beside_the_others() -> None:
    shown = set(GROUPS) - set(SMALL)

    assert attacker(shown).knows(GROUPS["team", "North"])
    assert attacker(shown).knows({place for place, person in enumerate(PEOPLE) if person["team"] is None})
