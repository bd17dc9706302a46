"""Memberships over time: from when to when a person had which team, role, manager and further attributes.

Spells are half-open, ``[start, end)``, do not overlap, and stand in order; the last one is open.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

BEGINNING: Final = date(1, 1, 1)
"""Valid from the beginning."""


class Terms(NamedTuple):
    """What a spell holds."""

    team: str | None
    role: str | None
    manager: str | None
    kind: str = "human"
    function: str | None = None
    location: str | None = None
    segment: str | None = None
    champion: bool = False
    leadership: bool = False
    opted_out: bool = False
    work_days: tuple[int, ...] | None = None


DATED: Final = ("team", "role", "manager")
"""What holds from today on when no day is told; the rest is then meant as it always was."""
LASTING: Final = tuple(name for name in Terms._fields if name not in DATED)


class Spell(NamedTuple):
    """One spell; ``end`` None: it holds still."""

    start: date
    end: date | None
    terms: Terms


def current(spells: Sequence[Spell], day: date) -> Spell | None:
    """Return the spell that holds on ``day``, or the next one."""
    return next((spell for spell in spells if spell.end is None or spell.end > day), None)


def first(terms: Terms, effective_from: date | None) -> list[Spell]:
    """Return the spells of a person who was not known before."""
    return [Spell(effective_from or BEGINNING, None, terms)]


def told(
    spells: Sequence[Spell], values: Mapping[str, Any], *, effective_from: date | None, today: date | None
) -> list[Spell]:
    """Return the spells after some of the terms were told; the others stay.

    With ``effective_from`` all that is told holds from that day on. Without it the dated terms hold from ``today`` on,
    and a lasting one over all time, unless it is already as told.
    """
    standing = current(spells, effective_from or today or date.min)
    held = standing.terms if standing is not None else Terms(None, None, None)
    terms = Terms(*map(values.get, Terms._fields, held))
    if terms == held and effective_from is None and today is not None:
        return list(spells)
    if effective_from is None:
        spells = _everywhere(spells, {name: getattr(terms, name) for name in LASTING}, held)
    return changed(spells, terms, effective_from=effective_from, today=today)


def _everywhere(spells: Sequence[Spell], lasting: Mapping[str, Any], held: Terms) -> list[Spell]:
    others = {name: value for name, value in lasting.items() if value != getattr(held, name)}
    if not others:
        return list(spells)
    return joined(spell._replace(terms=spell.terms._replace(**others)) for spell in spells)


def joined(spells: Any) -> list[Spell]:  # noqa: ANN401 - any iterable of spells
    """Return ``spells`` with those that adjoin and hold the same made one."""
    found: list[Spell] = []
    for spell in spells:
        if found and found[-1].end == spell.start and found[-1].terms == spell.terms:
            found[-1] = found[-1]._replace(end=spell.end)
        else:
            found.append(spell)
    return found


def changed(spells: Sequence[Spell], terms: Terms, *, effective_from: date | None, today: date | None) -> list[Spell]:
    """Return the spells after ``terms`` were told.

    With ``effective_from`` they hold from that day on, whatever was planned for later. Without it they hold from
    ``today`` on, unless they already do (then a planned change stays planned). Without a ``today`` nothing has
    happened yet, and they hold from the beginning.
    """
    if effective_from is None:
        if today is None:
            return first(terms, None)
        present = current(spells, today)
        if present is not None and present.terms == terms:
            return list(spells)
    return _from(spells, terms, effective_from or today or BEGINNING)


def _from(spells: Sequence[Spell], terms: Terms, start: date) -> list[Spell]:
    kept = [
        Spell(s.start, start if s.end is None or s.end > start else s.end, s.terms) for s in spells if s.start < start
    ]
    if kept and kept[-1].end == start and kept[-1].terms == terms:
        start = kept.pop().start
    return [*kept, Spell(start, None, terms)]


def counted(spells: Sequence[Spell]) -> list[tuple[date, date | None, str, str | None, str | None]]:
    """Return what the windows see of ``spells``: kind, team and role over time, whoever the manager."""
    seen: list[tuple[date, date | None, str, str | None, str | None]] = []
    for start, end, terms in spells:
        what = terms.kind, terms.team, terms.role
        if seen and seen[-1][1] == start and seen[-1][2:] == what:
            seen[-1] = (seen[-1][0], end, *what)
        else:
            seen.append((start, end, *what))
    return seen


def difference(
    before: Sequence[tuple[date, date | None, object]], after: Sequence[tuple[date, date | None, object]]
) -> date | None:
    """Return the first day on which two courses, ``[start, end)`` with what holds, are not the same."""
    days = {day for course in (before, after) for start, end, _ in course for day in (start, end) if day is not None}
    return next((day for day in sorted(days) if _on(before, day) != _on(after, day)), None)


def _on(course: Sequence[tuple[date, date | None, object]], day: date) -> object:
    return next((what for start, end, what in course if start <= day and (end is None or day < end)), None)
