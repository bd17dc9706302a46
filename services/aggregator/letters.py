"""Puts dead letters on their topic, with where they came from, after they were kept in Postgres."""

import logging

from schemas.topics import DEAD_LETTERS, EVENTS
from services.aggregator.store import positions
from services.aggregator.store.positions import Letter
from services.kafka import Appender, LogUnavailableError
from services.postgres import Pool

log = logging.getLogger(__name__)


async def publish_letters(pool: Pool, appender: Appender, shards: list[int]) -> bool:
    """Publish what is not published yet; return whether something may be left.

    A crash between the topic and the note in Postgres publishes a letter again: it carries its origin, so readers
    know it.
    """
    letters = await positions.unpublished_letters(pool, shards)
    if not letters:
        return False
    try:
        if not appender.started:
            await appender.start()
        ids = [await _publish(appender, number, shard, letter) for number, shard, letter in letters]
    except LogUnavailableError as error:
        log.warning("dead letters wait: %s", error)
        return True
    await positions.letters_published(pool, ids)
    return True


async def _publish(appender: Appender, number: int, shard: int, letter: Letter) -> int:
    headers = [
        ("reason", letter.reason.encode()),
        ("origin-topic", EVENTS.encode()),
        ("origin-partition", str(shard).encode()),
        ("origin-offset", str(letter.offset).encode()),
        ("origin-key", letter.key or b""),
    ]
    batch = appender.batch()
    key = (letter.tenant or "").encode()
    if batch.append(timestamp=letter.received_ms, key=key, value=letter.value, headers=headers) is not None:
        await appender.append(DEAD_LETTERS, 0, batch)
    return number
