"""``uptake up`` and ``uptake demo``: the whole product under one supervisor."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from services import child
from services.cli import stack
from services.cli.calls import CallError
from services.embedded import fresh_directory
from services.observability import start_logging
from services.settings import Settings, load, usable

Host = Annotated[str | None, typer.Option(help="Address the services listen on [default: 127.0.0.1].")]
ApiPort = Annotated[int | None, typer.Option(min=0, max=65535, help="0: any free one [default: 8080].")]
IngestPort = Annotated[int | None, typer.Option(min=0, max=65535, help="0: any free one [default: 8081].")]
AggregatorPort = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="Of the first; the others follow. 0: any free [default: 8082]."),
]
NotifierPort = Annotated[int | None, typer.Option(min=0, max=65535, help="0: any free one [default: 8079].")]
Aggregators = Annotated[int, typer.Option(min=1, max=64, help="How many aggregators share the work.")]
DataDir = Annotated[Path | None, typer.Option(help="Where everything is kept [default: .uptake].")]
Kafka = Annotated[
    str | None, typer.Option(envvar="UPTAKE_KAFKA", help="HOST:PORT of a Kafka; without it an embedded broker.")
]
Database = Annotated[
    str | None, typer.Option(envvar="UPTAKE_DATABASE", help="URL of a PostgreSQL; without it an embedded one.")
]


def up(
    host: Host = None,
    api_port: ApiPort = None,
    ingest_port: IngestPort = None,
    aggregator_port: AggregatorPort = None,
    notifier_port: NotifierPort = None,
    aggregators: Aggregators = 1,
    data_dir: DataDir = None,
    kafka: Kafka = None,
    database: Database = None,
) -> None:
    """Run all services and start again what dies. Prints one line of JSON when all are ready."""
    given = _given(
        load(),
        host=host,
        api_port=api_port,
        ingest_port=ingest_port,
        aggregator_port=aggregator_port,
        notifier_port=notifier_port,
        state_dir=data_dir,
        kafka=kafka or None,
        database=database or None,
    )
    settings = usable(given)
    start_logging("uptake", settings.log_level)
    found = settings.database if database else None
    plan = stack.Plan(settings, kafka=kafka or None, database=found, aggregators=aggregators)
    stack.run(plan, _announce)


async def _announce(ready: stack.Ready) -> bool:
    typer.echo(json.dumps(ready))
    sys.stdout.flush()
    return True


def demo(
    exit_: Annotated[bool, typer.Option("--exit", help="Stop after the summary; its last line is JSON.")] = False,  # noqa: FBT002 - a flag
    data_dir: Annotated[Path | None, typer.Option(help="Keep the data here [default: a temporary directory].")] = None,
) -> None:
    """Show a rollout of 300 people on embedded engines: the windows and the alerts that it raises."""
    from services import demo as story  # noqa: PLC0415 - only this command needs the simulator

    settings = load()
    home = data_dir or fresh_directory()
    ports: dict[str, Any] = {
        name: port if not child.listening(port := getattr(settings, name)) else 0
        for name in ("api_port", "ingest_port", "aggregator_port", "notifier_port")
    }
    settings = replace(settings, state_dir=home, log_level="WARNING", evaluate_seconds=0.2, **ports)
    start_logging("uptake", settings.log_level)
    summary: dict[str, Any] = {}

    async def tell(ready: stack.Ready) -> bool:
        try:
            summary.update(await story.tell(ready, quiet=False))
        except story.DemoError as error:
            raise CallError(str(error)) from error
        if not exit_:
            typer.echo("Ctrl-C stops everything.")
        return not exit_

    try:
        home.mkdir(parents=True, exist_ok=True)
        with (home / "demo.log").open("ab") as logs:
            stack.run(stack.Plan(settings, disposable=data_dir is None), tell, logs=logs.fileno())
    finally:
        if data_dir is None:
            shutil.rmtree(home, ignore_errors=True)
    if exit_ and summary:
        typer.echo(json.dumps(summary))


def _given(settings: Settings, **values: object) -> Settings:
    changes: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
    return replace(settings, **changes)
