"""What a guard can find: how probably a lasting drop of a group is confirmed within four weeks, exactly. Pure.

Each of n people is active in week 1 with the same probability. A drop is for good: in week 2 everybody is drawn anew
with the lower probability; from then on they stay what they were, or are drawn anew, so that weeks have a correlation
of 0.6. Where the probability stays, nothing happened, and what is confirmed is a false alarm. Only how many of those
active in week 1 still are, and how many of the others are now, matters to the guard.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from math import comb
from operator import mul
from typing import Any, Final, TypeAlias

from services.aggregator.domain.findings import Tier
from services.aggregator.domain.rules.change import BASE, History, drops
from services.aggregator.domain.rules.drop import Guard, SamePeople, Share, Step
from services.rules.shape import Rule

HABIT: Final = 0.6
WITHIN: Final = 4
POWER: Final = 0.8
SIZES: Final = (8, 10, 15, 20, 30, 50)
"""A group is taken for the next smaller one of these: in a larger one a drop is found no later."""
BASES: Final = (70, 85, 95)
STEP: Final = 5
"""Levels are hundredths, in steps of so many."""
_RARE: Final = 1e-3
"""What is rarer is left out of the first week."""
_KNOWN: Final = {
    8: (None, None, None, None, None, None, None, None, None, 5, 15, 20, 25, 30, 35, 40, 50, 55, 60, 65),
    10: (None, None, None, None, None, None, None, 0, 10, 15, 20, 25, 30, 35, 45, 50, 55, 60, 65, 70),
    15: (None, None, None, None, None, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75),
    20: (None, None, None, None, 5, 10, 15, 20, 25, 30, 35, 40, 40, 45, 50, 55, 60, 65, 75, 80),
    30: (None, None, 0, 5, 10, 15, 20, 25, 30, 35, 35, 40, 45, 50, 55, 60, 65, 70, 75, 85),
    50: (None, 0, 5, 10, 15, 20, 20, 25, 30, 35, 40, 40, 45, 50, 55, 60, 70, 75, 80, 85),
}
"""What ``found`` finds with the guard of the pack: by size, for the levels of the first week in their steps."""
_Grid: TypeAlias = list[list[float]]


def detectable(rules: Mapping[str, Rule], histories: Iterable[History]) -> list[dict[str, Any]]:
    """Return for each rule that holds people against their first week what it finds, at all sizes and of each team."""
    listed = [rule for rule in drops(rules) if rule.params.get("metric") == "adoption.weekly_rate"]
    teams = [each for each in histories if each.watched.subject.kind == "team" and each.weeks] if listed else []
    return [
        {
            "rule": rule.id,
            "sizes": [{"people": size, "base": base, "to": finds(Guard.of(rule), size, base)} for size, base in _TABLE],
            "teams": [row for each in teams if (row := _of_team(Guard.of(rule), each)) is not None],
        }
        for rule in listed
    ]


_TABLE: Final = [(size, base) for base in BASES for size in SIZES]


def _of_team(guard: Guard, history: History) -> dict[str, Any] | None:
    first = history.weeks[0]
    base = first.share
    if BASE in history.unknown or base.den < guard.minimum or not base.num:
        return None
    size = max((size for size in SIZES if size <= base.den), default=base.den)
    level = max(STEP, round(100 * base.num / base.den / STEP) * STEP)
    return {
        "team": history.watched.subject.key,
        "wave": history.watched.wave.id,
        "go_live": history.watched.wave.go_live,
        "people": base.den,
        "active": base.num,
        "base": level,
        "to": finds(guard, size, level),
    }


def finds(guard: Guard, people: int, base: int) -> int | None:
    """Return the highest level, in hundredths, to which a fall from ``base`` is found; None: none is."""
    if guard == Guard() and people in _KNOWN and not base % STEP:
        return _KNOWN[people][base // STEP - 1]
    return found(guard, people, base)


@lru_cache(maxsize=4096)
def found(guard: Guard, people: int, base: int) -> int | None:
    """Return the same, found out."""
    low, high = -STEP, base - base % STEP
    while high - low > STEP:
        middle = (low + high) // (2 * STEP) * STEP
        if power(guard, people, base, middle) >= POWER:
            low = middle
        else:
            high = middle
    return low if low >= 0 else None


def power(guard: Guard, people: int, base: int, to: int, weeks: int = WITHIN) -> float:
    """Return how probably a fall from ``base`` to ``to`` hundredths is confirmed within so many weeks."""
    first = _binomial(people, base / 100)
    anew = to != base
    return sum(
        chance * _confirmed(guard, people, active, to / 100, weeks, anew=anew)
        for active, chance in _likely(first)
        if active
    )


def _likely(chances: Sequence[float]) -> Iterable[tuple[int, float]]:
    return ((number, chance) for number, chance in enumerate(chances) if chance > _RARE)


def _confirmed(guard: Guard, people: int, active: int, rate: float, weeks: int, *, anew: bool) -> float:
    """Return how probably the drop is confirmed where so many were active in week 1.

    A grid holds how probable it is that so many of them still are, and so many others, by the weeks that were sure.
    """
    idle = people - active
    stay, join = _chain(active, rate), _chain(idle, rate)
    tiers = _tiers(guard, people, active)
    if anew:
        start = _outer(_binomial(active, rate), _binomial(idle, rate))
    else:
        start = _moved(_outer(_binomial(active, 1.0), _binomial(idle, 0.0)), stay, join)
    runs: list[_Grid] = [start, *(_empty(start) for _ in range(guard.windows - 1))]
    done = 0.0
    for week in range(weeks):
        if week:
            runs = [_moved(grid, stay, join) for grid in runs]
        runs, now = _judged(guard, runs, tiers)
        done += now
    return done


@lru_cache(maxsize=256)
def _tiers(guard: Guard, people: int, active: int) -> Sequence[Sequence[tuple[bool, bool]]]:
    ahead = range(people - active + 1)
    return [[_step(guard, people, active, still, come) for come in ahead] for still in range(active + 1)]


def _step(guard: Guard, people: int, active: int, still: int, come: int) -> tuple[bool, bool]:
    """Return whether a week is confirmed by itself, and whether it is one of those that are sure."""
    seen = SamePeople(people, active - still, come, 0, 0)
    step = Step(2, Share(active, people), Share(still + come, people), active, seen)
    return guard.tier(step, lossy=0, sure=0) is Tier.CONFIRMED, guard.sure(step)


def _judged(guard: Guard, runs: list[_Grid], tiers: Sequence[Sequence[tuple[bool, bool]]]) -> tuple[list[_Grid], float]:
    after = [_empty(runs[0]) for _ in runs]
    done = 0.0
    for run, grid in enumerate(runs):
        for still, row in enumerate(grid):
            for come, chance in enumerate(row):
                at_once, sure = tiers[still][come]
                if at_once or (sure and run + 1 >= guard.windows):
                    done += chance
                else:
                    after[run + 1 if sure else 0][still][come] += chance
    return after, done


def _moved(grid: _Grid, stay: _Grid, join: _Grid) -> _Grid:
    """Return the grid a week later; of a chain each row holds from where one comes to a number."""
    across = [[sum(map(mul, row, column)) for row in grid] for column in join]
    return [list(row) for row in zip(*([sum(map(mul, row, column)) for column in stay] for row in across), strict=True)]


@lru_cache(maxsize=512)
def _chain(number: int, rate: float) -> _Grid:
    """Return, for each number of active people, how probably it comes from each number of the week before."""
    keep, begin = HABIT + (1 - HABIT) * rate, (1 - HABIT) * rate
    rows = [_sum(_binomial(was, keep), _binomial(number - was, begin)) for was in range(number + 1)]
    return [list(column) for column in zip(*rows, strict=True)]


def _sum(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """Return how probable each sum of two numbers is."""
    last, turned = len(other) - 1, other[::-1]
    return [
        sum(map(mul, one[max(0, place - last) :], turned[max(0, last - place) :])) for place in range(len(one) + last)
    ]


@lru_cache(maxsize=4096)
def _binomial(number: int, rate: float) -> Sequence[float]:
    return [comb(number, hits) * rate**hits * (1 - rate) ** (number - hits) for hits in range(number + 1)]


def _outer(one: Sequence[float], other: Sequence[float]) -> _Grid:
    return [[first * second for second in other] for first in one]


def _empty(grid: _Grid) -> _Grid:
    return [[0.0] * len(row) for row in grid]
