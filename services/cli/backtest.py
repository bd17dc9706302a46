"""``uptake backtest``: what draft rules would have opened and closed on history. Opens nothing, tells nobody."""

import json
import re
from collections.abc import Iterable, Iterator
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
    knowledge: Annotated[
        str, typer.Option(metavar="now|then", help="Judge each day by what is known now, or was known on it.")
    ] = "now",
    sweep: Annotated[
        str, typer.Option(metavar="RULE.PARAMETER=N,N,…", help="Try one parameter of a rule at several values.")
    ] = "",
) -> None:
    """Try rules on history: what they would have opened and closed, and for whom.

    Prints the episodes, the counts of each rule, the load of each week, the sweep, and what a drop must be to be found;
    the last line is the whole answer as JSON.
    """
    settings = load()
    base = (url or f"http://{settings.host}:{settings.api_port}").rstrip("/")
    asked: dict[str, Any] = {"from": first or None, "to": last or None, "knowledge": knowledge}
    if sweep:
        asked["sweep"] = _sweep(sweep)
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


def _sweep(text: str) -> dict[str, Any]:
    found = re.fullmatch(r"([^=]+)\.([a-z_]+)=(-?[0-9]+(?:,-?[0-9]+)*)", text)
    if found is None:
        raise CallError(f"--sweep must be like stale-close-dates.at_least=15,20,25, not {text}")
    return {"rule": found[1], "parameter": found[2], "values": [int(value) for value in found[3].split(",")]}


def _lines(answer: Any) -> Iterator[str]:  # noqa: ANN401 - JSON is any shape
    yield from _table(_EPISODES, map(_episode, reversed(answer["episodes"])))
    if answer["left_off"]:
        yield f"and {answer['left_off']} older ones"
    yield ""
    for rule in answer["rules"]:
        yield _rule(rule)
    yield ""
    for week in answer["load"]:
        roles = ", ".join(f"{role} {number}" for role, number in week["roles"].items()) or "nobody is told"
        lost = f"; {week['unheard']} reach nobody" if week["unheard"] else ""
        yield f"week of {week['week']}: {week['opens']} opened, {week['silenced']} silenced; {roles}{lost}"
    borne = [(week["week"], *_borne(each)) for week in answer["load"] for each in week["recipients"]]
    if borne:
        yield ""
        yield from _table(_LOAD, borne)
    if answer["sweep"]:
        yield ""
        yield from _table((answer["sweep"]["parameter"], *_SWEEP), map(_value, answer["sweep"]["values"]))
    for rule in answer["detectable"]:
        yield ""
        yield f"{rule['rule']}: a lasting fall is found within four weeks, in four of five cases, when it goes down to"
        yield from _table(_FOUND, map(_found, (*rule["sizes"], *rule["teams"])))


_EPISODES: Final = ("opened", "closed", "severity", "rule", "what")
_LOAD: Final = ("week", "who", "role", "at once", "in hours", "digests", "alerts", "over budget", "outside hours")
_SWEEP: Final = ("opened", "silenced", "closed", "subjects", "at once", "in hours", "digests", "most in a week")
_FOUND: Final = ("team", "people", "from", "to")


def _episode(each: Any) -> tuple[str, ...]:  # noqa: ANN401 - JSON is any shape
    loud = "silenced" if each["suppressed_by"] else each["severity"]
    return each["opened_on"], each["closed_on"] or "open", loud, each["rule"], each["title"]


def _rule(rule: Any) -> str:  # noqa: ANN401 - JSON is any shape
    if not (rule["opens"] or rule["closes"] or rule["state"] == "active"):
        return f"{rule['id']}: {rule['state']}"
    notes = [*(["in part"] if rule["partial"] else []), *([rule["knowledge"]] if rule["knowledge"] else [])]
    only = f" ({'; '.join(notes)})" if notes else ""
    return f"{rule['id']}: {rule['opens']} opened, {rule['silenced']} silenced, {rule['closes']} closed{only}"


def _borne(each: Any) -> tuple[str, ...]:  # noqa: ANN401 - JSON is any shape
    who = each["recipient"] or f"{each['people']} people"
    counts = ("at_once", "in_hours", "digests", "alerts", "over_budget", "outside_hours")
    return who, each["role"], *(str(each[name]) for name in counts)


def _value(row: Any) -> tuple[str, ...]:  # noqa: ANN401 - JSON is any shape
    counts = ("opens", "silenced", "closes", "subjects", "at_once", "in_hours", "digests", "most_interruptions")
    return str(row["value"]), *(str(row[name]) for name in counts)


def _found(row: Any) -> tuple[str, ...]:  # noqa: ANN401 - JSON is any shape
    to = "not found" if row["to"] is None else f"{row['to']} %"
    return row.get("team", "any"), str(row["people"]), f"{row['base']} %", to


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Give lines whose cells stand below each other; the last may be as long as it is."""
    listed = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*listed, strict=True)]
    for cells in listed:
        yield "  ".join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()
