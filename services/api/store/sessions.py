"""How a request reaches Postgres: one transaction per request, and no waiting in line for longer than five seconds."""

import contextlib
from collections.abc import AsyncIterator
from typing import Final

from services.postgres import Connection, Pool

QUEUE_SECONDS: Final = 5.0
"""Longer in line for a connection means overload: the caller is told to come back (503)."""


@contextlib.asynccontextmanager
async def reading(pool: Pool) -> AsyncIterator[Connection]:
    """Read one snapshot."""
    async with (
        pool.acquire(timeout=QUEUE_SECONDS) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        yield connection


@contextlib.asynccontextmanager
async def writing(pool: Pool) -> AsyncIterator[Connection]:
    """Write in one transaction, locks held in the order of the statements."""
    async with pool.acquire(timeout=QUEUE_SECONDS) as connection, connection.transaction():
        yield connection
