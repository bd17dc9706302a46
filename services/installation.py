"""What is fixed when Uptake is installed: the topics, and into how many shards people are divided.

The number of shards is the number of partitions of the events topic. A person's shard follows from it, so it is
written down beside the data; a topic with another number of partitions is refused, never adopted.
"""

from schemas.topics import EVENTS
from services import kafka, postgres
from services.settings import Cluster


class InstallationError(RuntimeError):
    """The engines contradict what was installed; the message is one line for the operator."""


async def make_topics(database: str, cluster: str | Cluster, *, partitions: int, replication: int) -> dict[str, int]:
    """Create the topics that are missing, note the shards, and return each topic's number of partitions.

    Raises:
        InstallationError: the events topic has another number of partitions than there are shards.
        services.kafka.LogUnavailableError: no broker answers.
        services.postgres.DATABASE_ERRORS: the database is away, or was not migrated.
    """
    connection = await postgres.connect(database, name="uptake-topics")
    try:
        noted = await connection.fetchval("select value from installation where name = 'shards'")
        topics = await kafka.ensure_topics(cluster, partitions=int(noted or partitions), replication=replication)
        shards = await connection.fetchval(
            "insert into installation (name, value) values ('shards', $1) "
            "on conflict (name) do update set value = installation.value returning value",
            str(topics[EVENTS]),
        )
    finally:
        await connection.close()
    if int(shards) != topics[EVENTS]:
        raise InstallationError(
            f"{EVENTS} has {topics[EVENTS]} partitions, but this database was installed with {shards} shards"
        )
    return topics


async def shards(database: str) -> int | None:
    """Return into how many shards people are divided; None before the topics were made."""
    connection = await postgres.connect(database, name="uptake-topics")
    try:
        noted = await connection.fetchval("select value from installation where name = 'shards'")
    finally:
        await connection.close()
    return None if noted is None else int(noted)
