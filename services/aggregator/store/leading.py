"""The locks of those who lead in a cluster: one for each part of what is led, and one that all who take part hold.

A lock lives as long as its session. So the session must not outlive a frozen process.
"""

from collections.abc import Collection, Sequence
from typing import Final

from services.postgres import Connection

EVALUATOR: Final = 0x75707401
MEASURER: Final = EVALUATOR + 1
KEEPER: Final = EVALUATOR + 2

_MEMBERS: Final = 1 << 16
"""The number, beyond those of all parts, of the lock that whoever takes part holds, shared with the others."""

_SESSION: Final = """
SELECT set_config('idle_session_timeout', '60s', false), set_config('statement_timeout', '10s', false),
       pg_advisory_lock_shared($1, $2)
"""


async def join(connection: Connection, lock: int) -> None:
    """Take part, until the session ends; make Postgres end it soon after its process is frozen."""
    await connection.fetchrow(_SESSION, lock, _MEMBERS)


_COUNT: Final = """
SELECT count(*) FROM pg_locks
WHERE locktype = 'advisory' AND classid = $1 AND objid = $2 AND objsubid = 2 AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


async def members(connection: Connection, lock: int) -> int:
    """Return how many sessions take part, this one among them."""
    return int(await connection.fetchval(_COUNT, lock, _MEMBERS))


async def take(connection: Connection, lock: int, parts: Sequence[int], most: int) -> frozenset[int]:
    """Take ``most`` of those of ``parts`` that nobody holds; return which. They are held until the session ends."""
    sql = "SELECT part FROM unnest($2::int[]) part WHERE pg_try_advisory_lock($1, part) LIMIT $3"
    return frozenset(row["part"] for row in await connection.fetch(sql, lock, parts, most))


async def leave(connection: Connection, lock: int, parts: Collection[int]) -> None:
    """Let others have ``parts``."""
    await connection.execute("SELECT pg_advisory_unlock($1, part) FROM unnest($2::int[]) part", lock, list(parts))


async def confirm_session(connection: Connection) -> None:
    """Ask something of the lock's session, so that it counts as alive, or fails."""
    await connection.fetchval("SELECT 1")
