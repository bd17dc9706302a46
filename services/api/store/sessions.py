"""How a request reaches Postgres: one transaction per request, and no waiting in line for longer than five seconds.

What a request does within a tenant runs as the role ``uptake_tenant``, set to that tenant: the policies of the tables
show it no row of another, whatever a statement asks for. Where an account may not make roles, statements alone do.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

from services.postgres import Connection, Pool

QUEUE_SECONDS: Final = 5.0
"""Longer in line for a connection means overload: the caller is told to come back (503)."""


class Walled(NamedTuple):
    """The way to Postgres within one tenant."""

    pool: Pool
    tenant: str


_ENTER: Final = """
    select set_config('uptake.tenant', $1, true),
           set_config('role', coalesce((select rolname from pg_roles where rolname = 'uptake_tenant'
                                        and pg_has_role(oid, 'member')), 'none'), true)
"""


@contextlib.asynccontextmanager
async def reading(way: Pool | Walled) -> AsyncIterator[Connection]:
    """Read one snapshot."""
    async with (
        _pool(way).acquire(timeout=QUEUE_SECONDS) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        await _enter(connection, way)
        yield connection


@contextlib.asynccontextmanager
async def writing(way: Pool | Walled) -> AsyncIterator[Connection]:
    """Write in one transaction, locks held in the order of the statements."""
    async with _pool(way).acquire(timeout=QUEUE_SECONDS) as connection, connection.transaction():
        await _enter(connection, way)
        yield connection


def _pool(way: Pool | Walled) -> Pool:
    return way.pool if isinstance(way, Walled) else way


async def _enter(connection: Connection, way: Pool | Walled) -> None:
    if isinstance(way, Walled):
        await connection.execute(_ENTER, way.tenant)
