"""Keys as ingest knows them: how one is read from a request and when it opens the door. Pure.

A secret is only ever compared as its SHA-256, in constant time.
"""

import hashlib
import hmac
import re
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

_TOKEN: Final = re.compile(rb"upt_([A-Za-z0-9]{1,32})_([\x21-\x7e]{16,256})")
_LONGEST: Final = 300
SCOPES: Final = frozenset({"ingest", "admin"})
"""The scopes that may send events."""


class Key(msgspec.Struct, frozen=True):
    """An unrevoked key. ``tenant`` is None when it may act for every tenant."""

    secret_hash: bytes
    scopes: frozenset[str]
    tenant: str | None = None
    expires_at: datetime | None = None

    def opens(self, digest: bytes, now: datetime) -> bool:
        """Whether a secret with ``digest`` opens the door at ``now``."""
        alike = hmac.compare_digest(self.secret_hash, digest)
        return alike and (self.expires_at is None or now < self.expires_at)


class Token(NamedTuple):
    """What a request showed: the public part of a key and the SHA-256 of its secret part."""

    id: str
    digest: bytes


def read_token(text: bytes) -> Token | None:
    """Return the token in ``text``, or None when it has not the form of a key."""
    return _read(text) if len(text) <= _LONGEST else None


@lru_cache(maxsize=1024)
def _read(text: bytes) -> Token | None:
    """Read ``text`` once: senders show the same key with every request. Whether it still opens is asked each time."""
    match = _TOKEN.fullmatch(text)
    if match is None:
        return None
    return Token(match[1].decode(), hashlib.sha256(match[2]).digest())


def bearer(authorization: bytes) -> bytes | None:
    """Return the credentials of a ``Bearer`` header, or None when it is of another scheme."""
    scheme, _, credentials = authorization.partition(b" ")
    return credentials.strip() if scheme.lower() == b"bearer" else None
