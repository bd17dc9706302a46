"""Places in decoded JSON: what stands at a pointer, and whether it is what it must be. Pure.

A place is a JSON pointer (RFC 6901), or a constant after ``=``. What does not fit raises ``UnfitError`` with the
pointer and the reason, never with what stands there.
"""

import math
import re
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from schemas.sources import CONSTANT, pointers
from services.ingest.vendors.shape import from_milliseconds, from_text

_DIGITS: Final = re.compile(r"[0-9]{9,13}")
_FIRST_MILLISECOND: Final = 100_000_000_000
"""A count since 1970 from here on is in milliseconds: as seconds it would lie beyond the year 5100."""
_LONGEST_INDEX: Final = 4

_COUNTS: Final = frozenset({"rows", "fields_required", "fields_filled"})
_TRUTHS: Final = frozenset({"automatic", "bulk"})
_TEXTS: Final = frozenset({"email", "environment", "method", "object", "delivery", "close_date"})
_COUNT: Final = (int,)
_KEY: Final[tuple[tuple[type, ...], str]] = ((str, int), "text or a whole number")
_FORMS: Final[dict[str, tuple[tuple[type, ...], str]]] = (
    dict.fromkeys(_COUNTS, (_COUNT, "a whole number from 0 on"))
    | dict.fromkeys(_TRUTHS, ((bool,), "true or false"))
    | dict.fromkeys(_TEXTS, ((str,), "text"))
    | {"time": ((str, int, float), "an instant")}
)
"""The types that attributes have, and what they are called; the others are keys."""


class UnfitError(Exception):
    """What is read does not fit: a pointer into it, and the reason. Its reader makes a bad item of it."""

    @property
    def place(self) -> str:
        """The pointer."""
        return str(self.args[0])

    @property
    def reason(self) -> str:
        """What is wrong there."""
        return str(self.args[1])


def at(value: Any, pointer: str) -> Any:  # noqa: ANN401 - any JSON
    """Return what stands at the JSON ``pointer`` (RFC 6901) in ``value``; None when nothing does."""
    for name in _steps(pointer):
        if type(value) is dict:
            value = value.get(name)
        elif type(value) is list and name.isdecimal() and len(name) <= _LONGEST_INDEX:
            value = value[int(name)] if int(name) < len(value) else None
        else:
            return None
    return value


@lru_cache(4096)
def _steps(pointer: str) -> tuple[str, ...]:
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])


def text(value: object, pointer: str) -> str:
    """Return the text at ``pointer`` in ``value``.

    Raises:
        UnfitError: nothing stands there, or something else.
    """
    found = at(value, pointer)
    if type(found) is not str:
        raise UnfitError(pointer, "must be text")
    return found


def joined(name: str, place: str, item: object) -> str | None:
    """Return the texts at the pointers of ``place``, joined; None when nothing stands there.

    An identity of which a part is missing is none: it would be that of too many.
    """
    if place.startswith(CONSTANT):
        return place.removeprefix(CONSTANT)
    found: list[str] = []
    places = _pointers(name, place)
    for pointer in places:
        value = at(item, pointer)
        if isinstance(value, bool):
            found.append("true" if value else "false")
        elif isinstance(value, str | int):
            found.append(str(value))
        elif value is not None:
            raise UnfitError(pointer, "must be text, a whole number, true or false")
    return None if not found or (name == "id" and len(found) < len(places)) else " ".join(found)


@lru_cache(4096)
def _pointers(name: str, place: str) -> tuple[str, ...]:
    return tuple(pointers(name, place))


def pointer_of(place: str) -> str:
    """Return the pointer that ``place`` is, or the one to the whole item for a constant."""
    return "" if place.startswith(CONSTANT) else place


def typed(name: str, place: str, item: object) -> Any:  # noqa: ANN401 - any scalar
    """Return what stands at ``place`` in ``item`` for the attribute ``name``; None when nothing does.

    Raises:
        UnfitError: it is not of the type that the attribute has.
    """
    if place.startswith(CONSTANT):
        return _constant(name, place.removeprefix(CONSTANT))
    value = at(item, place)
    if value is None:
        return None
    kinds, wanted = _FORMS.get(name, _KEY)
    if type(value) not in kinds or (kinds is _COUNT and value < 0):
        raise UnfitError(place, f"must be {wanted}")
    return _date(place, value) if name == "close_date" else value


def _constant(name: str, text: str) -> str | int | bool | None:
    if name in _TRUTHS:
        return text == "true"
    if name in _COUNTS:
        return int(text) if text.isdecimal() and len(text) < 10 else None  # noqa: PLR2004 - no count is longer
    return text


def _date(place: str, text: str) -> str | None:
    try:
        return date.fromisoformat(text[:10]).isoformat() if text else None
    except ValueError as error:
        raise UnfitError(place, "must begin with a date") from error


def instant(given: object, zone: str) -> datetime | None:
    """Return the instant in ISO 8601 text, or in a count of seconds or milliseconds since 1970."""
    if isinstance(given, str) and _DIGITS.fullmatch(given):
        given = int(given)
    if isinstance(given, float) and not math.isfinite(given * 1000):
        return None
    if isinstance(given, int | float):
        return from_milliseconds(int(given if given >= _FIRST_MILLISECOND else given * 1000))
    moment = from_text(given)
    if moment is not None or not zone:
        return moment
    local = from_text(given, naive=True)
    try:
        return None if local is None else local.replace(tzinfo=_zone(zone)).astimezone(UTC)
    except OverflowError:
        return None


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
