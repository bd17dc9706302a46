"""From the bytes of a body to events, each judged alone. Pure.

The fast road decodes with msgspec, which looks at nothing twice: it keeps the last of two equal keys and gives up a
whole body for one bad number. So cheap counts tell which events may be unusual, and only those take the exact road,
which reads with the standard library, knows what is wrong and where, and never lets a neighbour pay for it.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from services.ingest.normalise import Rejection, is_clean, pointer_to, readable_id
from services.ingest.problems import NOT_A_BATCH, NOT_JSON, TOO_MANY_EVENTS, RefusedError

MAX_EVENT: Final = 256 * 1024
MAX_EVENTS: Final = 2500
MAX_DEPTH: Final = 32

_BOM: Final = b"\xef\xbb\xbf"
_split = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode = msgspec.json.Decoder().decode
_SPACED_COLON: Final = re.compile(rb'"[ \t\r\n]+:')
_TOKEN: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},]', re.DOTALL)
_BLANK: Final = " \t\r\n"

Decoded = dict[str, Any] | Rejection

TOO_LARGE: Final = Rejection("", "is larger than 256 KiB")
TOO_DEEP: Final = Rejection("", f"is nested deeper than {MAX_DEPTH} levels")
NOT_AN_OBJECT: Final = Rejection("", "must be a JSON object")
NOT_AN_EVENT: Final = Rejection("", "is not JSON")


def read_event(body: bytes) -> Decoded:
    """Return the one event in ``body``.

    Raises:
        RefusedError: the body is not JSON.
    """
    event = _read(body.removeprefix(_BOM))
    if event is NOT_AN_EVENT:
        raise RefusedError(NOT_JSON)
    return event


def read_batch(body: bytes) -> list[Decoded] | None:
    """Return the events in a batch, or None when only ``salvage_batch`` can tell them apart.

    Raises:
        RefusedError: the body is no JSON array, or holds too many events.
    """
    try:
        parts = _split(body.removeprefix(_BOM))
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None
    if len(parts) > MAX_EVENTS:
        raise RefusedError(TOO_MANY_EVENTS)
    return [_read(bytes(part)) for part in parts]


def salvage_batch(body: bytes) -> list[Decoded]:
    """Return the events of a batch in which something is not JSON as it should be.

    Raises:
        RefusedError: the body is no JSON array at all, or holds too many events.
    """
    text = body.removeprefix(_BOM).decode("utf-8", "surrogateescape").strip(_BLANK)
    if not text.startswith("["):
        raise RefusedError(NOT_A_BATCH if _is_json(text) else NOT_JSON)
    events: list[Decoded] = []
    for part in _parts(text):
        if len(events) == MAX_EVENTS:
            raise RefusedError(TOO_MANY_EVENTS)
        event = _read(part.encode("utf-8", "surrogateescape"))
        if event is NOT_AN_EVENT:
            raise RefusedError(NOT_JSON)
        events.append(event)
    return events


def with_data(event: dict[str, Any]) -> Decoded:
    """Return ``event`` with its ``data_base64``, where it has one, decoded into ``data``."""
    encoded = event.pop("data_base64", None)
    if encoded is None:
        return event
    if event.get("data") is not None:
        return Rejection("/data_base64", "must not stand beside data", readable_id(event.get("id")))
    try:
        data = _read(base64.b64decode(encoded, validate=True))
    except (TypeError, ValueError, binascii.Error):
        data = NOT_AN_EVENT
    if isinstance(data, Rejection):
        return Rejection(f"/data_base64{data.pointer}", data.reason, readable_id(event.get("id")))
    event["data"] = data
    return event


def _read(raw: bytes) -> Decoded:
    if len(raw) > MAX_EVENT:
        return TOO_LARGE
    try:
        event = _decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return _read_exactly(raw)
    if type(event) is not dict:
        return NOT_AN_OBJECT
    if _is_plain(raw, event):
        return event
    return _read_exactly(raw)


def _is_plain(raw: bytes, event: dict[str, Any]) -> bool:
    """Whether ``event`` certainly has neither a key twice nor deep nesting.

    Each key in the text is followed by ``":``, unless blanks stand before the colon. So when the text has as many of
    these as the decoded event has keys in the usual places, none was lost and nothing else holds a key.
    """
    keys = len(event)
    data = event.get("data")
    if type(data) is dict:
        keys += len(data)
        fields = data.get("fields")
        if type(fields) is dict:
            keys += len(fields)
    if raw.count(b'":') != keys or (b"[" in raw and raw.count(b"[") >= MAX_DEPTH - 2):
        return False
    return not has_spaced_colon(raw)


def has_spaced_colon(text: bytes) -> bool:
    """Whether blanks stand between a key and its colon somewhere in ``text`` (or in what looks like a key)."""
    if b"\n" in text or b"\t" in text or b"\r" in text or (b" " in text and b" :" in text):
        return _SPACED_COLON.search(text) is not None
    return False


def part_sizes(batch: bytes) -> list[int]:
    """Return how many bytes each element of a JSON array has."""
    return [memoryview(part).nbytes for part in _split(batch)]


# ---------------------------------------------------------------- the exact road


class _Flaw:
    """Stands in a decoded event where something cannot be taken, until it is found with its pointer."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


_NOT_A_NUMBER: Final = _Flaw("is no number that JSON knows")
_OUT_OF_RANGE: Final = _Flaw("is beyond 64 bits")
_TWICE: Final = _Flaw("is given twice")


def _float(text: str) -> object:
    value = float(text)
    return value if math.isfinite(value) else _OUT_OF_RANGE


def _int(text: str) -> object:
    return int(text) if len(text) < 40 else _OUT_OF_RANGE  # noqa: PLR2004 - far beyond 64 bits, far below int()'s limit


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    event = dict(pairs)
    if len(event) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                event[name] = _TWICE
            seen.add(name)
    return event


_exact = json.JSONDecoder(
    parse_float=_float, parse_int=_int, parse_constant=lambda _: _NOT_A_NUMBER, object_pairs_hook=_pairs
).decode


def _read_exactly(raw: bytes) -> Decoded:
    text = raw.decode("utf-8", "surrogateescape")
    try:
        event = _exact(text)
    except RecursionError:
        return TOO_DEEP
    except ValueError:
        return NOT_AN_EVENT
    if not isinstance(event, dict):
        return NOT_AN_OBJECT
    flaw = _flaw(event, (), MAX_DEPTH)
    if flaw is not None:
        return flaw._replace(id=readable_id(event.get("id")))
    return event


def _flaw(value: object, path: tuple[str, ...], levels: int) -> Rejection | None:
    """Return the first flaw in ``value``, which stands at ``path`` and may have ``levels`` more of nesting."""
    if isinstance(value, _Flaw):
        return Rejection(pointer_to(*path), value.reason)
    if isinstance(value, str):
        half = not value.isprintable() and not is_clean(value.replace("\x00", ""))
        return Rejection(pointer_to(*path), "is not Unicode text") if half else None
    if not isinstance(value, dict | list):
        return None
    if levels == 0:
        return TOO_DEEP
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, content in items:
        place = (*path, str(name))
        found = _flaw(content, place, levels - 1)
        if found is not None:
            return found
    return None


def _is_json(text: str) -> bool:
    try:
        _exact(text)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def _parts(text: str) -> Iterator[str]:
    """Yield the elements of the JSON array ``text``, however deep they nest.

    Raises:
        RefusedError: its brackets do not match.
    """
    closing: list[str] = []
    start = 1
    for token in _TOKEN.finditer(text):
        mark = token.group()
        if mark in "[{":
            closing.append("]" if mark == "[" else "}")
        elif mark in "]}":
            if not closing or closing.pop() != mark:
                raise RefusedError(NOT_JSON)
            if not closing:
                break
        elif mark == "," and len(closing) == 1:
            yield text[start : token.start()]
            start = token.end()
    else:
        raise RefusedError(NOT_JSON)
    if token.end() != len(text):
        raise RefusedError(NOT_JSON)
    last = text[start : token.start()]
    if last.strip(_BLANK) or start > 1:
        yield last
