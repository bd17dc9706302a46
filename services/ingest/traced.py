"""Ingest while traces are on: the append as a part of the request's trace, and its mark in each record's headers.

The header travels beside the event: identities and payloads do not change by it.
"""

from collections.abc import Sequence
from typing import Final

from schemas.events import Record
from schemas.topics import EVENTS
from services import tracing
from services.ingest.asgi import Scope
from services.ingest.publisher import Publisher
from services.ingest.vendors.catalogue import kind_of

_KNOWN: Final = frozenset({"/v1/events", "/v1/logins", "/v1/replays"})
_HOOKS: Final = "/v1/hooks/"


class TracedPublisher(Publisher):
    """A publisher that notes the trace on what it appends. What waited in the spool keeps the trace it came with."""

    async def publish(self, records: Sequence[Record], timestamp: int, *, until: float | None = None) -> list[int]:
        """Append ``records`` within a span."""
        told: dict[str, tracing.Value] = {
            "messaging.system": "kafka",
            "messaging.destination.name": EVENTS,
            "messaging.batch.message_count": len(records),
        }
        with tracing.span(f"send {EVENTS}", told, kind="PRODUCER"):
            if (here := tracing.here()) is not None:
                mark = (tracing.HEADER, here.encode())
                for record in records:
                    if record.headers[-1][0] != tracing.HEADER:
                        record.headers.append(mark)
            return await super().publish(records, timestamp, until=until)


def route_of(scope: Scope) -> str:
    """Return the route of a request: its address without what a sender puts into it."""
    path: str = scope["path"]
    if path in _KNOWN:
        return path
    if (kind := kind_of(path)) is not None:
        return kind
    return f"{_HOOKS}{{source}}" if path.startswith(_HOOKS) else getattr(scope.get("route"), "path", "other")
