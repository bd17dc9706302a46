"""Makes the topics, and tells how many partitions they have."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, NodeNotReadyError, TopicAlreadyExistsError

from schemas.topics import ALERTS, DEAD_LETTERS, EVENTS
from services.kafka.clients import refused, way
from services.kafka.errors import LogUnavailableError
from services.settings import Cluster

SHOWN_SECONDS: Final = 30
"""How long a broker may take to show what it has: one that was killed and starts again on a busy machine."""

Found = TypeVar("Found")


async def ensure_topics(cluster: str | Cluster, *, partitions: int, replication: int) -> dict[str, int]:
    """Create the topics that are missing; return each topic's number of partitions.

    Raises:
        LogUnavailableError: no broker answers.
    """
    wanted = {EVENTS: partitions, DEAD_LETTERS: 1, ALERTS: 1}
    admin = AIOKafkaAdminClient(**way(cluster), request_timeout_ms=10_000)
    try:
        await admin.start()
    except (KafkaError, OSError) as error:
        raise await refused(cluster, error) from error
    try:
        present = await _present(admin)
        for name, count in wanted.items():
            if name not in present:
                with contextlib.suppress(TopicAlreadyExistsError):
                    await admin.create_topics([NewTopic(name, count, replication)])
        return await _counted(admin, list(wanted))
    except (KafkaError, OSError) as error:
        raise LogUnavailableError(f"{type(error).__name__}: {error}") from error
    finally:
        with contextlib.suppress(Exception):
            await admin.close()


async def _present(admin: Any) -> set[str]:  # noqa: ANN401
    """Return the topics there are, once the broker counts itself in again (one that stood still takes a moment)."""

    async def look() -> set[str] | None:
        with contextlib.suppress(NodeNotReadyError):
            return set(await admin.list_topics())
        return None

    return await _shown(look, "the broker takes no part in its own cluster")


async def _counted(admin: Any, names: list[str]) -> dict[str, int]:  # noqa: ANN401
    """Return each topic's number of partitions, once the broker knows of all (a new topic takes a moment)."""

    async def look() -> dict[str, int] | None:
        counts = {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics(names)}
        return counts if all(counts.get(name) for name in names) else None

    return await _shown(look, "the broker does not show the topics that were created")


async def _shown(look: Callable[[], Awaitable[Found | None]], lack: str) -> Found:
    """Look until something is found; ``lack``: what is wrong when nothing is."""
    for _ in range(SHOWN_SECONDS * 20):
        if (found := await look()) is not None:
            return found
        await asyncio.sleep(0.05)
    raise LogUnavailableError(lack)
