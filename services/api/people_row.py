"""The columns of the directory: what each may hold, and how it is kept."""

import functools
import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import holidays

from services.api.days import time_zones
from services.api.licences import Absence, Licence, away, in_order
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


@functools.cache
def calendars() -> frozenset[str]:
    """Return the calendars of public holidays that are known: of countries (``PT``) and of parts (``DE-BY``)."""
    found = holidays.list_supported_countries(include_aliases=False)
    return frozenset(found).union(f"{country}-{part}" for country, parts in found.items() for part in parts)


def _calendar(value: object) -> str | None:
    text = _short(value)
    if text is None:
        return None
    name = text.strip().upper()
    if name not in calendars():
        raise ValueError("is no calendar of public holidays: a country such as PT, or a part of one such as DE-BY")
    return name


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = (_short(value) or "").strip().lower()
    if word and word not in _YES and word not in _NO:
        raise ValueError("must be true or false")
    return word in _YES


_WEEK: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _work_days(value: object) -> tuple[int, ...] | None:
    """Return the days of a week: ``1,2,3``, ``mon-wed``, ``[1, 2, 3]``; they may run over its end (``sun-thu``)."""
    if isinstance(value, list):
        if not all(type(day) is int for day in value):
            raise ValueError("must be days like 1 or mon")
        days = {_week_day(str(day)) for day in value}
        return tuple(sorted(days)) or None
    text = re.sub(r"\s*-\s*", "-", (_short(value) or "").strip())
    days = set()
    for part in re.split(r"[,;/\s]+", text) if text else ():
        first, dash, last = part.partition("-")
        start, end = _week_day(first), _week_day(last) if dash else _week_day(first)
        days |= {(start - 1 + n) % 7 + 1 for n in range((end - start) % 7 + 1)}
    return tuple(sorted(days)) or None


def _week_day(text: str) -> int:
    word = text.lower()
    if word in ("1", "2", "3", "4", "5", "6", "7"):
        return int(word)
    known = [number for number, day in enumerate(_WEEK, 1) if len(word) >= len(day) and day == word[:3]]
    if not known:
        raise ValueError("must be days like 1,2,3 or mon-wed, where 1 is Monday")
    return known[0]


MOST_COST: Final = Decimal(10) ** 9


def _price(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float | None):
        raise ValueError("must be a number")  # noqa: TRY004 - every unusable cell is one kind of error
    text = _short(None if value is None else str(value))
    if text is None:
        return None
    try:
        price = Decimal(text.strip())
    except InvalidOperation as error:
        raise ValueError("must be a number such as 49.90") from error
    if not price.is_finite() or not 0 <= price <= MOST_COST or price != round(price, 4):
        raise ValueError("must be a number such as 49.90, not negative, of at most four decimals")
    return price


MOST_STRETCHES: Final = 200


def _stretches(value: object, fields: frozenset[str]) -> list[dict[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > MOST_STRETCHES:
        raise ValueError(f"must be a list of at most {MOST_STRETCHES} objects with 'from' and 'to'")
    for entry in value:
        if not isinstance(entry, dict) or not entry.keys() <= fields or "from" not in entry:
            raise ValueError(f"must hold objects with {', '.join(sorted(fields))}")
    return value


def _licences(value: object) -> tuple[Licence, ...]:
    found = []
    for entry in _stretches(value, frozenset({"from", "to", "price"})):
        start, last = _day(entry["from"]), _end(entry.get("to"))
        if start is None:
            raise ValueError("must each have a day 'from'")
        if last is not None and last < start:
            raise ValueError(f"hold one that ends before it starts, on {start}")
        found.append(Licence(start, last, _price(entry.get("price"))))
    return in_order(found)


def absences_of(value: object) -> tuple[Absence, ...]:
    """Return the absences of a list of ``{from, to, kind}``.

    Raises:
        ValueError: it is none.
    """
    found = []
    for entry in _stretches(value, frozenset({"from", "to", "kind"})):
        first, last = _day(entry["from"]), _day(entry.get("to"))
        if first is None or last is None:
            raise ValueError("must each have a day 'from' and a day 'to'")
        if last < first:
            raise ValueError(f"hold one that ends before it starts, on {first}")
        found.append(Absence(first, last, (_short(entry.get("kind")) or "leave").strip().lower()))
    return away(found)


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
    "calendar": _calendar,
    "active_from": _day,
    "active_to": _end,
    "function": _short,
    "location": _short,
    "segment": _short,
    "champion": _flag,
    "leadership": _flag,
    "opted_out": _flag,
    "work_days": _work_days,
    "price": _price,
}
COLUMNS: Final = frozenset(_READERS)
_LISTS: Final[dict[str, Callable[[object], Any]]] = {"licences": _licences, "absences": absences_of}
FIELDS: Final = COLUMNS | frozenset(_LISTS)
"""What an object of JSON may hold: the columns, and lists that no cell can hold."""
_ANY: Final = {**_READERS, **_LISTS}
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
            values[column] = _ANY[column](cell)
        except ValueError as error:
            reasons.append((column, str(error)))
    for first, last in _ORDERED:
        start, end = values.get(first), values.get(last)
        if start is not None and end is not None and end < start:
            reasons.append((last, f"lies before {first}"))
    if reasons:
        raise FieldError(reasons)
    return values
