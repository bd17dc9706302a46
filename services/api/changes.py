"""What one row of a directory changes of a person: decided in memory, from what is known. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from services.api import licences
from services.api.licences import Absence, Licence
from services.api.people_file import PersonRow
from services.api.spells import BEGINNING, Spell, Terms, counted, difference, first, told


@dataclass(frozen=True, slots=True)
class Known:
    """What the directory holds of a person; ``absences`` None: not looked at."""

    name: str | None = None
    email: str | None = None
    time_zone: str | None = None
    calendar: str | None = None
    active_from: date | None = None
    active_to: date | None = None
    licences: Sequence[Licence] = ()
    spells: Sequence[Spell] = ()
    absences: Sequence[Absence] | None = None


FACTS: Final = ("name", "email", "time_zone", "calendar", "active_from", "active_to")
"""What is as last told, over all time."""
_WORKING: Final = FACTS[2:]
NOBODY: Final = Known()


@dataclass(frozen=True, slots=True)
class When:
    """From when an import holds: as told, or from the tenant's today (None: nothing has happened yet)."""

    effective_from: date | None
    today: date | None


@dataclass(frozen=True, slots=True)
class Change:
    """What changes of one person; ``before`` None: they are new. ``anew``: their windows follow in any case."""

    user: str
    before: Known | None
    after: Known
    anew: bool = False

    @property
    def recount(self) -> bool:
        """Whether the windows must follow."""
        return self.anew or self.before is None or _counting(self.before) != _counting(self.after)

    @property
    def since(self) -> date | None:
        """The first day on which anything a metric rests on is another; ``BEGINNING``: on all; None: nothing is."""
        before = self.before
        if before is None or any(getattr(before, name) != getattr(self.after, name) for name in _WORKING):
            return BEGINNING
        days = (
            difference(before.spells, self.after.spells),
            difference(licences.courses(before.licences), licences.courses(self.after.licences)),
            difference(_away(before.absences), _away(self.after.absences)),
        )
        return min((day for day in days if day is not None), default=None)


def _away(absences: Sequence[Absence] | None) -> list[tuple[date, date | None, object]]:
    return licences.courses(Licence(one.first, one.last) for one in absences or ())


def _counting(person: Known) -> tuple[object, ...]:
    """Return what the windows rest on; by the e-mail other identities of the person are recognised."""
    return licences.covered(person.licences), counted(person.spells), person.email


def decide(row: PersonRow, known: Known | None, when: When) -> Change | None:
    """Return what ``row`` changes of ``known``; None: nothing. What the row does not say stays as it is.

    Raises:
        ValueError: the licence it tells of cannot be.
    """
    values = row.values
    before = known or NOBODY
    after = Known(
        values.get("name", before.name),
        values.get("email", before.email),
        values.get("time_zone", before.time_zone),
        values.get("calendar", before.calendar),
        values.get("active_from", before.active_from),
        values.get("active_to", before.active_to),
        licences.told(before.licences, values, effective_from=when.effective_from, today=when.today),
        first(_terms(values), when.effective_from)
        if known is None
        else told(before.spells, values, effective_from=when.effective_from, today=when.today),
        values.get("absences", before.absences),
    )
    return None if after == known else Change(row.user, known, after)


_UNTOLD: Final = Terms(None, None, None)


def _terms(values: dict[str, Any]) -> Terms:
    return Terms(*map(values.get, Terms._fields, _UNTOLD))
