"""The HTTP server of a service. Signals are its process's own: uvicorn would end it by the signal instead of with 0.

Whoever runs it stops it by ``should_exit``; it then answers what is under way and returns.
"""

import contextlib
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp


def probing(app: ASGIApp, host: str, port: int) -> "Server":
    """Return the server of a service that answers nothing but probes."""
    return Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=2,
        )
    )


class Server(uvicorn.Server):
    """uvicorn without signal handlers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield
