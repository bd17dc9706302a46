"""The limits of a connection that uvicorn leaves open: how long a head or a body may take, and how large it may be.

A refusal never jumps ahead of the answer to an earlier request on the same connection, and the connection is then
closed slowly, so that the sender can read what it was told before its own bytes run into a closed door.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS: Final = 5.0
BODY_IDLE_SECONDS: Final = 5.0
LINGER_SECONDS: Final = 2.0
MAX_HEAD: Final = 32 * 1024
MAX_HEADERS: Final = 100
MAX_URL: Final = 8 * 1024
MAX_FRAMING: Final = 16 * 1024
"""How many bytes chunk sizes, extensions and trailers may take, beside a multiple of the body's own."""
_FRAMING_RATIO: Final = 16
_SLICE: Final = 16 * 1024
_LENGTH_DIGITS: Final = 18

_DETAILS: Final = {
    400: "The request is not HTTP/1.1 as it should be.",
    408: "The request took too long to arrive.",
    414: "The request line is too long.",
    431: "The head has more than 32 KiB or 100 fields.",
}


def _answer(status: int, max_body: int) -> bytes:
    title, detail = HTTPStatus(status).phrase, _DETAILS.get(status, f"A body has at most {max_body >> 20} MiB.")
    body = msgspec.json.encode({"type": "about:blank", "title": title, "status": status, "detail": detail})
    head = f"HTTP/1.1 {status} {title}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n"
    return head.encode() + b"x-content-type-options: nosniff\r\ncontent-type: application/problem+json\r\n\r\n" + body


class _StopParsingError(Exception):
    """Ends the parser's work on a refused request; uvicorn turns it into a call of ``send_400_response``."""


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with time-outs and bounds for heads and bodies."""

    max_body: int = 5 << 20
    """The most bytes of a body as it is sent."""

    body_seconds: float = 10.0
    """How long a whole body may take."""

    refused: Callable[[int], None] = staticmethod(lambda _status: None)
    """Told of each refusal; whoever counts them puts its own function here."""

    _timer: asyncio.TimerHandle | None = None
    _closing: asyncio.TimerHandle | None = None
    _refusal: bytes | None = None
    _begun = False  # a request has begun and is not complete
    _in_head = True
    _unparsed = 0  # bytes that were neither a whole head nor a body: a part of a head, or framing
    _body_bytes = 0
    _heard_at = 0.0
    _body_end = 0.0

    # ------------------------------------------------------------ the connection

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - uvicorn's own signature
        """Start the clock: a connection that says nothing is closed."""
        super().connection_made(transport)
        self._arm(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all clocks."""
        self._disarm()
        if self._closing is not None:
            self._closing.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what arrives, in slices, so that no bound is passed by more than one of them."""
        if len(data) <= _SLICE:
            self._feed(data)
        else:
            for start in range(0, len(data), _SLICE):
                self._feed(data[start : start + _SLICE])
        if self._refusal is not None or self._timer is not None:
            return
        if not self._in_head:
            self._heard_at = self.loop.time()
            self._body_end = self._heard_at + self.body_seconds
            self._arm(BODY_IDLE_SECONDS)
        elif self._begun or self._is_idle():
            self._arm(HEAD_SECONDS)

    def _feed(self, data: bytes) -> None:
        if self._refusal is not None:
            return
        if not self._begun:
            self._unparsed = 0
        self._unparsed += len(data)
        super().data_received(data)
        if self._refusal is not None:
            return
        if self._in_head:
            if self._begun and self._unparsed > MAX_HEAD:
                self._refuse(414 if len(self.url) > MAX_URL else 431, own=False)
        else:
            if self._timer is not None:
                self._heard_at = self.loop.time()
            if self._unparsed > MAX_FRAMING + _FRAMING_RATIO * self._body_bytes:
                self._refuse(400, own=True)

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    # ------------------------------------------------------------ the parser's callbacks

    def on_message_begin(self) -> None:
        """A request begins."""
        self._begun = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Judge the head before anything is started for it."""
        size, hosts, length = len(self.url), 0, b""
        for name, value in self.headers:
            size += len(name) + len(value) + 4
            if name == b"host":
                hosts += 1
            elif name == b"content-length":
                length = value
        status = 0
        if len(self.url) > MAX_URL:
            status = 414
        elif size > MAX_HEAD or len(self.headers) > MAX_HEADERS:
            status = 431
        elif hosts != 1 and (hosts or self.parser.get_http_version() == "1.1"):
            status = 400
        elif length and (len(length) > _LENGTH_DIGITS or int(length) > self.max_body):
            status = 413
        if status:
            self._refuse(status, own=False)
            raise _StopParsingError
        super().on_headers_complete()
        self._disarm()
        self._in_head = False
        self._body_bytes = 0
        self._unparsed = max(0, self._unparsed - size)

    def on_body(self, body: bytes) -> None:
        """Count a body while it arrives."""
        self._body_bytes += len(body)
        self._unparsed -= len(body)
        if self._body_bytes > self.max_body:
            self._refuse(413, own=True)
            raise _StopParsingError
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole: only now its application may take as long as it likes."""
        self._disarm()
        self._in_head, self._begun = True, False
        super().on_message_complete()

    # ------------------------------------------------------------ clocks

    def _arm(self, seconds: float) -> None:
        self._timer = self.loop.call_later(seconds, self._late)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        now = self.loop.time()
        if self.flow.read_paused:  # the wait is our own doing
            self._heard_at = now
            self._body_end = max(self._body_end, now + BODY_IDLE_SECONDS)
            self._arm(BODY_IDLE_SECONDS)
        elif self._in_head:
            if self._begun:
                self._refuse(408, own=False)
            else:
                self.transport.close()
        elif now < (end := min(self._heard_at + BODY_IDLE_SECONDS, self._body_end)):
            self._arm(end - now)
        else:
            self._refuse(408, own=True)

    # ------------------------------------------------------------ refusing

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own signature
        """Refuse what the parser cannot read (or what was refused already: then nothing is left to do)."""
        self._refuse(400, own=not self._in_head)

    def _refuse(self, status: int, *, own: bool) -> None:
        """Answer ``status`` as soon as all earlier requests are answered; ``own``: the current cycle is refused."""
        if self._refusal is not None or self.transport.is_closing():
            return
        self._refusal = _answer(status, self.max_body)
        self._disarm()
        self.refused(status)
        if own:
            if self.pipeline and self.pipeline[0][0] is self.cycle:
                self.pipeline.popleft()
                return  # an earlier request is still being answered
            if self.cycle.response_started:
                self._refusal = b""  # it has its answer already
                if not self.cycle.response_complete:
                    return
            else:
                self.cycle.disconnected = True
                self.cycle.message_event.set()
        elif not self._is_idle():
            return
        self._say()

    def on_response_complete(self) -> None:
        """After an answer: the next request, or the refusal that waited for its turn."""
        if self._refusal is None or self.pipeline:
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self._say()

    def _say(self) -> None:
        """Write the refusal, stop writing, and close when the sender has had time to read it."""
        if self._refusal:
            self.transport.write(self._refusal)
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._closing = self.loop.call_later(LINGER_SECONDS, self.transport.close)
