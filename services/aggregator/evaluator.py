"""The evaluator: reads what is known of a tenant, lets the rules judge it, writes connections and alerts.

One per cluster (an advisory lock on a session of its own), one transaction per tenant. Should two ever meet, the mark
of the evaluation lets only one commit. Evaluating again without anything new changes nothing.
"""

import asyncio
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
from services.aggregator.domain.silence import Silence, blind_from
from services.aggregator.domain.waves import Connection as Connected
from services.aggregator.domain.waves import Rollout, Wave, connections
from services.aggregator.leading import Confirm, Leader, Rests
from services.aggregator.listening import Ears, listen
from services.aggregator.store import alerts as alert_store
from services.aggregator.store import cohorts as cohort_store
from services.aggregator.store import evaluation as store
from services.aggregator.store import leading
from services.aggregator.store import silence as silence_store
from services.aggregator.store import weeks as week_store
from services.aggregator.store.evaluation import Case
from services.aggregator.store.weeks import Pair
from services.postgres import CONFLICT, UNAVAILABLE, Connection, Pool, transaction
from services.settings import Settings

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.2
REST: Final = 4.0
"""After an evaluation that took t the tenant rests for this many t: rules never take more than a fifth of the time."""
PATIENCE: Final = timedelta(seconds=60)
"""How long an evaluation waits for unread events: judged amid a backlog, people who came would seem absent."""
ATTEMPTS: Final = 5
DEAF_AFTER: Final = timedelta(minutes=10)
"""Who has not read the log for so long cannot say that a source is silent, or that it speaks again."""
TELLABLE: Final = timedelta(days=35)
"""What comes to light later than this on the wall clock came by a backfill: windows change, nobody is alarmed."""


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
    silences: Sequence[Silence]
    alerts: Sequence[Alert]
    past: datetime | None
    """What began before, and was not told then, opens no alert any more."""


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
        self._rests = Rests()

    async def run(self, stop: asyncio.Event) -> None:
        """Evaluate until ``stop``; wait while another evaluator leads or Postgres is away."""
        every = min(POLL_SECONDS, self._settings.evaluate_seconds)
        leader = Leader(self._url, "evaluator", leading.EVALUATOR, every)
        await leader.run(stop, lambda confirm: self._round(confirm, stop))

    async def _round(self, confirm: Confirm, stop: asyncio.Event) -> None:
        now = self._clock()
        async with self._pool.acquire() as connection:
            due = await store.due(connection, now)
            state = await store.log_state(connection)
        await confirm()
        self._waiting = {tenant: self._waiting.get(tenant, state.asked_at) for tenant in due}
        for tenant, since in list(self._waiting.items()):
            complete = state.drained_at >= since or state.asked_at - since >= PATIENCE
            if complete and not stop.is_set() and self._rests.over(tenant, perf_counter()):
                await self._evaluate_alone(tenant, now)
                del self._waiting[tenant]
                await confirm()

    async def _evaluate_alone(self, tenant: str, now: datetime) -> None:
        """Evaluate ``tenant``; what goes wrong with it is told and tried again later, the others go on."""
        started = perf_counter()
        try:
            await self.evaluate(tenant, now)
        except Exception as error:
            self._rests.failed(tenant, perf_counter())
            trace = not isinstance(error, UNAVAILABLE)
            log.warning("the evaluation of tenant %s failed: %s", tenant, error, exc_info=trace)
        else:
            rest = max(REST * (perf_counter() - started), self._settings.evaluate_seconds)
            self._rests.done(tenant, perf_counter(), rest)

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
    silences = await _silences(tx, tenant, case, policy.calendar, now)
    waves = await cohort_store.waves(tx, tenant)
    rollouts = await _rollouts(tx, tenant, waves, policy.calendar, case.settings["connected_by"], now, silences)
    histories = [] if now is None else await _histories(tx, tenant, waves, policy.calendar, now, silences)
    past = now - TELLABLE if now is not None and case.settings["clock"] == "wall" else None
    return _Facts(policy, rollouts, histories, silences, await alert_store.stored(tx, tenant), past)


async def _silences(tx: Connection, tenant: str, case: Case, calendar: Calendar, now: datetime | None) -> list[Silence]:
    """Listen first: on the wall clock only up to when the log was read, since what is not read yet is not missing."""
    if now is None:
        return []
    if case.settings["clock"] == "event":
        return await listen(tx, tenant, Ears(calendar, event_clock=True, now=now))
    drained_at = (await store.log_state(tx)).drained_at
    if drained_at < now - DEAF_AFTER:
        return await silence_store.stored(tx, tenant)
    return await listen(tx, tenant, Ears(calendar, event_clock=False, now=min(now, drained_at)))


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
    tx: Connection,
    tenant: str,
    waves: Sequence[Wave],
    calendar: Calendar,
    connected_by: str,
    now: datetime | None,
    silences: Sequence[Silence],
) -> list[Rollout]:
    cohorts = await cohort_store.cohorts(tx, tenant, waves, connected_by)
    late: dict[Wave, list[str]] = {}
    for wave in waves:
        deadline = calendar.day_n(wave.go_live, NOT_BY)
        if now is not None and calendar.noon_of(deadline) <= now:
            groups = [group for group in cohorts.get(wave.id, ()) if group.day is None or group.day >= deadline]
            late[wave] = [user for group in groups for user in group.people]
    stragglers = await cohort_store.stragglers(tx, tenant, late, connected_by)
    far = ALL
    if connected_by == "login":
        tell = await store.login_sources(tx, tenant)
        far, names = known(tell), {source.name for source in tell}
        silences = [each for each in silences if each.source in names]
    return [
        Rollout(
            wave,
            cohorts.get(wave.id, ()),
            stragglers.get(wave.id, ()),
            far._replace(blind=blind_from(silences, calendar.start_of(wave.go_live))),
        )
        for wave in waves
    ]


async def _histories(
    tx: Connection,
    tenant: str,
    waves: Sequence[Wave],
    calendar: Calendar,
    now: datetime,
    silences: Sequence[Silence],
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
        History(
            each,
            past,
            {number: people[pairs[each, number]] for number in change.doubtful_weeks(past)},
            _unknown(each.wave, past, calendar, silences),
        )
        for each, past in weeks.items()
    ]


def _unknown(
    wave: Wave, weeks: Sequence[change.Week], calendar: Calendar, silences: Sequence[Silence]
) -> frozenset[int]:
    """Return the weeks in which people may have come unseen."""
    spans = {week.number: change.span(wave.go_live, week.number, calendar) for week in weeks}
    return frozenset(number for number, span in spans.items() if any(each.touches(*span) for each in silences))


def _decide(tenant: str, facts: _Facts, now: datetime | None) -> tuple[dict[str, list[Connected]], list[Change]]:
    calendar = facts.policy.calendar
    connected = {rollout.wave.id: connections(rollout, calendar, now) for rollout in facts.rollouts}
    if now is None:
        return connected, []
    findings = judge(facts.policy, facts.rollouts, facts.histories, now, facts.silences)
    kept = {each for rollout in facts.rollouts for each in unjudged(rollout, calendar, now)}
    kept |= set(change.baseless(facts.histories))
    return connected, advance(tenant, facts.alerts, findings, now, kept, facts.past)
