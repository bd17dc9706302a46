"""What an event costs at the front door: CPU of the ingest process, beside a bare ASGI echo on the same server.

Both are asked in turn, several times, with the same bodies by the same load generator (wrk where it is installed, else
one in Python); an answer counts only when it is the expected one. CPU seconds (user and system) are read from /proc,
so the load generator and the broker do not count, and ratios are taken within one repetition. Wall time is shown and
never judged. The last line is JSON.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from deploy.kafka.node import Node  # noqa: E402
from services import child, embedded, installation, migrate, postgres  # noqa: E402

TICKS: Final = os.sysconf("SC_CLK_TCK")
KEY: Final = "upt_bench001_" + "s" * 43
KEY_HASH: Final = "sha256('" + "s" * 43 + "'::bytea)"
SINGLE: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
BODIES: Final = 64

ECHO: Final = """
import sys, uvicorn
async def app(scope, receive, send):
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
uvicorn.run(app, port=int(sys.argv[1]), http="httptools", loop="uvloop", lifespan="off", ws="none", access_log=False,
            log_level="error", server_header=False, interface="asgi3", proxy_headers=False)
"""

LUA: Final = """
local bodies = {}
for number = 0, %(bodies)d - 1 do
  local file = io.open("%(directory)s/" .. number .. ".json", "rb")
  bodies[#bodies + 1] = file:read("*a")
  file:close()
end
wrk.method = "POST"
wrk.headers["content-type"] = "%(kind)s"
wrk.headers["authorization"] = "Bearer %(key)s"
local turn = 0
request = function()
  turn = turn %% #bodies + 1
  return wrk.format(nil, nil, nil, bodies[turn])
end
"""


def event(rng: random.Random) -> dict[str, Any]:
    """Return an event as a CRM sends it, about 600 bytes."""
    user = f"user-{rng.randrange(10_000):05d}"
    fields = {"amount": "120000.00", "close_date": "2026-03-31", "next_step": "call the buyer back", "competitor": ""}
    return {
        "specversion": "1.0",
        "id": f"{rng.getrandbits(96):024x}",
        "source": "/crm/acme/production",
        "type": rng.choice(["crm.record.updated", "crm.record.created", "crm.record.viewed"]),
        "subject": f"opportunity/{rng.randrange(100_000):06d}",
        "time": f"2026-03-02T{rng.randrange(24):02d}:{rng.randrange(60):02d}:{rng.randrange(60):02d}Z",
        "datacontenttype": "application/json",
        "data": {
            "user": user,
            "origin": "ui",
            "environment": "production",
            "object": "opportunity",
            "record": f"{rng.randrange(100_000):06d}",
            "owner": user,
            "stage": "negotiation",
            "fields": fields,
            "fields_required": 4,
            "fields_filled": 3,
        },
    }


def cpu(pid: int) -> float:
    """Return the CPU seconds, user and system, that ``pid`` has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident(pid: int) -> float:
    """Return the resident memory of ``pid`` in MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


async def _python_load(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> tuple[int, int]:
    counts = [0, 0]
    end = time.monotonic() + seconds

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.monotonic() < end:
            writer.write(requests[number % len(requests)])
            number += 1
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            assert length is not None
            await reader.readexactly(int(length[1]))
            counts[0 if head.startswith(b"HTTP/1.1 202") else 1] += 1
        writer.close()

    await asyncio.gather(*(one(number) for number in range(connections)))
    return counts[0], counts[1]


class Load:
    """The bodies of one kind of request, and the generator that sends them."""

    def __init__(self, directory: Path, kind: str, events: int, connections: int, rng: random.Random) -> None:
        self._connections = connections
        self._kind = kind
        self.events = events
        directory.mkdir()
        self.bodies = []
        for number in range(BODIES):
            made = [event(rng) for _ in range(events)]
            self.bodies.append(json.dumps(made if kind == BATCH else made[0], separators=(",", ":")).encode())
            (directory / f"{number}.json").write_bytes(self.bodies[-1])
        self._script = directory / "post.lua"
        self._script.write_text(LUA % {"bodies": BODIES, "directory": directory, "kind": kind, "key": KEY})

    def run(self, port: int, seconds: float) -> tuple[int, int]:
        """Send for ``seconds``; return how many requests were answered 202, and how many otherwise."""
        if shutil.which("wrk"):
            url = f"http://127.0.0.1:{port}/v1/events"
            command = ["wrk", "-t1", f"-c{self._connections}", f"-d{seconds}s", "-s", str(self._script), url]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            total = int(re.findall(r"(\d+) requests in", said)[0])
            bad = sum(int(found) for found in re.findall(r"Non-2xx or 3xx responses: (\d+)", said))
            return total - bad, bad
        head = f"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-type: {self._kind}\r\nauthorization: Bearer {KEY}\r\n"
        requests = [f"{head}content-length: {len(body)}\r\n\r\n".encode() + body for body in self.bodies]
        return asyncio.run(_python_load(port, requests, self._connections, seconds))


def measure(load: Load, port: int, pid: int, seconds: float) -> dict[str, float]:
    """Return requests and CPU of one run against the process ``pid``."""
    load.run(port, 0.3 if not shutil.which("wrk") else 1)  # warm
    before, began = cpu(pid), time.monotonic()
    good, bad = load.run(port, seconds)
    used, took = cpu(pid) - before, time.monotonic() - began
    if bad or not good:
        raise SystemExit(f"{bad} of {good + bad} requests were not answered 202: this measures nothing")
    return {"requests": good, "cpu": used, "us_per_request": used / good * 1e6, "per_second": good / took}


async def furnish(database: str, kafka: str, partitions: int) -> None:
    """Write a tenant and a key, and make the topics."""
    await migrate.upgrade(database)
    await installation.make_topics(database, kafka, partitions=partitions, replication=1)
    connection = await postgres.connect(database, name="benchmark")
    await connection.execute("insert into tenant (id, name) values ('bench', 'Bench')")
    await connection.execute(
        f"insert into api_key (id, tenant, secret_hash, scopes) values ('bench001', 'bench', {KEY_HASH}, '{{ingest}}')"
    )
    await connection.close()


@contextmanager
def process(command: list[str], port: int, env: dict[str, str]) -> Iterator[int]:
    """Run a server until the block ends; yields its process id once it listens."""
    server = child.start(command, env=env, output=subprocess.DEVNULL, at_parents_end=signal.SIGKILL)
    try:
        end = time.monotonic() + 20
        while not child.listening(port):
            if server.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"{command} does not listen")
            time.sleep(0.05)
        time.sleep(1)
        yield server.pid
    finally:
        child.end(server, signal.SIGTERM, seconds=15)


def run(options: argparse.Namespace, scratch: Path, started: ExitStack) -> dict[str, Any]:
    """Measure and print; return what was found."""
    rng = random.Random(options.seed)
    broker: Any = Node(embedded.fresh_directory()) if options.apache else embedded.Broker()
    broker.start()
    started.callback(broker.remove if options.apache else broker.kill)
    server = embedded.Postgres(embedded.fresh_directory() / "postgres", fast=True)
    server.start()
    started.callback(server.remove)
    asyncio.run(furnish(server.url(), broker.address, options.partitions))
    ports = {"echo": child.free_port(), "ingest": child.free_port()}
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    settings = {
        "KAFKA": broker.address,
        "DATABASE": server.url(),
        "STATE_DIR": str(scratch / "state"),
        "INGEST_PORT": str(ports["ingest"]),
        "MAX_PENDING_MIB": "256",
    }
    ours = env | {f"UPTAKE_{name}": value for name, value in settings.items()}
    pids = {
        "echo": started.enter_context(process([sys.executable, "-c", ECHO, str(ports["echo"])], ports["echo"], env)),
        "ingest": started.enter_context(process([sys.executable, "-m", "services.ingest"], ports["ingest"], ours)),
    }
    loads = {
        "single": Load(scratch / "single", SINGLE, 1, options.connections, rng),
        "batch": Load(scratch / "batch", BATCH, 100, max(8, options.connections // 4), rng),
    }
    found: dict[str, list[dict[str, float]]] = {}
    for number in range(options.repetitions):
        for kind, load in loads.items():
            for name in ("echo", "ingest") if number % 2 else ("ingest", "echo"):
                result = measure(load, ports[name], pids[name], options.seconds)
                found.setdefault(f"{name} {kind}", []).append(result)
                print(
                    f"{number + 1} {name:6} {kind:6} {result['us_per_request']:9.1f} µs CPU/request"
                    f" {result['per_second']:8.0f} requests/s",
                    flush=True,
                )
    return summary(found, options, resident(pids["ingest"]))


def summary(found: dict[str, list[dict[str, float]]], options: argparse.Namespace, memory: float) -> dict[str, Any]:
    """Print the table and return it."""
    ratios = {
        kind: [
            ours["us_per_request"] / bare["us_per_request"]
            for ours, bare in zip(found[f"ingest {kind}"], found[f"echo {kind}"], strict=True)
        ]
        for kind in ("single", "batch")
    }
    per_event = [result["us_per_request"] / 100 for result in found["ingest batch"]]
    print(
        f"\nsingle event, acknowledged, against a bare echo: {statistics.median(ratios['single']):.2f}x (target 2.2x)"
    )
    print(f"event of a batch of 100, acknowledged:           {statistics.median(per_event):.1f} µs CPU (target 15 µs)")
    print(f"batch of 100 against a bare echo of the same:    {statistics.median(ratios['batch']):.2f}x")
    return {
        "benchmark": "ingest",
        "broker": "apache" if options.apache else "tansu",
        "seed": options.seed,
        "repetitions": options.repetitions,
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs",
        "python": platform.python_version(),
        "single_ratio": round(statistics.median(ratios["single"]), 3),
        "single_ratio_range": [round(min(ratios["single"]), 3), round(max(ratios["single"]), 3)],
        "batch_us_per_event": round(statistics.median(per_event), 2),
        "batch_us_per_event_range": [round(min(per_event), 2), round(max(per_event), 2)],
        "batch_ratio": round(statistics.median(ratios["batch"]), 2),
        "us_per_request": {
            name: round(statistics.median(r["us_per_request"] for r in results), 1) for name, results in found.items()
        },
        "ingest_resident_mib": round(memory, 1),
    }


def main() -> None:
    """Read the options, measure, print JSON last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--apache", action="store_true", help="on Apache Kafka instead of the embedded broker")
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--partitions", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with ExitStack() as started:
        scratch = Path(started.enter_context(tempfile.TemporaryDirectory(prefix="uptake-bench-")))
        found = run(options, scratch, started)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
