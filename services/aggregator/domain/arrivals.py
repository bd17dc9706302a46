"""From records to arrivals: which records are events of this shard, and at which instant each counts.

The topic is never trusted: a record that is no event, carries a broken clock, or stands on another person's partition
becomes a dead letter with its reason.
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from schemas.events import EARLIEST, Event, UndecodableError, decode, identity, payload_mark
from schemas.topics import person_key, shard_of
from services.aggregator.domain.facts import as_instant

AHEAD: Final = timedelta(days=1)
"""An event further ahead of its arrival than this carries a broken clock."""


class LogRecord(Protocol):
    """What is read of a record."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Arrival(NamedTuple):
    """An event as it arrived: the instant it counts at and that of its arrival, both in UTC, and its record."""

    event: Event
    at: datetime
    received_at: datetime
    identity: bytes
    mark: int
    record: LogRecord


class Unusable(NamedTuple):
    """A record that is no event of this shard."""

    record: LogRecord
    tenant: str | None
    reason: str


def read(records: Iterable[LogRecord], shard: int, shards: int) -> tuple[list[Arrival], list[Unusable]]:
    """Return the arrivals among ``records`` of ``shard``, and what is unusable."""
    arrivals: list[Arrival] = []
    unusable: list[Unusable] = []
    for record in records:
        if record.value is None and record.key:
            continue  # a tombstone: it says that this key was erased, and nothing else
        try:
            arrivals.append(_arrival(record, shard, shards))
        except UndecodableError as error:
            unusable.append(Unusable(record, _tenant(record), str(error)))
    return arrivals, unusable


def _arrival(record: LogRecord, shard: int, shards: int) -> Arrival:
    event = decode(record.value)
    if _home(event.tenant, event.data.user, shards) != shard:
        raise UndecodableError("the record stands on another person's partition")
    if record.timestamp < 0:
        raise UndecodableError("the record has no timestamp")
    try:
        received = as_instant(record.timestamp)
        at = received if event.time is None else event.time
        at = at if at.tzinfo is UTC else at.astimezone(UTC)
        in_range = EARLIEST <= at <= received + AHEAD
    except (OverflowError, ValueError) as error:
        raise UndecodableError("the record's timestamp is out of range") from error
    if not in_range:
        raise UndecodableError("time lies before 2000 or after the arrival")
    return Arrival(event, at, received, identity(event), payload_mark(record.value or b""), record)


@lru_cache(maxsize=65_536)
def _home(tenant: str, user: str | None, shards: int) -> int:
    return shard_of(person_key(tenant, user), shards)


def _tenant(record: LogRecord) -> str | None:
    """Return the tenant that the record's key names, for whoever looks through the dead letters."""
    name = (record.key or b"").split(b"\0", 1)[0].decode("utf-8", "replace")
    return name[:64] or None


def record_mark(record: LogRecord) -> int:
    """Return 64 bits by which the record, and so its log, is recognised: of its timestamp and its value."""
    text = b"%d\0%b" % (record.timestamp, record.value or b"")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), signed=True)
