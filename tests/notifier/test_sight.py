"""What is sent out is what the API shows to the same key: one rule in SQL, where pages are cut, and one beside it."""

import random
from datetime import date, timedelta
from typing import NamedTuple

import pytest

from schemas.alerts import item
from services.api.store.alerts import Sight as ApiSight
from services.api.store.alerts import page
from services.postgres import Pool
from services.sight import Sight, curtain_of, sees
from tests.builders import add_tenant, measured
from tests.notifier.desk import alert, change

WEEKS = [date(2026, 3, 2) + timedelta(weeks=n) for n in range(4)]
GROUPS = [(kind, key) for kind in ("team", "role", "wave") for key in ("North", "South", "West")]
SUBJECTS = [*GROUPS, ("tenant", "all"), ("user", "ada"), ("user", "bo")]


class House(NamedTuple):
    id: str = "acme"
    min_group: int = 5
    first_day_of_week: int = 1
    individual_visibility: str = "manager"


SIGHTS = [
    Sight(individuals=True),
    Sight(individuals=False),
    Sight(individuals=True, people=frozenset({"ada", "boss"}), teams=frozenset({"North"}), person="boss"),
    Sight(individuals=False, people=frozenset({"ada", "boss"}), teams=frozenset({"North", "West"}), person="ada"),
]


@pytest.mark.parametrize("least", [1, 5])
async def test_a_subscription_is_told_of_the_alerts_that_its_key_is_shown(pool: Pool, least: int) -> None:
    dice = random.Random(3)
    async with pool.acquire() as connection:
        await add_tenant(connection, min_group=least)
        for week in WEEKS:
            hidden = [f"{kind}:{key}" for kind, key in GROUPS if dice.random() < 0.25]
            await measured(connection, "acme", *hidden, week=week)
        made = []
        for number in range(150):
            kind, key = dice.choice(SUBJECTS)
            first = WEEKS[0] + timedelta(dice.randrange(14))
            days = {"from": first.isoformat(), "to": (first + timedelta(dice.randrange(14))).isoformat()}
            evidence = {} if dice.random() < 0.2 else {"num": 1, "den": dice.randrange(1, 12)}
            made.append(alert(f"a{number}", subject_kind=kind, subject_key=key, window=days, evidence=evidence))
            await change(connection, "opened", made[-1])
        house = House(min_group=least)
        curtain = await curtain_of(connection, house, [item(each) for each in made])
        for sight in SIGHTS:
            people = None if sight.people is None else sorted(sight.people)
            teams = None if sight.teams is None else sorted(sight.teams)
            theirs = ApiSight(sight.individuals, people, teams, sight.person, least)
            shown = await page(connection, "acme", theirs, {}, opened=(None, None), after=None, limit=500)

            assert {row["id"] for row in shown} == {each["id"] for each in made if sees(sight, item(each), curtain)}
