"""Backtests: rules are tried on what is known of a tenant, with the gathering and the predicates of the evaluator.

Nothing of it stays but the result: whatever gathering writes is taken back, no alert is opened and nobody is told. Each
is taken by one process; one whose process died is taken again.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, Final

from services.aggregator.domain.scope import EVERYTHING
from services.aggregator.domain.trial import Trial, tried
from services.aggregator.gathering import Ground, histories, policy_of, rollouts, zones
from services.aggregator.store import backtests as store
from services.aggregator.store import cohorts as cohort_store
from services.aggregator.store import evaluation as evaluation_store
from services.aggregator.store import rules as rule_store
from services.aggregator.store import silence as silence_store
from services.aggregator.store.backtests import Taken
from services.aggregator.watching.watch import watch
from services.postgres import DATABASE_ERRORS, UNAVAILABLE, Connection, Pool, aside, transaction
from services.rules.load import Days
from services.waiting import pause

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.5
LONGEST: Final = 480.0
"""Seconds; well before another process would take it."""
TOO_LONG: Final = "It took too long: it was given up after eight minutes."
FAILED: Final = "It failed; the log of the aggregator says why."
_NOTHING: Final[Mapping[str, Any]] = {"as_of": None, "episodes": [], "left_off": 0, "partial": []}


class Backtests:
    """Tries rules for whoever asks. ``clock``: for tenants on the wall clock."""

    def __init__(self, pool: Pool, clock: Callable[[], datetime]) -> None:
        self._pool = pool
        self._clock = clock

    async def run(self, stop: asyncio.Event) -> None:
        """Do what waits, one after the other, until ``stop``."""
        while not stop.is_set():
            try:
                more = await self.do_next()
            except DATABASE_ERRORS as error:
                log.warning("backtests wait for Postgres: %s", error)
                more = False
            if not more:
                await pause(stop, POLL_SECONDS)

    async def do_next(self) -> bool:
        """Do the backtest that waits longest; return whether there was one."""
        async with transaction(self._pool) as tx:
            await store.forget(tx)
            taken = await store.take(tx)
        if taken is None:
            return False
        try:
            async with asyncio.timeout(LONGEST) as limit:
                result = await tried_on(self._pool, taken.tenant, taken.request, self._clock())
        except Exception as error:
            late, away = limit.expired(), isinstance(error, UNAVAILABLE)
            log.warning("a backtest of tenant %s failed: %s", taken.tenant, error, exc_info=not (late or away))
            await self._failed(taken, late=late, away=away)
        else:
            async with self._pool.acquire() as connection:
                await store.finish(connection, taken, result)
        return True

    async def _failed(self, taken: Taken, *, late: bool, away: bool) -> None:
        async with self._pool.acquire() as connection:
            if away and taken.patient and not late:
                await store.release(connection, taken)
            else:
                await store.finish(connection, taken, None, TOO_LONG if late else FAILED)


async def tried_on(pool: Pool, tenant: str, request: Mapping[str, Any], now: datetime) -> Mapping[str, Any]:
    """Return what the rules of a ``request`` find in all that is known of ``tenant``."""
    drafts = request.get("rules") or {}
    async with aside(pool, isolation="repeatable_read") as tx:
        trial = await _gather(tx, tenant, drafts, now)
    if trial is None:
        return _NOTHING
    return await asyncio.to_thread(tried, trial, drafts, Days(_day(request, "from"), _day(request, "to")))


def _day(request: Mapping[str, Any], name: str) -> date | None:
    text = request.get(name)
    return None if text is None else date.fromisoformat(text)


async def _gather(tx: Connection, tenant: str, drafts: Mapping[str, Any], now: datetime) -> Trial | None:
    case = await evaluation_store.case(tx, tenant)
    moment = None if case is None else case.newest if case.settings["clock"] == "event" else now
    if case is None or moment is None:
        return None
    ground = Ground(
        tenant,
        case,
        policy_of(case),
        await rule_store.rules(tx, tenant, drafts),
        await cohort_store.waves(tx, tenant),
        await zones(tx, tenant, case),
        moment,
        await silence_store.stored(tx, tenant),
    )
    watched = await watch(tx, ground, EVERYTHING)
    return Trial(
        tenant=tenant,
        now=moment,
        policy=ground.policy,
        rules=ground.rules,
        silences=ground.silences,
        rollouts=await rollouts(tx, ground, EVERYTHING),
        histories=await histories(tx, ground, EVERYTHING),
        beside=watched.findings,
        kept=watched.unjudged,
    )
