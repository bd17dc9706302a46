"""What an operator should know of the topics: how they are kept, and until when the brokers' certificates hold."""

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.conn import collect_hosts
from aiokafka.errors import KafkaError

from services.kafka.clients import refused, way
from services.kafka.errors import unavailable
from services.settings import Cluster

_WAIT_MS: Final = 10_000
_ASKED: Final = ("min.insync.replicas", "retention.ms")


class Topic(NamedTuple):
    """How one topic is kept; ``settings``: those that the broker tells."""

    partitions: int
    replicas: int
    in_sync: int
    settings: Mapping[str, int]


async def topics_of(cluster: str | Cluster, names: list[str]) -> dict[str, Topic]:
    """Return how those of the topics ``names`` are kept that exist.

    Raises:
        LogUnavailableError: no broker answers.
    """
    admin = AIOKafkaAdminClient(**way(cluster), request_timeout_ms=_WAIT_MS)
    try:
        await admin.start()
    except (KafkaError, OSError) as error:
        raise await refused(cluster, error) from error
    try:
        present = [name for name in names if name in set(await admin.list_topics())]
        described = await admin.describe_topics(present) if present else []
        asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in present]
        told = _settings(await admin.describe_configs(asked)) if present else {}
    except (KafkaError, OSError) as error:
        raise unavailable(error) from error
    finally:
        with contextlib.suppress(Exception):
            await admin.close()
    return {it["topic"]: _topic(it["partitions"], told.get(it["topic"], {})) for it in described}


def _topic(partitions: list[dict[str, Any]], settings: Mapping[str, int]) -> Topic:
    """Return a topic as its weakest partition stands."""
    replicas = min((len(it["replicas"]) for it in partitions), default=0)
    return Topic(len(partitions), replicas, min((len(it["isr"]) for it in partitions), default=0), settings)


def _settings(answers: list[Any]) -> dict[str, dict[str, int]]:
    return {
        resource[3]: {entry[0]: int(entry[1]) for entry in resource[4] if entry[0] in _ASKED}
        for answer in answers
        for resource in answer.resources
    }


async def certified_until(cluster: Cluster) -> datetime | None:
    """Return when the first of the brokers' certificates ends; None: they show none.

    Raises:
        LogUnavailableError: one does not answer, or its certificate is not to be trusted.
    """
    if not cluster.security.endswith("ssl"):
        return None
    terms = way(cluster)
    ends = []
    for host, port, _ in collect_hosts(terms["bootstrap_servers"]):
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(host, port, ssl=terms["ssl_context"]), 10)
        except (OSError, TimeoutError) as error:
            raise unavailable(error) from error
        shown = writer.get_extra_info("peercert")
        writer.close()
        ends.append(datetime.fromtimestamp(ssl.cert_time_to_seconds(shown["notAfter"]), UTC))
    return min(ends)
