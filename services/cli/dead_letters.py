"""``uptake dead-letters``: what could not be used is listed, shown and replayed. Repeating it changes nothing."""

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

import httpx
import typer

from services.cli.calls import CallError, Key, Tenant, headers, refusal
from services.settings import load

MOST_LETTERS: Final = 100
MOST_BYTES: Final = 3 << 20
"""Of base64 in one request to ingest: packed, it is well below what a request may have."""
_TIMEOUT: Final = 60
_NOT_REPLAYED: Final = ("open", "still-bad")
_REFUSED: Final = "is a record that stood on the events topic: only what came in by a hook can be replayed"

Url = Annotated[str, typer.Option(help="The API service [default: the one of the settings].")]

app = typer.Typer(name="dead-letters", help="What was authenticated but could not be used.", no_args_is_help=True)


@dataclass(frozen=True)
class _Services:
    """The two services, as one caller meets them."""

    client: httpx.Client
    api: str
    ingest: str = ""

    def get(self, path: str, **query: str) -> Any:  # noqa: ANN401 - JSON is any shape
        """Return what the API answers."""
        return self._say("GET", f"{self.api}{path}", params={name: value for name, value in query.items() if value})

    def post(self, address: str, body: object) -> Any:  # noqa: ANN401 - JSON is any shape
        """Return what is answered to ``body``."""
        packed = gzip.compress(json.dumps(body).encode())
        sent = {"content-type": "application/json", "content-encoding": "gzip"}
        return self._say("POST", address, content=packed, headers=sent)

    def note(self, letter: str, outcome: object) -> None:
        """Tell the API what a replay made of a letter."""
        self._say("POST", f"{self.api}/v1/dead-letters/{letter}/replayed", json=outcome)

    def letters(self, **filters: str) -> Iterator[dict[str, Any]]:
        """Yield the letters of a list, page by page."""
        cursor = ""
        while True:
            page = self.get("/v1/dead-letters", limit="200", cursor=cursor, **filters)
            yield from page["items"]
            cursor = page["next"]
            if not cursor:
                return

    def _say(self, method: str, address: str, **options: Any) -> Any:  # noqa: ANN401 - httpx options, JSON
        try:
            response = self.client.request(method, address, **options)
        except httpx.HTTPError as error:
            raise CallError(f"{address}: {error or type(error).__name__}") from error
        if response.is_error:
            raise refusal(response)
        return response.json()


def _services(url: str, ingest: str, key: str, tenant: str) -> _Services:
    settings = load()
    api = url or f"http://{settings.host}:{settings.api_port}"
    ingest = ingest or f"http://{settings.host}:{settings.ingest_port}"
    client = httpx.Client(headers=headers(key, tenant), timeout=_TIMEOUT)
    return _Services(client, api.rstrip("/"), ingest.rstrip("/"))


@app.command("list")
def show_all(
    url: Url = "",
    key: Key = "",
    tenant: Tenant = "",
    source: Annotated[str, typer.Option(help="Only of this source.")] = "",
    reason: Annotated[str, typer.Option(help="Only with this reason.")] = "",
    state: Annotated[str, typer.Option(help="open, replayed or still-bad.")] = "",
    since: Annotated[str, typer.Option("--from", help="Received from this day or time on.")] = "",
    until: Annotated[str, typer.Option("--to", help="Received up to this day or time.")] = "",
) -> None:
    """List dead letters, the newest first: one JSON object a line."""
    services = _services(url, "", key, tenant)
    for letter in services.letters(source=source, reason=reason, state=state, **{"from": since, "to": until}):
        typer.echo(json.dumps(letter))


@app.command("show")
def show(
    letter: Annotated[str, typer.Argument(help="The id of a dead letter.")],
    url: Url = "",
    key: Key = "",
    tenant: Tenant = "",
) -> None:
    """Show one dead letter with what was delivered. The access is logged."""
    typer.echo(json.dumps(_services(url, "", key, tenant).get(f"/v1/dead-letters/{letter}"), indent=2))


@app.command("replay")
def replay(
    letters: Annotated[list[str] | None, typer.Argument(help="Ids of dead letters.")] = None,
    source: Annotated[str, typer.Option(help="All of this source that were not replayed yet.")] = "",
    every: Annotated[bool, typer.Option("--all", help="All that were not replayed yet.")] = False,  # noqa: FBT002 - a flag
    url: Url = "",
    ingest: Annotated[str, typer.Option(help="The ingest service [default: the one of the settings].")] = "",
    key: Key = "",
    tenant: Tenant = "",
) -> None:
    """Read dead letters again with the adapters and options of today.

    Prints {"replayed", "still_bad", "refused", "accepted"}; exit status 1 when something is still bad or was refused.
    """
    if sum((bool(letters), bool(source), every)) != 1:
        raise CallError("name dead letters, or give --source, or --all")
    services = _services(url, ingest, key, tenant)
    counted = {"replayed": 0, "still_bad": 0, "refused": 0, "accepted": 0}
    for batch in _batches(_opened(services, letters or _unsettled(services, source), counted)):
        for told in services.post(f"{services.ingest}/v1/replays", {"letters": batch})["letters"]:
            services.note(told["id"], {"accepted": told["accepted"], "bad": told["bad"]})
            counted["still_bad" if told["bad"] else "replayed"] += 1
            counted["accepted"] += told["accepted"]
            for bad in told["bad"][:5]:
                typer.echo(f"{told['id']}: {bad['pointer']} {bad['reason']}", err=True)
    typer.echo(json.dumps(counted))
    if counted["still_bad"] or counted["refused"]:
        raise typer.Exit(1)


def _unsettled(services: _Services, source: str) -> list[str]:
    """Return the ids of what was not replayed yet, the oldest first."""
    found = [
        it["id"] for state in _NOT_REPLAYED for it in services.letters(source=source, state=state) if it["replayable"]
    ]
    return found[::-1]


def _opened(services: _Services, ids: Iterable[str], counted: dict[str, int]) -> Iterator[dict[str, Any]]:
    """Yield the letters as ingest reads them; one that cannot be replayed is told of."""
    for name in ids:
        letter = services.get(f"/v1/dead-letters/{name}")
        if letter["replayable"]:
            kept = ("id", "source", "method", "steps", "headers", "body_base64", "received_at")
            yield {part: letter[part] for part in kept}
        else:
            counted["refused"] += 1
            typer.echo(f"{name}: {_REFUSED}", err=True)


def _batches(letters: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size = 0
    for letter in letters:
        if batch and (len(batch) == MOST_LETTERS or size + len(letter["body_base64"]) > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(letter)
        size += len(letter["body_base64"])
    if batch:
        yield batch
