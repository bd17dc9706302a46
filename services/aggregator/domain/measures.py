"""From what people and records contribute to the numbers of groups: which weeks to look at, and what changes.

The number of a group is a sum over contributions, so a contribution that becomes another one changes it by their
difference, in whatever order such differences are added.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, NamedTuple, TypeAlias

from services.metrics.answers import PEOPLE
from services.metrics.shape import (
    DAYS_A_WEEK,
    DIMENSIONS,
    EVERYBODY,
    LOOKBACK,
    Code,
    Contribution,
    Count,
    Groups,
    week_of,
)

WEEK: Final = timedelta(days=DAYS_A_WEEK)
_DAY: Final = timedelta(days=1)
_EARLIEST, _LATEST = date(2, 1, 1), date(9990, 1, 1)
MOST_WEEKS: Final = 156
"""How far back weeks are counted from the newest one: three years."""


class Subject(NamedTuple):
    """What contributes: a person by their key, a record by its object, a tab and its key."""

    kind: str
    key: str


class Span(NamedTuple):
    """The UTC days on which something changed, both included; None: without a beginning or end."""

    low: date | None
    high: date | None

    def __or__(self, other: "Span") -> "Span":
        """Return the days from the first to the last of both."""
        low = None if self.low is None or other.low is None else min(self.low, other.low)
        high = None if self.high is None or other.high is None else max(self.high, other.high)
        return Span(low, high)


@dataclass(frozen=True, slots=True)
class Weeks:
    """The weeks of a tenant, by their first days, from ``first`` to ``last``, both included."""

    first: date
    last: date
    first_day_of_week: int = 1

    def of(self, span: Span) -> list[date]:
        """Return the weeks that may change by what changed in ``span``.

        A UTC day touches the local days beside it; what happened has influence for ``LOOKBACK``.
        """
        low, high = self.first, self.last
        if span.low is not None:
            low = max(low, week_of(max(span.low, _EARLIEST) - _DAY, self.first_day_of_week))
        if span.high is not None:
            high = min(high, week_of(min(span.high, _LATEST) + _DAY, self.first_day_of_week) + LOOKBACK)
        return list(between(low, high))

    def __contains__(self, week: object) -> bool:
        return isinstance(week, date) and self.first <= week <= self.last and not (week - self.first).days % DAYS_A_WEEK

    def all(self) -> list[date]:
        """Return every week."""
        return list(between(self.first, self.last))


def between(low: date, high: date) -> Iterator[date]:
    """Return the weeks from ``low`` to ``high``, both included."""
    while low <= high:
        yield low
        low += WEEK


class Cell(NamedTuple):
    """A number of a group: ``metric`` is a code without its offset, ``day`` what it counts on."""

    dimension: str
    key: str
    metric: str
    day: date


class Change(NamedTuple):
    """What is added to a cell that tells of so many ``days``."""

    cell: Cell
    num: int
    den: int
    days: int


Sums: TypeAlias = dict[Cell, list[int]]
"""By cell: what is added to its numerator and its denominator, and of how many days it tells."""

Kept: TypeAlias = Mapping[date, Contribution]
"""What a subject contributes, by week."""


def groups_of(groups: Groups) -> Iterator[tuple[str, str]]:
    """Return the groups as (dimension, key); everybody is in the tenant's."""
    yield DIMENSIONS[0], EVERYBODY
    for dimension, key in zip(DIMENSIONS[1:], groups, strict=True):
        if key is not None:
            yield dimension, key


def add_difference(sums: Sums, week: date, before: Contribution | None, after: Contribution | None) -> None:
    """Add to ``sums`` what happens to the cells when a subject contributes ``after`` instead of ``before``."""
    if before is not None and after is not None and (before.groups, before.moves) == (after.groups, after.moves):
        told = before.counts.keys() | after.counts.keys()
        changed = {
            code: (new[0] - old[0], new[1] - old[1])
            for code in told
            if (old := before.counts.get(code, _NONE)) != (new := after.counts.get(code, _NONE))
        }
        _add(sums, week, after, changed, 1)
        return
    if before is not None:
        _add(sums, week, before, before.counts, -1)
    if after is not None:
        _add(sums, week, after, after.counts, 1)


_NONE: Final[Count] = (0, 0)


def _add(sums: Sums, week: date, kept: Contribution, counts: Mapping[str, Count], sign: int) -> None:
    places: dict[int | None, list[tuple[str, str]]] = {None: list(groups_of(kept.groups))}
    places |= {offset: list(groups_of(groups)) for offset, groups in kept.moves.items()}
    for code, (num, den) in counts.items():
        if not num and not den:
            continue
        metric, _, offset = code.rpartition("@") if "@" in code else (code, "", "")
        day, days = (week + int(offset) * _DAY, 1) if offset else (week, DAYS_A_WEEK)
        for dimension, key in places.get(int(offset) if offset else None, places[None]):
            told = sums[Cell(dimension, key, metric, day)]
            told[0] += sign * num
            told[1] += sign * den
            told[2] = days


def no_sums() -> Sums:
    """Return nothing, to add to."""
    return defaultdict(lambda: [0, 0, 0])


def settled(sums: Sums) -> list[Change]:
    """Return what really changes, in order of the cells."""
    return [Change(cell, *told) for cell, told in sorted(sums.items()) if told[0] or told[1]]


def moved(before: Contribution | None, after: Contribution | None) -> bool:
    """Return whether a subject counts elsewhere, in other numbers, or is expected otherwise, than before.

    Not what they did: a number that only this changes is of the same people.
    """
    if before is None or after is None:
        return before is not after
    if (before.groups, before.moves, before.reason is None) != (after.groups, after.moves, after.reason is None):
        return True
    return any(
        before.counts.get(code, _NONE)[1] != after.counts.get(code, _NONE)[1] and Code.parse(code).metric in PEOPLE
        for code in before.counts.keys() | after.counts.keys()
    )


def chunks(subjects: Sequence[tuple[Subject, int]], most: int, most_weeks: int) -> Iterator[list[Subject]]:
    """Divide subjects, each with how many weeks of it are to be counted, into parts that fit a transaction."""
    part: list[Subject] = []
    weeks = 0
    for subject, number in subjects:
        if part and (len(part) >= most or weeks + number > most_weeks or part[0].kind != subject.kind):
            yield part
            part, weeks = [], 0
        part.append(subject)
        weeks += number
    if part:
        yield part


def totals(contributions: Iterable[tuple[date, Contribution]]) -> dict[Cell, tuple[int, int]]:
    """Return the numbers of all groups, counted anew."""
    sums = no_sums()
    for week, kept in contributions:
        add_difference(sums, week, None, kept)
    return {change.cell: (change.num, change.den) for change in settled(sums)}
