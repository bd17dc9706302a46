"""``uptake retention``: deletes what was kept long enough, as the aggregators do every hour, or tells what would go."""

import asyncio
import json
from collections import Counter
from datetime import datetime
from typing import Annotated

import typer

from services import postgres
from services.aggregator.retaining import Periods, due, retain
from services.settings import Settings, load


def retention(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be deleted.")] = False,  # noqa: FBT002
) -> None:
    """Delete what is older than the installation and its tenants keep it; prints how many rows of each table."""
    found = asyncio.run(_run(load(), context.obj(), dry_run=dry_run))
    typer.echo(json.dumps(dict(sorted(found.items()))))


async def _run(settings: Settings, now: datetime, *, dry_run: bool) -> Counter[str]:
    pool = await postgres.connect_pool(settings.database, name="uptake-retention", max_size=2)
    try:
        return await (due if dry_run else retain)(pool, Periods.of_settings(settings), now)
    finally:
        await postgres.close_pool(pool)
