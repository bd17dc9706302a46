"""``uptake doctor``: one line for each thing that must be right, exit 1 when one is not."""

import asyncio
import json
import platform
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Final

import typer

from services import postgres
from services.kafka import LogUnavailableError
from services.settings import Settings, load

Clock = Callable[[], datetime]
Check = Callable[[], Awaitable[str]]
MARKS: Final = {"well": "ok  ", "doubtful": "note", "ill": "FAIL"}


@dataclass(frozen=True, slots=True)
class Found:
    """What one check found: ``well``, ``doubtful`` (it works, at a risk) or ``ill``."""

    name: str
    state: str
    found: str

    def __str__(self) -> str:
        return f"{MARKS[self.state]} {self.name:10}{self.found}"


def doctor(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON instead of text.")] = False,  # noqa: FBT002
) -> None:
    """Check engines, schema, topics, certificates, clocks, keys, sources, lag and disk. Exit 1 on a failure."""
    found = asyncio.run(examine(load(), context.obj))
    well = not any(one.state == "ill" for one in found)
    if as_json:
        typer.echo(json.dumps({"well": well, "checks": [asdict(one) for one in found]}))
    else:
        for one in found:
            typer.echo(str(one))
    if not well:
        raise typer.Exit(1)


async def examine(settings: Settings, clock: Clock) -> list[Found]:
    """Return what each check found; without Postgres most of them have nothing to look at."""
    from services.doctor import house, kafka  # noqa: PLC0415 - alembic and aiokafka take longer to load than all the rest
    from services.doctor import postgres as engine  # noqa: PLC0415

    now = clock()
    first = [Found("uptake", "well", f"{_version()}, Python {platform.python_version()} on {sys.platform}")]
    first.append(await _check("disk", _at_once(lambda: house.disk(settings))))
    first.append(await _check("kafka-tls", lambda: kafka.certificate(settings, now)))
    try:
        connection = await postgres.connect(settings.database, name="uptake-doctor")
    except postgres.DATABASE_ERRORS as error:
        return [*first, Found("postgres", "ill", f"{settings.database.rpartition('@')[2]}: {postgres.reason(error)}")]
    checks: dict[str, Check] = {
        "postgres": lambda: engine.engine(connection),
        "room": lambda: engine.room(connection),
        "tls": lambda: engine.certificate(connection, now),
        "clocks": lambda: engine.clocks(connection, clock),
        "schema": lambda: engine.schema(settings),
        "walls": lambda: engine.walls(connection),
        "kafka": lambda: kafka.topics(connection, settings),
        "lag": lambda: house.lag(connection, now),
        "keys": lambda: house.keys(connection, now),
        "seal": lambda: house.seal(connection, settings),
        "sources": lambda: house.sources(connection, now),
    }
    try:
        return [*first, *[await _check(name, check) for name, check in checks.items()]]
    finally:
        await connection.close()


async def _check(name: str, check: Check) -> Found:
    from services.doctor.shape import Doubtful, Unhealthy  # noqa: PLC0415

    state = "well"
    try:
        found = await check()
    except Doubtful as error:
        state, found = "doubtful", str(error)
    except (Unhealthy, LogUnavailableError, *postgres.DATABASE_ERRORS) as error:
        state, found = "ill", postgres.reason(error)
    return Found(name, state, " ".join(found.split()))


def _at_once(look: Callable[[], str]) -> Check:
    async def check() -> str:
        return look()

    return check


def _version() -> str:
    try:
        return version("crm-uptake")
    except PackageNotFoundError:
        return "not installed"
