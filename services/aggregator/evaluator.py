"""The evaluator: reads what is known of a tenant, lets the rules judge it, writes connections and alerts.

One per cluster (an advisory lock on a session of its own), one transaction per tenant. Should two ever meet, the mark
of the evaluation lets only one commit. Evaluating again without anything new changes nothing.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter
from typing import Final
from zoneinfo import ZoneInfo

from services.aggregator.domain.alerts import Alert, Change, advance
from services.aggregator.domain.calendar import Calendar
from services.aggregator.domain.logins import ALL, known
from services.aggregator.domain.rules import change
from services.aggregator.domain.rules.access import NOT_BY, unjudged
from services.aggregator.domain.rules.change import History
from services.aggregator.domain.rules.judge import Policy, judge
from services.aggregator.domain.waves import Connection as Connected
from services.aggregator.domain.waves import Rollout, Wave, connections
from services.aggregator.store import alerts as alert_store
from services.aggregator.store import cohorts as cohort_store
from services.aggregator.store import evaluation as store
from services.aggregator.store import weeks as week_store
from services.aggregator.store.evaluation import Case
from services.aggregator.store.weeks import Pair
from services.postgres import CONFLICT, DATABASE_ERRORS, UNAVAILABLE, Connection, Pool, connect, transaction
from services.settings import Settings

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.2
STANDBY_SECONDS: Final = 2.0
REST: Final = 4.0
"""After an evaluation that took t the tenant rests for this many t: rules never take more than a fifth of the time."""
PATIENCE: Final = timedelta(seconds=60)
"""How long an evaluation waits for unread events: judged amid a backlog, people who came would seem absent."""
ATTEMPTS: Final = 5
LONGEST_REST: Final = 60.0


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What an evaluation saw and did. ``as_of`` None: the tenant has no time yet."""

    version: int
    as_of: datetime | None
    changes: Sequence[Change] = ()


@dataclass(frozen=True, slots=True)
class _Facts:
    """Everything the rules need, gathered."""

    policy: Policy
    rollouts: Sequence[Rollout]
    histories: Sequence[History]
    alerts: Sequence[Alert]


class Evaluator:
    """Evaluates every tenant that has something new, while it holds the lock. ``observe`` is told each duration."""

    def __init__(
        self,
        pool: Pool,
        database_url: str,
        settings: Settings,
        clock: Callable[[], datetime],
        observe: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self._pool = pool
        self._url = database_url
        self._settings = settings
        self._clock = clock
        self._observe = observe
        self._waiting: dict[str, datetime] = {}
        self._resting: dict[str, float] = {}
        self._failures: dict[str, int] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Evaluate until ``stop``; wait while another evaluator leads or Postgres is away."""
        while not stop.is_set():
            try:
                session = await connect(self._url, name="uptake-evaluator")
            except UNAVAILABLE as error:
                log.warning("waiting for Postgres: %s", error)
            else:
                await self._attend(session, stop)
            await _pause(stop, STANDBY_SECONDS)

    async def _attend(self, session: Connection, stop: asyncio.Event) -> None:
        """Stand by or lead on one session until it breaks or ``stop``; the lock goes with the session."""
        try:
            await store.prepare_session(session)
            while not stop.is_set() and not await store.try_lead(session):
                await _pause(stop, STANDBY_SECONDS)
            while not stop.is_set():
                await self._round(session, stop)
                await _pause(stop, min(POLL_SECONDS, self._settings.evaluate_seconds))
        except DATABASE_ERRORS as error:
            log.warning("the evaluator lost Postgres: %s", error)
        finally:
            with contextlib.suppress(*DATABASE_ERRORS):
                await session.close(timeout=2)

    async def _round(self, session: Connection, stop: asyncio.Event) -> None:
        now = self._clock()
        async with self._pool.acquire() as connection:
            due = await store.due(connection, now)
            state = await store.log_state(connection)
        await store.confirm_session(session)
        self._waiting = {tenant: self._waiting.get(tenant, state.asked_at) for tenant in due}
        for tenant, since in list(self._waiting.items()):
            complete = state.drained_at >= since or state.asked_at - since >= PATIENCE
            if complete and not stop.is_set() and self._resting.get(tenant, 0.0) <= perf_counter():
                await self._evaluate_alone(tenant, now)
                del self._waiting[tenant]
                await store.confirm_session(session)

    async def _evaluate_alone(self, tenant: str, now: datetime) -> None:
        """Evaluate ``tenant``; what goes wrong with it is told and tried again later, the others go on."""
        started = perf_counter()
        try:
            await self.evaluate(tenant, now)
            self._failures.pop(tenant, None)
            rest = REST * (perf_counter() - started)
        except Exception as error:
            failures = self._failures[tenant] = min(self._failures.get(tenant, 0) + 1, 10)
            rest = 2.0**failures
            trace = not isinstance(error, UNAVAILABLE)
            log.warning("the evaluation of tenant %s failed: %s", tenant, error, exc_info=trace)
        rest = min(max(rest, self._settings.evaluate_seconds), LONGEST_REST)
        self._resting[tenant] = perf_counter() + rest

    async def evaluate(self, tenant: str, now: datetime) -> Evaluated | None:
        """Evaluate ``tenant`` once; ``now`` counts for tenants on the wall clock. None: there is no such tenant.

        An acknowledgement written at the same moment makes the transaction start again.
        """
        started = perf_counter()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with transaction(self._pool, isolation="repeatable_read") as tx:
                    evaluated = await _evaluate(tx, tenant, now)
                break
            except CONFLICT:
                if attempt == ATTEMPTS:
                    raise
                await asyncio.sleep(0.02 * attempt)
        self._observe(perf_counter() - started)
        return evaluated


async def _evaluate(tx: Connection, tenant: str, now: datetime) -> Evaluated | None:
    case = await store.case(tx, tenant)
    if case is None:
        return None
    moment = case.newest if case.settings["clock"] == "event" else now
    facts = await _gather(tx, tenant, case, moment)
    connected, changes = await asyncio.to_thread(_decide, tenant, facts, moment)
    await cohort_store.save_connections(tx, tenant, connected)
    if moment is not None:
        await alert_store.save(tx, tenant, changes, moment)
    await store.done(tx, tenant, case.version, moment)
    return Evaluated(case.version, moment, changes)


async def _gather(tx: Connection, tenant: str, case: Case, now: datetime | None) -> _Facts:
    policy = _policy(case)
    waves = await cohort_store.waves(tx, tenant)
    rollouts = await _rollouts(tx, tenant, waves, policy.calendar, case.settings["connected_by"], now)
    histories = [] if now is None else await _histories(tx, tenant, waves, policy.calendar, now)
    return _Facts(policy, rollouts, histories, await alert_store.stored(tx, tenant))


def _policy(case: Case) -> Policy:
    settings = case.settings
    calendar = Calendar(
        zone=ZoneInfo(settings["time_zone"]),
        working=settings["day_counting"] == "working",
        work_days=frozenset(settings["work_days"]),
        holidays=frozenset(settings["holidays"]),
    )
    return Policy(calendar, settings["min_group"], name_people=settings["individual_visibility"] != "off")


async def _rollouts(
    tx: Connection, tenant: str, waves: Sequence[Wave], calendar: Calendar, connected_by: str, now: datetime | None
) -> list[Rollout]:
    cohorts = await cohort_store.cohorts(tx, tenant, waves, connected_by)
    late: dict[Wave, list[str]] = {}
    for wave in waves:
        deadline = calendar.day_n(wave.go_live, NOT_BY)
        if now is not None and calendar.noon_of(deadline) <= now:
            groups = [group for group in cohorts.get(wave.id, ()) if group.day is None or group.day >= deadline]
            late[wave] = [user for group in groups for user in group.people]
    stragglers = await cohort_store.stragglers(tx, tenant, late, connected_by)
    far = known(await store.login_sources(tx, tenant)) if connected_by == "login" else ALL
    return [Rollout(wave, cohorts.get(wave.id, ()), stragglers.get(wave.id, ()), far) for wave in waves]


async def _histories(
    tx: Connection, tenant: str, waves: Sequence[Wave], calendar: Calendar, now: datetime
) -> list[History]:
    ended = {wave.id: change.weeks_ended(wave.go_live, calendar, now) for wave in waves}
    if max(ended.values(), default=0) <= 1:
        return []
    watched = change.watch(waves, await week_store.teams(tx, tenant))
    weeks = await week_store.weeks(
        tx, tenant, {each: ended[each.wave.id] for each in watched if ended[each.wave.id] > 1}
    )
    pairs: dict[tuple[change.Watched, int], Pair] = {}
    for each, past in weeks.items():
        base = change.last_day(each.wave.go_live, 1)
        for number in change.doubtful_weeks(past):
            pairs[each, number] = Pair(*each.subject, base, change.last_day(each.wave.go_live, number))
    people = await week_store.same_people(tx, tenant, sorted(set(pairs.values())))
    return [
        History(each, past, {number: people[pairs[each, number]] for number in change.doubtful_weeks(past)})
        for each, past in weeks.items()
    ]


def _decide(tenant: str, facts: _Facts, now: datetime | None) -> tuple[dict[str, list[Connected]], list[Change]]:
    calendar = facts.policy.calendar
    connected = {rollout.wave.id: connections(rollout, calendar, now) for rollout in facts.rollouts}
    if now is None:
        return connected, []
    findings = judge(facts.policy, facts.rollouts, facts.histories, now)
    kept = {each for rollout in facts.rollouts for each in unjudged(rollout, calendar, now)}
    return connected, advance(tenant, facts.alerts, findings, now, kept)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
