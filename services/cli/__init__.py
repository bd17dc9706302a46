"""The command ``uptake``. One line for what went wrong, on stderr; results on stdout; logs as JSON lines on stderr.

Exit status: 0 done, 1 it failed, 2 the command line is wrong.
"""

import sys
from datetime import UTC, datetime

import typer

from services.cli import dead_letters, directory, doctor, imports, retention, roles, rules, up
from services.cli.backtest import backtest
from services.cli.calls import CallError
from services.cli.rebuild import rebuild
from services.cli.replay import replay
from services.cli.reseal import reseal
from services.embedded import EmbeddedError
from services.installation import InstallationError
from services.kafka import LogUnavailableError
from services.postgres import DATABASE_ERRORS
from services.settings import SettingError
from services.supervisor import StartError

FAILURES = (
    CallError,
    EmbeddedError,
    InstallationError,
    LogUnavailableError,
    OSError,
    SettingError,
    StartError,
    *DATABASE_ERRORS,
)
"""What has a reason that the user can act on; anything else is a mistake of ours and shows its traceback."""

app = typer.Typer(
    name="uptake",
    help="Event-streaming adoption telemetry: who uses the CRM, who does not come, and what to do about it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("up")(up.up)
app.command("demo")(up.demo)
app.command("ingest")(roles.ingest)
app.command("aggregator")(roles.aggregator)
app.command("api")(roles.api)
app.command("notifier")(roles.notifier)
app.command("migrate")(roles.migrate)
app.command("topics")(roles.topics)
app.command("replay")(replay)
app.command("directory")(directory.directory)
app.command("import")(imports.imports)
app.add_typer(dead_letters.app)
app.add_typer(rules.app)
app.command("backtest")(backtest)
app.command("retention")(retention.retention)
app.command("rebuild")(rebuild)
app.command("doctor")(doctor.doctor)
app.command("reseal")(reseal)


def main() -> None:
    """Run the command line."""
    try:
        app(obj=lambda: datetime.now(UTC))  # noqa: TID251 - the command's main owns its clock
    except FAILURES as error:
        sys.exit(f"uptake: {_one_line(error)}")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
