"""Two of each service on one machine, and a client of theirs that tries again, as real ones do.

Ingest shares a port; each API has its own, behind a balancer that looks who is ready. Nobody outlives the fleet.
"""

import asyncio
import importlib
import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from services import child
from tests.faults.nursery import SERVICES, Process, bear
from tests.patience import SECONDS, until


def live(name: str) -> None:
    """Live as a service."""
    importlib.import_module(f"services.{name}.__main__").main()


class Fleet:
    """Two of each service, each replaced by ``replace``."""

    def __init__(self, home: Path, **settings: object) -> None:
        self._home = home
        self._settings = settings
        self._numbers = itertools.count(1)
        self._ingest_port = child.free_port()
        self.crews: dict[str, list[Process]] = {name: [] for name in SERVICES}
        self.ports: dict[int | None, int] = {}
        """By process id: where it is asked whether it is ready."""

    @property
    def ingest(self) -> str:
        return f"http://127.0.0.1:{self._ingest_port}"

    async def launch(self) -> None:
        """Start all, and wait until they are ready."""
        await asyncio.gather(*(self.start(name) for name in SERVICES for _ in range(2)))

    async def start(self, name: str) -> None:
        """Start one more, and wait until it is ready."""
        port = self._ingest_port if name == "ingest" else child.free_port()
        own: dict[str, object] = {f"{name}_port": port}
        if name == "ingest":
            own |= {"share_ports": "yes", "metrics_port": (port := child.free_port())}
        home = self._home / f"{name}{next(self._numbers)}"
        home.mkdir()
        started = bear(live, name, diary=self._home / f"{name}.log", state_dir=home, **own, **self._settings)
        self.crews[name].append(started)
        self.ports[started.pid] = port
        await until(lambda: self._is_ready(name, started))

    async def _is_ready(self, name: str, process: Process) -> bool:
        assert process.exitcode is None, (self._home / f"{name}.log").read_text()[-2000:]
        return await ready(self.ports[process.pid])

    async def replace(self, name: str, moment: Callable[[], bool]) -> int | None:
        """Start a successor of the eldest, tell that one to stop at a ``moment``, and return its exit status."""
        eldest = self.crews[name].pop(0)
        await self.start(name)
        await until(moment)
        eldest.terminate()
        await asyncio.to_thread(eldest.join, SECONDS)
        return eldest.exitcode

    def dismiss(self) -> None:
        """Kill everybody."""
        for each in itertools.chain(*self.crews.values()):
            each.kill()
            each.join()


async def ready(port: int) -> bool:
    """Tell whether who listens on ``port`` says that it is ready."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(b"GET /readyz HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n")
            return (await reader.read(12)).endswith(b"200")
        finally:
            writer.close()
            await writer.wait_closed()
    except OSError:
        return False


class Balancer:
    """Knows which APIs are ready, or were when any was, and names one after the other."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._ports: list[int] = []
        self._turns = itertools.count()
        self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while True:
            ports = [self._fleet.ports[api.pid] for api in self._fleet.crews["api"]]
            known = list(dict.fromkeys([*self._ports, *ports]))
            found = await asyncio.gather(*(ready(port) for port in known))
            self._ports = [port for port, well in zip(known, found, strict=True) if well] or self._ports
            await asyncio.sleep(0.05)

    def known(self) -> bool:
        """Tell whether anybody is ready."""
        return bool(self._ports)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._ports[next(self._turns) % len(self._ports)]}"

    async def stop(self) -> None:
        self._looking.cancel()
        await asyncio.wait([self._looking])


class Client:
    """Asks again until it is answered well. ``seen`` counts what became of single attempts."""

    def __init__(self, seen: Counter[str], **headers: str) -> None:
        self.http = httpx.AsyncClient(headers=headers)
        self._seen = seen

    async def ask(self, method: str, address: Any, **content: Any) -> None:
        """Ask ``address()`` until it answers well."""
        await until(lambda: self._attempt(method, address(), **content))

    async def _attempt(self, method: str, address: str, **content: Any) -> bool:
        try:
            answer = await self.http.request(method, address, **content)
        except httpx.TransportError as error:
            self._seen[f"cut: {type(error).__name__}"] += 1
            return False
        self._seen[str(answer.status_code)] += 1
        return answer.is_success
