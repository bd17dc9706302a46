"""Keeps the processes of one machine running: starts them, starts again what dies, stops all within its time.

A process that ends before it was ever ready three times in a row is a mistake of the operator's and ends the start;
later it is started again for ever, with a growing pause.
"""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import httpx

from services import child
from services.leaving import Leaving
from services.settings import Settings, inherited
from services.waiting import is_nameless

log = logging.getLogger(__name__)

READY_SECONDS: Final = 300.0
ENGINE_SECONDS: Final = 30.0
"""For how long an engine that is named may take to come."""
STOP_SECONDS: Final = 9.0
FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 5.0
HOPELESS: Final = 3


class StartError(RuntimeError):
    """The product cannot start; the message is one line for the user."""


@dataclass
class Service:
    """One process of the product: ``python -m module`` with ``settings``, answering at ``url``."""

    name: str
    module: str
    settings: Settings
    url: str
    failures: int = 0
    ready: bool = False
    process: asyncio.subprocess.Process | None = field(default=None, repr=False)


class Supervisor:
    """Runs ``services`` until it is told to leave. ``logs``: the file descriptor that takes what they say."""

    def __init__(self, services: Sequence[Service], *, leaving: Leaving, logs: int | None = None) -> None:
        self._services = services
        self._leaving = leaving
        self._stop = leaving.asked
        self._logs = sys.stderr.fileno() if logs is None else logs
        self._keeping: list[asyncio.Task[None]] = []

    async def start(self) -> bool:
        """Start all and wait until each is ready; False when told to stop before.

        Raises:
            StartError: a process ends at its start again and again, or is not ready in time.
        """
        self._keeping = [asyncio.create_task(self._keep(service)) for service in self._services]
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(READY_SECONDS):
                    await asyncio.gather(*(self._await_ready(client, service) for service in self._services))
        if self._stop.is_set():
            return False
        if late := [service.name for service in self._services if not service.ready]:
            raise StartError(f"{', '.join(late)} not ready after {READY_SECONDS:.0f} s")
        return True

    async def shut(self) -> None:
        """Let every process drain, and hurry when we are hurried; kill what does not end in time."""
        self._stop.set()
        seconds = STOP_SECONDS + max(service.settings.drain_seconds for service in self._services)
        hurrying = asyncio.create_task(self._hurry())
        self._tell(signal.SIGTERM)
        if self._keeping:
            await asyncio.wait(self._keeping, timeout=seconds)
        self._tell(signal.SIGKILL)
        for task in (hurrying, *self._keeping):
            task.cancel()
        await asyncio.gather(hurrying, *self._keeping, return_exceptions=True)

    async def _hurry(self) -> None:
        await self._leaving.hurried.wait()
        self._tell(signal.SIGTERM)

    def _tell(self, number: signal.Signals) -> None:
        for service in self._services:
            if service.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    service.process.send_signal(number)

    async def _keep(self, service: Service) -> None:
        pause = FIRST_PAUSE
        while not self._stop.is_set():
            since = asyncio.get_running_loop().time()
            status = await self._run(service)
            if self._stop.is_set():
                return
            service.failures += 1
            log.warning("%s ended with status %s; starting it again", service.name, status)
            if asyncio.get_running_loop().time() - since > 2 * LONGEST_PAUSE:
                pause = FIRST_PAUSE
            await sleep(pause, self._stop)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _run(self, service: Service) -> int:
        service.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            service.module,
            env=inherited(service.settings),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=self._logs,
            stderr=self._logs,
            start_new_session=True,
            preexec_fn=child.die_with_parent(signal.SIGTERM),
        )
        return await service.process.wait()

    async def _await_ready(self, client: httpx.AsyncClient, service: Service) -> None:
        while not service.ready and not self._stop.is_set():
            if service.failures >= HOPELESS:
                raise StartError(f"{service.name} ends at its start, see what it logged above")
            with contextlib.suppress(httpx.HTTPError):
                response = await client.get(f"{service.url}/readyz")
                service.ready = response.status_code == httpx.codes.OK
            await sleep(0 if service.ready else 0.1, self._stop)


async def sleep(seconds: float, stop: asyncio.Event) -> None:
    """Sleep, but no longer than until ``stop``."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


async def retry(what: str, action: Callable[[], Awaitable[None]], errors: tuple[type[BaseException], ...]) -> None:
    """Do ``action`` until it succeeds, for as long as engines may take to come. None comes where no address is.

    Raises:
        StartError: it fails with one of ``errors`` to the end.
    """
    deadline = asyncio.get_running_loop().time() + ENGINE_SECONDS
    while True:
        try:
            await action()
        except errors as error:
            if is_nameless(error) or asyncio.get_running_loop().time() > deadline:
                raise StartError(f"{what}: {str(error) or type(error).__name__}") from error
            log.info("%s: %s; trying again", what, error)
            await asyncio.sleep(0.5)
        else:
            return
