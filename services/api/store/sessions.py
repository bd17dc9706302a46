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


_SNAPSHOT: Final = "begin isolation level repeatable read read only"
_ENTER: Final = """
    select set_config('uptake.tenant', {tenant}, true),
           set_config('role', case when pg_has_role(to_regrole('uptake_tenant')::oid, 'member') then 'uptake_tenant'
                              else 'none' end, true)
"""


@contextlib.asynccontextmanager
async def reading(way: Pool | Walled) -> AsyncIterator[Connection]:
    """Read one snapshot. It begins, and enters its tenant, in one message to Postgres."""
    begin = f"{_SNAPSHOT};{_ENTER.format(tenant=_quoted(way.tenant))}" if isinstance(way, Walled) else _SNAPSHOT
    async with glancing(way) as connection:
        try:
            await connection.execute(begin)
            yield connection
        finally:
            await connection.execute("rollback")


@contextlib.asynccontextmanager
async def glancing(way: Pool | Walled) -> AsyncIterator[Connection]:
    """Read with single statements outside any tenant, each a snapshot by itself."""
    async with _pool(way).acquire(timeout=QUEUE_SECONDS) as connection:
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
        await connection.execute(_ENTER.format(tenant="$1"), way.tenant)


def _quoted(text: str) -> str:
    """Return ``text`` as SQL spells it, whatever it holds."""
    return "'" + text.replace("'", "''") + "'"
