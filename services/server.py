"""The HTTP server of a service, and how it leaves without cutting anybody off.

Signals are its process's own (``leaving``): uvicorn would end it by the signal instead of with 0. Asked to leave, the
server goes on for a while, so that load balancers take notice; each answer now ends its connection, so that senders go
elsewhere of themselves. Then it takes no new connections, answers what is under way, and returns.

Who shares the port with others of its kind closes the door at once instead: what comes is theirs.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from services.leaving import Leaving

_LAST: Final = (b"connection", b"close")


def config(app: ASGIApp, host: str, port: int, **others: Any) -> uvicorn.Config:  # noqa: ANN401 - uvicorn's own
    """Return uvicorn's settings with what holds for every server of ours: it writes no log, and says no name."""
    return uvicorn.Config(app, host=host, port=port, log_config=None, access_log=False, server_header=False, **others)


def probing(app: ASGIApp, host: str, port: int) -> "Server":
    """Return the server of a service that answers nothing but probes."""
    return Server(config(app, host, port, lifespan="off", timeout_graceful_shutdown=2))


class Server(uvicorn.Server):
    """uvicorn without signal handlers. ``shared``: others may listen on the port, too.

    ``at_close`` is called when the door is closed, before what is under way is waited for.
    """

    def __init__(
        self, config: uvicorn.Config, *, shared: bool = False, at_close: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(config)
        self._shared = shared
        self._at_close = at_close

    async def run_until(self, leaving: Leaving, *, drain: float) -> None:
        """Serve until ``leaving``, and then for ``drain`` seconds; return when all that came is answered."""
        doors = [_shared_door(self.config)] if self._shared else None
        serving = asyncio.create_task(self.serve(doors))
        asked = asyncio.create_task(leaving.asked.wait())
        await asyncio.wait([serving, asked], return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if self.started and not serving.done():
            self._part()
            for door in doors or ():
                await self._close(door)
            await leaving.pause(drain)
        self.should_exit = True
        await leaving.wait([serving])
        self.force_exit = True
        await serving

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the door, wait for what is under way, and end the application."""
        self._at_close()
        await super().shutdown(sockets)

    def _part(self) -> None:
        """Let every answer from now on be the last of its connection."""
        self.config.encoded_headers = [*self.config.encoded_headers, _LAST]
        self.server_state.default_headers = [*self.server_state.default_headers, _LAST]
        for connection in self.server_state.connections:
            if (under_way := getattr(connection, "cycle", None)) is not None:
                under_way.keep_alive = False

    async def _close(self, door: socket.socket) -> None:
        """Take no new connections from ``door``; those that the kernel has accepted for us are still served."""
        rest = door.dup()
        for server in self.servers:
            server.close()
        await asyncio.sleep(0)  # from here on nobody else accepts
        accepted = []
        with contextlib.suppress(BlockingIOError):
            while True:
                accepted.append(rest.accept()[0])
        rest.close()
        for connection in accepted:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def _shared_door(config: uvicorn.Config) -> socket.socket:
    """Return a socket that listens beside others of the same user on the same port."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    door = socket.create_server((config.host, config.port), family=family, backlog=config.backlog, reuse_port=True)
    door.settimeout(0)
    return door
