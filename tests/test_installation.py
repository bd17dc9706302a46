import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from deploy.kafka.node import Node
from schemas.topics import EVENTS
from services import installation
from tests.builders import SHARDS, LogServer


async def test_topics_made_twice_are_the_same(topics: dict[str, int], broker: LogServer, database: str) -> None:
    again = await installation.make_topics(database, broker.address, partitions=SHARDS + 3, replication=1)

    assert again == topics
    assert topics[EVENTS] == SHARDS
    assert await installation.shards(database) == SHARDS


async def test_a_topic_that_was_repartitioned_is_refused(apache_kafka: Node, database: str) -> None:
    await installation.make_topics(database, apache_kafka.address, partitions=SHARDS, replication=1)
    admin = AIOKafkaAdminClient(bootstrap_servers=apache_kafka.address)
    await admin.start()
    await admin.create_partitions({EVENTS: NewPartitions(SHARDS + 1)})
    await admin.close()

    with pytest.raises(installation.InstallationError, match="5 partitions, but this database was installed with 4"):
        await installation.make_topics(database, apache_kafka.address, partitions=SHARDS, replication=1)
