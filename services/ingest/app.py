"""The front door: the intake paths are answered here, everything else by a small FastAPI application behind it.

A 202 is sent only after the log has acknowledged every accepted event. The request path does one decode, one
normalisation and one append per event, and never waits for Postgres unless a key or tenant is unknown.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from schemas.events import Record, encode
from services.ingest import problems
from services.ingest.asgi import Answer, Application, Receive, Scope, Send, respond
from services.ingest.bodies import MAX_BODY, is_packed, read_body, unpack
from services.ingest.decoding import MAX_EVENT, Decoded, read_batch, read_event, salvage_batch, with_data
from services.ingest.gate import Gate, by_name
from services.ingest.instruments import Instruments
from services.ingest.limits import Shares
from services.ingest.modes import Mode, attributes, handshake, mode_of
from services.ingest.normalise import Rejection, normalise
from services.ingest.problems import RefusedError
from services.ingest.publisher import TOO_LARGE_FOR_LOG, OverloadedError, Publisher
from services.ingest.usual import records_of
from services.kafka import LogUnavailableError

EVENTS_PATH: Final = "/v1/events"
_SALVAGERS: Final = 2

_ONE_ACCEPTED: Final = b'{"accepted":1,"rejected":[]}'


class FrontDoor:
    """The outermost ASGI application of ingest."""

    def __init__(
        self,
        behind: Application,
        gate: Gate,
        publisher: Publisher,
        shares: Shares,
        instruments: Instruments,
        clock: Callable[[], datetime],
    ) -> None:
        self._behind = behind
        self._gate = gate
        self._publisher = publisher
        self._shares = shares
        self._instruments = instruments
        self._clock = clock
        self._salvaging = asyncio.Semaphore(_SALVAGERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] != EVENTS_PATH:
            await self._behind(scope, receive, send)
            return
        await respond(self._answer(scope, receive), send, self._instruments.answered)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        if scope["method"] == "OPTIONS":
            return Answer(200, b"", handshake(dict(scope["headers"])))
        if scope["method"] != "POST":
            raise RefusedError(problems.ONLY_POST)
        headers = by_name(scope["headers"])
        tenant = await self._gate.tenant(headers, scope["query_string"])
        mode = mode_of(headers.get(b"content-type", b""), scope["headers"])
        body = await _body(headers, receive, mode)
        return await self._take(tenant, mode, body, scope["headers"])

    # ------------------------------------------------------------ what is sent

    async def _take(self, tenant: str, mode: Mode, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Answer:
        if self._shares.crowds(tenant):
            raise RefusedError(problems.CROWDED)
        received_at = self._clock()
        records = None
        if mode is not Mode.BINARY:
            records = records_of(body, tenant, received_at, batch=mode is Mode.BATCH)
        if records is not None:
            judged = _Judged(len(records), records, range(len(records)), [])
        else:
            judged = _judge(await self._decode(mode, body, headers), tenant, received_at)
        if judged.records:
            self._shares.hold(tenant, len(body))
            try:
                await self._publish(judged, int(received_at.timestamp() * 1000))
            finally:
                self._shares.release(tenant, len(body))
        return self._outcome(judged)

    async def _decode(self, mode: Mode, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> list[Decoded]:
        if mode is Mode.BINARY:
            return [_binary(headers, body)]
        if mode is Mode.STRUCTURED:
            return [read_event(body)]
        events = read_batch(body)
        if events is None:
            async with self._salvaging:  # slow by nature: beside the event loop, and few at a time
                events = await asyncio.to_thread(salvage_batch, body)
        return events

    async def _publish(self, judged: "_Judged", timestamp: int) -> None:
        try:
            refused = await self._publisher.publish(judged.records, timestamp)
        except LogUnavailableError as error:
            raise RefusedError(problems.LOG_AWAY) from error
        except OverloadedError as error:
            raise RefusedError(problems.OVERLOADED) from error
        for number in refused:
            event_id = dict(judged.records[number].headers)["ce_id"].decode()
            judged.rejected.append(_told(judged.places[number], Rejection("", TOO_LARGE_FOR_LOG, event_id)))
        if refused:
            judged.rejected.sort(key=lambda entry: entry["index"])

    def _outcome(self, judged: "_Judged") -> Answer:
        rejected = judged.rejected
        accepted = judged.events - len(rejected)
        self._instruments.judged(accepted=accepted, rejected=len(rejected))
        if judged.events == 1 and not rejected:
            return Answer(202, _ONE_ACCEPTED)
        body = msgspec.json.encode({"accepted": accepted, "rejected": rejected})
        return Answer(422 if rejected and not accepted else 202, body)


class _Judged(NamedTuple):
    """A request's events: the records of the good ones with their places, and what is told of the others."""

    events: int
    records: Sequence[Record]
    places: Sequence[int]
    rejected: list[dict[str, Any]]


def _judge(decoded: Sequence[Decoded], tenant: str, received_at: datetime) -> _Judged:
    judged = _Judged(len(decoded), records := [], places := [], [])
    for place, raw in enumerate(decoded):
        event = _normalised(raw, received_at)
        if isinstance(event, Rejection):
            judged.rejected.append(_told(place, event))
        else:
            places.append(place)
            records.append(encode(tenant, event))
    return judged


async def _body(headers: dict[bytes, bytes], receive: Receive, mode: Mode) -> bytes:
    """Return the unpacked body of a request, within the limit of its mode."""
    packed = is_packed(headers[b"content-encoding"]) if b"content-encoding" in headers else False
    if mode is Mode.BATCH:
        limit, too_large = MAX_BODY, problems.BODY_TOO_LARGE
    else:
        limit, too_large = MAX_EVENT, problems.EVENT_TOO_LARGE
    length = headers.get(b"content-length")
    if length is not None and length.isdigit() and int(length[:20]) > limit:
        raise RefusedError(too_large)
    body = await read_body(receive, limit=limit, too_large=too_large)
    return unpack(body, limit=limit, too_large=too_large) if packed else body


def _binary(headers: Sequence[tuple[bytes, bytes]], body: bytes) -> Decoded:
    """Return the event of a binary request: attributes in the headers, ``data`` in the body."""
    event = attributes(headers)
    if isinstance(event, Rejection) or not body:
        return event
    data = read_event(body)
    if isinstance(data, Rejection):
        return Rejection(f"/data{data.pointer}", data.reason, event.get("id"))
    event["data"] = data
    return event


def _normalised(raw: Decoded, received_at: datetime) -> Decoded:
    if isinstance(raw, Rejection):
        return raw
    if "data_base64" in raw:
        raw = with_data(raw)
        if isinstance(raw, Rejection):
            return raw
    return normalise(raw, received_at)


def _told(place: int, rejection: Rejection) -> dict[str, Any]:
    return {"index": place, "id": rejection.id, "pointer": rejection.pointer, "reason": rejection.reason}
