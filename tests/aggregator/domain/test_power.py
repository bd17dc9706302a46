"""What a guard finds: exactly what its own code comes to when groups are made up."""

import random

import pytest

from services.aggregator.domain.findings import Subject
from services.aggregator.domain.power import HABIT, SIZES, WITHIN, detectable, finds, found, power
from services.aggregator.domain.rules.change import History, Watched, Week
from services.aggregator.domain.rules.drop import Guard, SamePeople, Share, Step, walk
from services.rules.pack import DEFAULT
from tests.aggregator.world import World, crew

DROP = "adoption-drop-vs-week1"


def told(guard: Guard, people: int, base: float, to: float, chance: random.Random) -> bool:
    """Tell whether a made-up group that falls in week 2 is told of in time."""
    first = [chance.random() < base for _ in range(people)]
    now = [chance.random() < to for _ in first]
    steps = []
    for number in range(2, 2 + WITHIN):
        pairs = list(zip(first, now, strict=True))
        lost, gained = sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs)
        seen = SamePeople(people, lost, gained, 0, 0)
        steps.append(Step(number, Share(sum(first), people), Share(sum(now), people), sum(first), seen))
        now = [was if chance.random() < HABIT else chance.random() < to for was in now]
    return any(course.confirmed is not None for course in walk(guard, steps).courses)


@pytest.mark.parametrize(("guard", "people"), [(Guard(), 8), (Guard(windows=3, collapse=6), 12)])
def test_it_is_what_made_up_groups_come_to(guard: Guard, people: int) -> None:
    chance = random.Random(people)
    share = sum(told(guard, people, 0.85, 0.6, chance) for _ in range(2_000)) / 2_000

    assert power(guard, people, 85, 60) == pytest.approx(share, abs=0.035)


def test_what_is_known_beforehand_is_what_is_found_out() -> None:
    for people, base in ((8, 85), (8, 50), (10, 100), (10, 40), (15, 70)):
        assert finds(Guard(), people, base) == found(Guard(), people, base)
    assert {people: finds(Guard(), people, 85) for people in SIZES} == {8: 50, 10: 55, 15: 60, 20: 60, 30: 65, 50: 70}
    assert finds(Guard(), 8, 20) is found(Guard(), 8, 20) is None


def test_a_stricter_guard_finds_less() -> None:
    assert (finds(Guard(), 10, 85), finds(Guard(windows=3, collapse=9), 10, 85)) == (55, 35)


def test_a_team_is_taken_for_the_next_smaller_size_and_its_first_week() -> None:
    [wave] = World(crew(1)).waves

    def of(licensed: int, active: int) -> History:
        return History(Watched(Subject("team", "North"), wave), [Week(1, licensed, active)], {})

    [rule] = detectable(DEFAULT, [of(17, 14), of(4, 4), of(9, 0), of(6, 6)])

    assert rule["rule"] == DROP
    assert [(row["people"], row["active"], row["base"], row["to"]) for row in rule["teams"]] == [
        (17, 14, 80, 55),
        (6, 6, 100, found(Guard(), 6, 100)),
    ]
    assert {row["base"] for row in rule["sizes"]} == {70, 85, 95}
    assert detectable({}, [of(17, 14)]) == []
