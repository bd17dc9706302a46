"""Where deliveries land while Kafka is away, the spool is full, or one tenant or source sends too much."""

import asyncio
import json
import os
import random
import signal
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.kafka.node import Node
from schemas.events import decode
from services import installation, postgres
from services.embedded import Broker
from tests.builders import NOON, SHARDS
from tests.counts import say
from tests.ingest.deliveries import SECRET
from tests.ingest.service import ACME_HEADERS, BATCH, Ingest, add_key, add_source, cloud_event, key, on_the_log
from tests.ingest.test_letters import letters_of, seal_of_house
from tests.patience import until

pytestmark = pytest.mark.faults
NEUTRAL = {"type": "crm.record.viewed", "data": {"user": "u1", "origin": "ui"}}


def lead(number: int, **fields: Any) -> dict[str, Any]:
    at = (NOON + timedelta(seconds=number)).strftime("%Y-%m-%d %H:%M:%S")
    return {"_model": "crm.lead", "_id": number, "write_uid": 7, "create_date": at, "write_date": at, **fields}


def odoo(service: Ingest, body: Any, source: str = "odoo-sales") -> httpx.Response:
    return service.deliver(f"{source}/lead/create/{SECRET}", body)


async def many_names(count: int) -> dict[str, str]:
    return {f"{random.getrandbits(400):x}": "x" for _ in range(count)}


async def test_what_was_spooled_survives_a_kill_and_lands_once(tansu: Broker, furnished: str, state: Path) -> None:
    await installation.make_topics(furnished, tansu.address, partitions=SHARDS, replication=1)
    service = Ingest(state, kafka=tansu.address, database=furnished).start()
    await asyncio.to_thread(odoo, service, lead(0))
    tansu.kill()
    answers = [await asyncio.to_thread(odoo, service, lead(number)) for number in range(1, 31)]
    unusable = await asyncio.to_thread(odoo, service, {"_model": 7, "note": "Smith"})
    spooled = service.metrics()
    service.stop(signal.SIGKILL)
    tansu.start()
    await installation.make_topics(furnished, tansu.address, partitions=SHARDS, replication=1)
    service.start()
    try:
        await until(lambda: _is_empty(service))
        landed = await on_the_log(tansu.address, at_least=30)
        letters = await letters_of(tansu.address, await seal_of_house(furnished))
    finally:
        service.stop()

    records = Counter(json.loads(record.value)["data"]["record"] for record in landed)
    slowest = max(answer.elapsed.total_seconds() for answer in answers)
    say(f"{len(answers)} taken while Kafka was away, then a kill: {len(records)} landed, slowest {slowest:.3f} s")
    assert {answer.status_code for answer in answers} == {200}
    assert unusable.status_code == 400
    assert spooled["uptake_ingest_spool_events"] == 31
    assert spooled["uptake_ingest_spool_bytes"] > 0
    assert records == {str(number): 1 for number in range(1, 31)}
    assert [record.timestamp for record in landed] == sorted(record.timestamp for record in landed)
    assert [json.loads(letter.body)["note"] for _, letter, _ in letters] == ["Smith"]
    assert b"Smith" not in (state / "spool.sqlite").read_bytes()


async def _is_empty(service: Ingest) -> bool:
    return (await asyncio.to_thread(service.metrics))["uptake_ingest_spool_events"] == 0


async def test_ingest_that_starts_without_kafka_takes_what_is_never_sent_again(
    tansu: Broker, furnished: str, state: Path
) -> None:
    await installation.make_topics(furnished, tansu.address, partitions=SHARDS, replication=1)
    Ingest(state, kafka=tansu.address, database=furnished).start().stop()
    os.kill(tansu.pid or 0, signal.SIGSTOP)
    service = Ingest(state, kafka=tansu.address, database=furnished).start(ready=False)
    try:
        taken = await asyncio.to_thread(odoo, service, lead(1))
        refused = await asyncio.to_thread(
            service.deliver,
            "custom-crm",
            {"id": "x", "type": "crm.record.updated"},
            headers={"x-uptake-secret": SECRET},
        )
        wrong = await asyncio.to_thread(service.wrong)
        os.kill(tansu.pid or 0, signal.SIGCONT)
        await until(lambda: _is_empty(service))
    finally:
        os.kill(tansu.pid or 0, signal.SIGCONT)
        service.stop()

    assert (taken.status_code, refused.status_code) == (200, 503)
    assert int(refused.headers["retry-after"]) >= 1
    assert wrong.keys() == {"kafka"}
    assert len(await on_the_log(tansu.address, at_least=1)) == 1


async def test_a_full_spool_is_told_and_refuses_until_kafka_is_back(
    apache_kafka: Node, furnished: str, state: Path
) -> None:
    await installation.make_topics(furnished, apache_kafka.address, partitions=SHARDS, replication=1)
    service = Ingest(state, kafka=apache_kafka.address, database=furnished, spool_mib=1).start()
    apache_kafka.kill()
    try:
        names = await many_names(500)
        answers = [await asyncio.to_thread(odoo, service, lead(number, **names)) for number in range(30)]
        full = await asyncio.to_thread(odoo, service, lead(99, **names))
        wrong = await asyncio.to_thread(service.wrong)
        await asyncio.to_thread(apache_kafka.start)
        await until(lambda: _is_empty(service))
        again = await asyncio.to_thread(odoo, service, lead(100))
        await until(lambda: _is_empty(service))
    finally:
        service.stop()

    codes = [answer.status_code for answer in answers]
    taken = codes.count(200)
    assert codes == [200] * taken + [503] * (30 - taken)
    assert (5 < taken < 30, full.status_code, again.status_code) == (True, 503, 200)
    assert wrong.get("spool", "is full") == "is full"
    landed = await on_the_log(apache_kafka.address, at_least=taken + 1)
    assert len({decode(record.value).id for record in landed}) == taken + 1


async def test_an_end_that_is_asked_for_empties_the_spool_as_far_as_it_can(
    tansu: Broker, furnished: str, state: Path
) -> None:
    await installation.make_topics(furnished, tansu.address, partitions=SHARDS, replication=1)
    service = Ingest(state, kafka=tansu.address, database=furnished).start()
    tansu.kill()
    assert (await asyncio.to_thread(odoo, service, lead(1))).status_code == 200
    status = await asyncio.to_thread(service.stop)
    tansu.start()
    await installation.make_topics(furnished, tansu.address, partitions=SHARDS, replication=1)
    await asyncio.to_thread(service.start)
    await until(lambda: _is_empty(service))
    service.stop()

    assert status == 0
    assert len(await on_the_log(tansu.address, at_least=1)) == 1


async def test_a_tenant_that_takes_the_room_of_others_is_limited_and_others_are_not(
    tansu: Broker, furnished: str, state: Path
) -> None:
    await installation.make_topics(furnished, tansu.address, partitions=SHARDS, replication=1)
    connection = await postgres.connect(furnished, name="tests")
    await add_key(connection, key("glo00001"), tenant="globex")
    await connection.close()
    service = Ingest(
        state, kafka=tansu.address, database=furnished, max_pending_mib=1, publish_seconds=6, registry_seconds=60
    ).start()
    os.kill(tansu.pid or 0, signal.SIGSTOP)
    try:
        names = await many_names(800)
        large = [cloud_event(number, data={"fields": names}) for number in range(10)]
        async with httpx.AsyncClient(headers={**ACME_HEADERS, "content-type": BATCH}) as client:
            heavy = asyncio.create_task(client.post(f"{service.url}/v1/events", json=large))
            await until(lambda: _waits(service, 400_000))
            limited = await client.post(f"{service.url}/v1/events", json=[cloud_event()])
            custom = await client.post(
                f"{service.url}/v1/hooks/custom-crm", json={"id": "x"}, headers={"x-uptake-secret": SECRET}
            )
            spooled = await asyncio.to_thread(odoo, service, lead(1))
            began = time.monotonic()
            other = await client.post(
                f"{service.url}/v1/events", json=[cloud_event()], headers={"authorization": f"Bearer {key('glo00001')}"}
            )
            waited = time.monotonic() - began
            answered = await heavy
    finally:
        os.kill(tansu.pid or 0, signal.SIGCONT)
        service.stop()

    assert (limited.status_code, custom.status_code, spooled.status_code) == (429, 429, 200)
    assert [int(answer.headers["retry-after"]) >= 1 for answer in (limited, custom)] == [True, True]
    assert (other.status_code, answered.status_code) == (503, 503)
    assert waited > 0.5


async def _waits(service: Ingest, size: int) -> bool:
    return (await asyncio.to_thread(service.metrics))["uptake_ingest_pending_bytes"] > size


async def test_a_source_that_sends_faster_than_it_may_is_told_when_to_come_back(
    house: Ingest, house_database: str
) -> None:
    connection = await postgres.connect(house_database, name="tests")
    await add_source(connection, "slow", "custom", SECRET, requests_per_second=1)
    await add_source(connection, "odoo-slow", "odoo", SECRET, requests_per_second=1)
    await connection.close()

    async def post(number: int) -> httpx.Response:
        return await asyncio.to_thread(house.deliver, f"slow/{SECRET}", {**NEUTRAL, "id": f"slow-{number}"})

    answers = await asyncio.gather(*(post(number) for number in range(24)))
    refused = [answer for answer in answers if answer.status_code == 429]
    spared = [await asyncio.to_thread(odoo, house, lead(number), "odoo-slow") for number in range(5)]
    await asyncio.sleep(int(refused[-1].headers["retry-after"]))

    assert len(answers) - len(refused) >= 2
    assert all(answer.headers["retry-after"] == "1" for answer in refused)
    assert (await post(99)).status_code != 429
    assert {answer.status_code for answer in spared} == {200}, "Odoo never comes again: it is not sent away"
