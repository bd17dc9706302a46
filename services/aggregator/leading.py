"""Leading: what one process of a cluster does, and another takes over when that one is gone.

An advisory lock on a session of its own decides who leads. Two may meet for a moment, when a session was lost and its
process has not noticed: what is done here must bear that.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from services.aggregator.store import leading as store
from services.postgres import DATABASE_ERRORS, UNAVAILABLE, Connection, connect
from services.waiting import pause

log = logging.getLogger(__name__)

STANDBY_SECONDS: Final = 2.0
LONGEST_REST: Final = 60.0

Confirm: TypeAlias = Callable[[], Awaitable[None]]
"""Makes sure that the session of the lock is still there; raises one of ``DATABASE_ERRORS`` when it is not."""


@dataclass(frozen=True, slots=True)
class Leader:
    """Leads under ``lock`` as ``name``; between two rounds it pauses for ``every`` seconds."""

    url: str
    name: str
    lock: int
    every: float

    async def run(self, stop: asyncio.Event, rounds: Callable[[Confirm], Awaitable[None]]) -> None:
        """Do ``rounds`` until ``stop``; wait while somebody else leads or Postgres is away."""
        while not stop.is_set():
            try:
                session = await connect(self.url, name=f"uptake-{self.name}")
            except UNAVAILABLE as error:
                log.warning("waiting for Postgres: %s", error)
            else:
                await self._attend(session, stop, rounds)
            await pause(stop, STANDBY_SECONDS)

    async def _attend(
        self, session: Connection, stop: asyncio.Event, rounds: Callable[[Confirm], Awaitable[None]]
    ) -> None:
        """Stand by or lead on one session until it breaks or ``stop``; the lock goes with the session."""

        async def confirm() -> None:
            await store.confirm_session(session)

        try:
            await store.prepare_session(session)
            while not stop.is_set() and not await store.try_lead(session, self.lock):
                await pause(stop, STANDBY_SECONDS)
            while not stop.is_set():
                await rounds(confirm)
                await pause(stop, self.every)
        except DATABASE_ERRORS as error:
            log.warning("the %s lost Postgres: %s", self.name, error)
        finally:
            with contextlib.suppress(*DATABASE_ERRORS):
                await session.close(timeout=2)


@dataclass(slots=True)
class Rests:
    """When each tenant may be worked on again: one that takes long, or fails, does not keep the others waiting."""

    _until: dict[str, float] = field(default_factory=dict)
    _failures: dict[str, int] = field(default_factory=dict)

    def over(self, tenant: str, moment: float) -> bool:
        """Tell whether ``tenant`` may be worked on at ``moment``, a reading of a monotonic clock."""
        return self._until.get(tenant, 0.0) <= moment

    def done(self, tenant: str, moment: float, rest: float) -> None:
        """Let ``tenant`` rest for so many seconds."""
        self._failures.pop(tenant, None)
        self._until[tenant] = moment + min(rest, LONGEST_REST)

    def failed(self, tenant: str, moment: float) -> None:
        """Let ``tenant`` rest for longer with each failure."""
        failures = self._failures[tenant] = min(self._failures.get(tenant, 0) + 1, 10)
        self._until[tenant] = moment + min(2.0**failures, LONGEST_REST)
