"""``python -m benchmarks``: every benchmark on every broker, each in a process of its own, and one table of it all.

Figures are compared within one run and never with another day's. A wrong result ends with status 1; a figure out of
its target does not, because a machine that does other work cannot judge. ``--evidence`` keeps everything as JSON.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from benchmarks import engines, measure
from benchmarks.engines import ROOT
from benchmarks.measure import Figure, Spread
from deploy.kafka import node

KINDS: Final = (
    "ingest",
    "adapters",
    "aggregator",
    "scaling",
    "metrics",
    "end-to-end",
    "metrics-api",
    "evaluation",
    "stream",
    "alerts",
    "memory",
)
HERE_ONLY: Final = frozenset({"adapters", "metrics", "metrics-api", "evaluation", "stream"})
"""Benchmarks of what is the same on every broker: they run on the embedded one."""
EVIDENCE: Final = ROOT / "docs" / "evidence"


def command(kind: str, broker: str, options: argparse.Namespace) -> list[str]:
    """Return the command of one benchmark."""
    if kind == "ingest":
        size = ["--seconds", "1", "--repetitions", "1"] if options.quick else []
        return [
            *[sys.executable, str(ROOT / "benchmarks" / "ingest.py"), "--seed", str(options.seed), *size],
            *(["--apache"] if broker == "kafka" else []),
        ]
    if kind == "adapters":
        size = ["--seconds", "1", "--repetitions", "1"] if options.quick else []
        return [sys.executable, str(ROOT / "benchmarks" / "adapters.py"), "--seed", str(options.seed), *size]
    module = f"benchmarks.{kind.replace('-', '_')}"
    size = ["--quick"] if options.quick else []
    return [sys.executable, "-m", module, "--broker", broker, "--seed", str(options.seed), *size]


def run(kind: str, broker: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run one benchmark, showing what it says; return its last line."""
    print(f"\n{kind} on {broker}", flush=True)
    last = ""
    with subprocess.Popen(command(kind, broker, options), cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            last = line
            if not line.startswith("{"):
                print(line, end="", flush=True)
    if process.returncode:
        raise SystemExit(f"{kind} on {broker} ended with {process.returncode}")
    found: dict[str, Any] = json.loads(last)
    return found


def _spread(found: dict[str, Any], name: str) -> Spread:
    low, high = found[f"{name}_range"]
    return Spread(found[name], low, high, found["repetitions"])


def figures(found: dict[str, Any]) -> list[Figure]:
    """Return the lines of one benchmark."""
    if "figures" in found:
        return [Figure.read(figure) for figure in found["figures"]]
    single, batch = (_spread(found, name) for name in ("single_ratio", "batch_us_per_event"))
    return [
        Figure("ingest, single event against a bare echo", single, "x", 2.2, 1.7),
        Figure("ingest, event of a batch of 100", batch, "µs CPU", 15, 11),
    ]


def offered() -> list[str]:
    """Return the brokers that can run here; say why when Apache Kafka cannot."""
    if lack := node.missing():
        print(f"left out Apache Kafka: {lack}")
    return [broker for broker in engines.KINDS if broker != "kafka" or lack is None]


def main() -> None:
    """Read the options, run, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS), metavar="NAME", help=", ".join(KINDS))
    parser.add_argument(
        "--broker", nargs="+", choices=engines.KINDS, default=offered(), help="[default: all there are]"
    )
    parser.add_argument("--quick", action="store_true", help="small and once: shows that it works, judges nothing")
    parser.add_argument("--seed", type=int, default=measure.SEED)
    parser.add_argument("--evidence", type=Path, help="a file name under docs/evidence, or a path")
    options = parser.parse_args()
    found = [
        (broker, run(kind, broker, options))
        for broker in options.broker
        for kind in options.only
        if kind not in HERE_ONLY or broker == options.broker[0]
    ]
    print()
    measure.show("Uptake", [(broker, figure) for broker, result in found for figure in figures(result)])
    machine = measure.machine(broker=", ".join(options.broker), seed=options.seed)
    print("; ".join(f"{name} {value}" for name, value in machine.items() if not isinstance(value, dict)))
    if options.evidence is not None:
        path = options.evidence if options.evidence.parent.name else EVIDENCE / options.evidence
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"machine": machine, "quick": options.quick, "runs": [run for _, run in found]}, indent=1)
        path.write_text(text + "\n")
        print(f"kept in {path}")


if __name__ == "__main__":
    main()
