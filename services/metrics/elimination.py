"""Exact linear algebra on sums over groups: what follows from which of them, by any combination.

Modulo the prime 2^61 - 1, so that no number grows. Weights and values are spread evenly over the field from fixed
seeds: a wrong answer needs an accident of one in 10^18, and the same question always gets the same answer.
"""

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

PRIME: Final = (1 << 61) - 1
_MASK: Final = (1 << 64) - 1

Vector: TypeAlias = list[int]
Row: TypeAlias = dict[int, int]


def spread(seed: int, number: int) -> Vector:
    """Return ``number`` values from 1 to PRIME - 1 that follow from ``seed`` (splitmix64)."""
    values, state = [], seed * 0x9E3779B97F4A7C15
    for _ in range(number):
        state = (state + 0x9E3779B97F4A7C15) & _MASK
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        values.append((mixed ^ (mixed >> 31)) % (PRIME - 1) + 1)
    return values


class Sums:
    """The sums over groups, each the list of its atoms.

    With D a diagonal of even spread, V D V' has the rank of V, so eliminating it without exchanging rows meets a zero
    exactly where a group follows from those before it.
    """

    def __init__(self, groups: Sequence[Sequence[int]], atoms: int) -> None:
        self._groups = groups
        self._weights = spread(1, atoms)
        self._of_atom: list[list[int]] = [[] for _ in range(atoms)]
        for number, group in enumerate(groups):
            for atom in group:
                self._of_atom[atom].append(number)
        self._factor: dict[int, tuple[int, list[tuple[int, int]]]] = {}
        self._eliminate(self._products())

    def _products(self) -> list[Row]:
        """Return the upper half of V D V'."""
        rows: list[Row] = [{} for _ in self._groups]
        for weight, groups in zip(self._weights, self._of_atom, strict=True):
            for place, first in enumerate(groups):
                row = rows[first]
                for second in groups[place:]:
                    row[second] = row.get(second, 0) + weight
        return [{number: value % PRIME for number, value in row.items()} for row in rows]

    def _eliminate(self, rows: list[Row]) -> None:
        for number, row in enumerate(rows):
            head = row.get(number, 0)
            if not head:
                continue
            tail = [(other, value) for other, value in sorted(row.items()) if other > number and value]
            inverse = pow(head, -1, PRIME)
            for place, (other, value) in enumerate(tail):
                factor, target = PRIME - value * inverse % PRIME, rows[other]
                for column, entry in tail[place:]:
                    target[column] = (target.get(column, 0) + factor * entry) % PRIME
            self._factor[number] = inverse, tail

    def _solve(self, right: Vector) -> Row:
        """Return c with V D V' c = ``right``, and nothing for groups that follow from others."""
        for number, (inverse, tail) in self._factor.items():
            factor = right[number] * inverse % PRIME
            if factor:
                for column, entry in tail:
                    right[column] = (right[column] - factor * entry) % PRIME
        solution = [0] * len(right)
        for number, (inverse, tail) in reversed(self._factor.items()):
            rest = sum(entry * solution[column] for column, entry in tail)
            solution[number] = (right[number] - rest) * inverse % PRIME
        return {number: value for number, value in enumerate(solution) if value}

    def unknown(self) -> Vector:
        """Return values of the atoms that leave every sum at zero, and are even otherwise.

        A set of atoms whose values sum up to zero follows from all the sums; no other does.
        """
        values = spread(2, len(self._weights))
        solution = self._solve([sum(values[atom] for atom in group) % PRIME for group in self._groups])
        return [
            (value - weight * sum(solution.get(group, 0) for group in groups)) % PRIME
            for value, weight, groups in zip(values, self._weights, self._of_atom, strict=True)
        ]

    def combination(self, group: int) -> Row:
        """Return by which factors a group is combined of those that follow from no others."""
        return {group: 1} if group in self._factor else self.combination_of(self._groups[group])

    def combination_of(self, atoms: Iterable[int]) -> Row:
        """Return the same of ``atoms``, a set that follows from all the sums."""
        right = [0] * len(self._groups)
        for atom in atoms:
            for group in self._of_atom[atom]:
                right[group] = (right[group] + self._weights[atom]) % PRIME
        return self._solve(right)


class Span:
    """What follows from some sums, and what must not: every secret is kept as what is still unknown of it.

    ``parts``: how many people each is of whose sum with another is a secret too, when they are fewer than ``k``.
    """

    def __init__(self, secrets: Iterable[Row], parts: Iterable[tuple[Row, int]], k: int) -> None:
        self._known: dict[int, Row] = {}
        self._secrets = [dict(secret) for secret in secrets]
        self._parts = [(dict(row), people) for row, people in parts]
        self._k = k

    def add(self, row: Row) -> bool:
        """Add a sum, unless a secret follows from it and those before; return whether it was added."""
        rest = dict(row)
        for lead in [lead for lead in row if lead in self._known]:
            _subtract(rest, self._known[lead], lead)
        if not rest:
            return True
        lead = min(rest)
        inverse = pow(rest[lead], -1, PRIME)
        rest = {column: entry * inverse % PRIME for column, entry in rest.items()}
        if any(_multiple(secret, rest, lead) for secret in self._secrets) or self._adds_up(rest, lead):
            return False
        for known in (*self._known.values(), *self._secrets, *(part for part, _ in self._parts)):
            if lead in known:
                _subtract(known, rest, lead)
        self._known[lead] = rest
        return True

    def _adds_up(self, known: Row, lead: int) -> bool:
        """Return whether the sum of two parts follows once ``known`` does."""
        least: dict[frozenset[tuple[int, int]], int] = {}
        for part, people in self._parts:
            row = part
            if lead in part:
                row = dict(part)
                _subtract(row, known, lead)
            if (
                least.get(frozenset((column, PRIME - entry) for column, entry in row.items()), self._k) + people
                < self._k
            ):
                return True
            mark = frozenset(row.items())
            least[mark] = min(people, least.get(mark, people))
        return False


def _subtract(row: Row, known: Row, lead: int) -> None:
    """Take ``known``, which has a one at ``lead``, from ``row`` so often that nothing is left there."""
    factor = row[lead]
    for column, entry in known.items():
        value = (row.get(column, 0) - factor * entry) % PRIME
        if value:
            row[column] = value
        else:
            row.pop(column, None)


def _multiple(row: Row, known: Row, lead: int) -> bool:
    factor = row.get(lead, 0)
    same = factor != 0 and len(row) == len(known)
    return same and all(row.get(column, 0) == factor * entry % PRIME for column, entry in known.items())
