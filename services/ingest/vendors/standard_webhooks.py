"""Standard Webhooks and Svix: signed messages ``{type, timestamp, data}``. Pure.

The identity of an event is that of its message (``webhook-id``), which every repetition carries; its time is the
``timestamp`` of the body, or else that of the signature. ``data`` is read in the shape of the contract unless the
source declares a mapping. The endpoint is never told to be gone (410): senders would switch it off for good.
"""

from typing import Final

from schemas.fields import FieldRegistry
from schemas.sources import CustomOptions, Source
from services.ingest.vendors.mapping import read
from services.ingest.vendors.shape import (
    LIMITED,
    MALFORMED,
    OVERLOADED,
    TOO_LARGE,
    UNAUTHORIZED,
    Delivery,
    Manners,
    Reading,
    Reply,
    Vendor,
    from_milliseconds,
    options,
)
from services.ingest.vendors.signatures import standard_headers, standard_is_signed

_LONGEST_TIMESTAMP: Final = 12


def _verify(source: Source, delivery: Delivery) -> bool:
    return standard_is_signed(source.secrets, delivery.headers, body=delivery.body, received_at=delivery.received_at)


def _parse(source: Source, delivery: Delivery, fields: FieldRegistry) -> Reading:
    message, timestamp, _ = standard_headers(delivery.headers)
    is_count = timestamp.isdecimal() and len(timestamp) <= _LONGEST_TIMESTAMP
    sent_at = from_milliseconds(int(timestamp) * 1000) if is_count else None
    return read(source, delivery, options(source, CustomOptions), fields, message=message or None, sent_at=sent_at)


VENDOR: Final = Vendor(
    kind="standard-webhooks",
    manners=Manners(
        accepted=Reply(202),
        unauthorized=UNAUTHORIZED,
        malformed=MALFORMED,
        overloaded=OVERLOADED,
        limited=LIMITED,
        too_large=TOO_LARGE,
        seconds=10.0,
    ),
    verify=_verify,
    parse=_parse,
)
