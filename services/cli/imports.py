"""``uptake import``: sends histories of logins to ingest, then says up to when they are complete.

Importing twice changes nothing. Where rows were refused, nothing is said to be complete unless ``--until`` says so.
"""

import contextlib
import gzip
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from services.cli.calls import CallError, Key, Patience, Tenant, headers, refusal
from services.cli.replay import opened
from services.cli.tables import Body, TableError, answers, bodies
from services.ingest.logins.catalogue import FORMATS
from services.settings import load

SHOWN: Final = 100
_ANSWERED: Final = frozenset({202, 422})


@dataclass
class _Outcome:
    """What has come of the rows so far. ``newest``: the last login, as ingest spells it."""

    sent: int = 0
    accepted: int = 0
    skipped: int = 0
    rejected: int = 0
    newest: str = ""
    reasons: list[str] = field(default_factory=list)

    def take(self, name: str, body: Body, told: dict[str, Any]) -> None:
        """Count an answered body of the file ``name``."""
        self.sent += body.rows
        self.accepted += told["accepted"]
        self.skipped += told["skipped"]
        self.rejected += len(told["rejected"])
        self.newest = max(self.newest, told["newest"] or "")
        for reason in answers(told, body):
            if len(self.reasons) == SHOWN:
                break
            self.reasons.append(f"{name}: {reason}")


def imports(
    files: Annotated[list[str], typer.Argument(help="CSV or JSON, plain or .gz; - is stdin.")],
    form: Annotated[str, typer.Option("--format", help=f"One of {', '.join(sorted(FORMATS))}.")],
    source: Annotated[str, typer.Option(help="The source that the logins belong to.")] = "",
    url: Annotated[str, typer.Option(help="The ingest service [default: the one of the settings].")] = "",
    api: Annotated[str, typer.Option(help="The API service [default: the one of the settings].")] = "",
    key: Key = "",
    tenant: Tenant = "",
    until: Annotated[
        str, typer.Option(metavar="INSTANT", help="Up to when they are complete [default: the newest login].")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would come of it.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Import logins. Prints {"sent", "accepted", "skipped", "rejected", "seconds"}; refused rows are named (exit 1)."""
    settings = load()
    _check(files, form, source, until)
    allowed = headers(key, tenant)
    asked = {"format": form} | ({"source": source} if source else {}) | ({"dry_run": "true"} if dry_run else {})
    address = f"{(url or f'http://{settings.host}:{settings.ingest_port}').rstrip('/')}/v1/logins"
    since, outcome = time.monotonic(), _Outcome()
    with httpx.Client(timeout=60, headers=allowed) as client, _progress(files) as advance:
        caller = _Caller(client)
        for name, body in _parts(files):
            kind = {"content-type": body.kind}
            told = caller.call("POST", address, params=asked, content=body.content, headers=kind)
            if told.status_code not in _ANSWERED:
                raise refusal(told)
            outcome.take(name, body, told.json())
            advance(len(body.content))
        complete = until or ("" if outcome.rejected else outcome.newest)
        if source and complete and not dry_run:
            base = (api or f"http://{settings.host}:{settings.api_port}").rstrip("/")
            told = caller.call("PUT", f"{base}/v1/sources/{source}/logins", json={"until": complete})
            if told.is_error:
                raise refusal(told)
    _tell(outcome, round(time.monotonic() - since, 3))


def _check(files: list[str], form: str, source: str, until: str) -> None:
    if form not in FORMATS:
        raise CallError(f"--format must be one of {', '.join(sorted(FORMATS))}")
    if until and not source:
        raise CallError("--until says it of a source: give --source")
    for name in files:
        if name != "-" and not Path(name).is_file():
            raise CallError(f"{name}: no such file")


def _tell(outcome: _Outcome, seconds: float) -> None:
    for reason in outcome.reasons:
        typer.echo(reason, err=True)
    if outcome.rejected > len(outcome.reasons):
        typer.echo(f"and {outcome.rejected - len(outcome.reasons)} more", err=True)
    counts = {name: getattr(outcome, name) for name in ("sent", "accepted", "skipped", "rejected")}
    typer.echo(json.dumps({**counts, "seconds": seconds}))
    if outcome.rejected:
        raise typer.Exit(1)


class _Caller:
    """Calls the services, again and again while they refuse for now; less patient until the first answer."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._patience = Patience()

    def call(self, method: str, url: str, **request: Any) -> httpx.Response:  # noqa: ANN401 - what httpx takes
        """Return the answer.

        Raises:
            CallError: there was none in time.
        """
        attempts = self._patience.begin(url)
        while True:
            try:
                response = self._client.request(method, url, **request)
            except httpx.TransportError as error:
                pause = attempts.pause_after(error)
            else:
                pause = attempts.pause_after(response)
            if pause is None:
                return response
            time.sleep(pause)


def _parts(files: list[str]) -> Iterator[tuple[str, Body]]:
    for name in files:
        with opened(name) as file:
            try:
                for body in bodies(file):
                    yield name, body
            except (EOFError, gzip.BadGzipFile, TableError) as error:
                raise CallError(f"{name}: {error}") from error


@contextlib.contextmanager
def _progress(files: list[str]) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal; its end is known when all files are plain ones."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (TextColumn("import"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    known = not any(name == "-" or name.endswith(".gz") for name in files)
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("import", total=sum(Path(name).stat().st_size for name in files) if known else None)
        yield lambda size: progress.advance(task, size)
