"""What a measured time was of: the event's mark, as the database keeps it, and the trace it is a part of if it has one.

The mark is a hash of the event's identity: it names nobody, and ``claimed.identity`` is found by it.
"""

import re
from collections.abc import Sequence
from typing import Final

from schemas.events import UndecodableError, decode, identity
from services.tracing import HEADER

_TRACE: Final = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-")


def of_record(value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> dict[str, str] | None:
    """Return the labels of the exemplar of a record; None: it is no event."""
    try:
        labels = {"event": identity(decode(value)).hex()}
    except UndecodableError:
        return None
    traces = [text for name, text in headers if name == HEADER]
    if traces and (found := _TRACE.match(traces[-1])):
        labels["trace_id"] = found[1].decode()
    return labels
