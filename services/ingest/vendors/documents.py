"""JSON and headers as senders write them: any type may stand anywhere, a reader gets what it wants or nothing. Pure."""

import base64
import binascii
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import msgspec

from services.ingest.vendors.shape import MalformedError

_MARK: Final = b"\xef\xbb\xbf"
_decode = msgspec.json.Decoder(Any).decode


def json_value(body: bytes) -> Any:  # noqa: ANN401 - whatever was sent
    """Return the JSON in ``body``, with or without a byte order mark; MalformedError when it is none."""
    try:
        return _decode(body.removeprefix(_MARK))
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise MalformedError("is not JSON in UTF-8") from error


def json_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in ``body``; MalformedError when it is none."""
    value = json_value(body)
    if not isinstance(value, dict):
        raise MalformedError("is not a JSON object")
    return value


def mapping(value: object) -> dict[str, Any]:
    """Return ``value`` where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def listing(value: object) -> list[Any]:
    """Return ``value`` where it is an array, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: object) -> str:
    """Return ``value`` where it is text, without the blanks around it, else nothing."""
    return value.strip() if isinstance(value, str) else ""


def number(value: object) -> int | None:
    """Return the whole number that ``value`` is or spells."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19:  # noqa: PLR2004 - int64
        return int(value)
    return value if type(value) is int else None


def key(value: object) -> str | None:
    """Return an id as text, whether it was sent as text or as a number."""
    if type(value) is str:
        return value.strip() or None
    return str(value) if type(value) is int else None


def authorization(headers: Mapping[str, str]) -> list[bytes]:
    """Return what the header Authorization may mean: as it stands, without its scheme, and decoded where Basic."""
    whole = headers.get("authorization", "").strip()
    scheme, _, rest = whole.partition(" ")
    meant = [raw(whole), raw(rest.strip())]
    if scheme.casefold() == "basic":
        with suppress(binascii.Error):
            meant.append(base64.b64decode(meant[1], validate=True))
    return meant


def raw(header: str) -> bytes:
    """Return the bytes of a header, which stands in Latin-1."""
    return header.encode("latin-1", "xmlcharrefreplace")
