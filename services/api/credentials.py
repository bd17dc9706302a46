"""What a key looks like: ``upt_<id>_<secret>``. Only the SHA-256 of the secret is ever stored.

The secret has 256 bits, so a plain hash is enough; comparisons take the same time wherever they fail.
"""

import base64
import hashlib
import hmac
import re
import secrets
import string
from typing import Final, NamedTuple

SCOPES: Final = frozenset({"ingest", "read", "manage", "scrape", "admin"})
ID_LENGTH: Final = 8
_ALPHABET: Final = string.ascii_lowercase + string.digits
_SHAPE: Final = re.compile(r"upt_([A-Za-z0-9]{1,32})_([\x21-\x7e]{16,400})")


class Credential(NamedTuple):
    """A key in its two parts."""

    id: str
    secret: str

    def __str__(self) -> str:
        return f"upt_{self.id}_{self.secret}"


def parse(text: str) -> Credential | None:
    """Return the parts of a key; None when it has not the shape of one."""
    found = _SHAPE.fullmatch(text)
    return Credential(found[1], found[2]) if found else None


def digest(secret: str) -> bytes:
    """Return what is stored of ``secret``."""
    return hashlib.sha256(secret.encode()).digest()


def matches(secret: str, stored: bytes) -> bool:
    """Return whether ``stored`` is the hash of ``secret``, in constant time."""
    return hmac.compare_digest(digest(secret), stored)


def fresh_id() -> str:
    """Return a new public id."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(ID_LENGTH))


def mint() -> Credential:
    """Return a new key."""
    return Credential(fresh_id(), _text(secrets.token_bytes(32)))


def derive(maker: str, key_id: str, idempotency_key: str) -> Credential:
    """Return the key ``key_id`` as a function of the secret of its maker.

    A repeated request with the same Idempotency-Key must show the same secret, and no secret may be stored: so it
    follows from the maker's secret, which only the maker has.
    """
    raw = hmac.digest(maker.encode(), f"key\x00{key_id}\x00{idempotency_key}".encode(), "sha256")
    return Credential(key_id, _text(raw))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
