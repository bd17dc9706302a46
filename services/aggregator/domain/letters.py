"""From records of the dead-letter topic to letters about deliveries. Pure: the topic is never trusted."""

from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from schemas import letters
from services.aggregator.domain.arrivals import LogRecord

_LONGEST: Final = 256
_NAMES: Final = (letters.ID, letters.SOURCE, letters.KIND)


class Delivered(NamedTuple):
    """A letter about a delivery, as it stands at ``offset`` of its topic; ``sealed``: the delivery itself."""

    id: str
    tenant: str
    source: str
    kind: str
    reasons: list[letters.Bad]
    sealed: bytes
    received_ms: int
    offset: int


def read(records: Iterable[LogRecord]) -> list[Delivered]:
    """Return the letters about deliveries among ``records``, the last of each id; what is none of ours is left out."""
    found = {letter.id: letter for record in records if (letter := _read(record)) is not None}
    return list(found.values())


def _read(record: LogRecord) -> Delivered | None:
    headers = dict(record.headers)
    if letters.ORIGIN in headers or not record.value or not record.key or record.timestamp < 0:
        return None
    try:
        tenant = record.key.decode()
        named, source, kind = (headers[name].decode() for name in _NAMES)
        reasons = letters.decode_reasons(headers[letters.REASONS])
    except (KeyError, UnicodeDecodeError, msgspec.MsgspecError, RecursionError):
        return None
    texts = [named, tenant, source, kind, *(text for bad in reasons for text in (bad.pointer, bad.reason))]
    if not reasons or not named or any("\x00" in text or len(text) > _LONGEST for text in texts):
        return None
    return Delivered(named, tenant, source, kind, reasons, record.value, record.timestamp, record.offset)
