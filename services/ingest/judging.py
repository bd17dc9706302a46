"""What a delivery holds: read by its adapter, and judged by ``normalise`` like any other event.

Whatever an adapter trips over costs this delivery only; what is told of it repeats nothing that was sent.
"""

import logging
import traceback
from datetime import datetime

from schemas.events import Record, encode
from schemas.fields import FieldRegistry
from schemas.sources import Source
from services.ingest.normalise import Rejection, normalise
from services.ingest.vendors.shape import Bad, Delivery, MalformedError, Reading, Vendor

log = logging.getLogger(__name__)


def read(vendor: Vendor, source: Source, delivery: Delivery, fields: FieldRegistry) -> tuple[Reading, bool]:
    """Return what ``delivery`` holds, and whether it could not be read at all."""
    try:
        return vendor.parse(source, delivery, fields), False
    except MalformedError as error:
        return Reading([], [Bad("", str(error))]), True
    except Exception as error:  # noqa: BLE001 - whatever an adapter trips over is kept, and its sender answered
        about = {"tenant": source.tenant, "source": source.id}
        log.error("the adapter of %s failed %s", source.id, _where(error), extra=about)  # noqa: TRY400 - it holds texts
        return Reading([], [Bad("", "the adapter failed on it")]), True


def judge(source: Source, reading: Reading, received_at: datetime) -> tuple[list[Record], list[Bad]]:
    """Return the records of the good events of a reading, and what is bad in it."""
    records: list[Record] = []
    bad = list(reading.bad)
    for number, raw in enumerate(reading.events):
        event = normalise(raw, received_at)
        if isinstance(event, Rejection):
            bad.append(Bad(f"/{number}{event.pointer}", event.reason))
        else:
            records.append(encode(source.tenant, event))
    return records, bad


def _where(error: Exception) -> str:
    """Return where ``error`` was raised and its type; its message could repeat what was sent."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"in {place.name}, line {place.lineno}: {type(error).__name__}"
