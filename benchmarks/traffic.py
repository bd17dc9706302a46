"""The product under load over HTTP: the stack as a user starts it, and senders of batches with keys of their own.

A batch counts as sent when ingest answered 202 for all of it. A batch refused with 503 is sent again, as the contract
asks of every sender; any other answer ends the benchmark.
"""

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from benchmarks import engines, measure, office
from benchmarks.office import Office
from schemas.topics import person_key, shard_of
from services import postgres
from services.embedded import Postgres, fresh_directory
from services.postgres import Connection
from tests.stack import Stack

SECRET: Final = "s" * 43
KEY: Final = f"upt_bench001_{SECRET}"
BATCH: Final = 100
CONNECTIONS: Final = 4
PARTITIONS: Final = 12
DATABASE: Final = "product"
_PROBES: Final = """
with named as (select 'probe-' || g as name from generate_series(0, $2::int - 1) as g),
licensed as (insert into licence (tenant, user_id, licensed_from) select $1, name, $3::date - 30 from named),
known as (insert into person (tenant, user_id) select $1, name from named)
insert into membership (tenant, user_id, valid_from, team) select $1, name, date '0001-01-01', name from named
"""
_QUEUE: Final = "insert into directory_change (tenant, user_id, shard) values ($1, $2, $3)"
SERVICES: Final = re.compile(r"-m (services\.\w+)")


@dataclass
class Product:
    """A running stack, and the engines below it."""

    stack: Stack
    server: Postgres
    url: str

    @property
    def ingest(self) -> str:
        """Return the URL of the ingest service."""
        return str(self.stack.ready["ingest"])

    def services(self) -> dict[str, int]:
        """Return the process of each service by name."""
        found = {}
        for pid in measure.family(self.stack.pid):
            if match := SERVICES.search(measure.command_of(pid)):
                found[match[1].removeprefix("services.")] = pid
        return found

    def cpu(self) -> dict[str, float]:
        """Return the CPU seconds used by each of our processes, and by Postgres."""
        assert self.server.pid is not None
        ours = {name: measure.cpu_alone(pid) for name, pid in self.services().items()}
        return {**ours, "postgres": measure.cpu(self.server.pid)}


@contextmanager
def product(broker: str, people: Office, *, probes: int = 0, settings: Mapping[str, str]) -> Iterator[Product]:
    """Run the product with ``people`` in its directory, and ``probes`` people with a team of their own."""
    with engines.broker(broker) as kafka, engines.database() as server:
        url = server.url(DATABASE)
        asyncio.run(_prepare(server, kafka, people, probes))
        stack = Stack(fresh_directory())
        try:
            tried: dict[str, Any] = {"partitions": PARTITIONS, **settings}
            stack.start(kafka=kafka, database=url, **tried)
            yield Product(stack, server, url)
        finally:
            stack.remove()


async def _prepare(server: Postgres, kafka: str, people: Office, probes: int) -> None:
    await engines.make_database(server, DATABASE, kafka, PARTITIONS)
    connection = await postgres.connect(server.url(DATABASE), name="benchmark")
    await office.furnish(connection, people, PARTITIONS)
    await connection.execute(_PROBES, office.TENANT, probes, people.first_day)
    await connection.executemany(_QUEUE, [_home(number) for number in range(probes)])
    await connection.execute(
        "insert into api_key (id, tenant, secret_hash, scopes) values ('bench001', $1, $2, '{ingest}')",
        office.TENANT,
        hashlib.sha256(SECRET.encode()).digest(),
    )
    await connection.close()


def probe_name(number: int) -> str:
    """Return the user, and the team, of a probe."""
    return f"probe-{number}"


def _home(probe: int) -> tuple[str, str, int]:
    name = probe_name(probe)
    return office.TENANT, name, shard_of(person_key(office.TENANT, name), PARTITIONS)


def batches(events: Iterable[dict[str, Any]], count: int) -> Iterator[bytes]:
    """Yield the bodies of ``count`` events in batches."""
    source = islice(events, count)
    while batch := list(islice(source, BATCH)):
        yield msgspec.json.encode(batch)


@dataclass
class Sender:
    """One connection to ingest."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    head: bytes
    refused: int = 0

    async def send(self, body: bytes) -> None:
        """Send one batch until it is accepted."""
        while True:
            self.writer.write(self.head + b"content-length: %d\r\n\r\n" % len(body) + body)
            answer = await self.reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", answer)
            said = await self.reader.readexactly(int(length[1])) if length else b""
            status = answer[9:12]
            if status == b"202" and not msgspec.json.decode(said).get("rejected"):
                return
            if status != b"503":
                raise SystemExit(f"WRONG: ingest answered {answer!r} {said[:300]!r}")
            self.refused += 1
            await asyncio.sleep(0.2)


@asynccontextmanager
async def senders(url: str, count: int = CONNECTIONS) -> AsyncIterator[list[Sender]]:
    """Open connections to ingest."""
    where = urlsplit(url)
    head = (
        f"POST /v1/events HTTP/1.1\r\nhost: {where.netloc}\r\nauthorization: Bearer {KEY}\r\n"
        "content-type: application/cloudevents-batch+json\r\n"
    ).encode()
    opened = [Sender(*await asyncio.open_connection(where.hostname, where.port), head) for _ in range(count)]
    try:
        yield opened
    finally:
        for sender in opened:
            sender.writer.close()


@dataclass
class Pace:
    """When the next batch is due; without a rate at once."""

    rate: float = 0.0
    sent: int = 0
    started: float = field(default_factory=time.monotonic)

    async def turn(self) -> None:
        """Wait until the next batch is due."""
        self.sent += BATCH
        if self.rate:
            await asyncio.sleep(max(0.0, self.started + self.sent / self.rate - time.monotonic()))


async def send_all(opened: Sequence[Sender], bodies: Iterator[bytes], pace: Pace) -> None:
    """Send ``bodies`` over all connections, each as soon as it is free and the pace allows it."""

    async def one(sender: Sender) -> None:
        for body in bodies:
            await pace.turn()
            await sender.send(body)

    await asyncio.gather(*(one(sender) for sender in opened))


async def until_enrolled(connection: Connection) -> None:
    """Wait until the probes' people are counted."""
    for _ in range(600):
        if not await connection.fetchval("select exists (select from directory_change)"):
            return
        await asyncio.sleep(0.1)
    raise SystemExit("WRONG: the directory was not followed")


async def until_folded(connection: Connection, count: int, *, seconds: float = 180.0) -> None:
    """Wait until ``count`` events are in the windows.

    Raises:
        SystemExit: nothing moved for ``seconds``.
    """
    moved_at, before = time.monotonic(), -1
    while (total := (await office.folded(connection)).folded) < count:
        if total > before:
            moved_at, before = time.monotonic(), total
        if time.monotonic() - moved_at > seconds:
            raise SystemExit(f"WRONG: stalled at {total} of {count} events")
        await asyncio.sleep(0.05)
