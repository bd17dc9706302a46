"""``/v1/alerts/stream``: the changes of alerts as server-sent events, from any change on, without gap or repeat."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response, StreamingResponse

from services.api.auth import Reader as ReaderKey
from services.api.problems import invalid, unavailable
from services.api.shapes import Filter
from services.api.store.sessions import glancing
from services.api.streams import Reader

router = APIRouter(prefix="/v1/alerts", tags=["alerts"])

MEDIA_TYPE: Final = "text/event-stream"
LARGEST: Final = 1 << 62
NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_EXAMPLE: Final = 'id: 7\nevent: alert.opened\ndata: {"seq": 7, "kind": "opened", "alert": {}}\n\n'
RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": _EXAMPLE}}}
}


def last_seen(header: str | None, parameter: str | None) -> int | None:
    """Return the number of the last change that was seen; None: follow from now on.

    Raises:
        ProblemError: it is no such number.
    """
    text = header or parameter
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or int(text) > LARGEST:
        raise invalid("Send the id of the last event that was read, a whole number.", parameter="Last-Event-ID")
    return int(text)


def follow(
    request: Request, reader: Reader, seq: int | None, headers: Mapping[str, str] = NO_HEADERS
) -> StreamingResponse:
    """Return the stream of ``reader`` from behind ``seq`` on.

    Raises:
        ProblemError: there are too many readers.
    """
    streams = request.app.state.streams
    if streams.full:
        raise unavailable()
    return StreamingResponse(
        streams.follow(reader, seq),
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no", **headers},
    )


@router.get("/stream", response_class=Response, responses=RESPONSES)
async def show(
    request: Request,
    caller: ReaderKey,
    rule: Filter = None,
    severity: Literal["info", "warning", "critical", "emergency"] | None = None,
    tier: Literal["suspected", "confirmed"] | None = None,
    subject_kind: Literal["user", "team", "role", "wave", "tenant"] | None = None,
    subject: Filter = None,
    last_event_id: Annotated[str | None, Header(max_length=32)] = None,
    after: Annotated[str | None, Query(max_length=32, description="As the header Last-Event-ID.")] = None,
) -> StreamingResponse:
    """Follow the changes of alerts. `Last-Event-ID` goes on behind that change; without it, from now on."""
    asked = {"rule": rule, "severity": severity, "tier": tier, "subject_kind": subject_kind, "subject": subject}
    wanted = {name: value for name, value in asked.items() if value is not None}
    seq = last_seen(last_event_id, after)
    reader = Reader(caller.tenant, caller.principal.key_id, caller.person, wanted, "/v1/alerts/stream")
    async with glancing(request.app.state.pool) as connection:
        if not await request.app.state.streams.renew(connection, reader):
            raise unavailable()
    return follow(request, reader, seq)
