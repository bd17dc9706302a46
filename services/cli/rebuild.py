"""``uptake rebuild``: everything derived is computed anew from the kept facts and put in place where it differs."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Annotated

import msgspec
import typer

from services.cli.calls import CallError
from services.settings import load

Clock = Callable[[], datetime]


def rebuild(
    context: typer.Context,
    tenants: Annotated[list[str] | None, typer.Argument(metavar="TENANT…", help="Which tenants; none: all.")] = None,
    *,
    check: Annotated[bool, typer.Option("--check", help="Only compare; exit 1 on a difference.")] = False,
) -> None:
    """Compute everything derived anew from the kept facts. One line of JSON a table: its rows, and how many differed.

    Aggregators may run: they wait until a tenant is done, and go on.
    """
    differing = asyncio.run(_rebuild(load().database, tenants or [], context.obj, check=check))
    if check and differing:
        raise typer.Exit(1)


async def _rebuild(database: str, tenants: list[str], clock: Clock, *, check: bool) -> int:
    from services.aggregator.rebuild import rebuild as anew  # noqa: PLC0415 - an aggregator is much to import

    differing, seen = 0, set()
    async for found in anew(database, tenants, clock, check=check):
        typer.echo(msgspec.json.encode(found._asdict()))
        differing += found.differing
        seen.add(found.tenant)
    if unknown := sorted(set(tenants) - seen):
        raise CallError(f"no such tenant: {', '.join(unknown)}")
    return differing
