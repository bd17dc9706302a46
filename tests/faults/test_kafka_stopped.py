"""Kafka stops for a while under load. Whatever its manners, no sender loses what was acknowledged, or counts it twice.

``KAFKA_STOPPED_SECONDS`` says for how long it stops; a killed broker needs some seconds more to start again.
"""

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from services import installation, postgres
from services.postgres import Pool
from tests.builders import NOON, SHARDS
from tests.counts import say
from tests.crew import Crew
from tests.ingest.conftest import furnish
from tests.ingest.deliveries import SECRET
from tests.ingest.service import ACME_HEADERS, SINGLE, Ingest, on_the_log
from tests.patience import until

pytestmark = pytest.mark.faults

FROZEN_SECONDS = float(os.environ.get("KAFKA_STOPPED_SECONDS", "4"))
PUBLISH_SECONDS = 2
KILLED_SECONDS = float(os.environ.get("KAFKA_STOPPED_SECONDS", "4"))
Ask = Callable[[str, int], tuple[str, bytes, dict[str, str]]]
EACH = 3
"""Senders of each kind."""


def moment(number: int) -> str:
    return (NOON + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ")


class Sender:
    """Senders of one kind. One that repeats does so until it is acknowledged; one that does not goes on."""

    def __init__(self, name: str, ask: Ask, *, repeats: bool) -> None:
        self.name = name
        self._ask = ask
        self._repeats = repeats
        self._stop = asyncio.Event()
        self.acknowledged = 0
        self.unanswered = 0
        self.answers: Counter[int] = Counter()
        self.seconds: list[tuple[float, float]] = []
        self._tasks = [asyncio.create_task(self._send(number)) for number in range(EACH)]

    async def _send(self, sender: int) -> None:
        number = sender
        async with httpx.AsyncClient() as client:
            while not self._stop.is_set():
                acknowledged = await self._deliver(client, number)
                if acknowledged or not self._repeats:
                    number += EACH
                await asyncio.sleep(0.05 if acknowledged else 0.3)

    async def _deliver(self, client: httpx.AsyncClient, number: int) -> bool:
        address, body, headers = self._ask(self.name, number)
        began = time.monotonic()
        try:
            answer = await client.post(address, content=body, headers=headers)
        except httpx.TransportError:
            self.unanswered += 1
            return False
        self.seconds.append((began, time.monotonic() - began))
        self.answers[answer.status_code] += 1
        self.acknowledged += answer.is_success
        return answer.is_success

    async def stop(self) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks)

    def waited(self, since: float) -> list[float]:
        """Return how long the answers took to what was sent since, in their order."""
        return sorted(seconds for began, seconds in self.seconds if began >= since)


def senders(url: Callable[[], str]) -> list[Sender]:
    def odoo(name: str, number: int) -> tuple[str, bytes, dict[str, str]]:
        at = (NOON + timedelta(seconds=number)).strftime("%Y-%m-%d %H:%M:%S")
        body = {"_model": "crm.lead", "_id": number, "write_uid": number % 9, "create_date": at, "write_date": at}
        return f"{url()}/v1/hooks/odoo-sales/lead/create/{SECRET}", json.dumps(body).encode(), {"x-name": name}

    def custom(name: str, number: int) -> tuple[str, bytes, dict[str, str]]:
        data = {"user": f"c{number % 9}", "object": "deal", "record": str(number)}
        body = {"id": f"{name}-{number}", "type": "crm.record.updated", "time": moment(number), "data": data}
        return f"{url()}/v1/hooks/custom-crm", json.dumps(body).encode(), {"x-uptake-secret": SECRET}

    def events(name: str, number: int) -> tuple[str, bytes, dict[str, str]]:
        body = {
            "specversion": "1.0",
            "id": f"{name}-{number}",
            "source": "/events",
            "type": "crm.record.updated",
            "time": moment(number),
            "data": {"user": f"e{number % 9}"},
        }
        return f"{url()}/v1/events", json.dumps(body).encode(), {**ACME_HEADERS, "content-type": SINGLE}

    return [
        Sender("odoo", odoo, repeats=False),
        Sender("custom", custom, repeats=True),
        Sender("events", events, repeats=True),
    ]


async def counted(pool: Pool) -> dict[str, int]:
    """Return by sender how many events are counted."""
    rows = await pool.fetch("select source, sum(events)::int as events from source_seen group by 1")
    return {row["source"]: row["events"] for row in rows}


def do_harm(broker: Any, harm: str) -> None:
    if harm == "frozen":
        os.kill(broker.pid, signal.SIGSTOP)
    else:
        broker.kill()


def undo(broker: Any, harm: str) -> None:
    if harm == "frozen":
        os.kill(broker.pid, signal.SIGCONT)
    else:
        broker.start()


async def run(broker: Any, database: str, state: Path, harm: str, seconds: float) -> None:
    await furnish(database)
    await installation.make_topics(database, broker.address, partitions=SHARDS, replication=1)
    service = Ingest(state, kafka=broker.address, database=database, publish_seconds=PUBLISH_SECONDS).start()
    crew = Crew(database, broker.address, SHARDS, state / "diary")
    pool = await postgres.connect_pool(database, name="tests")
    load, began = senders(lambda: service.url), time.monotonic()
    try:
        crew.hire()
        await until(lambda: _acknowledged(load) > 20)
        since = time.monotonic()
        await asyncio.to_thread(do_harm, broker, harm)
        await asyncio.sleep(seconds)
        await until(lambda: load[2].answers[503])
        meanwhile = await until(lambda: load[0].waited(since))
        measured, by_then = await asyncio.to_thread(service.metrics), time.monotonic() - began
        wrong = await until(lambda: asyncio.to_thread(service.wrong))
        await asyncio.to_thread(undo, broker, harm)
        stood = time.monotonic() - since
        await until(lambda: _emptied(service))
        more = _acknowledged(load) + 20
        await until(lambda: _acknowledged(load) > more)
        for sender in load:
            await sender.stop()
        names = ["/hooks/odoo-sales", "/hooks/custom-crm", "/events"]
        wanted = {name: sender.acknowledged for name, sender in zip(names, load, strict=True)}
        records = await on_the_log(broker.address, at_least=sum(wanted.values()))
        identities = Counter((event["source"], event["id"]) for event in (json.loads(it.value) for it in records))
        await until(lambda: _is_counted(pool, len(records)))
        folded = await pool.fetchval("select sum(folded)::int from tally")
        found = await counted(pool)
    finally:
        status = service.stop()
        crew.dismiss()
        await postgres.close_pool(pool)
    median, p99 = meanwhile[len(meanwhile) // 2], meanwhile[int(len(meanwhile) * 0.99)]
    spooled, age = (measured[f"uptake_ingest_spool_{name}"] for name in ("events", "oldest_seconds"))
    off = {name: found.get(name, 0) - count for name, count in wanted.items()}
    say(
        f"{harm} for {stood:.0f} s: acknowledged {list(wanted.values())}, counted too few or too often"
        f" {list(off.values())}; spooled {spooled:.0f}, copies on the log {len(records) - len(identities)};"
        f" odoo meanwhile median {median * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms"
    )

    assert found == wanted
    assert folded == len(identities)
    assert load[0].answers.keys() == {200}
    assert load[0].unanswered == 0
    assert spooled > 0
    assert 0 < age < by_then
    assert wrong.keys() == {"kafka"}
    assert median < PUBLISH_SECONDS  # it waits for no acknowledgement
    assert status == 0
    assert "Traceback" not in service.log


def _acknowledged(load: list[Sender]) -> int:
    return sum(sender.acknowledged for sender in load)


async def _emptied(service: Ingest) -> bool:
    return (await asyncio.to_thread(service.metrics))["uptake_ingest_spool_events"] == 0


async def _is_counted(pool: Pool, records: int) -> bool:
    return bool(await pool.fetchval("select coalesce(sum(folded + duplicates), 0) from tally") >= records)


async def test_kafka_stands_still_for_a_while(tansu: Any, database: str, tmp_path: Path) -> None:
    await run(tansu, database, tmp_path, "frozen", FROZEN_SECONDS)


async def test_kafka_is_killed_and_comes_back(apache_kafka: Any, database: str, tmp_path: Path) -> None:
    await run(apache_kafka, database, tmp_path, "killed", KILLED_SECONDS)
