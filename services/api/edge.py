"""The edge of the API: what holds for every request, whatever its route. Plain ASGI.

Bodies are bounded before they are read, no NUL passes, at most so many requests run at once, every read carries an
ETag, and every answer is counted.
"""

import hashlib
import re
import time
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api.instruments import Instruments
from services.api.problems import ProblemError, invalid, unavailable
from services.api.scim.errors import answer
from services.observability import SAFE
from services.reference import POLICY

MOST_BYTES: Final = 1 << 20
MOST_BYTES_AT: Final = {"/v1/directory/people": 64 << 20, "/scim/v2/Groups": 8 << 20}
"""Larger bodies are taken at these addresses and below them."""
MOST_RUNNING: Final = 256
TAGGED: Final = ("/v1/", "/feeds/")
STREAM: Final = "text/event-stream"
STREAMS: Final = re.compile(r"/v1/alerts/stream|/feeds/[^/]+/alerts\.stream")
"""These last as long as their readers like, and are bounded by themselves."""
METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


class Edge:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, instruments: Instruments) -> None:
        self._app = app
        self._instruments = instruments
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange(scope, receive, send)
        if STREAMS.fullmatch(scope["path"]):
            await self._answer(exchange)
            return
        started = time.perf_counter()
        self._running += 1
        self._instruments.running.set(self._running)
        try:
            await self._answer(exchange)
        finally:
            self._running -= 1
            self._instruments.running.set(self._running)
            self._count(exchange, time.perf_counter() - started)

    async def _answer(self, exchange: "Exchange") -> None:
        refusal = unavailable() if self._running > MOST_RUNNING else exchange.refusal()
        app = self._app if refusal is None else answer(exchange.scope["path"], refusal)
        await app(exchange.scope, exchange.receive, exchange.send)

    def _count(self, exchange: "Exchange", seconds: float) -> None:
        route = getattr(exchange.scope.get("route"), "path", "other")
        method = exchange.scope["method"] if exchange.scope["method"] in METHODS else "other"
        self._instruments.requests.labels(method, route, str(exchange.status)).inc()
        self._instruments.seconds.labels(route).observe(seconds)


def tag_of(body: bytes) -> str:
    """Return the ETag of what a read answers."""
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def most_bytes(path: str) -> int:
    """Return how large a body for ``path`` may be."""
    return next((most for at, most in MOST_BYTES_AT.items() if path == at or path.startswith(f"{at}/")), MOST_BYTES)


class Exchange:
    """One request and its answer. What asks for the head of a read is answered as the read, without its body."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._bare = scope["method"] == "HEAD" and not STREAMS.fullmatch(scope["path"])
        self.scope = {**scope, "method": "GET"} if self._bare else scope
        self.status = 499  # unless an answer begins
        self._receive = receive
        self._send = send
        self._most = most_bytes(scope["path"])
        self._taken = 0
        self._held: Message | None = None
        self._body = b""

    def refusal(self) -> ProblemError | None:
        """Return why the request is refused unread; None: it is not."""
        if "\x00" in self.scope["path"] or b"%00" in self.scope["query_string"]:
            return invalid("The address must not hold a NUL character.")
        headers = Headers(scope=self.scope)
        if len(headers.getlist("uptake-tenant")) > 1:
            return ProblemError(400, "The header Uptake-Tenant stands there once.")
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length[:20]) > self._most:
            return self._too_large()
        return None

    def _too_large(self) -> ProblemError:
        return ProblemError(413, f"The body must not be larger than {self._most >> 20} MiB.")

    async def receive(self) -> Message:
        """Take a part of the body, as long as it is not too large."""
        message = await self._receive()
        self._taken += len(message.get("body", b""))
        if self._taken > self._most:
            raise self._too_large()
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer; a read is held back until its ETag is known."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in SAFE:
                headers.setdefault(name.decode(), value.decode())
            headers["Content-Security-Policy"] = POLICY
            headers.setdefault("Cache-Control", "private, no-cache")
            headers.add_vary_header("Authorization, Uptake-Tenant")
            if self.scope["method"] == "GET" and message["status"] == 200 and self._is_whole(headers):  # noqa: PLR2004
                self._held = message
                return
        elif self._held is not None:
            self._body += message.get("body", b"")
            if message.get("more_body"):
                return
            await self._send_read(self._held)
            return
        await self._pass(message)

    async def _pass(self, message: Message) -> None:
        if self._bare and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)

    def _is_whole(self, headers: Headers) -> bool:
        """Tell whether the answer is a read that ends."""
        streamed = headers.get("content-type", "").startswith(STREAM)
        return self.scope["path"].startswith(TAGGED) and not streamed

    async def _send_read(self, start: Message) -> None:
        headers = MutableHeaders(scope=start)
        tag = tag_of(self._body)
        headers["ETag"] = tag
        body = self._body
        if _matches(Headers(scope=self.scope).getlist("if-none-match"), tag):
            del headers["content-length"]
            start["status"], self.status, body = 304, 304, b""
        await self._pass(start)
        await self._pass({"type": "http.response.body", "body": body})


def _matches(wanted: list[str], tag: str) -> bool:
    tags = {entry.strip().removeprefix("W/") for header in wanted for entry in header.split(",")}
    return tag in tags or "*" in tags
