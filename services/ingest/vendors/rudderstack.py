"""RudderStack: the calls of Segment, the configuration that its libraries ask for first, and beacons. Pure.

Its servers answer ``OK``, and older mobile libraries read that word.
"""

from typing import Final

from schemas.sources import Source
from services.ingest.vendors import analytics, segment
from services.ingest.vendors.shape import Delivery, Reply, Vendor

BEACON: Final = "/beacon/v1/batch"
CONFIGURATION: Final = "/sourceConfig"
_SINCE: Final = "2026-01-01T00:00:00.000Z"
"""When the configuration last changed: never since there is one."""


def _configuration(source: Source, delivery: Delivery) -> object:
    """Return the configuration of a source without destinations: all goes here, nothing is loaded for others."""
    off = {"enabled": False}
    return {
        "source": {
            "id": source.id,
            "name": source.id,
            "writeKey": segment.key_of(delivery),
            "enabled": True,
            "config": {"statsCollection": {"errors": off, "metrics": off}},
            "connections": [],
            "destinations": [],
            "workspaceId": source.id,
            "sourceDefinitionId": "uptake",
            "updatedAt": _SINCE,
        },
        "updatedAt": _SINCE,
    }


_ACCEPTED: Final = Reply(200, b"OK", b"text/plain; charset=utf-8", analytics.OPEN)
_MANNERS: Final = analytics.manners(_ACCEPTED, segment.refused)

VENDOR: Final = Vendor(
    kind="rudderstack",
    manners=_MANNERS,
    verify=segment.verify,
    parse=segment.parse,
    greet=segment.greeting(_MANNERS, _configuration),
    key_of=segment.key_of,
    scrub=segment.scrub,
)
