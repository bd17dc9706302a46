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
    """The way to Postgres within one tenant. ``actor``: who is written down for what is administered."""

    pool: Pool
    tenant: str
    actor: str = ""


class Signed(NamedTuple):
    """The way to Postgres beyond tenants."""

    pool: Pool
    actor: str


Way = Pool | Walled | Signed


_SNAPSHOT: Final = "begin isolation level repeatable read read only"
_ENTER: Final = """
    select set_config('uptake.tenant', {tenant}, true),
           set_config('role', case when pg_has_role(to_regrole('uptake_tenant')::oid, 'member') then 'uptake_tenant'
                              else 'none' end, true)
"""
_SIGN: Final = "set_config('uptake.actor', {}, true)"


@contextlib.asynccontextmanager
async def reading(way: Way) -> AsyncIterator[Connection]:
    """Read one snapshot. It begins, and enters its tenant, in one message to Postgres."""
    begin = f"{_SNAPSHOT};{_ENTER.format(tenant=_quoted(way.tenant))}" if isinstance(way, Walled) else _SNAPSHOT
    async with glancing(way) as connection:
        try:
            await connection.execute(begin)
            yield connection
        finally:
            await connection.execute("rollback")


@contextlib.asynccontextmanager
async def glancing(way: Way) -> AsyncIterator[Connection]:
    """Read with single statements outside any tenant, each a snapshot by itself."""
    async with _pool(way).acquire(timeout=QUEUE_SECONDS) as connection:
        yield connection


@contextlib.asynccontextmanager
async def writing(way: Way) -> AsyncIterator[Connection]:
    """Write in one transaction, locks held in the order of the statements."""
    async with _pool(way).acquire(timeout=QUEUE_SECONDS) as connection, connection.transaction():
        await _enter(connection, way)
        yield connection


def _pool(way: Way) -> Pool:
    return way.pool if isinstance(way, Walled | Signed) else way


async def _enter(connection: Connection, way: Way) -> None:
    if isinstance(way, Walled):
        await connection.execute(f"{_ENTER.format(tenant='$1')}, {_SIGN.format('$2')}", way.tenant, way.actor)
    elif isinstance(way, Signed):
        await connection.execute(f"select {_SIGN.format('$1')}", way.actor)


def _quoted(text: str) -> str:
    """Return ``text`` as SQL spells it, whatever it holds."""
    return "'" + text.replace("'", "''") + "'"
