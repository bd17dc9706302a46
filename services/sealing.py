"""Sealing: what must be readable again (secrets of sources, bodies of dead letters) and by nobody else.

AES-256-GCM with a fresh nonce each time. The context is authenticated with it, so what was sealed for one place opens
at no other. The key is the setting ``UPTAKE_SEAL_KEY``, or one that the installation made for itself.
"""

import base64
import os
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.settings import SEAL_KEY_BYTES, read_seal_key

if TYPE_CHECKING:
    from services.postgres import Connection

_NONCE_BYTES: Final = 12
_NAME: Final = "seal_key"


class SealError(ValueError):
    """What was sealed does not open: another key, another place, or it was changed."""


class Seal:
    """Seals and opens with one key of 32 bytes."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def close(self, plain: bytes, context: str) -> bytes:
        """Return ``plain`` sealed for ``context``."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Return what was sealed for ``context``.

        Raises:
            SealError: it does not open.
        """
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context.encode())
        except (InvalidTag, ValueError) as error:
            raise SealError("sealed with another key, or for another place") from error


async def seal_of(connection: "Connection", given: str) -> Seal:
    """Return the seal of the installation: of the key ``given``, or of the one it keeps, made when it has none."""
    return Seal(read_seal_key(given) if given else await kept_key(connection))


async def kept_key(connection: "Connection") -> bytes:
    """Return the key that the installation keeps for itself; the first who asks makes it."""
    text = await connection.fetchval("select value from installation where name = $1", _NAME)
    if text is None:
        fresh = base64.b64encode(os.urandom(SEAL_KEY_BYTES)).decode()
        await connection.execute(
            "insert into installation (name, value) values ($1, $2) on conflict (name) do nothing", _NAME, fresh
        )
        text = await connection.fetchval("select value from installation where name = $1", _NAME)
    return read_seal_key(str(text))
