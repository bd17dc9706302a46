"""The dead letter: what was authenticated but could not be used, kept so that it can be looked at and replayed.

On the topic the key is the tenant, the headers say where it came from and why it is here, and the value is the sealed
``Letter``, so that no text of a CRM is readable on the log.
"""

from datetime import datetime

import msgspec


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


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Letter).decode


def context(tenant: str) -> str:
    """Return what a letter of ``tenant`` is sealed for."""
    return f"letter/{tenant}"
