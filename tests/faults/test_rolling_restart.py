"""Every service is replaced, one process after the other, under load: nobody who tries again notices.

Two of each run. Meanwhile events are sent, windows and alerts are read, streams are followed, a webhook is told.
``ROLLING_ROUNDS=2`` replaces not one but both of each, ``ROLLING_BROKER=apache_kafka`` runs it on Apache Kafka.
"""

import asyncio
import base64
import json
import os
from collections import Counter
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from services import installation
from services.postgres import Pool, transaction
from tests.builders import NOON, SHARDS, LogServer, add_tenant, enter
from tests.counts import say
from tests.egress.receiver import Receiver
from tests.faults.fleet import Balancer, Client, Fleet
from tests.faults.nursery import SERVICES, prepare
from tests.ingest.service import ADMIN, BATCH, add_key
from tests.notifier.desk import KEY, key, subscribe
from tests.oracle import Entry, Spell, brute_force, cells
from tests.patience import until

pytestmark = pytest.mark.faults

ROUNDS = int(os.environ.get("ROLLING_ROUNDS", "1"))
BROKERS = {"tansu": "tansu", "apache_kafka": "_emptied_apache"}
HEADERS = {"authorization": f"Bearer {ADMIN}", "uptake-tenant": "acme"}
PEOPLE = {
    f"u{n}": Entry([Spell(date(1, 1, 1), None, "AB"[n % 2], "xy"[n % 3 % 2])], NOON.date(), None) for n in range(12)
}
ABSENT = 3
"""So many of them never come, so that there is something to tell."""
SENDERS = 8
LINGER_MS = 300
"""Requests last so long that at times all are under way: then ingest is told to stop."""
EACH = 5
PATHS = ("/v1/windows?dimension=team", "/v1/alerts", "/v1/status?wait=0")


class Load:
    """Senders, readers and followers, all at once."""

    def __init__(self, fleet: Fleet, balancer: Balancer) -> None:
        self._fleet = fleet
        self._balancer = balancer
        self._stop = asyncio.Event()
        self.events: list[dict[str, Any]] = []
        self.sent: Counter[str] = Counter()
        self.read: Counter[str] = Counter()
        self.streams: list[list[int]] = [[], []]
        self.breaks = 0
        self._asking = 0
        work = [*map(self._send, range(SENDERS)), *map(self._read, PATHS), *map(self._follow, self.streams)]
        self._tasks = [asyncio.create_task(each) for each in work]

    def _batch(self, number: int) -> list[dict[str, Any]]:
        return [
            {
                "specversion": "1.0",
                "source": "crm",
                "id": f"e{n}",
                "type": "crm.session.login" if n % 3 else "crm.record.updated",
                "time": (NOON + timedelta(minutes=7 * n)).isoformat(),
                "data": {"user": f"u{ABSENT + n % (len(PEOPLE) - ABSENT)}"},
            }
            for n in range(number * EACH, number * EACH + EACH)
        ]

    async def _send(self, sender: int) -> None:
        client, number = Client(self.sent, **HEADERS, **{"content-type": BATCH}), sender
        while not self._stop.is_set():
            batch = self._batch(number)
            self._asking += 1
            await client.ask("POST", lambda: f"{self._fleet.ingest}/v1/events", content=json.dumps(batch))
            self._asking -= 1
            self.events += batch
            number += SENDERS
            await asyncio.sleep(0.02)
            if sender == 0:  # one that opens a connection for each request
                await client.http.aclose()
                client = Client(self.sent, **HEADERS, **{"content-type": BATCH})
        await client.http.aclose()

    async def _read(self, path: str) -> None:
        client = Client(self.read, **HEADERS)
        while not self._stop.is_set():
            await client.ask("GET", lambda: f"{self._balancer.url}{path}")
            await asyncio.sleep(0.02)
        await client.http.aclose()

    async def _follow(self, seen: list[int]) -> None:
        async with httpx.AsyncClient(headers=HEADERS) as client:
            while True:
                address = f"{self._balancer.url}/v1/alerts/stream?after={seen[-1] if seen else 0}"
                try:
                    async with client.stream("GET", address) as answer:
                        self.read[str(answer.status_code)] += 1
                        async for line in answer.aiter_lines():
                            if line.startswith("data: "):
                                seen.append(json.loads(line[6:])["seq"])  # noqa: PERF401 - it counts while it comes
                except httpx.TransportError as error:
                    self.read[f"cut: {type(error).__name__}"] += 1
                self.breaks += 1

    async def go_on(self) -> None:
        """Wait until every kind of request was answered some more times."""
        for counts in (self.sent, self.read):
            wanted = counts.total() + 12
            await until(lambda counts=counts, wanted=wanted: self._more(counts, wanted))  # type: ignore[misc]

    def busy(self) -> bool:
        """Tell whether every sender waits for an answer."""
        return self._asking == SENDERS

    def _more(self, counts: Counter[str], wanted: int) -> bool:
        for task in self._tasks:
            if task.done():
                task.result()
        return counts.total() >= wanted

    async def stop(self) -> None:
        """Let senders and readers finish what they are about."""
        self._stop.set()
        await asyncio.gather(*self._tasks[: -len(self.streams)])

    async def end(self) -> None:
        """Follow no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def furnish(pool: Pool, address: str) -> None:
    async with transaction(pool) as tx:
        await add_tenant(tx, min_group=1, day_counting="calendar")
        await add_key(tx, ADMIN, tenant=None, scopes=["admin"])
        await tx.execute(
            "insert into wave (tenant, id, name, go_live, scope) values ('acme', 'w', 'W', $1, '{}')", NOON.date()
        )
        await key(tx)
        await subscribe(tx, "ops", address)
    for user, entry in PEOPLE.items():
        await enter(pool, user, entry, SHARDS)


@pytest.fixture
def log(request: pytest.FixtureRequest) -> LogServer:
    server: LogServer = request.getfixturevalue(BROKERS[os.environ.get("ROLLING_BROKER", "tansu")])
    return server


@pytest.fixture
async def fleet(log: LogServer, database: str, tmp_path: Path) -> AsyncIterator[Fleet]:
    prepare(*SERVICES)
    await installation.make_topics(database, log.address, partitions=SHARDS, replication=1)
    made = Fleet(
        tmp_path,
        database=database,
        kafka=log.address,
        seal_key=base64.b64encode(KEY).decode(),
        delivery_networks="127.0.0.0/8",
        session_ms=3000,
        publish_seconds=60,
        drain_seconds=0.5,
        linger_ms=LINGER_MS,
    )
    yield made
    made.dismiss()


async def all_told(pool: Pool, load: Load) -> bool:
    newest = await pool.fetchval("select max(seq) from alert_change")
    left = await pool.fetchval(
        """select (select count(*) from delivery where state <> 'delivered')
             + (select count(*) from subscription s where s.cursor < $1)""",
        newest,
    )
    return bool(newest and left == 0 and all(seen and seen[-1] == newest for seen in load.streams))


async def all_counted(pool: Pool, events: int) -> bool:
    """Tell whether all events are folded, and everything is judged that follows from them."""
    folded = await pool.fetchval("select coalesce(sum(folded), 0) from tally")
    judged = await pool.fetchval(
        "select (select sum(version) from tally) = (select version from evaluation)"
        " and not exists (select from to_judge) and not exists (select from dirty)"
    )
    return bool(folded >= events and judged)


async def test_every_service_is_replaced_and_nobody_who_tries_again_notices(pool: Pool, fleet: Fleet) -> None:
    async with Receiver() as receiver:
        await furnish(pool, receiver.url)
        await fleet.launch()
        balancer = Balancer(fleet)
        await until(balancer.known)
        load = Load(fleet, balancer)
        try:
            statuses = []
            for name in SERVICES * ROUNDS:
                await load.go_on()
                statuses.append(await fleet.replace(name, load.busy))
            await load.go_on()
            await load.stop()
            await until(lambda: all_counted(pool, len(load.events)))
            await until(lambda: all_told(pool, load))
        finally:
            await load.end()
            await balancer.stop()

    days = [NOON.date() + timedelta(n) for n in range(-1, 30 + len(load.events) // 200)]
    folded, copies = await pool.fetchrow("select sum(folded)::int, sum(duplicates)::int from tally")
    ids = Counter(each.headers["webhook-id"] for each in receiver.came)
    changes = [row["seq"] for row in await pool.fetch("select seq from alert_change order by seq")]
    say(
        f"{len(statuses)} processes replaced: {len(load.events)} events in {dict(load.sent)}, read {dict(load.read)},"
        f" copies {copies}; {len(changes)} changes, streams broke {load.breaks} times, {len(ids)} messages,"
        f" {ids.total() - len(ids)} of them again"
    )
    assert statuses == [0] * len(statuses)
    assert (folded, copies) == (len(load.events), 0)
    assert await cells(pool, days) == brute_force(PEOPLE, load.events, days)
    assert load.streams == [changes] * len(load.streams)
    assert set(ids.values()) == {1}
