"""Processes that are born quickly: forked from one that has imported the services, with a world of their own.

Each has its environment, and what it logs goes to a diary. They are killed and stopped as any other.
"""

import multiprocessing
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

SERVICES = ("api", "ingest", "aggregator", "notifier")
Process = multiprocessing.process.BaseProcess

_forked = multiprocessing.get_context("forkserver")


def prepare(*services: str) -> None:
    """Import ``services`` once, for all who are born after; whoever lives by another imports it alone."""
    _forked.set_forkserver_preload([f"services.{name}.__main__" for name in services])


def bear(live: Callable[..., object], *arguments: object, diary: Path, **settings: object) -> Process:
    """Start a process that lives by ``live(*arguments)``. ``settings``: UPTAKE_*."""
    env = {"PATH": os.environ["PATH"], **{f"UPTAKE_{name.upper()}": str(value) for name, value in settings.items()}}
    born = _forked.Process(target=_begin, args=(live, arguments, env, diary), daemon=True)
    born.start()
    return born


def _begin(live: Callable[..., object], arguments: tuple[Any, ...], env: Mapping[str, str], diary: Path) -> None:
    os.environ.clear()
    os.environ.update(env)
    with diary.open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    live(*arguments)
