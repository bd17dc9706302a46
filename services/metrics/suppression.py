"""Which groups of a week stay hidden, so that no number tells of fewer than k people.

Whoever may read sums over groups can add and subtract them. So beside the groups that are too small themselves, others
are hidden until no combination of what is shown gives a number of 1 to k - 1 people: a small group, those of a
dimension who are in none of its groups, what two groups share or differ in, whom two leave over, who shares all groups.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, combinations
from typing import Final, TypeAlias

from services.metrics.elimination import PRIME, Secret, Span, Sums, Vector
from services.metrics.shape import DIMENSIONS, EVERYBODY

Group: TypeAlias = tuple[str, str]
Atoms: TypeAlias = Mapping[frozenset[Group], int]
"""How many people there are of each set of groups that somebody is in. The tenant itself need not be named."""

SMALL: Final = "small"
COMPLEMENT: Final = "complement"
ALL: Final[Group] = ("tenant", EVERYBODY)


def hidden(atoms: Atoms, k: int, gone: Collection[Group] = ()) -> dict[Group, str]:
    """Return the groups to hide beside those that are ``gone`` anyway: too few people, or telling of such a group.

    The same people are hidden the same whatever the order of ``atoms``. Smaller groups are hidden before larger ones,
    and no group is hidden that could be shown beside all others that are.
    """
    week = _Week(atoms, k)
    small = {group: SMALL for group, size in week.sizes.items() if size < k}
    if k <= 1 or ALL in small or not week.people:
        return small
    groups = week.ordered()
    numbers = {group: number for number, group in enumerate(groups)}
    sums = Sums([week.members[group] for group in groups], len(week.people))
    secrets = week.secrets(sums.unknown())
    span = Span((Secret(sums.combination_of(secret), week.part(secret)) for secret in secrets), k)
    large = [group for group in week.by_size() if group not in small and group not in gone]
    complement = [group for group in large if not span.add(sums.combination(numbers[group]))]
    return dict(sorted({**small, **dict.fromkeys(complement, COMPLEMENT)}.items()))


class _Week:
    """The people of a week by atoms, and the sets of them that must not be told."""

    def __init__(self, atoms: Atoms, k: int) -> None:
        known = sorted((sorted(groups | {ALL}), size) for groups, size in atoms.items() if size > 0)
        self.k = k
        self.people = [size for _, size in known]
        self.members: dict[Group, list[int]] = {ALL: []} if known else {}
        for atom, (groups, _) in enumerate(known):
            for group in groups:
                self.members.setdefault(group, []).append(atom)
        self.sizes = {group: self.count(members) for group, members in self.members.items()}
        self._sets = {group: set(members) for group, members in self.members.items()}
        self._known = [groups for groups, _ in known]

    def count(self, atoms: Iterable[int]) -> int:
        """Return how many people ``atoms`` are."""
        return sum(self.people[atom] for atom in atoms)

    def part(self, secret: Sequence[int]) -> int | None:
        """Return how many people a single atom is of, which may be a part of another secret; None: it is not single."""
        return self.people[secret[0]] if len(secret) == 1 else None

    def by_size(self) -> list[Group]:
        """Return the groups, the largest first; those of one size in the order of the dimensions."""
        order = {dimension: place for place, dimension in enumerate(DIMENSIONS)}
        return sorted(self.members, key=lambda group: (-self.sizes[group], order.get(group[0], len(order)), group))

    def ordered(self) -> list[Group]:
        """Return the groups with the largest dimension first: its groups are apart, which is cheap to eliminate."""
        often = Counter(dimension for dimension, _ in self.members)
        return sorted(self.members, key=lambda group: (-often[group[0]], group[0], -self.sizes[group], group))

    def secrets(self, values: Vector) -> list[tuple[int, ...]]:
        """Return the sets of fewer than k people that follow from all sums; ``values``: what the sums leave unknown."""
        told = {secret for secret in self._few() if not sum(map(values.__getitem__, secret)) % PRIME}
        few = [atom for atom, size in enumerate(self.people) if size < self.k]
        opposite: dict[int, list[int]] = {}
        for atom in few:
            told.update(pair for other in opposite.get(values[atom], ()) if self.count(pair := (other, atom)) < self.k)
            opposite.setdefault(PRIME - values[atom], []).append(atom)
        return sorted(told)

    def _few(self) -> Iterator[tuple[int, ...]]:
        alone = ([atom] for atom in range(len(self.people)))
        for atoms in chain(alone, self.members.values(), self._nowhere(), self._shared(), self._left_over()):
            if atoms and self.count(atoms) < self.k:
                yield tuple(atoms)

    def _nowhere(self) -> Iterator[list[int]]:
        """Return by dimension who is in none of its groups."""
        for dimension in {dimension for dimension, _ in self.members}:
            placed = {atom for group, atoms in self.members.items() if group[0] == dimension for atom in atoms}
            yield [atom for atom in range(len(self.people)) if atom not in placed]

    def _shared(self) -> Iterator[list[int]]:
        """Return what each two groups share, and what a group has beyond another."""
        shared: dict[tuple[Group, Group], int] = {}
        for groups, size in zip(self._known, self.people, strict=True):
            for pair in combinations(groups, 2):
                shared[pair] = shared.get(pair, 0) + size
        for (first, second), size in shared.items():
            if size < self.k:
                yield from self._apart(first, second, within=True)
            if self.sizes[first] - size < self.k:
                yield from self._apart(first, second, within=False)
            if self.sizes[second] - size < self.k:
                yield from self._apart(second, first, within=False)

    def _apart(self, group: Group, other: Group, *, within: bool) -> Iterator[list[int]]:
        of_group, of_other = self._sets[group], self._sets[other]
        yield sorted(of_group & of_other if within else of_group - of_other)

    def _left_over(self) -> Iterator[list[int]]:
        """Return whom each two groups leave over."""
        ordered = self.by_size()
        enough = sum(self.people) - self.k
        for place, first in enumerate(ordered):
            if 2 * self.sizes[first] <= enough:
                break
            rest = self._sets[ALL] - self._sets[first]
            for second in ordered[place + 1 :] if rest else ():
                if self.sizes[first] + self.sizes[second] <= enough:
                    break
                yield sorted(rest - self._sets[second])
