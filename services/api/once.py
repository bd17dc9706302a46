"""Idempotency-Key on requests that create: the same key with the same body gets the first answer, and creates nothing.

The answer is kept in the transaction that created the thing, so neither exists without the other. What is kept holds
no secret.
"""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import msgspec
from fastapi import Depends, Header

from services.api.problems import ProblemError, invalid
from services.api.store import idempotency
from services.postgres import Connection

Created = Callable[[], Awaitable[dict[str, Any]]]


def _checked(idempotency_key: Annotated[str | None, Header(max_length=255)] = None) -> str | None:
    if idempotency_key is not None and not (idempotency_key.isprintable() and idempotency_key.strip()):
        raise invalid("The Idempotency-Key must be printable text.", parameter="Idempotency-Key")
    return idempotency_key


OnceKey = Annotated[str | None, Depends(_checked)]


async def once(connection: Connection, scope: str, key: str | None, request: object, create: Created) -> dict[str, Any]:
    """Return what ``create`` returns, or what it returned to the first request with ``key``.

    Raises:
        ProblemError: ``key`` was used before with another request.
    """
    if key is None:
        return await create()
    request_hash = hashlib.sha256(msgspec.json.encode(request, order="deterministic")).digest()
    if (kept := await idempotency.recall(connection, scope, key)) is not None:
        first_hash, _, body = kept
        if first_hash != request_hash:
            raise ProblemError(422, "This Idempotency-Key was used before with another request.")
        return body
    made = await create()
    body = msgspec.to_builtins(made)
    await idempotency.keep(connection, scope, key, request_hash, 201, body)
    return made
