"""What every process shows of itself: JSON logs on stderr, ``/metrics``, ``/healthz`` and ``/readyz``.

Secrets never reach a log: nothing here logs headers, bodies or URLs with a query.
"""

import logging
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

Probe = Callable[[], Awaitable[Mapping[str, str]]]
"""Returns what is wrong, by part; empty: ready."""


class _JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the error's text when there is one."""

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
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(entry).decode()


def start_logging(service: str, level: str) -> None:
    """Log as JSON lines on stderr from now on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines(service))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.Formatter.converter = __import__("time").gmtime
    for noisy in ("aiokafka", "uvicorn.access", "httpx"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL if noisy == "aiokafka" else logging.WARNING)


def exposition(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """Return the metrics of ``registry`` and their content type, as text or OpenMetrics by ``accept``."""
    encode, content_type = choose_encoder(accept)
    body: bytes = encode(registry)
    return body, content_type


class Probes:
    """A small ASGI application: ``/healthz``, ``/readyz`` and ``/metrics`` of one process."""

    def __init__(self, registry: CollectorRegistry, ready: Probe) -> None:
        self._registry = registry
        self._ready = ready

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
            wrong = dict(await self._ready())
            status, body = (503 if wrong else 200), msgspec.json.encode({"ready": not wrong, "wrong": wrong})
        else:
            status, body = 404, b'{"title":"Not Found","status":404}'
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
