"""The Kafka topics: their names, keys and how a key becomes a partition.

One person's events always share a partition, so that exactly one aggregator writes what is derived from them.
"""

from typing import Final
from zlib import crc32

EVENTS: Final = "uptake.events.v1"
DEAD_LETTERS: Final = "uptake.dead-letters.v1"
ALERTS: Final = "uptake.alerts.v1"

GROUP: Final = "uptake-aggregator"
"""The consumer group of the aggregators."""


def person_key(tenant: str, user: str | None) -> bytes:
    """Return the record key of a person: tenant and person, so that a person lives in one partition."""
    return f"{tenant}\x00{user or ''}".encode()


def alert_key(tenant: str, alert: str) -> bytes:
    """Return the record key of an alert, so that its changes stay in their order."""
    return f"{tenant}\x00{alert}".encode()


def shard_of(key: bytes, shards: int) -> int:
    """Return the partition of a record key among ``shards`` partitions (CRC-32, stable across languages)."""
    return crc32(key) % shards
