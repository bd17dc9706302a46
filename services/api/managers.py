"""Loops in the reporting lines: nobody may report to themselves through others, on any day. Pure.

A line is a stretch of days on which a person reports to a manager. At any one time everybody has at most one manager,
so a walk upwards never branches but where the stretches of a line end.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Final, NamedTuple

from services.api.spells import Spell

NEVER: Final = date.max
_MOST_NAMES: Final = 8


class Line(NamedTuple):
    """From ``start`` until before ``end`` (NEVER: open) somebody reports to ``manager``."""

    start: date
    end: date
    manager: str


class Loop(NamedTuple):
    """People who would report to themselves: each to the next, the last to the first."""

    people: tuple[str, ...]
    since: date

    def __str__(self) -> str:
        shown = self.people if len(self.people) <= _MOST_NAMES else (*self.people[: _MOST_NAMES - 1], "…")
        return " → ".join((*shown, self.people[0]))


def lines(spells: Sequence[Spell]) -> list[Line]:
    """Return the lines of a person, those that adjoin made one."""
    found: list[Line] = []
    for start, end, terms in spells:
        if terms.manager is None:
            continue
        if found and (found[-1].end, found[-1].manager) == (start, terms.manager):
            found[-1] = found[-1]._replace(end=end or NEVER)
        else:
            found.append(Line(start, end or NEVER, terms.manager))
    return found


def added(before: Sequence[Spell], after: Sequence[Spell]) -> list[Line]:
    """Return the lines of ``after`` that did not hold all along."""
    known = lines(before)
    return [line for line in lines(after) if not any(_holds(old, line) for old in known)]


def _holds(old: Line, new: Line) -> bool:
    return old.manager == new.manager and old.start <= new.start and new.end <= old.end


def loops(above: Mapping[str, Sequence[Line]], moved: Mapping[str, Sequence[Line]]) -> Iterator[Loop]:
    """Return the loops that the ``moved`` lines would close, each at least once.

    ``above``: the lines of everybody whom the moved ones report to, directly or through others.
    """
    done: dict[str, list[tuple[date, date]]] = {}
    for user, news in moved.items():
        if user in above or any(line.manager == user for line in news):
            for line in news:
                yield from _walked(user, line, above, moved, done)


def _walked(
    user: str,
    first: Line,
    above: Mapping[str, Sequence[Line]],
    moved: Mapping[str, Sequence[Line]],
    done: dict[str, list[tuple[date, date]]],
) -> Iterator[Loop]:
    path, place = [user], {user: 0}
    ahead = [(first.manager, first.start, first.end, 1)]
    while ahead:
        person, start, end, depth = ahead.pop()
        while len(path) > depth:
            del place[path.pop()]
        if person in place:
            people = tuple(path[place[person] :])
            if any(_on(moved.get(one, ()), start) for one in people):
                yield Loop(people, start)
            continue
        seen = done.setdefault(person, [])
        if any(was <= start and end <= until for was, until in seen):
            continue
        seen.append((start, end))
        place[person] = depth
        path.append(person)
        for line in above.get(person, ()):
            low, high = max(start, line.start), min(end, line.end)
            if low < high:
                ahead.append((line.manager, low, high, depth + 1))


def _on(news: Sequence[Line], day: date) -> bool:
    return any(line.start <= day < line.end for line in news)


def refused(above: Mapping[str, Sequence[Line]], moved: Mapping[str, Sequence[Line]]) -> dict[str, Loop]:
    """Return whose line is not taken, and why: of each loop the last of those that moved, in the order of ``moved``."""
    rank = {user: number for number, user in enumerate(moved)}
    found: dict[str, Loop] = {}
    for loop in loops(above, moved):
        last = max((user for user in loop.people if _on(moved.get(user, ()), loop.since)), key=rank.__getitem__)
        found[last] = loop
    return found
