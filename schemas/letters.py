"""The dead letter: what was authenticated but could not be used, kept so that it can be looked at and replayed.

On the topic the key is the tenant, the headers say where it came from and why it is here, and the value is the packed
``Letter``, sealed, so that no text of a CRM is readable on the log. Its id is a function of what was delivered: a
delivery that its sender repeats is one letter.
"""

import zlib
from datetime import datetime
from typing import Final

import msgspec

ID: Final = "letter-id"
SOURCE: Final = "source"
KIND: Final = "kind"
REASONS: Final = "reasons"
ORIGIN: Final = "origin-topic"
"""The headers of a letter. Only a letter about a record that was on a topic has an origin."""

MOST_BYTES: Final = 1_000_000
"""A letter is one record: the most bytes that a log with the usual settings takes, but for its headers."""
_MOST_UNPACKED: Final = 16 << 20


class Letter(msgspec.Struct, frozen=True):
    """A delivery that was not used, or not whole. Credentials are not in it."""

    source: str
    method: str
    steps: tuple[str, ...]
    headers: dict[str, str]
    body: bytes
    received_at: datetime


class Bad(msgspec.Struct, frozen=True):
    """One reason why it is here: where in the body (a JSON pointer), and why."""

    pointer: str
    reason: str


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Letter).decode
encode_reasons = msgspec.json.Encoder().encode
decode_reasons = msgspec.json.Decoder(list[Bad]).decode


def pack(letter: Letter) -> bytes:
    """Return ``letter`` as bytes to seal; what is sealed can be made no smaller any more."""
    return zlib.compress(_encode(letter))


def unpack(packed: bytes) -> Letter:
    """Return the letter in ``packed``.

    Raises:
        ValueError: there is none in it.
    """
    try:
        return _decode(zlib.decompressobj().decompress(packed, _MOST_UNPACKED))
    except (zlib.error, msgspec.MsgspecError) as error:
        raise ValueError("is no packed letter") from error


def context(tenant: str) -> str:
    """Return what a letter of ``tenant`` is sealed for."""
    return f"letter/{tenant}"
