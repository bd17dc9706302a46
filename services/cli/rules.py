"""``uptake rules``: packs of rules are looked at before anybody relies on them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from services.rules.lint import of_pack
from services.rules.pack import SPECS, PackError, load

app = typer.Typer(name="rules", help="Packs of rules.", no_args_is_help=True)


@app.callback()
def rules() -> None:
    """Packs of rules."""


@app.command("lint")
def lint(file: Annotated[Path, typer.Argument(help="A pack, in YAML or JSON.", dir_okay=False)]) -> None:
    """Look for what is wrong in a pack: one line for each place, with its JSON pointer. Exit status 1: something is.

    Rules of the packs that come with the product may be named.
    """
    found: Sequence[tuple[str, str]]
    try:
        body: Any = load(file.read_text(encoding="utf-8"))
        found = of_pack(body, SPECS)
    except UnicodeDecodeError:
        found, body = [("", "is no text in UTF-8")], None
    except PackError as error:
        found, body = error.errors, None
    for pointer, reason in found:
        typer.echo(f"{pointer or '/'}{_rule(body, pointer)}: {reason}")
    if found:
        raise typer.Exit(1)
    typer.echo(f"nothing wrong in {len(body['rules'])} rules")


def _rule(body: Any, pointer: str) -> str:  # noqa: ANN401 - any YAML
    """Return the id of the rule that a place lies in, in brackets."""
    steps = pointer.split("/")
    try:
        return f" ({body['rules'][int(steps[2])]['id']})"
    except (IndexError, KeyError, TypeError, ValueError):
        return ""
