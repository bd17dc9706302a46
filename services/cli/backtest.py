"""``uptake backtest``: what draft rules would have opened and closed on history. Opens nothing, tells nobody."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
import typer

from services.cli.calls import CallError, Key, Tenant, headers, refusal
from services.settings import load

_PATH: Final = "/v1/rules/backtest"
_WAIT: Final = 50
"""Seconds that one request waits for the result."""
_TIMEOUT: Final = 80


def backtest(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RULES.yaml]", dir_okay=False, help="Drafts: a list of rules, or a pack. Left out: what stands."
        ),
    ] = None,
    url: Annotated[str, typer.Option(help="The API service [default: the one of the settings].")] = "",
    key: Key = "",
    tenant: Tenant = "",
    first: Annotated[str, typer.Option("--from", metavar="DATE", help="The first day.")] = "",
    last: Annotated[str, typer.Option("--to", metavar="DATE", help="The last day.")] = "",
) -> None:
    """Try rules on history: what they would have opened and closed, and for whom.

    Prints the episodes, the counts of each rule and the load of each week; the last line is the whole answer as JSON.
    """
    settings = load()
    base = (url or f"http://{settings.host}:{settings.api_port}").rstrip("/")
    asked: dict[str, Any] = {"from": first or None, "to": last or None}
    if file is not None:
        try:
            asked["text"] = file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise CallError(f"{file} is no text in UTF-8") from error
    with httpx.Client(base_url=base, headers=headers(key, tenant), timeout=_TIMEOUT) as client:
        answer = _asked(client, "POST", _PATH, asked)
        while answer["state"] in ("waiting", "running"):
            answer = _asked(client, "GET", f"{_PATH}/{answer['id']}")
    if answer["state"] == "failed":
        raise CallError(answer["error"])
    for line in _lines(answer):
        typer.echo(line)
    typer.echo(json.dumps(answer))


def _asked(client: httpx.Client, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON is any shape
    try:
        response = client.request(method, path, params={"wait": _WAIT}, json=body)
    except httpx.HTTPError as error:
        raise CallError(f"{client.base_url}: {error or type(error).__name__}") from error
    if response.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
        for wrong in response.json().get("errors", []):
            typer.echo(f"{wrong.get('pointer') or '/'}: {wrong['detail']}", err=True)
    if response.is_error:
        raise refusal(response)
    return response.json()


def _lines(answer: Any) -> Iterator[str]:  # noqa: ANN401 - JSON is any shape
    yield _row("opened", "closed", "severity", "rule", "what")
    for each in reversed(answer["episodes"]):
        loud = "silenced" if each["suppressed_by"] else each["severity"]
        yield _row(each["opened_on"], each["closed_on"] or "open", loud, each["rule"], each["title"])
    if answer["left_off"]:
        yield f"and {answer['left_off']} older ones"
    yield ""
    for rule in answer["rules"]:
        if rule["opens"] or rule["closes"] or rule["state"] == "active":
            only = " (in part)" if rule["partial"] else ""
            yield f"{rule['id']}: {rule['opens']} opened, {rule['silenced']} silenced, {rule['closes']} closed{only}"
        else:
            yield f"{rule['id']}: {rule['state']}"
    yield ""
    for week in answer["load"]:
        roles = ", ".join(f"{role} {number}" for role, number in week["roles"].items()) or "nobody is told"
        yield f"week of {week['week']}: {week['opens']} opened, {week['silenced']} silenced; {roles}"


def _row(*cells: str) -> str:
    widths = 10, 10, 9, 32, 0
    return "  ".join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()
