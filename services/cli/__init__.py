"""The command ``uptake``. One line for what went wrong, on stderr; results on stdout; logs as JSON lines on stderr.

Exit status: 0 done, 1 it failed, 2 the command line is wrong. A command is imported only when it is called: each has
much to import.
"""

import sys
from datetime import UTC, datetime
from importlib import import_module
from typing import Final

import typer

COMMANDS: Final = {
    "up": "up.up",
    "demo": "up.demo",
    "ingest": "roles.ingest",
    "aggregator": "roles.aggregator",
    "api": "roles.api",
    "notifier": "roles.notifier",
    "migrate": "roles.migrate",
    "topics": "roles.topics",
    "replay": "replay.replay",
    "directory": "directory.directory",
    "import": "imports.imports",
    "dead-letters": "dead_letters.app",
    "rules": "rules.app",
    "backtest": "backtest.backtest",
    "retention": "retention.retention",
    "rebuild": "rebuild.rebuild",
    "doctor": "doctor.doctor",
    "reseal": "reseal.reseal",
}
"""Where in this room each command stands."""


def program(*names: str) -> typer.Typer:
    """Return the command line with the commands ``names``."""
    app = typer.Typer(
        name="uptake",
        help="Event-streaming adoption telemetry: who uses the CRM, who does not come, and what to do about it.",
        callback=lambda: None,  # else a single command would stand for the whole line
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for name in names:
        module, _, part = COMMANDS[name].partition(".")
        command = getattr(import_module(f"services.cli.{module}"), part)
        if isinstance(command, typer.Typer):
            app.add_typer(command)
        else:
            app.command(name)(command)
    return app


def main() -> None:
    """Run the command line."""
    called = [name for name in sys.argv[1:2] if name in COMMANDS]
    try:
        program(*(called or COMMANDS))(obj=lambda: datetime.now(UTC))  # noqa: TID251 - the command's main owns its clock
    except Exception as error:
        from services.cli.failures import FAILURES  # noqa: PLC0415 - it loads what many a command does without

        if not isinstance(error, FAILURES):
            raise
        sys.exit(f"uptake: {_one_line(error)}")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
