"""A port of a process's own for its probes and metrics, beside the one it serves on.

Several processes may share the port they serve on, and whoever asks there is answered by any of them: counters would
jump. So where a process has a port of its own, its metrics are there and nowhere else.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from services.server import probing
from services.tracing import PROBES

METRICS: Final = "/metrics"
END_SECONDS: Final = 3.0
_ELSEWHERE: Final = {
    "type": "about:blank",
    "title": "Not Found",
    "status": 404,
    "detail": "Probes and metrics of a process are on a port of its own, everything else is on another.",
}


@contextlib.asynccontextmanager
async def shown(app: ASGIApp, host: str, port: int) -> AsyncIterator[None]:
    """Answer the probes and metrics of ``app`` on ``port`` as long as the block lasts; 0: on no port of its own."""
    if not port:
        yield
        return
    server = probing(_only(app), host, port)
    serving = asyncio.create_task(server.serve())
    try:
        yield
    finally:
        server.should_exit = True
        await asyncio.wait([serving], timeout=END_SECONDS)


def without_metrics(app: ASGIApp, port: int) -> ASGIApp:
    """Return what of ``app`` is served where others may be, too: all of it, if its metrics have no ``port``."""
    if not port:
        return app

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await (_elsewhere if scope.get("path") == METRICS else app)(scope, receive, send)

    return answer


def _only(app: ASGIApp) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await (app if scope["path"] in PROBES else _elsewhere)(scope, receive, send)

    return answer


async def _elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
    await JSONResponse(_ELSEWHERE, 404, media_type="application/problem+json")(scope, receive, send)
