"""How a server leaves: it says so, goes on for a while, answers what came, and hurries when it is told to."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import uvicorn

from services import leaving
from services.child import free_port
from services.guard import GuardedProtocol
from services.leaving import Leaving
from services.server import Server

REQUEST = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n"
FOR_EVER = 600.0


class Service(Server):
    """Tells its name; at ``/slow`` when ``answer`` is set.

    When it begins to leave, requests come that the kernel has accepted for it, and it has not.
    """

    def __init__(self, name: str = "one", *, shared: bool = False, port: int = 0) -> None:
        self.name = name.encode()
        self.leaving = Leaving()
        self.asked, self.answer = asyncio.Event(), asyncio.Event()
        self.late: list[socket.socket] = []
        options: dict[str, Any] = {"http": GuardedProtocol, "interface": "asgi3", "lifespan": "off", "log_config": None}
        super().__init__(uvicorn.Config(self._answer, port=port or free_port(), **options), shared=shared)

    async def _answer(self, scope: Any, _receive: Any, send: Any) -> None:
        if scope["path"] == "/slow":
            self.asked.set()
            await self.answer.wait()
        length = [(b"content-length", b"%d" % len(self.name))]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        await send({"type": "http.response.body", "body": self.name})

    def _part(self) -> None:
        super()._part()
        self.late = [socket.create_connection(("127.0.0.1", self.config.port)) for _ in range(20)]
        for connection in self.late:
            connection.sendall(REQUEST)
            connection.settimeout(0)

    @contextlib.asynccontextmanager
    async def running(self, drain: float = FOR_EVER) -> AsyncIterator["asyncio.Task[None]"]:
        running = asyncio.create_task(self.run_until(self.leaving, drain=drain))
        while not self.started:  # noqa: ASYNC110 - uvicorn tells of it by a flag
            await asyncio.sleep(0.01)
        try:
            yield running
        finally:
            self.leaving.asked.set()
            self.leaving.hurried.set()
            await running
            for connection in self.late:
                connection.close()

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.config.port}")

    async def closed(self) -> None:
        """Wait until the door is closed."""
        with contextlib.suppress(OSError):
            while True:
                _, writer = await asyncio.open_connection("127.0.0.1", self.config.port)
                writer.close()
                await writer.wait_closed()


@pytest.fixture
def service() -> Service:
    return Service()


async def test_a_server_that_leaves_goes_on_and_lets_each_answer_end_its_connection(service: Service) -> None:
    async with service.running(), service.client() as client:
        before = await client.get("/")
        service.leaving.ask()
        after = [await client.get("/") for _ in range(5)]

    assert "connection" not in before.headers
    assert [answer.text for answer in after] == ["one"] * 5
    assert after[-1].headers["connection"] == "close"


async def test_what_is_under_way_when_it_begins_to_leave_ends_its_connection_too(service: Service) -> None:
    async with service.running(), service.client() as client:
        slow = asyncio.create_task(client.get("/slow"))
        await service.asked.wait()
        service.leaving.ask()
        while not service.late:  # noqa: ASYNC110 - it has begun to leave
            await asyncio.sleep(0.01)
        service.answer.set()

        assert (await slow).headers["connection"] == "close"


async def test_what_is_under_way_is_answered_when_the_door_is_closed(service: Service) -> None:
    async with service.running(drain=0.01) as running, service.client() as client:
        slow = asyncio.create_task(client.get("/slow"))
        await service.asked.wait()
        service.leaving.ask()
        await service.closed()
        assert not running.done()
        service.answer.set()

        assert (await slow).text == "one"
        await running


async def test_a_server_that_is_asked_again_waits_for_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with service.running() as running, service.client() as client:
        slow = asyncio.create_task(client.get("/slow"))
        await service.asked.wait()
        service.leaving.ask()
        service.leaving.ask()  # by whom it was asked just now
        assert not service.leaving.hurried.is_set()
        monkeypatch.setattr(leaving, "TOGETHER_SECONDS", 0)
        service.leaving.ask()
        await running

        assert not slow.done()
        service.answer.set()  # a process would be gone by now
        await slow


async def test_who_shares_a_port_closes_the_door_and_serves_whoever_is_inside() -> None:
    first = Service("first", shared=True)
    second = Service("second", shared=True, port=first.config.port)
    async with first.running() as running, first.client() as inside:
        await inside.get("/")
        first.leaving.ask()
        await first.closed()
        loop = asyncio.get_running_loop()
        answers = await asyncio.gather(*(loop.sock_recv(each, 1000) for each in first.late))
        async with second.running(), first.client() as newcomer:
            served = [(await client.get("/")).text for client in (inside, newcomer, inside)]

        assert all(answer.endswith(b"first") for answer in answers)
        assert served == ["first", "second", "second"]
        assert not running.done()
