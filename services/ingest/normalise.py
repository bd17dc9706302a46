"""From a CloudEvent as it was sent to the event as it stands on the log. Pure.

Field values never leave ingest: a value becomes its state, an attribute of ``data`` that the contract does not name
keeps its name only. The result is a function of the event alone, so copies of one event stay equal byte by byte, and
a normalised event normalises to itself. Numbers beyond 64 bits and text that no table can hold are refused.
"""

import re
import string
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from schemas.events import CONFIDENCES, EARLIEST, ORIGINS

AHEAD: Final = timedelta(minutes=10)
"""How far in the future an event's time may lie: what clocks differ by, not more."""

ID_CHARS: Final = 1024
NAME_CHARS: Final = 256
_TOKEN_CHARS: Final = 64
_EXTENSION_BYTES: Final = 1024
INT64: Final = 1 << 63

_STATES: Final = frozenset({"filled", "empty", "placeholder", "default"})
_PLACEHOLDERS: Final = frozenset(
    {
        *("-", "--", "---", ".", "..", "...", "?", "??", "???", "x", "xx", "xxx", "xxxx", "n/a", "n.a.", "n.a", "na"),
        *("#n/a", "nil", "nan", "none", "null", "undefined", "unknown", "tbc", "tbd", "tba", "t.b.d.", "todo", "test"),
        *("to be defined", "to be determined", "not applicable", "not available", "asdf", "dummy", "placeholder"),
    }
)
_MEANING: Final = {"": "empty"} | dict.fromkeys(_PLACEHOLDERS, "placeholder")
_BEGIN_NOTHING: Final = frozenset(string.ascii_letters + string.digits) - {
    letter for text in _STATES | _PLACEHOLDERS for letter in (text[0], text[0].upper())
}
"""Characters with which neither a state nor a placeholder begins: most values need no closer look."""
_INSTANT: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]+))?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_encode = msgspec.json.Encoder().encode
_EXTENSION: Final = re.compile(r"[a-z0-9]{1,64}")
_OWN: Final = frozenset({"specversion", "id", "source", "type", "time", "data", "datacontenttype", "tenant"})
"""Attributes that are treated by name; ``datacontenttype`` goes because ``data`` is JSON on the log."""


class States(dict[str, str]):
    """States by the name of their field. No body holds one: what an adapter made states of is not judged anew."""


class Rejection(NamedTuple):
    """Why an event was not taken: a JSON pointer into it, and the reason. ``id`` is its id where it has one."""

    pointer: str
    reason: str
    id: str | None = None


class _UnfitError(Exception):
    """Raised within this module only; ``normalise`` returns it as a Rejection."""


def normalise(raw: Mapping[str, Any], received_at: datetime) -> dict[str, Any] | Rejection:
    """Return the normalised event of ``raw`` (CloudEvents attributes and ``data``), or why it is rejected."""
    try:
        if raw.get("specversion") != "1.0":
            _refuse("/specversion", "must be 1.0")
        event: dict[str, Any] = {
            "specversion": "1.0",
            "id": _required(raw, "id", ID_CHARS),
            "source": _required(raw, "source", ID_CHARS),
            "type": _required(raw, "type", NAME_CHARS),
        }
        time = raw.get("time")
        if time is not None:
            event["time"] = _instant(time, received_at)
        if not _OWN.issuperset(raw):
            event.update((name, raw[name]) for name in raw.keys() - _OWN if _is_extension(name, raw[name]))
        event["data"] = _data(raw.get("data"))
    except _UnfitError as unfit:
        pointer, reason = unfit.args
        return Rejection(pointer, reason, readable_id(raw.get("id")))
    return event


def readable_id(value: object) -> str | None:
    """Return ``value`` where it can be repeated to the sender as an event's id."""
    return value if type(value) is str and value and len(value) <= ID_CHARS and is_clean(value) else None


def is_clean(text: str) -> bool:
    """Whether every table and every encoder can hold ``text``: no NUL, no half of a surrogate pair."""
    if text.isprintable():
        return True
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def pointer_to(*names: str) -> str:
    """Return the JSON pointer that leads through ``names``; what cannot be repeated is shown as ``?``."""
    return "".join(f"/{(name if is_clean(name) else '?')[:64].replace('~', '~0').replace('/', '~1')}" for name in names)


def _refuse(pointer: str, reason: str) -> None:
    raise _UnfitError(pointer, reason)


def _required(raw: Mapping[str, Any], name: str, longest: int) -> str:
    value = raw.get(name)
    if type(value) is not str:
        raise _UnfitError(f"/{name}", "is required" if value is None else "must be text")
    if not value or len(value) > longest:
        raise _UnfitError(f"/{name}", f"must have 1 to {longest} characters")
    if not value.isprintable() and not is_clean(value):
        raise _UnfitError(f"/{name}", "holds a NUL or half a surrogate pair")
    return value


def _instant(value: object, received_at: datetime) -> str:
    """Return how the log spells the instant that ``value`` is or tells."""
    if type(value) is datetime:  # no body holds one: an adapter has read it already
        return _spelled(value, received_at)
    match = _INSTANT.fullmatch(value) if type(value) is str and len(value) <= NAME_CHARS else None
    if match is None:
        raise _UnfitError("/time", "must be an RFC 3339 date-time with an offset")
    day, clock, fraction, offset = match.groups()
    micro = fraction[:6].ljust(6, "0") if fraction else "000000"
    try:
        instant = datetime.fromisoformat(f"{day}T{clock}.{micro}{offset.upper()}")
        if not EARLIEST <= instant <= received_at + AHEAD:
            raise _UnfitError("/time", "must lie between the year 2000 and ten minutes after its arrival")
        text = f"{day}T{clock}" if offset in "Zz" else instant.astimezone(UTC).isoformat()[:19]
    except (ValueError, OverflowError) as error:
        raise _UnfitError("/time", "is no instant that exists") from error
    micro = micro.rstrip("0")
    return f"{text}.{micro}Z" if micro else f"{text}Z"


def _spelled(moment: datetime, received_at: datetime) -> str:
    if not EARLIEST <= moment <= received_at + AHEAD:
        raise _UnfitError("/time", "must lie between the year 2000 and ten minutes after its arrival")
    text = str(_encode(moment if moment.tzinfo is UTC else moment.astimezone(UTC))[1:-1], "ascii")
    return f"{text[:-1].rstrip('0')}Z" if moment.microsecond else text


def _is_extension(name: str, value: object) -> bool:
    """Whether an attribute outside the core is kept: named as CloudEvents asks, a scalar, not large."""
    if not _EXTENSION.fullmatch(name):
        return False
    kind = type(value)
    if kind is str:
        return len(value) <= _EXTENSION_BYTES and is_clean(value)  # type: ignore[arg-type]
    return kind is bool or (kind in (int, float) and -INT64 <= value < INT64)  # type: ignore[operator]


def _data(data: object) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    if data is None:
        return kept
    if not isinstance(data, dict):
        raise _UnfitError("/data", "must be an object")
    for name, value in data.items():
        if type(value) is str and name in _TEXTS:
            if value:
                kept[name] = value if len(value) <= NAME_CHARS and value.isprintable() else _text(name, value)
            continue
        keep = _KEPT.get(name)
        if keep is None:
            _check_name("/data", name)
            kept[name] = _stripped(name, value)
        elif value is not None and value != "":
            kept[name] = keep(name, value)
    return kept


def _check_name(parent: str, name: str) -> None:
    if len(name) > NAME_CHARS or not is_clean(name):
        raise _UnfitError(
            f"{parent}{pointer_to(name)}", f"a name has at most {NAME_CHARS} characters, none of them NUL"
        )


def _stripped(name: str, value: object) -> object:
    """Return what is kept of an attribute that the contract does not name: numbers, truth, or a state."""
    kind = type(value)
    if kind is bool:
        return value
    if kind is int or kind is float:
        return _number(name, value)
    return state_of(value)


def state_of(value: object) -> str:
    """Return the state that stands for a field's value."""
    if type(value) is str:
        if value[:1] in _BEGIN_NOTHING:
            return "filled"
        return value if value in _STATES else _MEANING.get(value.strip().casefold(), "filled")
    return "empty" if value is None or value in ([], {}) else "filled"


def _number(name: str, value: Any) -> int | float:  # noqa: ANN401 - an int or a float, as its caller has seen
    if not -INT64 <= value < INT64:  # false for NaN as well
        raise _UnfitError(f"/data{pointer_to(name)}", "is beyond 64 bits")
    kept: int | float = value
    return kept


def _text(name: str, value: object) -> str:
    if type(value) is not str:
        raise _UnfitError(f"/data/{name}", "must be text")
    if len(value) > NAME_CHARS:
        raise _UnfitError(f"/data/{name}", f"must have at most {NAME_CHARS} characters")
    if not value.isprintable() and not is_clean(value):
        raise _UnfitError(f"/data/{name}", "holds a NUL or half a surrogate pair")
    return value


def _reference(name: str, value: object) -> str:
    """Keys of people and records are text; sources that number them are understood."""
    return str(_number(name, value)) if type(value) is int else _text(name, value)


def _token(name: str, value: object) -> str:
    """Return a declared word, such as a category; what is too long to be one is a text, of which the state is kept."""
    text = _reference(name, value)
    return text if len(text) <= _TOKEN_CHARS else state_of(text)


def _count(name: str, value: object) -> int:
    if type(value) is not int or not 0 <= value < INT64:
        raise _UnfitError(f"/data/{name}", "must be a whole number from 0 on")
    return value


def _truth(name: str, value: object) -> bool:
    if type(value) is not bool:
        raise _UnfitError(f"/data/{name}", "must be true or false")
    return value


def _origin(name: str, value: object) -> str:
    if type(value) is not str:
        raise _UnfitError(f"/data/{name}", "must be text")
    return value if value in ORIGINS else "unknown"


def _confidence(name: str, value: object) -> str:
    return _text(name, value) if value in CONFIDENCES else "none"


def _date(name: str, value: object) -> str:
    text = _text(name, value)
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise _UnfitError(f"/data/{name}", "must be a date") from error


def _fields(name: str, value: object) -> dict[str, str]:
    if value == []:
        return {}  # how PHP writes an empty object
    if not isinstance(value, dict):
        raise _UnfitError(f"/data/{name}", "must be an object of field names and values")
    for field in value:
        if len(field) > NAME_CHARS or not field.isprintable():
            _check_name(f"/data/{name}", field)
    return value if type(value) is States else {field: state_of(content) for field, content in value.items()}


_KEPT: Final[Mapping[str, Callable[[str, object], Any]]] = {
    "user": _reference,
    "email": _text,
    "on_behalf_of": _reference,
    "origin": _origin,
    "origin_confidence": _confidence,
    "environment": _text,
    "method": _text,
    "object": _text,
    "record": _reference,
    "owner": _reference,
    "stage": _reference,
    "close_date": _date,
    "forecast": _token,
    "fields": _fields,
    "fields_required": _count,
    "fields_filled": _count,
    "report": _reference,
    "feature": _reference,
    "rows": _count,
    "task": _reference,
    "automatic": _truth,
    "bulk": _truth,
    "module": _reference,
    "delivery": _text,
}
"""What the contract names in ``data``, and how each is read."""
_TEXTS: Final = frozenset(name for name, keep in _KEPT.items() if keep in (_text, _reference))
"""What is text, or may be: what comes as text needs no closer look when it is short and printable."""
