"""What ingest does when Kafka, Postgres or it itself is stopped, killed or away: never a lost acknowledged event."""

import asyncio
import os
import random
import signal
import stat
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from schemas.events import decode
from schemas.topics import EVENTS
from services import installation, postgres
from services.embedded import Broker, Postgres
from tests.builders import SHARDS
from tests.counts import say
from tests.ingest.conftest import furnish
from tests.ingest.service import ACME_HEADERS, ADMIN, BATCH, Ingest, add_key, cloud_event, key, on_the_log
from tests.patience import until

pytestmark = pytest.mark.faults


class Senders:
    """Several senders that repeat each event until it is acknowledged, as real ones do."""

    def __init__(self, url: Callable[[], str], count: int = 8) -> None:
        self._url = url
        self._stop = asyncio.Event()
        self.acknowledged: list[str] = []
        self.answers: dict[int, int] = {}
        self._tasks = [asyncio.create_task(self._send(number)) for number in range(count)]

    async def _send(self, sender: int) -> None:
        number = 0
        async with httpx.AsyncClient() as client:
            while not self._stop.is_set():
                ids = [f"{sender}-{number}-{part}" for part in range(5)]
                body = [cloud_event(name) for name in ids]
                try:
                    headers = {**ACME_HEADERS, "content-type": BATCH}
                    answer = await client.post(f"{self._url()}/v1/events", json=body, headers=headers)
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
                    continue
                self.answers[answer.status_code] = self.answers.get(answer.status_code, 0) + 1
                if answer.status_code == 202:
                    self.acknowledged += [f"event-{name}" for name in ids]
                    number += 1
                else:
                    assert answer.status_code == 503
                    assert int(answer.headers["retry-after"]) >= 1
                    await asyncio.sleep(0.1)

    async def go_on(self, events: int = 5) -> None:
        """Wait until that many more events were acknowledged."""
        before = len(self.acknowledged)
        await until(lambda: len(self.acknowledged) >= before + events)

    async def stop(self) -> None:
        """Let each finish what it is about."""
        self._stop.set()
        await asyncio.gather(*self._tasks)


async def lost(bootstrap: str, acknowledged: list[str]) -> set[str]:
    """Return the acknowledged events that are not on the log."""
    records = await on_the_log(bootstrap)
    return set(acknowledged) - {decode(record.value).id for record in records}


def freeze(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)


def thaw(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGCONT)


async def test_a_frozen_kafka_is_answered_503_in_time_and_nothing_acknowledged_is_lost(
    broker: Any, furnished: str, state: Path
) -> None:
    await installation.make_topics(furnished, broker.address, partitions=SHARDS, replication=1)
    service = Ingest(state, kafka=broker.address, database=furnished, publish_seconds=1).start()
    senders = Senders(lambda: service.url)
    try:
        for turn in range(2):
            await senders.go_on()
            freeze(broker.pid)
            await asyncio.sleep(5)
            await until(lambda refused=8 * turn: senders.answers.get(503, 0) >= refused + 8)  # type: ignore[misc]
            wrong = await until(lambda: asyncio.to_thread(service.wrong))
            thaw(broker.pid)
            assert "kafka" in wrong
            await senders.go_on()
        await until(lambda: asyncio.to_thread(service.is_ready))
        await senders.stop()
    finally:
        status = service.stop()

    assert status == 0
    assert await lost(broker.address, senders.acknowledged) == set()
    assert "Traceback" not in service.log
    say(f"{len(senders.acknowledged)} acknowledged, 0 lost; answers {senders.answers}")


async def test_a_killed_ingest_has_lost_nothing_that_it_acknowledged(broker: Any, furnished: str, state: Path) -> None:
    await installation.make_topics(furnished, broker.address, partitions=SHARDS, replication=1)
    service = Ingest(state, kafka=broker.address, database=furnished).start()
    senders = Senders(lambda: service.url)
    for _ in range(3):
        await senders.go_on(100)
        assert await asyncio.to_thread(service.stop, signal.SIGKILL) == -signal.SIGKILL
        await asyncio.to_thread(service.start)
    await senders.go_on(100)
    await senders.stop()
    service.stop()

    assert await lost(broker.address, senders.acknowledged) == set()
    say(f"{len(senders.acknowledged)} acknowledged, 3 kills, 0 lost")


async def test_an_ingest_that_answers_before_the_acknowledgement_is_noticed(
    tansu: Broker, furnished: str, state: Path
) -> None:
    await installation.make_topics(furnished, tansu.address, partitions=SHARDS, replication=1)
    hasty = Ingest(state, kafka=tansu.address, database=furnished, module="tests.faults.hasty_ingest").start()
    senders = Senders(lambda: hasty.url)
    await senders.go_on()
    freeze(tansu.pid)
    await senders.go_on(200)
    assert await asyncio.to_thread(hasty.stop, signal.SIGKILL) == -signal.SIGKILL
    thaw(tansu.pid)
    await asyncio.to_thread(hasty.start)
    await senders.stop()
    hasty.stop()

    assert await lost(tansu.address, senders.acknowledged)


async def test_an_ingest_that_is_told_to_stop_answers_what_is_under_way_and_exits_0(
    tansu: Broker, furnished: str, state: Path
) -> None:
    await installation.make_topics(furnished, tansu.address, partitions=SHARDS, replication=1)
    service = Ingest(state, kafka=tansu.address, database=furnished, publish_seconds=60).start()
    senders = Senders(lambda: service.url)
    await senders.go_on()
    seen = asyncio.create_task(_what_is_wrong_until_the_door_closes(service))
    await asyncio.sleep(0.2)
    status = await asyncio.to_thread(service.stop)
    await senders.stop()

    assert {"process": "stopping"} in await seen
    assert status == 0
    assert set(senders.answers) == {202}
    assert await lost(tansu.address, senders.acknowledged) == set()


async def _what_is_wrong_until_the_door_closes(service: Ingest) -> list[dict[str, str]]:
    seen = []
    async with httpx.AsyncClient() as client:
        while True:
            try:
                seen.append((await client.get(f"{service.url}/readyz")).json()["wrong"])
            except httpx.TransportError:
                return seen
            await asyncio.sleep(0.02)


async def test_ingest_starts_without_kafka_and_takes_events_when_it_comes(
    tansu: Broker, furnished: str, state: Path
) -> None:
    tansu.kill()
    service = Ingest(state, kafka=tansu.address, database=furnished).start(ready=False)
    try:
        await until(lambda: set(service.wrong()) == {"kafka"})
        away = service.post(cloud_event())
        assert (away.status_code, away.headers["retry-after"]) == (503, "1")
        tansu.start()
        await installation.make_topics(furnished, tansu.address, partitions=SHARDS, replication=1)
        await until(lambda: asyncio.to_thread(service.is_ready))
        assert service.post(cloud_event()).status_code == 202
        tansu.kill()
        assert service.post(cloud_event()).status_code == 503
        tansu.start()
        await installation.make_topics(furnished, tansu.address, partitions=SHARDS, replication=1)
        await until(lambda: asyncio.to_thread(service.is_ready))
        assert service.post(cloud_event()).status_code == 202
    finally:
        service.stop()


async def test_an_append_that_the_broker_stumbles_over_is_repeated(tansu: Broker, furnished: str, state: Path) -> None:
    """Tansu takes an append before its topic is made again, and then fails at the next one to that partition."""
    await installation.make_topics(furnished, tansu.address, partitions=SHARDS, replication=1)
    service = Ingest(state, kafka=tansu.address, database=furnished, publish_seconds=60).start()
    events = (cloud_event(number, data={"user": "ada"}) for number in count())
    sent: list[str] = []
    try:
        assert service.post(cloud_event(data={"user": "ada"})).status_code == 202
        while "is repeated" not in service.log:
            tansu.kill()
            first, second = next(events), next(events)
            early = asyncio.create_task(asyncio.to_thread(service.post, first))
            await asyncio.sleep(0.5)
            tansu.start()
            assert (await early).status_code == 202
            await installation.make_topics(furnished, tansu.address, partitions=SHARDS, replication=1)
            assert service.post(second).status_code == 202
            sent = [first["id"], second["id"]]
    finally:
        service.stop()

    assert await lost(tansu.address, sent) == set()


async def test_no_more_waits_for_a_frozen_kafka_than_may(tansu: Broker, furnished: str, state: Path) -> None:
    await installation.make_topics(furnished, tansu.address, partitions=SHARDS, replication=1)
    service = Ingest(
        state, kafka=tansu.address, database=furnished, max_pending_mib=1, publish_seconds=9, registry_seconds=60
    ).start()
    freeze(tansu.pid)
    try:
        names = [f"{random.getrandbits(800):x}" for _ in range(800)]
        large = [cloud_event(number, data={"fields": dict.fromkeys(names, "x")}) for number in range(12)]
        first = asyncio.create_task(asyncio.to_thread(service.post, large))
        await until(lambda: service.metrics()["uptake_ingest_pending_bytes"] > 1 << 20)
        other = {"authorization": f"Bearer {ADMIN}", "uptake-tenant": "globex"}
        second = await asyncio.to_thread(service.post, cloud_event(), headers=other)
        at_once = not first.done()
        assert (await asyncio.to_thread(service.post, cloud_event())).status_code == 429
        assert second.status_code == 503
        assert "waiting" in second.json()["detail"]
        assert at_once
        assert (await first).status_code == 503
        assert service.metrics()['uptake_ingest_events_total{outcome="failed"}'] == 12
    finally:
        thaw(tansu.pid)
        service.stop()


async def test_a_topic_that_does_not_fit_the_installation_is_not_written_to(
    tansu: Broker, furnished: str, state: Path
) -> None:
    await installation.make_topics(furnished, tansu.address, partitions=SHARDS, replication=1)
    connection = await postgres.connect(furnished, name="tests")
    await connection.execute("update installation set value = '7' where name = 'shards'")
    await connection.close()
    service = Ingest(state, kafka=tansu.address, database=furnished).start(ready=False)
    try:
        await until(lambda: "partitions" in service.wrong().get("kafka", ""))
        assert service.post(cloud_event()).status_code == 503
    finally:
        service.stop()


async def test_ingest_goes_on_and_starts_again_while_postgres_is_away(
    tansu: Broker, own_postgres: Postgres, state: Path
) -> None:
    await furnish(own_postgres.url())
    await installation.make_topics(own_postgres.url(), tansu.address, partitions=SHARDS, replication=1)
    service = Ingest(state, kafka=tansu.address, database=own_postgres.url(), registry_seconds=0.5).start()
    new = {"authorization": f"Bearer {key('new00001')}"}
    own_postgres.kill()
    goes_on = service.post(cloud_event()).status_code
    unknown = service.post(cloud_event(), headers=new)
    service.stop()
    service.start()
    try:
        assert (goes_on, unknown.status_code, unknown.headers["retry-after"]) == (202, 503, "1")
        assert service.post(cloud_event()).status_code == 202
        assert stat.S_IMODE((state / "registry.json").stat().st_mode) == 0o600
        assert b"sssss" not in (state / "registry.json").read_bytes()
        own_postgres.start()
        connection = await postgres.connect(own_postgres.url(), name="tests")
        await add_key(connection, key("new00001"), tenant="acme")
        await connection.close()
        await until(lambda: service.post(cloud_event(), headers=new).status_code == 202)
    finally:
        service.stop()


async def test_many_new_keys_at_once_are_all_known_and_cost_few_readings(
    tansu: Broker, furnished: str, state: Path
) -> None:
    await installation.make_topics(furnished, tansu.address, partitions=SHARDS, replication=1)
    service = Ingest(state, kafka=tansu.address, database=furnished, registry_seconds=60).start()
    connection = await postgres.connect(furnished, name="tests")

    async def use(client: httpx.AsyncClient, number: int) -> int:
        mine = await postgres.connect(furnished, name="tests")
        await add_key(mine, key(f"k{number}"), tenant="acme")
        await mine.close()
        headers = {"authorization": f"Bearer {key(f'k{number}')}", "content-type": BATCH}
        return (await client.post(f"{service.url}/v1/events", json=[cloud_event()], headers=headers)).status_code

    before = await readings(connection)
    async with httpx.AsyncClient() as client:
        statuses = await asyncio.gather(*(use(client, number) for number in range(40)))
        bad = {"authorization": f"Bearer {key('nobody')}", "content-type": BATCH}
        storm = await asyncio.gather(
            *(client.post(f"{service.url}/v1/events", json=[], headers=bad) for _ in range(90))
        )
    read = await readings(connection) - before
    await connection.close()
    service.stop()

    assert statuses == [202] * 40
    assert {answer.status_code for answer in storm} == {401}
    assert read < (len(statuses) + len(storm)) / 2


async def readings(connection: postgres.Connection) -> int:
    """Return how often the keys were read so far, as far as Postgres tells of it."""
    asked = "select seq_scan + idx_scan from pg_stat_user_tables where relname = 'api_key'"
    return int(await connection.fetchval(asked))


async def take_records_of(address: str, *, most: int) -> None:
    """Let the topic take records of so many bytes at most."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, EVENTS, {"max.message.bytes": f"{most}"})])
    await admin.close()


async def test_a_record_that_the_broker_finds_too_large_rejects_itself_only(
    apache_kafka: Any, furnished: str, state: Path
) -> None:
    await installation.make_topics(furnished, apache_kafka.address, partitions=SHARDS, replication=1)
    await take_records_of(apache_kafka.address, most=20_000)
    service = Ingest(state, kafka=apache_kafka.address, database=furnished).start()
    names = [f"{random.getrandbits(800):x}" for _ in range(300)]
    large = cloud_event("large", data={"user": "u", "fields": dict.fromkeys(names, "x")})
    try:
        answer = service.post([cloud_event(n, data={"user": "u"}) for n in range(5)] + [large] + [cloud_event(7)])
        alone = service.post(large)
    finally:
        service.stop()
        await take_records_of(apache_kafka.address, most=1 << 20)  # topics of this name remember it

    assert answer.status_code == 202
    assert answer.json()["accepted"] == 6
    assert answer.json()["rejected"] == [
        {"index": 5, "id": "event-large", "pointer": "", "reason": "is larger than the log takes"}
    ]
    assert alone.status_code == 422
    assert {decode(record.value).id for record in await on_the_log(apache_kafka.address)} == {
        *(f"event-{number}" for number in (0, 1, 2, 3, 4, 7))
    }
