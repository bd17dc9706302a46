"""The locks of those of whom one leads in a cluster. A lock lives as long as its session.

So the session must not outlive a frozen or lost process.
"""

from typing import Final

from services.postgres import Connection

EVALUATOR: Final = 0x757074616B65
MEASURER: Final = EVALUATOR + 1
KEEPER: Final = EVALUATOR + 2

_SESSION: Final = """
SELECT set_config('idle_session_timeout', '60s', false), set_config('statement_timeout', '10s', false),
       set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),
       set_config('tcp_keepalives_count', '3', false)
"""


async def prepare_session(connection: Connection) -> None:
    """Make Postgres end the lock's session soon after its process is gone or frozen."""
    await connection.fetchrow(_SESSION)


async def try_lead(connection: Connection, lock: int) -> bool:
    """Take ``lock`` if it is free. It is held until the session ends."""
    return bool(await connection.fetchval("SELECT pg_try_advisory_lock($1)", lock))


async def confirm_session(connection: Connection) -> None:
    """Ask something of the lock's session, so that it counts as alive, or fails."""
    await connection.fetchval("SELECT 1")
