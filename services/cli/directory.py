"""``uptake directory``: imports people from a CSV file."""

import json
from pathlib import Path
from typing import Annotated

import httpx
import typer

from services.cli.calls import CallError, Key, Tenant, headers, refusal
from services.settings import load


def directory(
    file: Annotated[Path, typer.Argument(help="CSV: user,name,email,role,team,manager,licensed_from,licensed_to,…")],
    url: Annotated[str, typer.Option(help="The API service [default: the one of the settings].")] = "",
    key: Key = "",
    tenant: Tenant = "",
    effective_from: Annotated[str, typer.Option(metavar="DATE", help="From when changes hold.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Import people. Prints what was created, updated and unchanged; a bad row never stops the others (exit 1)."""
    settings = load()
    base = url or f"http://{settings.host}:{settings.api_port}"
    query = {"dry_run": "true"} if dry_run else {}
    query |= {"effective_from": effective_from} if effective_from else {}
    try:
        response = httpx.put(
            f"{base.rstrip('/')}/v1/directory/people",
            params=query,
            content=file.read_bytes(),
            headers={**headers(key, tenant), "content-type": "text/csv"},
            timeout=300,
        )
    except httpx.HTTPError as error:
        raise CallError(f"{base}: {error}") from error
    if response.is_error:
        raise refusal(response)
    answer = response.json()
    for wrong in answer["errors"]:
        typer.echo(f"row {wrong['row']}, {wrong['column']}: {wrong['reason']}", err=True)
    typer.echo(json.dumps({name: answer[name] for name in ("created", "updated", "unchanged")}))
    if answer["errors"]:
        raise typer.Exit(1)
