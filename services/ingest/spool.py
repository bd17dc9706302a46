"""The spool: what its sender would never repeat waits here, on the disk, while the log does not take it.

One thread owns the file. All who wait for it share its next transaction, so many deliveries cost one write to the
disk. It holds so much and no more; what it does not take is refused, and whatever happens to the file ends nothing.
"""

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from services.ingest.spool_file import DamagedError, Entry, Measure, SpoolError, SpoolFile, size_of

__all__ = ["Entry", "Measure", "Spool", "SpoolError"]

log = logging.getLogger(__name__)

_MOST_TOGETHER: Final = 500
_CLOSE_SECONDS: Final = 3.0


class _Job(NamedTuple):
    """Entries to keep, or work on the file, and who waits for it."""

    done: "asyncio.Future[Any]"
    entries: Sequence[Entry] = ()
    work: Callable[[SpoolFile], Any] | None = None


class Spool:
    """The spool in ``directory``, of at most ``most`` bytes. ``measure`` and ``fault`` tell how it stands.

    ``told``: is told, in the spool's thread, of files put aside and of entries seen to be lost with them.
    """

    def __init__(self, directory: Path, *, most: int, told: Callable[[int, int], None]) -> None:
        self._file = SpoolFile(directory)
        self._most = most
        self._told = told
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="spool", daemon=True)
        self._damaged = self._lost = 0
        self.measure = Measure()
        self.fault: str | None = None

    def start(self) -> None:
        """Open the file, in the thread that owns it."""
        self._thread.start()

    def wrong(self) -> str | None:
        """Return why it would not take more; None: it would."""
        if self.fault is not None:
            return self.fault
        return "is full" if self.measure.bytes >= self._most else None

    async def keep(self, entries: Sequence[Entry]) -> None:
        """Keep ``entries``: on the disk when this returns.

        Raises:
            SpoolError: they are not kept.
        """
        await self._ask(entries=entries)

    async def read(self, after: int, most: int, most_bytes: int) -> list[tuple[int, Entry]]:
        """Return entries behind the number ``after``, in order, with their numbers.

        Raises:
            SpoolError: they cannot be read now.
        """
        found: list[tuple[int, Entry]] = await self._ask(work=lambda file: file.read(after, most, most_bytes))
        return found

    async def remove(self, numbers: Sequence[int]) -> None:
        """Take out what is on the log.

        Raises:
            SpoolError: it cannot be taken out now; it will be appended again, which changes nothing.
        """
        await self._ask(work=lambda file: file.remove(numbers))

    async def stop(self) -> None:
        """Finish what was begun and close the file."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join, _CLOSE_SECONDS)

    async def _ask(self, **what: Any) -> Any:  # noqa: ANN401 - a job, and its result
        done = asyncio.get_running_loop().create_future()
        self._jobs.put(_Job(done, **what))
        return await done

    # ------------------------------------------------------------ in the thread

    def _work(self) -> None:
        self._run(self._file.open)
        while (job := self._jobs.get()) is not None:
            jobs: list[_Job | None] = [job]
            while len(jobs) < _MOST_TOGETHER and jobs[-1] is not None and not self._jobs.empty():
                jobs.append(self._jobs.get())
            real = [it for it in jobs if it is not None]
            self._keep([it for it in real if it.work is None])
            for it in real:
                if it.work is not None:
                    self._answer([it], self._run(it.work, self._file))
            if jobs[-1] is None:
                break
        self._file.close()

    def _keep(self, jobs: Sequence[_Job]) -> None:
        """Keep what there is room for, in one transaction."""
        room = self._most - self.measure.bytes
        taken = []
        for job in jobs:
            size = size_of(job.entries)
            if size <= room:
                room -= size
                taken.append(job)
            else:
                self._answer([job], SpoolError("is full"))
        if taken:
            self._answer(taken, self._run(self._file.add, [entry for job in taken for entry in job.entries]))

    def _run(self, work: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401 - the result, or an error
        """Return what ``work`` returns, or the error it raised; take note of how the file stands."""
        result: Any
        try:
            result = work(*arguments)
            self.measure = self._file.measure
            self.fault = None
        except (SpoolError, DamagedError) as error:
            self._complain(f"cannot be used: {error}")
            result = error if isinstance(error, SpoolError) else SpoolError("is damaged")
        except Exception as error:  # the thread must last: without it nothing would be kept any more
            log.exception("the spool failed")
            self.fault = f"failed: {type(error).__name__}"
            result = SpoolError(self.fault)
        if self._file.damaged > self._damaged:
            log.error(
                "the spool's file was damaged and is put aside; %s events saved, %s seen to be lost",
                self.measure.events,
                self._file.lost - self._lost,
            )
            self._told(self._file.damaged - self._damaged, self._file.lost - self._lost)
            self._damaged, self._lost = self._file.damaged, self._file.lost
        return result

    def _complain(self, fault: str) -> None:
        if self.fault is None:
            log.error("the spool %s", fault)
        self.fault = fault

    def _answer(self, jobs: Sequence[_Job], result: object) -> None:
        for job in jobs:
            try:
                job.done.get_loop().call_soon_threadsafe(_settle, job.done, result)
            except RuntimeError:  # the loop has ended: nobody waits any more
                return


def _settle(done: "asyncio.Future[Any]", result: object) -> None:
    if done.done():
        return
    if isinstance(result, SpoolError):
        done.set_exception(result)
    else:
        done.set_result(result)
