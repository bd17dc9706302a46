"""The three ways CloudEvents travel over HTTP, and the handshake before the first. Pure.

The content type decides, checked in the order of the CloudEvents HTTP binding: batch, structured, and binary only
when the version stands in a header. A character set is never guessed: it is UTF-8 or the request is refused.
"""

import re
from collections.abc import Iterable, Mapping
from enum import Enum, auto
from typing import Any, Final
from urllib.parse import parse_qs, unquote_to_bytes

from services.ingest.normalise import Rejection, pointer_to
from services.ingest.problems import NOT_CLOUDEVENTS, RefusedError

_MEDIA_TYPE: Final = re.compile(rb"\s*([^\s;]+)\s*((?:;.*)?)", re.DOTALL)
_CHARSET: Final = re.compile(rb';\s*charset\s*=\s*"?([^\s;"]*)"?', re.IGNORECASE)
_PREFIX: Final = b"ce-"
_NAME: Final = re.compile(r"[a-z0-9]{1,64}")
_LONGEST_ORIGIN: Final = 255

Headers = Iterable[tuple[bytes, bytes]]


class Mode(Enum):
    """How events stand in a request."""

    STRUCTURED = auto()
    BATCH = auto()
    BINARY = auto()


_USUAL: Final = {
    b"application/cloudevents+json": Mode.STRUCTURED,
    b"application/cloudevents-batch+json": Mode.BATCH,
}


def mode_of(content_type: bytes, headers: Headers) -> Mode:
    """Return the mode of a request.

    Raises:
        RefusedError: it is none, or in a format or character set that is not understood.
    """
    usual = _USUAL.get(content_type)
    if usual is not None:
        return usual
    match = _MEDIA_TYPE.fullmatch(content_type)
    media_type, parameters = (match[1].lower(), match[2]) if match else (b"", b"")
    charset = _CHARSET.search(parameters)
    if charset is None or charset[1].lower() in (b"utf-8", b"utf8", b"us-ascii"):
        mode = _USUAL.get(media_type)
        if mode is not None:
            return mode
        if not media_type.startswith(b"application/cloudevents") and _is_binary(media_type, headers):
            return Mode.BINARY
    raise RefusedError(NOT_CLOUDEVENTS)


def _is_binary(media_type: bytes, headers: Headers) -> bool:
    is_json = media_type in (b"", b"application/json", b"text/json") or media_type.endswith(b"+json")
    return is_json and any(name == b"ce-specversion" for name, _ in headers)


def attributes(headers: Headers) -> dict[str, Any] | Rejection:
    """Return the attributes of a binary event: its ``ce-`` headers, percent-decoded."""
    event: dict[str, Any] = {}
    for header, value in headers:
        if not header.startswith(_PREFIX):
            continue
        name = header[len(_PREFIX) :].decode("latin-1")
        if name in ("data", "datacontenttype") or not _NAME.fullmatch(name):
            continue
        if name in event:
            return Rejection(pointer_to(name), "is given twice")
        try:
            event[name] = unquote_to_bytes(_unquoted(value)).decode()
        except UnicodeDecodeError:
            return Rejection(pointer_to(name), "is not Unicode text")
    return event


def _unquoted(value: bytes) -> bytes:
    """Return ``value`` without the double quotes that HTTP allows around it."""
    if len(value) > 1 and value[:1] == b'"' == value[-1:]:
        return re.sub(rb"\\(.)", rb"\1", value[1:-1])
    return value


def access_token(query: bytes) -> bytes | None:
    """Return the key in a query string, as the CloudEvents webhook specification lets senders show it."""
    if b"access_token=" not in query:
        return None
    found = parse_qs(query, max_num_fields=64) if query.count(b"&") < 64 else {}  # noqa: PLR2004 - bounds the work
    tokens = found.get(b"access_token")
    return tokens[0] if tokens else None


def handshake(headers: Mapping[bytes, bytes]) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers that answer ``OPTIONS``: who asks whether it may send is told that it may.

    Nothing is granted by it, since each delivery still needs a key; the callback URL is never fetched.
    """
    answer = [(b"allow", b"OPTIONS, POST")]
    origin = headers.get(b"webhook-request-origin")
    if origin is not None:
        answer.append((b"webhook-allowed-origin", origin if 0 < len(origin) <= _LONGEST_ORIGIN else b"*"))
        answer.append((b"webhook-allowed-rate", b"*"))
    return tuple(answer)
