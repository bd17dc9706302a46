"""One service each, and the two one-shot preparations: what containers run. Settings come from ``UPTAKE_*`` only."""

import asyncio
import importlib

import typer

from services import installation
from services.settings import load


def ingest() -> None:
    """Run the ingest service: HTTP in, Kafka out."""
    _run("ingest")


def aggregator() -> None:
    """Run an aggregator: Kafka in; windows and alerts out."""
    _run("aggregator")


def api() -> None:
    """Run the API service: Postgres in, HTTP out."""
    _run("api")


def notifier() -> None:
    """Run a notifier: alert changes out, by webhook, mail and on Kafka."""
    _run("notifier")


def migrate() -> None:
    """Bring the database schema to its head. Safe to run twice, and at once from two places."""
    from services import migrate as migrations  # noqa: PLC0415 - alembic takes longer to load than all the rest

    asyncio.run(migrations.upgrade(load().database))
    typer.echo(f"the schema is at {migrations.head()}")


def topics() -> None:
    """Create or check the Kafka topics."""
    settings = load()
    made = asyncio.run(
        installation.make_topics(
            settings.database, settings.cluster, partitions=settings.partitions, replication=settings.replication
        )
    )
    for name, partitions in made.items():
        typer.echo(f"{name}: {partitions} partition{'s' if partitions > 1 else ''}")


def _run(name: str) -> None:
    """Run a service; imported only then, since each has much to import."""
    importlib.import_module(f"services.{name}.__main__").main()
