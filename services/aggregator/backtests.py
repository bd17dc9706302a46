"""Backtests: rules are tried on what is known of a tenant, with the gathering and the predicates of the evaluator.

Nothing of it stays but the result: whatever gathering writes is taken back, no alert is opened and nobody is told. Each
is taken by one process; one whose process died is taken again.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, NamedTuple

from services.aggregator.domain.power import detectable
from services.aggregator.domain.scope import EVERYTHING
from services.aggregator.domain.trial import SWEPT, Lived, Sweep, Trial, known_now, known_then, partial, swept, told
from services.aggregator.gathering import Ground, ground_of, histories, rollouts
from services.aggregator.knowing import DAY, ONLY_NOW, Past, on_event_clock
from services.aggregator.store import backtests as store
from services.aggregator.store import cohorts as cohort_store
from services.aggregator.store import evaluation as evaluation_store
from services.aggregator.store import silence as silence_store
from services.aggregator.store.backtests import Taken
from services.aggregator.watching.watch import watch
from services.postgres import DATABASE_ERRORS, OUT_OF_REACH, Connection, Pool, aside, transaction
from services.rules.load import Days
from services.waiting import pause

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.5
LONGEST: Final = 480.0
"""Seconds; well before another process would take it."""
TOO_LONG: Final = "It took too long: it was given up after eight minutes."
FAILED: Final = "It failed; the log of the aggregator says why."
_NOTHING: Final[Mapping[str, Any]] = {
    "as_of": None,
    "episodes": [],
    "left_off": 0,
    "partial": [],
    "said": {},
    "sweep": [],
    "detectable": [],
}


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
            late, away = limit.expired(), isinstance(error, OUT_OF_REACH)
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
    """Return what the rules of a ``request`` find in all that is known of ``tenant``, or was known then."""
    asked = _asked(request)
    async with aside(pool, isolation="repeatable_read") as tx:
        ground = await _ground(tx, tenant, asked, now)
        if ground is None:
            return _NOTHING
        if request.get("knowledge") == "then":
            trial, lived, said = await _then(tx, ground, asked)
        else:
            trial, lived, said = await _gathered(tx, ground), None, {}
    return await asyncio.to_thread(_result, trial, lived, asked, said)


class _Asked(NamedTuple):
    """A request as it is worked on."""

    drafts: Mapping[str, Any]
    days: Days
    sweep: Sweep | None


def _asked(request: Mapping[str, Any]) -> _Asked:
    swept = request.get("sweep")
    sweep = None if swept is None else Sweep(swept["rule"], swept["parameter"], swept["values"])
    return _Asked(request.get("rules") or {}, Days.of(request), sweep)


async def _ground(tx: Connection, tenant: str, asked: _Asked, now: datetime) -> Ground | None:
    """Return the tenant as it is now; None: it has no time yet."""
    case = await evaluation_store.case(tx, tenant)
    moment = None if case is None else case.newest if case.settings["clock"] == "event" else now
    if case is None or moment is None:
        return None
    ground = await ground_of(tx, tenant, case, moment, asked.drafts)
    rules, sweep = ground.rules, asked.sweep
    return replace(
        ground,
        rules=rules if sweep is None or sweep.rule not in rules else sweep.rules(rules),
        silences=await silence_store.stored(tx, tenant),
        real_now=now,
    )


async def _gathered(tx: Connection, ground: Ground) -> Trial:
    watched = await watch(tx, ground, EVERYTHING)
    return Trial(
        tenant=ground.tenant,
        now=ground.now,
        policy=ground.policy,
        rules=ground.rules,
        silences=ground.silences,
        rollouts=await rollouts(tx, ground, EVERYTHING),
        histories=await histories(tx, ground, EVERYTHING),
        beside=watched.findings,
        kept=watched.unjudged,
    )


async def _then(tx: Connection, ground: Ground, asked: _Asked) -> tuple[Trial, list[Lived] | None, dict[str, str]]:
    """Judge with what was known before and after each day on which the past was rewritten, and on the last day."""
    if not ground.wall:
        return await _gathered(tx, ground), None, on_event_clock(ground.rules)
    past = await Past.of(tx, ground.tenant, ground.case)
    said = past.said(ground.rules, ground.policy.min_group, asked.days.first)
    silent = {name: replace(rule, enabled=False) for name, rule in ground.rules.items() if said.get(name) == ONLY_NOW}
    ground = replace(ground, rules={**ground.rules, **silent})
    start_of, last = ground.calendar.start_of, asked.days.last
    until = ground.now if last is None else min(ground.now, start_of(last + DAY))
    moments = [at for at in map(start_of, past.judged_on(asked.days)) if at < until]
    lived: list[Lived] = []
    before: datetime | None = None
    for moment in (*moments, until):
        await past.know(tx, before, moment)
        trial = await _known(tx, ground, moment)
        lived = await asyncio.to_thread(known_then, lived, trial, before)
        before = moment
    return trial, lived, said


async def _known(tx: Connection, ground: Ground, moment: datetime) -> Trial:
    waves = await cohort_store.waves(tx, ground.tenant)
    silences = await silence_store.stored(tx, ground.tenant)
    return await _gathered(tx, replace(ground, now=moment, waves=waves, silences=silences))


def _result(trial: Trial, lived: list[Lived] | None, asked: _Asked, said: Mapping[str, str]) -> dict[str, Any]:
    found = known_now(trial) if lived is None else lived
    names = {name for name in trial.rules if SWEPT not in name}
    only = names.intersection(asked.drafts) if asked.drafts else names
    return {
        "as_of": trial.now,
        **told(trial, found, only, asked.days),
        "partial": sorted(partial(trial) & only),
        "said": {name: reason for name, reason in said.items() if name in only},
        "sweep": [] if asked.sweep is None else swept(trial, found, asked.sweep, asked.days),
        "detectable": detectable({name: trial.rules[name] for name in only}, trial.histories),
    }
