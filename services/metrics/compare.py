"""One week against another: by how much a group fell, and whether it is the same people or another group of people.

A positive change is a fall: ``(base - now) / base``. Rates are exact; the parts of a change add up to it exactly.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, NamedTuple

from services.metrics.mcnemar import p_value
from services.metrics.shape import Count

MIN_DEN: Final = 5
"""A smaller group is not compared: one person more or less would be a fall."""


class Standing(NamedTuple):
    """How a person stood in one week: counted in the group, in another one or nowhere; and whether as a hit."""

    here: bool = False
    elsewhere: bool = False
    hit: bool = False


class Side(NamedTuple):
    """People who count in one of the two weeks only, and how many of them as a hit."""

    people: int = 0
    hits: int = 0


@dataclass(frozen=True, slots=True)
class People:
    """The people behind two weeks of a group, each in one place.

    In both weeks: ``kept`` were a hit in both, ``lost`` in the first, ``gained`` in the second, ``idle`` in neither.
    In the first alone: ``leavers``, and ``moved_out`` who count in another group now. In the second alone: ``joiners``
    and ``moved_in``.
    """

    kept: int
    lost: int
    gained: int
    idle: int
    leavers: Side
    moved_out: Side
    joiners: Side
    moved_in: Side

    @property
    def base(self) -> Count:
        """Return the counts of the first week."""
        return (
            self.kept + self.lost + self.leavers.hits + self.moved_out.hits,
            self._same + self.leavers.people + self.moved_out.people,
        )

    @property
    def now(self) -> Count:
        """Return the counts of the second week."""
        return (
            self.kept + self.gained + self.joiners.hits + self.moved_in.hits,
            self._same + self.joiners.people + self.moved_in.people,
        )

    @property
    def _same(self) -> int:
        return self.kept + self.lost + self.gained + self.idle

    @property
    def p(self) -> Fraction:
        """Return how likely so many more stopped than started by chance alone, the same persons taken."""
        return p_value(self.lost, self.gained)


@dataclass(frozen=True, slots=True)
class Change:
    """From ``base`` to ``now``; ``people`` None: it was not counted by person and week."""

    base: Count
    now: Count
    people: People | None = None

    @property
    def insufficient(self) -> bool:
        """Tell whether the numbers are too small to say anything."""
        return min(self.base[1], self.now[1]) < MIN_DEN or self.base[0] == 0

    @property
    def relative(self) -> Fraction | None:
        """Return the share of the base that is gone; below zero: it rose."""
        return None if self.insufficient else 1 - Fraction(*self.now) / Fraction(*self.base)

    @property
    def points(self) -> Fraction | None:
        """Return the percentage points that are gone."""
        return None if self.insufficient else 100 * (Fraction(*self.base) - Fraction(*self.now))

    def parts(self) -> dict[str, Fraction] | None:
        """Return what the points are made of.

        ``same_people``: those who count in both weeks. Whoever came or went counts by how far they lie from the rate of
        the first week, so that a group which only grew by people like its own has no part.
        """
        if self.people is None or self.insufficient:
            return None
        rate, den = Fraction(*self.base), self.now[1]

        def by(side: Side, sign: int) -> Fraction:
            return 100 * sign * (side.hits - rate * side.people) / den

        return {
            "same_people": Fraction(100 * (self.people.lost - self.people.gained), den),
            "leavers": by(self.people.leavers, 1),
            "moved_out": by(self.people.moved_out, 1),
            "joiners": by(self.people.joiners, -1),
            "moved_in": by(self.people.moved_in, -1),
        }


def people(pairs: Iterable[tuple[Standing, Standing, int]]) -> People:
    """Return the people behind two weeks, given how so many of them stood in both."""
    same: Counter[tuple[bool, bool]] = Counter()
    sides: Counter[tuple[str, bool]] = Counter()
    for base, now, number in pairs:
        if base.here and now.here:
            same[base.hit, now.hit] += number
        elif base.here:
            sides["moved_out" if now.elsewhere else "leavers", base.hit] += number
        elif now.here:
            sides["moved_in" if base.elsewhere else "joiners", now.hit] += number

    def side(name: str) -> Side:
        return Side(sides[name, True] + sides[name, False], sides[name, True])

    return People(
        kept=same[True, True],
        lost=same[True, False],
        gained=same[False, True],
        idle=same[False, False],
        leavers=side("leavers"),
        moved_out=side("moved_out"),
        joiners=side("joiners"),
        moved_in=side("moved_in"),
    )
