"""The columns of the directory: what each may hold, and how it is kept."""

import functools
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

from services.api.days import time_zones
from services.api.shapes import iso_day, plain

KINDS: Final = ("human", "service", "shared", "test")
OPEN_END: Final = date(2200, 1, 1)
"""An end this far away means: open."""

_YES: Final = frozenset({"true", "yes", "1", "y"})
_NO: Final = frozenset({"false", "no", "0", "n"})


class FieldError(ValueError):
    """A row that cannot be used, with (column, reason) for each cause."""

    def __init__(self, reasons: list[tuple[str | None, str]]) -> None:
        super().__init__(str(reasons))
        self.reasons = reasons


def _text(most: int) -> Callable[[object], str | None]:
    def read(value: object) -> str | None:
        if value is None:
            return None
        if not isinstance(value, str):
            raise ValueError("must be text")  # noqa: TRY004 - every unusable cell is one kind of error
        if len(value) > most:
            raise ValueError(f"must not be longer than {most} characters")
        return plain(value) if value.strip() else None

    return read


_short = _text(256)


def _user(value: object) -> str:
    user = _short(value)
    if user is None:
        raise ValueError("is missing")
    return user


def _day(value: object) -> date | None:
    text = _short(value)
    return _known_day(text.strip()) if text is not None else None


_known_day = functools.lru_cache(maxsize=4096)(iso_day)
"""A file names few days, each many times."""


def _end(value: object) -> date | None:
    text = _short(value)
    if text is not None and text.strip().startswith("9999-"):
        return None
    day = _day(value)
    return None if day is not None and day >= OPEN_END else day


def _kind(value: object) -> str:
    kind = (_short(value) or "human").strip().lower()
    if kind not in KINDS:
        raise ValueError(f"must be one of {', '.join(KINDS)}")
    return kind


def _zone(value: object) -> str | None:
    zone = _short(value)
    if zone is not None and zone not in time_zones():
        raise ValueError("is no time zone of the IANA database, such as Europe/Berlin")
    return zone


def _flag(value: object) -> bool | None:
    if isinstance(value, bool) or value is None:
        return value
    word = (_short(value) or "").strip().lower()
    if word in _YES or word in _NO or not word:
        return word in _YES if word else None
    raise ValueError("must be true or false")


_READERS: Final[dict[str, Callable[[object], Any]]] = {
    "user": _user,
    "name": _text(320),
    "email": _text(320),
    "role": _short,
    "team": _short,
    "manager": _short,
    "licensed_from": _day,
    "licensed_to": _end,
    "kind": _kind,
    "time_zone": _zone,
    "calendar": _short,
    "active_from": _day,
    "active_to": _end,
    "function": _short,
    "location": _short,
    "segment": _short,
    "champion": _flag,
    "leadership": _flag,
}
COLUMNS: Final = frozenset(_READERS)
ATTRIBUTES: Final = (
    "time_zone",
    "calendar",
    "active_from",
    "active_to",
    "function",
    "location",
    "segment",
    "champion",
    "leadership",
)
_ORDERED: Final = (("licensed_from", "licensed_to"), ("active_from", "active_to"))


def values_of(cells: Mapping[str, object]) -> dict[str, Any]:
    """Return the values of a row's cells.

    Raises:
        FieldError: a cell cannot be used; all causes are named.
    """
    values: dict[str, Any] = {}
    reasons: list[tuple[str | None, str]] = []
    if "user" not in cells:
        reasons.append(("user", "is missing"))
    for column, cell in cells.items():
        try:
            values[column] = _READERS[column](cell)
        except ValueError as error:
            reasons.append((column, str(error)))
    for first, last in _ORDERED:
        start, end = values.get(first), values.get(last)
        if start is not None and end is not None and end < start:
            reasons.append((last, f"lies before {first}"))
    if reasons:
        raise FieldError(reasons)
    return values
