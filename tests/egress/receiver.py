"""A receiver of deliveries: a real HTTP server that answers as it is told and remembers what came."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self


@dataclass
class Came:
    """A request that came."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    """What is answered. ``cut``: the connection ends without an answer; ``after``: seconds of silence before."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    cut: bool = False
    after: float = 0.0


class Receiver:
    """Listens on 127.0.0.1. ``replies`` are given in turn, then ``usual``."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.came: list[Came] = []
        self.replies: list[Reply] = []
        self.usual = Reply()
        self.connections = 0
        self.port = 0
        self._tls = tls
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/in"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_error: object) -> None:
        assert self._server is not None
        self._server.close()

    def reply(self) -> Reply:
        return self.replies.pop(0) if self.replies else self.usual

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *rest = head.split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (row.partition(":") for row in rest if row)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.came.append(Came(line, headers, body))
            reply = self.reply()
            await asyncio.sleep(reply.after)
            if not reply.cut:
                told = {"content-length": str(len(reply.body)), **reply.headers}
                lines = [f"HTTP/1.1 {reply.status} Said", *(f"{name}: {value}" for name, value in told.items())]
                writer.write("\r\n".join([*lines, "", ""]).encode() + reply.body)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
