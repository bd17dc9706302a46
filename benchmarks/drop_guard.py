"""How often the drop rule is wrong when nothing changes, and how often it finds a drop: simulated, by its own code.

Each of n people is active in a week with a stable probability of 0.85; from week to week they stay what they were with
a correlation of 0.6. Week 1 is the base and twelve weeks are judged. A drop happens in week 2 and is for good:
everybody is drawn anew with the lower probability, and keeps to it. The table that the guards were chosen by is printed
beside; two standard errors of this run say how much of a difference is chance, and ``power`` what it comes to exactly.
"""

import argparse
import random
from collections.abc import Iterator, Sequence
from math import sqrt
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table

from services.aggregator.domain.power import power
from services.aggregator.domain.rules.drop import Guard, SamePeople, Share, Step, walk

STABLE: Final = 0.85
HABIT: Final = 0.6
WEEKS: Final = 12
WITHIN: Final = 4
SIZES: Final = (8, 10, 12, 15, 20, 30, 50)
TO: Final = 0.60
PUBLISHED_FALSE: Final = (0.18, 0.25, None, 0.24, 0.23, 0.24, 0.20)
PUBLISHED_POWER: Final = (0.50, 0.65, None, 0.82, 0.86, 0.93, 0.98)
MOST_FALSE: Final = 0.26
"""Of the groups in which nothing changes, how many may be told of within twelve weeks."""


class Outcome(NamedTuple):
    """How many of ``runs`` groups were told of; ``suspected``: or at least suspected."""

    runs: int
    told: int
    suspected: int

    @property
    def share(self) -> float:
        """Return the share that was told of."""
        return self.told / self.runs

    @property
    def error(self) -> float:
        """Return two standard errors of it."""
        return 2 * sqrt(max(self.share * (1 - self.share), 1 / self.runs) / self.runs)


def weeks(people: int, rate: float, number: int, rng: random.Random) -> Iterator[Sequence[bool]]:
    """Give who is active, week by week: in week 1 at the stable rate, and then at ``rate``."""
    active = [rng.random() < STABLE for _ in range(people)]
    yield active
    for week in range(number):
        fresh = rate != STABLE and week == 0
        active = [was if not fresh and rng.random() < HABIT else rng.random() < rate for was in active]
        yield active


def steps(history: Sequence[Sequence[bool]]) -> Iterator[Step]:
    """Give the weeks as the rule judges them."""
    base = history[0]
    share = Share(sum(base), len(base))
    for number, now in enumerate(history[1:], start=2):
        pairs = list(zip(base, now, strict=True))
        people = SamePeople(len(base), sum(b and not n for b, n in pairs), sum(n and not b for b, n in pairs), 0, 0)
        yield Step(number, share, Share(sum(now), len(now)), share.num, people)


def simulate(people: int, rate: float, number: int, runs: int, seed: int) -> Outcome:
    """Judge ``runs`` groups of so many people over ``number`` weeks."""
    rng = random.Random(f"{seed} {people} {rate} {number}")
    told = suspected = 0
    for _ in range(runs):
        courses = walk(Guard(), steps(list(weeks(people, rate, number, rng)))).courses
        suspected += bool(courses)
        told += any(course.confirmed is not None for course in courses)
    return Outcome(runs, told, suspected)


def main() -> None:
    """Read the options, simulate, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=10_000, help="groups of each size [default: 10,000]")
    parser.add_argument("--seed", type=int, default=20261122)
    options = parser.parse_args()
    drawn = ("exactly", "published")
    table = Table("people", "told, nothing changed", *drawn, "told, 85 % to 60 %", *drawn)
    for people, false, published in zip(SIZES, PUBLISHED_FALSE, PUBLISHED_POWER, strict=True):
        quiet = simulate(people, STABLE, WEEKS, options.runs, options.seed)
        drop = simulate(people, TO, WITHIN, options.runs, options.seed)
        base, to = round(100 * STABLE), round(100 * TO)
        table.add_row(
            str(people),
            *_cells(quiet, power(Guard(), people, base, base, WEEKS), false),
            *_cells(drop, power(Guard(), people, base, to), published),
        )
    Console().print(table)


def _cells(drawn: Outcome, exactly: float, published: float | None) -> tuple[str, str, str]:
    known = "" if published is None else f"{published:.2f}"
    return f"{drawn.share:.3f} +- {drawn.error:.3f}", f"{exactly:.3f}", known


if __name__ == "__main__":
    main()
