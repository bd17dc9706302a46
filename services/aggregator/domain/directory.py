"""From the directory to terms: in which groups a person counts, and on which days.

A person counts in a group while a member of it AND holding a licence. Accounts that are no person (kind other than
``human``) count nowhere.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final, NamedTuple

from services.aggregator.domain.windows import FOREVER, Term

EPOCH: Final = date(1970, 1, 1).toordinal()


def day_number(day: date) -> int:
    """Return ``day`` as days since 1970-01-01."""
    return day.toordinal() - EPOCH


class Spell(NamedTuple):
    """A stretch of membership, half-open; ``valid_to`` None: it lasts."""

    valid_from: date
    valid_to: date | None
    team: str | None
    role: str | None
    kind: str = "human"


class Licence(NamedTuple):
    """Licensed days, both included; ``last`` None: open."""

    first: date
    last: date | None


def terms_of(licences: Iterable[Licence], spells: Iterable[Spell]) -> tuple[Term, ...]:
    """Return the terms of a person, adjoining ones of the same group joined."""
    covers = [
        (day_number(first), FOREVER if last is None else day_number(last) + 1)
        for first, last in sorted(licences, key=lambda licence: licence.first)
    ]
    joined: dict[tuple[str, str], list[Term]] = {}
    for term in _terms(spells):
        for first, last in covers:
            start, end = max(term.start, first), min(term.end, last)
            if start >= end:
                continue
            stretch = joined.setdefault((term.dimension, term.key), [])
            if stretch and stretch[-1].end == start:
                stretch[-1] = stretch[-1]._replace(end=end)
            else:
                stretch.append(Term(term.dimension, term.key, start, end))
    return tuple(sorted(term for stretch in joined.values() for term in stretch))


def _terms(spells: Iterable[Spell]) -> Iterator[Term]:
    for spell in sorted(spells, key=lambda spell: spell.valid_from):
        if spell.kind != "human":
            continue
        start = day_number(spell.valid_from)
        end = FOREVER if spell.valid_to is None else day_number(spell.valid_to)
        yield Term("tenant", "all", start, end)
        if spell.team:
            yield Term("team", spell.team, start, end)
        if spell.role:
            yield Term("role", spell.role, start, end)
