"""``uptake doctor``: one line for each thing that must be right, exit 1 when one is not."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import typer

from services import doctor as checks
from services import postgres
from services.kafka import LogUnavailableError
from services.settings import Settings, load

Clock = Callable[[], datetime]


def doctor(context: typer.Context) -> None:
    """Check engines, schema, topics, clocks, keys and sources. One line each; exit 1 on a failure."""
    if not asyncio.run(_all(load(), context.obj)):
        raise typer.Exit(1)


async def _all(settings: Settings, clock: Clock) -> bool:
    try:
        connection = await postgres.connect(settings.database, name="uptake-doctor")
    except postgres.DATABASE_ERRORS as error:
        _say("postgres", f"{settings.database.rpartition('@')[2]}: {error}", well=False)
        return False
    now = clock()
    todo: list[tuple[str, Callable[[], Awaitable[str]]]] = [
        ("postgres", lambda: checks.engine(connection)),
        ("schema", lambda: checks.schema(settings)),
        ("kafka", lambda: checks.topics(connection, settings)),
        ("clocks", lambda: checks.clocks(connection, clock)),
        ("keys", lambda: checks.keys(connection, now)),
        ("sources", lambda: checks.sources(connection, now)),
    ]
    try:
        return all([await _check(name, check) for name, check in todo])
    finally:
        await connection.close()


async def _check(name: str, check: Callable[[], Awaitable[str]]) -> bool:
    try:
        found = await check()
    except (checks.Unhealthy, LogUnavailableError, *postgres.DATABASE_ERRORS) as error:
        _say(name, str(error), well=False)
        return False
    _say(name, found, well=True)
    return True


def _say(name: str, words: str, *, well: bool) -> None:
    typer.echo(f"{'ok  ' if well else 'FAIL'} {name:9}{' '.join(words.split())}")
