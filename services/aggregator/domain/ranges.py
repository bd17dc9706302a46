"""Ranges of days: which as-of days the windows of active days cover. Half-open, in days since 1970-01-01.

The neighbour rule: when day ``x`` becomes active, with ``p`` and ``s`` the nearest active days before and after it,
exactly the as-of days ``[max(x, p + w), min(x + w, s))`` become newly covered by windows of length ``w``.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

Range: TypeAlias = tuple[int, int]


def covered(days: Iterable[int], length: int) -> Iterator[Range]:
    """Yield the as-of days on which a window of ``length`` holds one of ``days`` (ascending), as disjoint ranges."""
    start = end = None
    for day in days:
        if end is None or day > end:
            if start is not None and end is not None:
                yield start, end
            start = day
        end = day + length
    if start is not None and end is not None:
        yield start, end


def newly_covered(old: Sequence[int], new: Iterable[int], length: int) -> Iterator[Range]:
    """Yield the as-of days that ``new`` days cover and ``old`` days did not. Both ascending, disjoint."""
    before = None
    for day in new:
        place = bisect_left(old, day)
        earlier = max((p for p in (before, old[place - 1] if place else None) if p is not None), default=None)
        low = day if earlier is None else max(day, earlier + length)
        high = day + length if place == len(old) else min(day + length, old[place])
        if low < high:
            yield low, high
        before = day


def union(spans: Sequence[Range]) -> Iterator[Range]:
    """Yield the days of ``spans`` (at least one, ascending) as disjoint ranges."""
    low, high = spans[0]
    for start, end in spans[1:]:
        if start > high:
            yield low, high
            low, high = start, end
        else:
            high = max(high, end)
    yield low, high
