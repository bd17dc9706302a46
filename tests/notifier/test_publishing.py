"""Every change of an alert on the topic: read back from a real broker, and checked against what is published of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from schemas.topics import ALERTS
from services import installation
from services.embedded import Broker
from services.kafka import Appender
from services.notifier.instruments import Instruments
from services.notifier.publisher import Publisher
from services.postgres import Pool
from tests.builders import SHARDS, add_tenant
from tests.log import everything
from tests.notifier.desk import Clock, alert, change

SCHEMAS = Path(__file__).parents[2] / "schemas"
LOADED = [json.loads(path.read_text()) for path in (SCHEMAS / "json").glob("*.json")]
REGISTRY: Registry = Registry().with_resources((body["$id"], Resource.from_contents(body)) for body in LOADED)
CHANGE = Draft202012Validator(json.loads((SCHEMAS / "json" / "alert_change.json").read_text()), registry=REGISTRY)
FULL = {"num": 6, "den": 12, "value": 0.5, "threshold": 0.7}
HEADERS = Draft202012Validator(
    yaml.safe_load((SCHEMAS / "asyncapi.yaml").read_text())["components"]["messages"]["alert"]["headers"]
)


@pytest.fixture
async def appender(tansu: Broker, database: str) -> AsyncIterator[Appender]:
    await installation.make_topics(database, tansu.address, partitions=SHARDS, replication=1)
    made = Appender(tansu.address, client_id="tests")
    await made.start()
    yield made
    await made.stop()


async def _records(bootstrap: str) -> list[tuple[str, dict[str, str], dict[str, object]]]:
    return [
        (each.key.decode(), {k: v.decode() for k, v in each.headers}, json.loads(each.value))
        for each in await everything(bootstrap, ALERTS)
    ]


async def test_each_change_is_on_the_topic_in_order_and_as_a_key_without_a_person_sees_it(
    pool: Pool, tansu: Broker, appender: Appender
) -> None:
    publisher = Publisher(pool, tansu.address, Clock(), Instruments())
    async with pool.acquire() as connection:
        await add_tenant(connection, clock="wall", min_group=1, individual_visibility="off")
        opened = await change(connection, "opened", alert("a1", evidence={**FULL, "people": ["ada"]}))
        await change(connection, "opened", alert("a2", subject_kind="user", subject_key="ada"))
        await change(connection, "acknowledged", opened, state="acknowledged")
        await change(connection, "resolved", opened)
        while await publisher.round(appender, 1):
            pass
        assert await connection.fetchval("select seq from alert_cursor") == 4
        await connection.execute("update alert_cursor set seq = 3")  # a notifier died before it could note it
    assert await publisher.round(appender, 1)
    assert not await publisher.round(appender, 1)

    records = await _records(tansu.address)
    for key, headers, value in records:
        CHANGE.validate(value)
        HEADERS.validate(headers)
        assert key == "acme\0a1"
    assert [(headers["seq"], headers["kind"]) for _, headers, _ in records] == [
        ("1", "opened"),
        ("3", "acknowledged"),
        ("4", "resolved"),
        ("4", "resolved"),
    ]
    assert "ada" not in str(records)


async def test_two_notifiers_publish_a_tenant_one_after_the_other(
    pool: Pool, tansu: Broker, appender: Appender
) -> None:
    publishers = [Publisher(pool, tansu.address, Clock(), Instruments()) for _ in range(2)]
    async with pool.acquire() as connection:
        await add_tenant(connection, clock="wall", min_group=1)
        for number in range(500):
            await change(connection, "opened", alert(f"a{number}"))

    async def work(publisher: Publisher) -> None:
        while await publisher.round(appender, 1):
            pass

    await asyncio.gather(*map(work, publishers))
    await work(publishers[0])

    seqs = [int(headers["seq"]) for _, headers, _ in await _records(tansu.address)]
    assert seqs == list(range(1, 501))
