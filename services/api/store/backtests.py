"""Backtests as they are asked for, and what came of them."""

from collections.abc import Mapping
from typing import Any

from services.postgres import Connection, Row


async def waiting(connection: Connection, tenant: str) -> int:
    """Return how many of ``tenant`` are not finished."""
    number: int = await connection.fetchval(
        "select count(*) from backtest where tenant = $1 and finished_at is null", tenant
    )
    return number


async def ask(connection: Connection, tenant: str, number: str, actor: str, request: Mapping[str, Any]) -> None:
    """Ask for a backtest."""
    await connection.execute(
        "insert into backtest (tenant, id, actor, request) values ($1, $2, $3, $4)", tenant, number, actor, request
    )


async def find(connection: Connection, tenant: str, number: str) -> Row | None:
    """Return a backtest, and what came of it."""
    return await connection.fetchrow(
        """select id, request, asked_at, started_at, finished_at, result, error
           from backtest where tenant = $1 and id = $2""",
        tenant,
        number,
    )


async def finished(connection: Connection, tenant: str, number: str) -> bool:
    """Tell whether a backtest is finished; one that is gone is."""
    done: bool = await connection.fetchval(
        "select not exists (select from backtest where tenant = $1 and id = $2 and finished_at is null)", tenant, number
    )
    return done
