"""What a CRM's own delivery costs at the front door, beside a CloudEvents request with as many events.

Each kind sends the published delivery that holds the most events, its signature checked, its answer the expected one.
CPU seconds (user and system) of the ingest process per event; kinds and CloudEvents take turns, and ratios are taken
within one repetition. The last line is JSON.
"""

import argparse
import asyncio
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.ingest import BATCH, KEY, SINGLE, cpu, event, furnish, process  # noqa: E402
from benchmarks.measure import Figure, Spread  # noqa: E402
from schemas.sources import KINDS  # noqa: E402
from services import child, embedded, postgres  # noqa: E402
from services.ingest.vendors.shape import Delivery  # noqa: E402
from tests.ingest.deliveries import taken  # noqa: E402
from tests.ingest.service import add_source  # noqa: E402
from tests.ingest.vendors import samples_hubspot, samples_standard_webhooks  # noqa: E402
from tests.ingest.vendors.test_every_adapter import MAKERS, plain  # noqa: E402

TARGET: Final = 2.0
TARGETS: Final = {"salesforce-outbound": 4.0}
CONNECTIONS: Final = 32

LUA: Final = """
local file = io.open("%(file)s", "rb")
wrk.body = file:read("*a")
file:close()
wrk.method = "POST"
%(headers)s
"""


class Request(NamedTuple):
    """One request, as often as it is sent."""

    path: str
    headers: dict[str, str]
    body: bytes
    events: int


def requests_of() -> tuple[dict[str, Request], list[tuple[str, str, Sequence[str], dict[str, Any]]]]:
    """Return the request of each kind, and the sources that they need."""
    found: dict[str, Request] = {}
    sources: dict[str, tuple[str, str, Sequence[str], dict[str, Any]]] = {}
    for maker in MAKERS.values():
        for source, delivery in maker(plain):
            events = len(taken(source, delivery)[0])
            if source.kind in found and found[source.kind].events >= events:
                continue
            options = {
                name: getattr(source.options, name)
                for name in source.options.__struct_fields__
                if getattr(source.options, name) != getattr(KINDS[source.kind].options(), name)
            }
            steps = [*delivery.steps, *([delivery.secret] if delivery.secret else [])]
            name = f"bench-{source.kind}"
            path = "/" + "/".join(steps if KINDS[source.kind].by_key else ["v1/hooks", name, *steps])
            fresh = _signed(source.kind, delivery, source.secrets[0], path)
            query = f"?{delivery.query.decode()}" if delivery.query else ""
            found[source.kind] = Request(path + query, dict(fresh.headers), fresh.body, events)
            if source.kind == "hubspot":
                options["public_url"] = "https://in.example.com"
            options["requests_per_second"] = 1_000_000
            sources[source.kind] = (name, source.kind, source.secrets, options)
    return found, list(sources.values())


def _signed(kind: str, delivery: Delivery, secret: str, path: str) -> Delivery:
    now = datetime.now(UTC)
    if kind == "hubspot":
        at = int(now.timestamp() * 1000)
        return samples_hubspot.signed(delivery.body, secret=secret, url=f"https://in.example.com{path}", at=at)
    if kind == "standard-webhooks":
        return samples_standard_webhooks.signed(delivery.body.decode(), secret=secret, at=now)
    return delivery


def neutral(events: int, rng: random.Random) -> Request:
    """Return a CloudEvents request with ``events`` events."""
    made = [event(rng) for _ in range(events)]
    kind = SINGLE if events == 1 else BATCH
    body = json.dumps(made[0] if events == 1 else made, separators=(",", ":")).encode()
    return Request("/v1/events", {"content-type": kind, "authorization": f"Bearer {KEY}"}, body, events)


def measure(request: Request, port: int, pid: int, seconds: float, scratch: Path) -> float:
    """Return the CPU of the process ``pid`` per event, in microseconds."""
    (scratch / "body").write_bytes(request.body)
    headers = "\n".join(
        f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in request.headers.items()
    )
    (scratch / "post.lua").write_text(LUA % {"file": scratch / "body", "headers": headers})
    command = [
        "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        "-s",
        str(scratch / "post.lua"),
        f"http://127.0.0.1:{port}{request.path}",
    ]
    subprocess.run([*command[:3], "-d1s", *command[3:]], check=True, capture_output=True)
    before = cpu(pid)
    said = subprocess.run(
        [*command[:3], f"-d{seconds}s", *command[3:]], check=True, capture_output=True, text=True
    ).stdout
    used = cpu(pid) - before
    total = int(re.findall(r"(\d+) requests in", said)[0])
    if re.search(r"Non-2xx or 3xx responses", said) or not total:
        raise SystemExit(f"{request.path} was not taken: this measures nothing")
    return used / (total * request.events) * 1e6


async def _add_sources(database: str, sources: Sequence[tuple[str, str, Sequence[str], dict[str, Any]]]) -> None:
    connection = await postgres.connect(database, name="benchmark")
    for name, kind, secrets, options in sources:
        await add_source(connection, name, kind, *secrets, tenant="bench", **options)
    await connection.close()


def run(options: argparse.Namespace, scratch: Path, started: ExitStack) -> dict[str, Any]:
    """Measure, print, and return what was found."""
    rng = random.Random(options.seed)
    broker = embedded.Broker()
    broker.start()
    started.callback(broker.kill)
    server = embedded.Postgres(embedded.fresh_directory() / "postgres", fast=True)
    server.start()
    started.callback(server.remove)
    asyncio.run(furnish(server.url(), broker.address, 12))
    native, sources = requests_of()
    asyncio.run(_add_sources(server.url(), sources))
    port = child.free_port()
    env = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "UPTAKE_KAFKA": broker.address,
        "UPTAKE_DATABASE": server.url(),
        "UPTAKE_STATE_DIR": str(scratch / "state"),
        "UPTAKE_INGEST_PORT": str(port),
        "UPTAKE_MAX_PENDING_MIB": "256",
    }
    pid = started.enter_context(process([sys.executable, "-m", "services.ingest"], port, env))
    time.sleep(1)
    ratios: dict[str, list[float]] = {}
    for number in range(options.repetitions):
        for kind, request in sorted(native.items()):
            pair = [("neutral", neutral(request.events, rng)), (kind, request)]
            cost = {
                name: measure(each, port, pid, options.seconds, scratch)
                for name, each in (pair if number % 2 else reversed(pair))
            }
            ratios.setdefault(kind, []).append(cost[kind] / cost["neutral"])
            print(
                f"{number + 1} {kind:20} {request.events:3} events {cost[kind]:8.1f} µs an event,"
                f" CloudEvents {cost['neutral']:8.1f}",
                flush=True,
            )
    return {
        "benchmark": "adapters",
        "seed": options.seed,
        "repetitions": options.repetitions,
        "figures": figures(ratios),
    }


def figures(ratios: dict[str, list[float]]) -> list[dict[str, Any]]:
    """Return the lines of the table."""
    return [
        Figure(
            f"event delivered by {kind} against CloudEvents", Spread.of(found), "x", TARGETS.get(kind, TARGET)
        ).json()
        for kind, found in sorted(ratios.items())
    ]


def main() -> None:
    """Read the options, measure, print JSON last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("this benchmark needs wrk")
    with ExitStack() as started:
        scratch = Path(started.enter_context(tempfile.TemporaryDirectory(prefix="uptake-bench-")))
        found = run(options, scratch, started)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
