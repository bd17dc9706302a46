"""Leading: work that several processes of a cluster share, and that is taken over from one that is gone.

Tenants are divided into parts. Whose a part is, is decided by an advisory lock on a session of the process; how many
take part, by a lock that all of them hold. Each takes as many parts as fall to one, and leaves what is too many when
another comes. With a single part one leads and the others stand by.

Two may meet over a tenant for a moment, when a session was lost and its process has not noticed: what is done here
must bear that.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final, TypeAlias
from zlib import crc32

from services.aggregator.store import leading as store
from services.postgres import DATABASE_ERRORS, Connection, connect
from services.waiting import pause

log = logging.getLogger(__name__)

STANDBY_SECONDS: Final = 2.0
"""So often is looked at who takes part, and at what nobody holds."""
LONGEST_REST: Final = 60.0
LENIENCE: Final = 10.0
"""Rests that are owed may wait for so many seconds: work that comes in bursts is not kept waiting."""
PARTS: Final = 64
"""More than there are processes, so that none has much more to do than another."""

Confirm: TypeAlias = Callable[[], Awaitable[None]]
"""Makes sure that the session of the locks is still there; raises one of ``DATABASE_ERRORS`` when it is not."""


@dataclass(frozen=True, slots=True)
class Share:
    """The parts that a process leads now, of so many."""

    parts: frozenset[int] = frozenset()
    of: int = PARTS

    def __contains__(self, tenant: str) -> bool:
        return crc32(tenant.encode()) % self.of in self.parts


@dataclass(frozen=True, slots=True)
class Leader:
    """Takes part under ``lock`` as ``name``; between two rounds it pauses for ``every`` seconds."""

    url: str
    name: str
    lock: int
    every: float
    parts: int = PARTS

    async def run(self, stop: asyncio.Event, rounds: Callable[[Confirm, Share], Awaitable[None]]) -> None:
        """Do ``rounds`` until ``stop``; wait while others lead everything or Postgres is away."""
        while not stop.is_set():
            try:
                session = await connect(self.url, name=f"uptake-{self.name}")
            except DATABASE_ERRORS as error:
                log.warning("waiting for Postgres: %s", error)
            else:
                await self._attend(session, stop, rounds)
            await pause(stop, STANDBY_SECONDS)

    async def _attend(
        self, session: Connection, stop: asyncio.Event, rounds: Callable[[Confirm, Share], Awaitable[None]]
    ) -> None:
        """Stand by or lead on one session until it breaks or ``stop``; the locks go with the session."""

        async def confirm() -> None:
            await store.confirm_session(session)

        share, looked_at = Share(of=self.parts), float("-inf")
        try:
            await store.join(session, self.lock)
            while not stop.is_set():
                if not share.parts or perf_counter() >= looked_at + STANDBY_SECONDS:
                    share, looked_at = await self._divide(session, share), perf_counter()
                if share.parts:
                    await rounds(confirm, share)
                await pause(stop, self.every if share.parts else STANDBY_SECONDS)
        except DATABASE_ERRORS as error:
            log.warning("the %s lost Postgres: %s", self.name, error)
        finally:
            with contextlib.suppress(*DATABASE_ERRORS):
                await session.close(timeout=2)

    async def _divide(self, session: Connection, share: Share) -> Share:
        """Leave what is more than falls to each, or take of what nobody holds; return what is ours then."""
        fair = -(-self.parts // await store.members(session, self.lock))
        held = sorted(share.parts)
        if len(held) > fair:
            await store.leave(session, self.lock, held[fair:])
            return Share(frozenset(held[:fair]), self.parts)
        others = [part for part in range(self.parts) if part not in share.parts]
        taken = await store.take(session, self.lock, others, fair - len(held))
        return Share(share.parts | taken, self.parts)


@dataclass(slots=True)
class Rests:
    """When each tenant may be worked on again: one that takes long, or fails, does not keep the others waiting."""

    _until: dict[str, float] = field(default_factory=dict)
    _even: dict[str, float] = field(default_factory=dict)
    _failures: dict[str, int] = field(default_factory=dict)

    def over(self, tenant: str, moment: float) -> bool:
        """Tell whether ``tenant`` may be worked on at ``moment``, a reading of a monotonic clock."""
        return self._until.get(tenant, 0.0) <= moment

    def done(self, tenant: str, moment: float, rest: float) -> None:
        """Let ``tenant`` rest for so many seconds."""
        self._failures.pop(tenant, None)
        self._until[tenant] = moment + min(rest, LONGEST_REST)

    def worked(self, tenant: str, moment: float, seconds: float, rest: float, least: float) -> None:
        """Let ``tenant`` rest ``rest`` times as long as the ``seconds`` it was worked on, or for ``least``.

        A rest is owed from the end of the rests before it, and taken as far as more than ``LENIENCE`` is owed.
        """
        even = max(self._even.get(tenant, moment), moment - seconds) + (1 + rest) * seconds
        self._even[tenant] = even
        self.done(tenant, moment, max(even - moment - LENIENCE, least))

    def failed(self, tenant: str, moment: float) -> None:
        """Let ``tenant`` rest for longer with each failure."""
        failures = self._failures[tenant] = min(self._failures.get(tenant, 0) + 1, 10)
        self._until[tenant] = moment + min(2.0**failures, LONGEST_REST)
