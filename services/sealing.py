"""Sealing: what must be readable again (secrets of sources, bodies of dead letters) and by nobody else.

AES-256-GCM with a fresh nonce each time. The context is authenticated with it, so what was sealed for one place opens
at no other. The key is the first of the setting ``UPTAKE_SEAL_KEY``, or one that the installation made for itself; the
others of the setting, and the one that was made, still open what they sealed until it is sealed anew (``resealing``).
"""

import base64
import contextlib
import os
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.settings import SEAL_KEY_BYTES, read_seal_key, read_seal_keys

if TYPE_CHECKING:
    from services.postgres import Connection

_NONCE_BYTES: Final = 12
_NAME: Final = "seal_key"


class SealError(ValueError):
    """What was sealed does not open: another key, another place, or it was changed."""


class Seal:
    """Seals with one key of 32 bytes, and opens with it and with those of old."""

    def __init__(self, key: bytes, *older: bytes) -> None:
        self._cipher = AESGCM(key)
        self._older = [AESGCM(one) for one in older]

    def close(self, plain: bytes, context: str) -> bytes:
        """Return ``plain`` sealed for ``context``."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Return what was sealed for ``context``.

        Raises:
            SealError: it does not open.
        """
        return self._opened(sealed, context)[0]

    def is_of_old(self, sealed: bytes, context: str) -> bool:
        """Tell whether only a key of old opens ``sealed``.

        Raises:
            SealError: none does.
        """
        return self._opened(sealed, context)[1] is not self._cipher

    def _opened(self, sealed: bytes, context: str) -> tuple[bytes, AESGCM]:
        for cipher in (self._cipher, *self._older):
            with contextlib.suppress(InvalidTag, ValueError):
                return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context.encode()), cipher
        raise SealError("sealed with another key, or for another place")


def seal_with(given: str, kept: bytes | None) -> Seal:
    """Return the seal of the keys ``given``, with the one that the installation ``kept`` as a key of old."""
    keys = [*(read_seal_keys(given) if given else ()), *(() if kept is None else (kept,))]
    return Seal(*keys)


async def seal_of(connection: "Connection", given: str) -> Seal:
    """Return the seal of the installation: of the key ``given``, or of the one it keeps, made when it has none."""
    return seal_with(given, await kept_key(connection, make=not given))


async def kept_key(connection: "Connection", *, make: bool = True) -> bytes | None:
    """Return the key that the installation keeps for itself; the first who asks to ``make`` it does."""
    text = await connection.fetchval("select value from installation where name = $1", _NAME)
    if text is None and not make:
        return None
    if text is None:
        fresh = base64.b64encode(os.urandom(SEAL_KEY_BYTES)).decode()
        await connection.execute(
            "insert into installation (name, value) values ($1, $2) on conflict (name) do nothing", _NAME, fresh
        )
        text = await connection.fetchval("select value from installation where name = $1", _NAME)
    return read_seal_key(str(text))


async def drop_kept_key(connection: "Connection") -> None:
    """Forget the key that the installation made for itself: nothing is sealed with it any more."""
    await connection.execute("delete from installation where name = $1", _NAME)
