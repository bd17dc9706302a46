"""What every process shows of itself: logs on stderr, traces, ``/metrics``, ``/healthz`` and ``/readyz``.

A log line is one JSON object, on a terminal one line of text. A line that concerns a tenant, a source, a shard or an
event says which, as fields of their own, and of which trace it is a part. Secrets never reach a log: nothing here logs
headers, bodies or URLs with a query.
"""

import logging
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from services import tracing
from services.settings import Settings

Probe = Callable[[], Awaitable[Mapping[str, str]]]
"""Returns what is wrong, by part; empty: ready."""


CONCERNED: Final = ("tenant", "source", "shard", "event")
"""What a line may be about: given to a log call as ``extra``."""
SAFE: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)
"""Headers of every answer: nobody guesses what it is, frames it, or passes its address on."""
_PLAIN: Final = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


class _JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, whom it concerns, and the error's text if there is one."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {name: found for name in CONCERNED if (found := getattr(record, name, None)) is not None}
        if (here := tracing.here()) is not None:
            _, entry["trace_id"], entry["span_id"], _ = here.split("-")
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(entry).decode()


def start(service: str, settings: Settings) -> None:
    """Log, and send traces to a collector if one is set, from now on."""
    start_logging(service, settings.log_level)
    tracing.start(service, settings)


def start_logging(service: str, level: str) -> None:
    """Log on stderr from now on: JSON lines, on a terminal text."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(_PLAIN) if sys.stderr.isatty() else _JsonLines(service))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.Formatter.converter = __import__("time").gmtime
    for noisy in ("aiokafka", "uvicorn.access", "httpx"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL if noisy == "aiokafka" else logging.WARNING)


def exposition(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """Return the metrics of ``registry`` and their content type, as text or OpenMetrics by ``accept``."""
    encode, content_type = choose_encoder(accept)
    body: bytes = encode(registry)
    return body, content_type


class Standing:
    """Since when each part has been wrong, as far as probes have seen it."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._since: dict[str, datetime] = {}

    def told(self, wrong: Mapping[str, str]) -> dict[str, Any]:
        """Return what ``/readyz`` answers."""
        now = self._clock()
        self._since = {part: self._since.get(part, now) for part in wrong}
        since = {part: at.isoformat(timespec="seconds").replace("+00:00", "Z") for part, at in self._since.items()}
        return {"ready": not wrong, "wrong": dict(wrong), "since": since}


class Probes:
    """A small ASGI application: ``/healthz``, ``/readyz`` and ``/metrics`` of one process."""

    def __init__(self, registry: CollectorRegistry, ready: Probe, clock: Callable[[], datetime]) -> None:
        self._registry = registry
        self._ready = ready
        self._standing = Standing(clock)

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401
        """Answer one request (or the lifespan, in which nothing is to be done)."""
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        if scope["type"] == "http":
            await self._answer(scope, send)

    async def _answer(self, scope: Mapping[str, Any], send: Any) -> None:  # noqa: ANN401
        path, status, kind = scope["path"], 200, "application/json"
        if path == "/metrics":
            accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
            body, kind = exposition(self._registry, accept)
        elif path == "/healthz":
            body = b'{"alive":true}'
        elif path == "/readyz":
            wrong = await self._ready()
            status, body = (503 if wrong else 200), msgspec.json.encode(self._standing.told(wrong))
        else:
            status, body = 404, b'{"title":"Not Found","status":404}'
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode()), *SAFE]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
