"""The sender: takes what is due under a lease, sends it, writes down what became of it.

Killed between the two, the message is sent again when the lease is over, under the same id. Who answered too late to
write it down changes nothing for who took it over, but that it was delivered stays true. Told to stop, the sender gives
back what takes too long: another goes on with it at once.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from time import perf_counter
from typing import Final

from services.notifier.bell import Bell
from services.notifier.domain.patience import next_try, switched_off
from services.notifier.domain.shape import Outcome, Sending
from services.notifier.instruments import Instruments
from services.notifier.store import deliveries, subscriptions
from services.notifier.ways import Way
from services.postgres import OUT_OF_REACH, Pool, Row, transaction
from services.sealing import Seal, SealError

log = logging.getLogger(__name__)

EACH: Final = 8
"""How many messages of one subscription are under way at once, over all notifiers."""
MOST: Final = 64
"""How many messages one notifier has under way."""
LEASE_FACTOR: Final = 1.5
LEASE_MORE: Final = 2.0
"""In seconds: a lease lasts longer than an attempt may, and than it takes to write down what became of it."""
PARTING_SECONDS: Final = 5.0
"""How long a sender that is told to stop waits for what is under way."""
FOREVER_FAILING: Final = "every delivery failed for five days"
GONE: Final = "the receiver answered 410: it wants no more"


class Sender:
    """Sends what is due. ``seconds``: how long one attempt may take."""

    def __init__(
        self,
        pool: Pool,
        seal: Seal,
        ways: Mapping[str, Way],
        clock: Callable[[], datetime],
        *,
        seconds: float,
        instruments: Instruments,
    ) -> None:
        self._pool = pool
        self._seal = seal
        self._ways = ways
        self._clock = clock
        self._lease = timedelta(seconds=LEASE_FACTOR * seconds + LEASE_MORE)
        self._seconds = seconds
        self._instruments = instruments
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event, planned: Bell) -> None:
        """Send until ``stop``, then wait a while for what is under way."""
        try:
            while not stop.is_set():
                try:
                    more = await self.round(planned)
                except OUT_OF_REACH as error:
                    log.warning("the sender waits for Postgres: %s", error)
                    more = 0
                if not more:
                    await planned.wait(stop)
            if self._under_way:
                await asyncio.wait(self._under_way, timeout=PARTING_SECONDS)
        finally:
            late = list(self._under_way)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def round(self, planned: Bell | None = None) -> int:
        """Take what is due and begin to send it; return how many. ``planned`` rings when one is finished."""
        free = MOST - len(self._under_way)
        if not free:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
            return 1
        async with transaction(self._pool) as tx:
            rows = await deliveries.claim(tx, self._clock(), self._lease, each=EACH, most=free)
        for row in rows:
            task = asyncio.create_task(self._deliver(row))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            if planned is not None:
                task.add_done_callback(lambda _done: planned.ring())
        return len(rows)

    async def finish(self) -> None:
        """Wait until nothing is under way."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _deliver(self, row: Row) -> None:
        started = perf_counter()
        try:
            outcome = await self._attempt(row)
        except asyncio.CancelledError:
            await self._give_back(row)
            raise
        took = perf_counter() - started
        self._instruments.deliveries.labels(row["way"], outcome.kind).inc()
        self._instruments.seconds.labels(row["way"]).observe(took)
        try:
            await self._note(row, outcome, int(took * 1000))
        except OUT_OF_REACH as error:
            log.warning("delivery %s could not be noted, it comes again: %s", row["id"], error)
        except Exception:
            log.exception("delivery %s could not be noted, it comes again", row["id"])

    async def _attempt(self, row: Row) -> Outcome:
        try:
            async with asyncio.timeout(self._seconds + 1):
                return await self._ways[row["way"]].send(self._sending(row))
        except SealError:
            return Outcome(kind="blocked", error="address or secrets were sealed with another key")
        except TimeoutError:
            return Outcome(kind="unknown", error=f"no answer within {self._seconds:g} seconds")
        except Exception as error:
            log.exception("delivery %s failed", row["id"])
            return Outcome(kind="unknown", error=type(error).__name__)

    async def _give_back(self, row: Row) -> None:
        """Let another send it at once. What became of this attempt stays unknown."""
        now = self._clock()
        with contextlib.suppress(*OUT_OF_REACH):
            async with transaction(self._pool) as tx:
                await deliveries.failed(tx, row["id"], row["lease"], now, now)

    def _sending(self, row: Row) -> Sending:
        place = f"subscription/{row['tenant']}/{row['subscription']}"
        return Sending(
            delivery=row["id"],
            tenant=row["tenant"],
            subscription=row["subscription"],
            kind=row["way"],
            options=row["options"],
            url=None if row["url"] is None else self._seal.open(row["url"], place).decode(),
            secrets=tuple(self._seal.open(secret, place).decode() for secret in row["secrets"]),
            message=row["message"],
            message_kind=row["kind"],
            recipient=row["recipient"],
            alerts=tuple(row["alerts"]),
            body=row["body"],
            number=row["number"],
            now=self._clock(),
        )

    async def _note(self, row: Row, outcome: Outcome, milliseconds: int) -> None:
        now, where = self._clock(), (row["tenant"], row["subscription"])
        async with transaction(self._pool) as tx:
            if outcome.kind == "delivered":
                if await subscriptions.succeeded(tx, *where):
                    await subscriptions.tell_rules(tx, row["tenant"])
                await deliveries.delivered(tx, row["id"], now)
            elif outcome.final:
                await deliveries.failed(tx, row["id"], row["lease"], None, now)
            else:
                since, first = await subscriptions.failed(tx, *where, now)
                reason = GONE if outcome.gone else FOREVER_FAILING if switched_off(since, now) else None
                if reason is not None:
                    await subscriptions.switch_off(tx, *where, reason, now)
                if first or reason is not None:
                    await subscriptions.tell_rules(tx, row["tenant"])
                due_at = None if outcome.gone else _next(row, outcome, now)
                await deliveries.failed(tx, row["id"], row["lease"], due_at, now)
            await deliveries.attempted(tx, row["id"], row["number"], outcome, milliseconds)


def _next(row: Row, outcome: Outcome, now: datetime) -> datetime | None:
    return next_try(row["message"], row["attempts"], began_at=row["began_at"], now=now, wish=outcome.retry_after)
