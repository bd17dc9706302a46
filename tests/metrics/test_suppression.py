"""What stays hidden of small groups, and an attacker who adds and subtracts whatever is shown."""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from fractions import Fraction
from itertools import combinations
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.metrics.suppression import ALL, Group, hidden

Atoms = Mapping[frozenset[Group], int]


def people(*groups: str, size: int = 1) -> tuple[frozenset[Group], int]:
    """Return an atom of ``size`` people in groups written as ``team:North``."""
    return frozenset((it.partition(":")[0], it.partition(":")[2]) for it in groups), size


def teams(**sizes: int) -> dict[frozenset[Group], int]:
    return dict(people(f"team:{name}", size=size) for name, size in sizes.items())


class Attacker:
    """Solves for a set of people, with fractions, given the sums over all groups that are not hidden."""

    def __init__(self, atoms: Atoms, gone: Iterable[Group]) -> None:
        self.atoms = [(groups | {ALL}, size) for groups, size in atoms.items()]
        self.groups = {group for groups, _ in self.atoms for group in groups}
        self._basis: list[tuple[int, list[Fraction]]] = []
        for group in self.groups - set(gone):
            rest = self._reduced([Fraction(group in groups) for groups, _ in self.atoms])
            lead = next((place for place, value in enumerate(rest) if value), None)
            if lead is not None:
                self._basis.append((lead, [value / rest[lead] for value in rest]))

    def _reduced(self, row: list[Fraction]) -> list[Fraction]:
        for lead, known in self._basis:
            if row[lead]:
                row = [value - row[lead] * other for value, other in zip(row, known, strict=True)]
        return row

    def knows(self, chosen: Iterable[int]) -> bool:
        """Whether the sum over the atoms ``chosen`` follows from what is shown."""
        wanted = set(chosen)
        return not any(self._reduced([Fraction(place in wanted) for place in range(len(self.atoms))]))

    def members(self, group: Group) -> list[int]:
        return [place for place, (groups, _) in enumerate(self.atoms) if group in groups]

    def count(self, chosen: Iterable[int]) -> int:
        return sum(self.atoms[place][1] for place in chosen)


KEYS = st.sampled_from(["a", "b", "c", "d"])
ATOM = st.fixed_dictionaries({}, optional={"team": KEYS, "role": KEYS, "location": st.sampled_from(["x", "y"])})
WEEKS = st.lists(st.tuples(ATOM, st.integers(1, 7)), min_size=1, max_size=9).map(
    lambda rows: {frozenset(groups.items()): size for groups, size in rows}
)

ALIKE = [("", "", 2), ("b", "", 1), ("", "a", 1), ("a", "a", 3), ("b", "a", 1), ("c", "a", 3)]
"""Team, role and how many: of several pairs the sums tell as much."""


def week(rows: Iterable[tuple[str, str, int]]) -> Atoms:
    named = (({"team": team, "role": role}, size) for team, role, size in rows)
    return {frozenset((name, key) for name, key in groups.items() if key): size for groups, size in named}


@given(WEEKS, st.integers(2, 6))
@example(week(ALIKE), 3)
@settings(max_examples=150)
def test_nothing_of_fewer_than_k_people_follows_from_what_is_shown(atoms: Atoms, k: int) -> None:
    gone = hidden(atoms, k)
    attacker = Attacker(atoms, gone)
    places = range(len(atoms))
    shown = attacker.groups - set(gone)

    assert not [group for group in gone if attacker.knows(attacker.members(group))]
    assert not [group for group in shown if attacker.count(attacker.members(group)) < k]
    assert not [
        chosen
        for number in (1, 2)
        for chosen in combinations(places, number)
        if attacker.count(chosen) < k and attacker.knows(chosen)
    ]
    for one, two in combinations(sorted(shown), 2):
        first, second = set(attacker.members(one)), set(attacker.members(two))
        for rest in (first - second, second - first, set(places) - first - second):
            assert not rest or attacker.count(rest) >= k or not attacker.knows(rest)


@given(WEEKS, st.integers(2, 6))
@settings(max_examples=60)
def test_no_group_is_hidden_that_could_be_shown_beside_the_others(atoms: Atoms, k: int) -> None:
    gone = hidden(atoms, k)
    for group in (group for group, reason in gone.items() if reason == "complement"):
        attacker = Attacker(atoms, set(gone) - {group})
        known = [
            chosen
            for number in range(1, min(k, len(atoms) + 1))
            for chosen in combinations(range(len(atoms)), number)
            if attacker.count(chosen) < k and attacker.knows(chosen)
        ]

        assert known, group


@given(WEEKS, st.integers(1, 6), st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_the_order_of_the_people_changes_nothing(atoms: Atoms, k: int, chance: object) -> None:
    shuffled = list(atoms.items())
    chance.shuffle(shuffled)  # type: ignore[attr-defined]

    assert hidden(dict(shuffled), k) == hidden(atoms, k)


@given(WEEKS, st.integers(2, 6))
@settings(max_examples=30)
def test_what_is_gone_anyway_need_not_be_hidden_again(atoms: Atoms, k: int) -> None:
    gone = hidden(atoms, k)
    fewer = {groups: size - 1 for groups, size in atoms.items()}

    more = {**gone, **hidden(fewer, k, set(gone))}

    assert not {group for group in hidden(atoms, k, set(gone)).items() if group not in gone.items()}
    attacker = Attacker({groups: size for groups, size in fewer.items() if size}, more)
    for number in (1, 2):
        for chosen in combinations(range(len(attacker.atoms)), number):
            assert attacker.count(chosen) >= k or not attacker.knows(chosen)


CASES = [
    pytest.param(
        teams(North=4, South=6, West=9),
        5,
        {("team", "North"): "small", ("team", "South"): "complement"},
        id="a team of four, and its smallest sibling, which the total would tell it from",
    ),
    pytest.param(
        teams(North=2, South=2, West=9),
        4,
        dict.fromkeys([("team", "North"), ("team", "South")], "small"),
        id="two small teams hide each other when together they are enough",
    ),
    pytest.param(
        teams(North=1, South=1, West=9, East=7),
        4,
        {("team", "North"): "small", ("team", "South"): "small", ("team", "East"): "complement"},
        id="two small teams that are few even together need a third",
    ),
    pytest.param(
        dict([people("team:West", size=9), people("team:East", size=8), people(size=3)]),
        5,
        {("team", "East"): "complement"},
        id="three people without a team",
    ),
    pytest.param(
        dict([people("team:West", "role:sales", size=9), people("team:East", "role:sales", size=1)]),
        5,
        {("team", "East"): "small", ("team", "West"): "complement"},
        id="a group of everybody tells no more than the total",
    ),
    pytest.param(
        dict([people("team:West", "role:rep", size=9), people("role:rep", size=2), people("team:East", size=30)]),
        5,
        {("team", "West"): "complement"},
        id="two people whom nested groups of different dimensions differ in",
    ),
    pytest.param(
        dict(
            [people("team:A", "role:x", size=4), people("team:B", "role:y", size=6), people("team:C", "role:z", size=9)]
        ),
        5,
        {("team", "A"): "small", ("role", "x"): "small", ("team", "B"): "complement", ("role", "y"): "complement"},
        id="a team and a role that are the same people",
    ),
    pytest.param(teams(North=4, South=6), 1, {}, id="groups of one hide nothing"),
    pytest.param({}, 5, {}, id="nobody"),
    pytest.param(
        teams(North=1, South=2),
        5,
        dict.fromkeys([("team", "North"), ("team", "South"), ALL], "small"),
        id="a small tenant",
    ),
]


@pytest.mark.parametrize(("atoms", "k", "expected"), CASES)
def test_hidden_are(atoms: Atoms, k: int, expected: dict[Group, str]) -> None:
    assert hidden(atoms, k) == expected


def steps_of(number: int) -> int:
    """Return how many calls it takes to hide groups of a week with so many teams, every fourth of them small."""
    rng, atoms = Random(1), Counter[frozenset[Group]]()
    for team in range(number):
        for _ in range(rng.choice([3, 9, 12, 15])):
            role = rng.choice(["seller"] * 8 + ["lead"])
            groups, _ = people(f"team:{team}", f"role:{role}", f"location:{team % 20}", f"segment:{team % 3}")
            atoms[groups] += 1
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        gone = hidden(atoms, 5)
    finally:
        sys.setprofile(None)
    assert len(gone) >= number / 5
    return calls


def test_four_times_the_teams_take_about_four_times_the_steps() -> None:
    assert steps_of(240) < 6 * steps_of(60)
