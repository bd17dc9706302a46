"""Memberships over time: from when to when a person had which team, role and manager.

Spells are half-open, ``[start, end)``, do not overlap, and stand in order; the last one is open.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final, NamedTuple

BEGINNING: Final = date(1, 1, 1)
"""Valid from the beginning."""


class Terms(NamedTuple):
    """What a spell holds."""

    team: str | None
    role: str | None
    manager: str | None


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


def counted(spells: Sequence[Spell]) -> list[tuple[date, date | None, str | None, str | None]]:
    """Return what counting sees of ``spells``: team and role over time, whoever the manager."""
    seen: list[tuple[date, date | None, str | None, str | None]] = []
    for start, end, (team, role, _) in spells:
        if seen and seen[-1][1] == start and seen[-1][2:] == (team, role):
            seen[-1] = (seen[-1][0], end, team, role)
        else:
            seen.append((start, end, team, role))
    return seen
