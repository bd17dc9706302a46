"""How a process is told to leave: the first signal asks it to, another a while later tells it to hurry.

Asked, it says that it is not ready, ends what is under way and gives back what it holds. Hurried, it waits for nothing.
Signals that come together are one: who tells a whole group of processes tells a child, whom its parent tells, too.
"""

import asyncio
import signal
from collections.abc import Collection, Iterable
from typing import Any, Final

from services.waiting import pause

TOGETHER_SECONDS: Final = 1.0
CANCEL_SECONDS: Final = 2.0


class Leaving:
    """What a process was told of leaving."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.hurried = asyncio.Event()
        self._asked_at = 0.0

    def listen(self) -> None:
        """Take SIGTERM and SIGINT from now on."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.ask)

    def ask(self) -> None:
        """Ask to leave; asked a while before: to hurry."""
        now = asyncio.get_running_loop().time()
        if not self.asked.is_set():
            self._asked_at = now
            self.asked.set()
        elif now >= self._asked_at + TOGETHER_SECONDS:
            self.hurried.set()

    async def pause(self, seconds: float) -> None:
        """Wait for so long, or until hurried."""
        await pause(self.hurried, seconds)

    async def wait(self, work: Iterable["asyncio.Task[Any]"], seconds: float | None = None) -> None:
        """Wait until all ``work`` has ended, but no longer than for so long, or until hurried."""
        ended = asyncio.ensure_future(asyncio.wait(work))
        hurried = asyncio.ensure_future(self.hurried.wait())
        await asyncio.wait([ended, hurried], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for waiting in (ended, hurried):
            waiting.cancel()

    async def see_off(self, work: Collection["asyncio.Task[Any]"], seconds: float) -> None:
        """Let ``work`` go on until asked to leave or one of it has ended; then end all of it within ``seconds``.

        What ended by itself with an error raises it.
        """
        asked = asyncio.ensure_future(self.asked.wait())
        done, _ = await asyncio.wait([*work, asked], return_when=asyncio.FIRST_COMPLETED)
        self.asked.set()
        await self.wait(work, seconds)
        for task in work:
            task.cancel()
        await asyncio.wait(work, timeout=CANCEL_SECONDS)
        for task in done:
            task.result()
