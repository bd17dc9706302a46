"""Exact linear algebra on sums over groups: what follows from which of them, by any combination.

Modulo the prime 2^61 - 1, so that no number grows. Weights and values are spread evenly over the field from fixed
seeds: a wrong answer needs an accident of one in 10^18, and the same question always gets the same answer. Groups have
few people in common, so what is not zero is looked up and nothing else is touched.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush
from typing import Final, NamedTuple, TypeAlias

PRIME: Final = (1 << 61) - 1
_MASK: Final = (1 << 64) - 1

Vector: TypeAlias = list[int]
Row: TypeAlias = dict[int, int]


def even(seed: int, place: int) -> int:
    """Return a value from 1 to PRIME - 1 that follows from ``seed`` and ``place`` (splitmix64)."""
    state = (seed + place + 1) * 0x9E3779B97F4A7C15 & _MASK
    mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return (mixed ^ (mixed >> 31)) % (PRIME - 1) + 1


def spread(seed: int, number: int) -> Vector:
    """Return ``number`` values that follow from ``seed``."""
    return [even(seed, place) for place in range(number)]


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
        self._above: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self._eliminate(self._products())

    def _products(self) -> list[Row]:
        """Return the upper half of V D V'."""
        rows: list[Row] = [defaultdict(int) for _ in self._groups]
        for weight, groups in zip(self._weights, self._of_atom, strict=True):
            for place, first in enumerate(groups):
                row = rows[first]
                for second in groups[place:]:
                    row[second] += weight
        return rows

    def _eliminate(self, rows: list[Row]) -> None:
        """Factorise; what a row has beyond its head is kept by row, and by column in ``_above``."""
        for number, row in enumerate(rows):
            tail = [(column, value) for column, entry in sorted(row.items()) if (value := entry % PRIME)]
            rows[number] = {}
            if not tail or tail[0][0] != number:
                continue
            inverse = pow(tail.pop(0)[1], -1, PRIME)
            for place, (other, value) in enumerate(tail):
                factor, target = value * inverse % PRIME, rows[other]
                for column, entry in tail[place:]:
                    target[column] -= factor * entry
                self._above[other].append((number, value))
            self._factor[number] = inverse, tail

    def _solve(self, right: Row) -> Row:
        """Return c with V D V' c = ``right``, and nothing for groups that follow from others."""
        ahead = list(right)
        heapify(ahead)
        while ahead:
            number = heappop(ahead)
            inverse, tail = self._factor.get(number, (0, []))
            factor = right[number] * inverse % PRIME
            if factor:
                for column, entry in tail:
                    if column not in right:
                        heappush(ahead, column)
                    right[column] = (right.get(column, 0) - factor * entry) % PRIME
        return self._back(right)

    def _back(self, right: Row) -> Row:
        solution: Row = {}
        behind = [-number for number in right]
        heapify(behind)
        while behind:
            number = -heappop(behind)
            inverse, _ = self._factor.get(number, (0, []))
            value = right[number] * inverse % PRIME
            if value:
                solution[number] = value
                for row, entry in self._above[number]:
                    if row not in right:
                        heappush(behind, -row)
                    right[row] = (right.get(row, 0) - entry * value) % PRIME
        return solution

    def unknown(self) -> Vector:
        """Return values of the atoms that leave every sum at zero, and are even otherwise.

        A set of atoms whose values sum up to zero follows from all the sums; no other does.
        """
        values = spread(2, len(self._weights))
        right = {number: sum(values[atom] for atom in group) % PRIME for number, group in enumerate(self._groups)}
        solution = self._solve(right)
        return [
            (value - weight * sum(solution.get(group, 0) for group in groups)) % PRIME
            for value, weight, groups in zip(values, self._weights, self._of_atom, strict=True)
        ]

    def combination(self, group: int) -> Row:
        """Return by which factors a group is combined of those that follow from no others."""
        return {group: 1} if group in self._factor else self.combination_of(self._groups[group])

    def combination_of(self, atoms: Iterable[int]) -> Row:
        """Return the same of ``atoms``, a set that follows from all the sums."""
        right: Row = {}
        for atom in atoms:
            for group in self._of_atom[atom]:
                right[group] = (right.get(group, 0) + self._weights[atom]) % PRIME
        return self._solve(right)


class Secret(NamedTuple):
    """What must not follow. ``part``: how many people it is of, when its sum with another such may be a secret too."""

    row: Row
    part: int | None = None


class Span:
    """What follows from some sums, and what must not: every secret is kept as what is still unknown of it.

    Two parts of fewer than ``k`` people together must not follow as one. Each row has a mark: a sum of even spread over
    its entries, by which equal ones are found.
    """

    def __init__(self, secrets: Iterable[Secret], k: int) -> None:
        self._k = k
        self._rows: list[Row] = []
        self._marks: Vector = []
        self._holders: dict[int, set[int]] = defaultdict(set)
        self._known: dict[int, int] = {}
        self._parts: dict[int, int] = {}
        self._alike: dict[int, set[int]] = defaultdict(set)
        for row, part in secrets:
            number = self._append(dict(row), _mark(row))
            if part is not None:
                self._parts[number] = part
                self._alike[self._marks[number]].add(number)
        self._secrets = len(self._rows)

    def add(self, row: Row) -> bool:
        """Add a sum, unless a secret follows from it and those before; return whether it was added."""
        rest = dict(row)
        for lead in [lead for lead in row if lead in self._known]:
            _subtract(rest, self._rows[self._known[lead]], rest[lead])
        if not rest:
            return True
        lead = min(rest, key=lambda column: (len(self._holders[column]), column))
        inverse = pow(rest[lead], -1, PRIME)
        rest = {column: entry * inverse % PRIME for column, entry in rest.items()}
        mark = _mark(rest)
        left = {number: self._left(number, lead, mark) for number in self._holders[lead]}
        if self._tells(left):
            return False
        for number, of_it in left.items():
            self._take(number, rest, lead, of_it)
        self._known[lead] = self._append(rest, mark)
        return True

    def _append(self, row: Row, mark: int) -> int:
        number = len(self._rows)
        self._rows.append(row)
        self._marks.append(mark)
        for column in row:
            self._holders[column].add(number)
        return number

    def _left(self, number: int, lead: int, mark: int) -> int:
        """Return the mark of a row less the one with ``mark`` and a one at ``lead``, so often that nothing is there."""
        return (self._marks[number] - self._rows[number][lead] * mark) % PRIME

    def _tells(self, left: Row) -> bool:
        """Return whether a secret follows once rows are those with the marks ``left``, or two parts as one."""
        if any(mark == 0 for number, mark in left.items() if number < self._secrets):
            return True
        fresh: dict[int, int] = {}
        for number, mark in left.items():
            people = self._parts.get(number)
            if people is None:
                continue
            opposite = PRIME - mark
            others = [self._parts[other] for other in self._alike.get(opposite, ()) if other not in left]
            if min(others, default=self._k) + people < self._k or fresh.get(opposite, self._k) + people < self._k:
                return True
            fresh[mark] = min(people, fresh.get(mark, people))
        return False

    def _take(self, number: int, known: Row, lead: int, mark: int) -> None:
        row = self._rows[number]
        if number in self._parts:
            self._alike[self._marks[number]].discard(number)
            self._alike[mark].add(number)
        self._marks[number] = mark
        before = known.keys() & row.keys()
        _subtract(row, known, row[lead])
        for column in known:
            if column not in row:
                self._holders[column].discard(number)
            elif column not in before:
                self._holders[column].add(number)


def _mark(row: Row) -> int:
    return sum(even(3, column) * entry for column, entry in row.items()) % PRIME


def _subtract(row: Row, known: Row, factor: int) -> None:
    """Take ``known`` so many times from ``row``."""
    for column, entry in known.items():
        value = (row.get(column, 0) - factor * entry) % PRIME
        if value:
            row[column] = value
        else:
            row.pop(column, None)
