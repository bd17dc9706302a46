"""What must be right of Kafka: its topics, how many copies it keeps, for how long, and who may read along."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509

from schemas.topics import ALERTS, DEAD_LETTERS, EVENTS
from services.doctor.shape import Doubtful, Unhealthy, lasting
from services.kafka import certified_until, topics_of
from services.postgres import Connection
from services.settings import Settings

SHORTEST: Final = timedelta(days=7)
"""A backup that is brought back needs the log since it was made (docs/guides/backup.md)."""
SAFE: Final = 3


async def topics(connection: Connection, settings: Settings) -> str:
    """Kafka answers, and its events topic has one partition a shard, copies, and a memory."""
    shards = await connection.fetchval("select value from installation where name = 'shards'")
    if shards is None:
        raise Unhealthy("never made: run uptake topics")
    found = await topics_of(settings.cluster, [EVENTS, DEAD_LETTERS, ALERTS])
    if missing := {EVENTS, DEAD_LETTERS, ALERTS} - found.keys():
        raise Unhealthy(f"{', '.join(sorted(missing))} missing: run uptake topics")
    events = found[EVENTS]
    if events.partitions != int(shards):
        raise Unhealthy(
            f"{EVENTS} has {events.partitions} partitions, this database was installed with {shards} shards"
        )
    least = events.settings.get("min.insync.replicas", 1)
    words = f"{EVENTS} has {events.partitions} partitions, {events.in_sync} of {events.replicas} replicas in sync"
    if events.in_sync < least:
        raise Unhealthy(f"{words}, {least} are needed: events are refused until brokers are back")
    kept = events.settings.get("retention.ms", -1)
    if 0 <= kept < SHORTEST / timedelta(milliseconds=1):
        raise Doubtful(f"{words}; kept for {timedelta(milliseconds=kept)}: a backup that is older cannot catch up")
    if events.replicas >= SAFE and least == 1:
        raise Doubtful(f"{words}; with min.insync.replicas=1 an acknowledged event may stand on one broker alone")
    if events.replicas == 1:
        raise Doubtful(f"{words}: a broker that loses its disk loses events")
    return f"{words}, at least {least} acknowledge, kept for " + (
        "ever" if kept < 0 else f"{timedelta(milliseconds=kept).days} days"
    )


async def certificate(settings: Settings, now: datetime) -> str:
    """The certificates between us and Kafka last."""
    until = await certified_until(settings.cluster)
    if until is None:
        return "Kafka is reached without TLS"
    words = lasting("that of Kafka", until, now)
    if not settings.kafka_cert:
        return words
    own = x509.load_pem_x509_certificate(await asyncio.to_thread(Path(settings.kafka_cert).read_bytes))
    return f"{words}; {lasting('our own', own.not_valid_after_utc, now)}"
