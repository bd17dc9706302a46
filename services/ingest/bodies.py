"""A request's body: taken whole within its limit, and unpacked without letting a bomb go off.

How long a body may take is the guard's matter (see ``services.guard``); here is only how much there may be of it.
"""

import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from services.ingest.problems import NOT_GZIP, UNKNOWN_ENCODING, Problem, RefusedError

MAX_BODY: Final = 5 * 1024 * 1024
_GZIP_ONLY: Final = 31

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class SenderGoneError(Exception):
    """The sender left before its request was whole: there is nobody to answer."""


async def read_body(receive: Receive, *, limit: int, too_large: Problem) -> bytes:
    """Return the body of a request, at most ``limit`` bytes.

    Raises:
        RefusedError: it is longer.
        SenderGoneError: the connection ended first.
    """
    message = await receive()
    if message["type"] != "http.request":
        raise SenderGoneError
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if len(body) > limit:
            raise RefusedError(too_large)
        return body
    parts = bytearray(body)
    while message.get("more_body", False):
        if len(parts) > limit:
            raise RefusedError(too_large)
        message = await receive()
        if message["type"] != "http.request":
            raise SenderGoneError
        parts += message.get("body", b"")
    if len(parts) > limit:
        raise RefusedError(too_large)
    return bytes(parts)


def is_packed(encoding: bytes) -> bool:
    """Whether a body of this content encoding is gzip.

    Raises:
        RefusedError: it is neither gzip nor plain.
    """
    name = encoding.strip().lower()
    if name == b"gzip":
        return True
    if name in (b"", b"identity"):
        return False
    raise RefusedError(UNKNOWN_ENCODING)


def unpack(packed: bytes, *, limit: int, too_large: Problem) -> bytes:
    """Return what is in the one gzip member ``packed``, never unpacking more than ``limit`` bytes.

    Raises:
        RefusedError: it is longer, or not exactly one whole gzip member.
    """
    reader = zlib.decompressobj(wbits=_GZIP_ONLY)
    try:
        body = reader.decompress(packed, limit + 1)
    except zlib.error as error:
        raise RefusedError(NOT_GZIP) from error
    if len(body) > limit:
        raise RefusedError(too_large)
    if not reader.eof or reader.unused_data:
        raise RefusedError(NOT_GZIP)
    return body
