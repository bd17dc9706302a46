"""Backtests that wait for their turn. One that nobody finished in time is taken again; old ones go."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from services.postgres import Connection

_FORGET: Final = "delete from backtest where asked_at < clock_timestamp() - interval '7 days'"
_TAKE: Final = """
update backtest b set started_at = clock_timestamp()
from (select tenant, id from backtest
      where finished_at is null
        and (started_at is null or started_at < clock_timestamp() - interval '10 minutes')
      order by asked_at limit 1 for update skip locked) next
where (b.tenant, b.id) = (next.tenant, next.id)
returning b.tenant, b.id, b.request, b.started_at, b.asked_at > clock_timestamp() - interval '1 hour' as patient
"""
_FINISH: Final = """
update backtest set finished_at = clock_timestamp(), result = $4, error = $5
where tenant = $1 and id = $2 and started_at = $3
"""


class Taken(NamedTuple):
    """A backtest in hand. ``patient``: it may be taken again when Postgres does not answer."""

    tenant: str
    id: str
    request: Mapping[str, Any]
    started_at: datetime
    patient: bool


async def forget(connection: Connection) -> None:
    """Delete what was asked for so long ago that nobody reads it any more."""
    await connection.execute(_FORGET)


async def take(connection: Connection) -> Taken | None:
    """Take the backtest that waits longest; None: none does."""
    row = await connection.fetchrow(_TAKE)
    return None if row is None else Taken(*row)


async def release(connection: Connection, taken: Taken) -> None:
    """Let a backtest be taken again at once."""
    await connection.execute(
        "update backtest set started_at = null where tenant = $1 and id = $2 and started_at = $3", *_name(taken)
    )


async def finish(
    connection: Connection, taken: Taken, result: Mapping[str, Any] | None, error: str | None = None
) -> None:
    """Write what came of it, unless somebody else has taken it meanwhile."""
    await connection.execute(_FINISH, *_name(taken), result, error)


def _name(taken: Taken) -> tuple[str, str, datetime]:
    return taken.tenant, taken.id, taken.started_at
