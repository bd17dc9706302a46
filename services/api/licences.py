"""Licences and absences of a person over time, in whole days, the last one included. Licences never overlap."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from services.api.shapes import FIRST_DAY

COLUMNS: Final = ("licensed_from", "licensed_to", "price")
_DAY: Final = timedelta(days=1)
_END: Final = date.max


class Licence(NamedTuple):
    """A licence; ``last`` None: open. ``price``: a month."""

    start: date
    last: date | None
    price: Decimal | None = None


class Absence(NamedTuple):
    """A stretch of days on which a person is not at work."""

    first: date
    last: date
    kind: str = "leave"


def in_order(licences: Iterable[Licence]) -> tuple[Licence, ...]:
    """Return ``licences`` in order, those that adjoin at one price made one.

    Raises:
        ValueError: two overlap.
    """
    found: list[Licence] = []
    for licence in sorted(licences, key=lambda licence: licence.start):
        before = found[-1] if found else None
        if before is None or (before.last is not None and before.last + _DAY < licence.start):
            found.append(licence)
        elif before.last is None or before.last >= licence.start:
            raise ValueError(f"overlaps the licence from {before.start} to {before.last or 'an open end'}")
        elif before.price == licence.price:
            found[-1] = before._replace(last=licence.last)
        else:
            found.append(licence)
    return tuple(found)


def standing(licences: Sequence[Licence], day: date) -> Licence | None:
    """Return the licence that covers ``day``, or the next one, or else the last."""
    following = (licence for licence in licences if licence.last is None or licence.last >= day)
    return next(following, licences[-1] if licences else None)


def told(
    held: Sequence[Licence], values: Mapping[str, Any], *, effective_from: date | None, today: date | None
) -> tuple[Licence, ...]:
    """Return the licences after ``values`` were told.

    With ``effective_from`` all that is told holds from that day on: a licence before it stays, and ends on the day
    before. Without it a licence is as told over all time; further ones of the person stay.

    Raises:
        ValueError: two would overlap, or one would end before it starts.
    """
    if "licences" in values:
        return _from(held, values["licences"], effective_from) if effective_from else tuple(values["licences"])
    if not any(name in values for name in COLUMNS):
        return tuple(held)
    stands = _meant(held, values, effective_from, today) if held else None
    start, last, price = stands or (None, None, None)
    start, last, price = (
        values.get("licensed_from", start),
        values.get("licensed_to", last),
        values.get("price", price),
    )
    if start is not None and last is not None and last < start:
        raise ValueError("lies before licensed_from")
    given = () if start is None else (Licence(start, last, price),)
    if effective_from is not None:
        return _from(held, given, effective_from)
    if not given or not held or given[0] in held:
        return tuple(held) if given and held else given
    return in_order([*(licence for licence in held if licence != stands), *given])


def _meant(
    held: Sequence[Licence], values: Mapping[str, Any], effective_from: date | None, today: date | None
) -> Licence | None:
    """Return the licence that ``values`` speak of: the one that starts as told, or the one that stands on the day."""
    if effective_from is not None:
        return standing(held, effective_from)
    named = (licence for licence in held if licence.start == values.get("licensed_from"))
    return next(named, None) or standing(held, today or date.min)


def _from(held: Sequence[Licence], given: Sequence[Licence], day: date) -> tuple[Licence, ...]:
    kept = [licence._replace(last=min(licence.last or _END, day - _DAY)) for licence in held if licence.start < day]
    later = [licence._replace(start=max(licence.start, day)) for licence in given if (licence.last or _END) >= day]
    return in_order([*kept, *later])


def switched(held: Sequence[Licence], today: date | None, *, active: bool) -> tuple[Licence, ...]:
    """Return the licences after somebody said whether the person is ``active``; ``today`` None: nothing has happened.

    The first day of a licence stays. One that ends holds to the end of today; one that began today was none. One that
    is opened again has no gap.
    """
    if active == lasts(held, today):
        return tuple(held)
    if active:
        return (*held[:-1], held[-1]._replace(last=None)) if held else (Licence(today or FIRST_DAY, None),)
    if today is None:
        return ()
    kept = [licence for licence in held if licence.start < today]
    return tuple(licence._replace(last=min(licence.last or _END, today)) for licence in kept)


def lasts(held: Sequence[Licence], today: date | None) -> bool:
    """Return whether a person's licence lasts beyond ``today``, or is still to begin."""
    last = held[-1].last if held else date.min
    return last is None or (today is not None and last > today)


def courses(licences: Iterable[Licence]) -> list[tuple[date, date | None, object]]:
    """Return half-open stretches with what holds in each."""
    return [(one.start, None if one.last is None else one.last + _DAY, (True, one.price)) for one in licences]


def covered(licences: Iterable[Licence]) -> list[tuple[date, date | None]]:
    """Return the licensed stretches, whatever they cost."""
    found: list[tuple[date, date | None]] = []
    for licence in licences:
        if found and found[-1][1] is not None and found[-1][1] + _DAY == licence.start:
            found[-1] = (found[-1][0], licence.last)
        else:
            found.append((licence.start, licence.last))
    return found


def away(absences: Iterable[Absence]) -> tuple[Absence, ...]:
    """Return ``absences`` in order, those of one kind that overlap or adjoin made one.

    Raises:
        ValueError: two of different kinds overlap.
    """
    found: list[Absence] = []
    for absence in sorted(absences):
        before = found[-1] if found else None
        if before is None or before.last + _DAY < absence.first or _adjoin(before, absence):
            found.append(absence)
        elif before.kind == absence.kind:
            found[-1] = before._replace(last=max(before.last, absence.last))
        else:
            raise ValueError(f"overlaps the {before.kind} from {before.first} to {before.last}")
    return tuple(found)


def _adjoin(before: Absence, after: Absence) -> bool:
    return before.last + _DAY == after.first and before.kind != after.kind
