"""The evaluator: reads what is known of a tenant, lets the rules judge it, writes connections and alerts.

Each tenant is one evaluator's, however many there are (``leading``); one transaction per tenant. Should two ever meet,
the mark of the evaluation lets only one commit. Evaluating again without anything new changes nothing.

It judges whom something changed for (``scope``), so that its work is as large as what happened. When a day has passed,
when a source falls silent or speaks again, and when an evaluator begins, it judges everybody.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from time import perf_counter
from typing import Final, NamedTuple

from services.aggregator.domain.alerts import TIMED, Alert, Change, as_finding
from services.aggregator.domain.findings import Evaluation, Finding, Resolution
from services.aggregator.domain.ladder import Ladder
from services.aggregator.domain.life import TELLABLE, Judged, advance
from services.aggregator.domain.rules import change
from services.aggregator.domain.rules.access import unjudged
from services.aggregator.domain.rules.change import History
from services.aggregator.domain.rules.judge import evaluations, judge
from services.aggregator.domain.scope import EVERYTHING, NOBODY, Scope, noon_passed, scope_of
from services.aggregator.domain.speaking import speakers
from services.aggregator.domain.waves import Connection as Connected
from services.aggregator.domain.waves import Rollout, connections
from services.aggregator.gathering import (
    Ground,
    ground_of,
    heard,
    histories,
    launching,
    rollouts,
    time_passed,
    timeless,
)
from services.aggregator.leading import Confirm, Leader, Rests, Share
from services.aggregator.store import alerts as alert_store
from services.aggregator.store import cohorts as cohort_store
from services.aggregator.store import evaluation as store
from services.aggregator.store import evaluations as evaluation_store
from services.aggregator.store import judging, leading
from services.aggregator.store.evaluation import Case
from services.aggregator.watching.watch import watch
from services.postgres import CONFLICT, UNAVAILABLE, Connection, Pool, transaction
from services.rules.life import RESOLVED
from services.settings import Settings

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.1
REST: Final = 4.0
"""An evaluation that took t is owed a rest of this many t: in the long run rules take no more than a fifth of the time.

But for the one that begins a day on the wall clock: what happens meanwhile is to be told soon.
"""
PATIENCE: Final = timedelta(seconds=60)
"""How long an evaluation waits for unread events when time passed: amid a backlog people who came would seem absent.

Where no time passed, what is read now was no more complete when it was judged before: nobody waits.
"""
ATTEMPTS: Final = 5
LAUNCH: Final = frozenset({"person", "checkpoint"})
"""The predicates that look at who connected."""
WRITTEN_DAYS: Final = 28
"""What was said of a window so long before the last evaluation says the same, unless somebody waits to be judged."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What an evaluation saw and did, and whom it judged. ``as_of`` None: the tenant has no time yet."""

    version: int
    as_of: datetime | None
    changes: Sequence[Change] = ()
    scope: Scope = NOBODY


@dataclass(frozen=True, slots=True)
class _Facts:
    """Everything the rules need, gathered. ``beside``: what was found otherwise. ``alerts``: those that may change."""

    scope: Scope
    rollouts: Sequence[Rollout]
    histories: Sequence[History]
    alerts: Sequence[Alert]
    beside: Sequence[Finding] = ()
    unjudged: frozenset[tuple[str, str | None]] = frozenset()
    said: Sequence[Evaluation] = ()


class _Decided(NamedTuple):
    """What an evaluation comes to."""

    connected: Mapping[str, list[Connected]]
    changes: list[Change]
    evaluations: list[Evaluation]


class Evaluator:
    """Evaluates every tenant of its share that has something new. ``observe`` is told each duration."""

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
        self._met: set[str] = set()
        self._unread: set[str] = set()
        self._rests = Rests()

    async def run(self, stop: asyncio.Event) -> None:
        """Evaluate until ``stop``; wait while others lead all tenants or Postgres is away."""
        every = min(POLL_SECONDS, self._settings.evaluate_seconds)
        leader = Leader(self._url, "evaluator", leading.EVALUATOR, every)
        await leader.run(stop, lambda confirm, share: self._round(confirm, share, stop))

    async def _round(self, confirm: Confirm, share: Share, stop: asyncio.Event) -> None:
        now = self._clock()
        self._met = {tenant for tenant in self._met if tenant in share}
        if not (due := [tenant for tenant in await store.due(self._pool, now) if tenant in share]):
            self._waiting.clear()
            return
        state = await store.log_state(self._pool)
        await confirm()
        self._waiting = {tenant: self._waiting.get(tenant, state.asked_at) for tenant in due}
        for tenant, since in list(self._waiting.items()):
            complete = state.drained_at >= since or state.asked_at - since >= PATIENCE
            if stop.is_set() or not self._rests.over(tenant, perf_counter()):
                continue
            if not complete and (tenant not in self._met or tenant in self._unread):
                continue
            if await self._evaluate_alone(tenant, now, complete=complete):
                del self._waiting[tenant]
                await confirm()

    async def _evaluate_alone(self, tenant: str, now: datetime, *, complete: bool) -> bool:
        """Evaluate ``tenant``; what goes wrong with it is told and tried again later, the others go on.

        Unless all that was sent is read (``complete``), nothing is judged that time made due; return whether it was.
        """
        started = perf_counter()
        try:
            evaluated = await self.evaluate(tenant, now, complete=complete)
        except UnreadError:
            self._unread.add(tenant)
            return False
        except Exception as error:
            self._rests.failed(tenant, perf_counter())
            trace = not isinstance(error, UNAVAILABLE)
            log.warning("evaluating tenant %s failed: %s", tenant, error, exc_info=trace, extra={"tenant": tenant})
        else:
            seldom = evaluated is not None and evaluated.scope.everything and evaluated.as_of == now
            took = 0.0 if seldom else perf_counter() - started
            self._rests.worked(tenant, perf_counter(), took, REST, self._settings.evaluate_seconds)
            self._unread.discard(tenant)
        return True

    async def evaluate(self, tenant: str, now: datetime, *, complete: bool = True) -> Evaluated | None:
        """Evaluate ``tenant`` once; ``now`` counts for tenants on the wall clock. None: there is no such tenant.

        An acknowledgement written at the same moment makes the transaction start again.

        Raises:
            UnreadError: time passed, and not all that was sent is read (``complete``).
        """
        started = perf_counter()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with transaction(self._pool, isolation="repeatable_read") as tx:
                    whole = tenant not in self._met
                    evaluated = await _evaluate(tx, tenant, now, whole=whole, complete=complete)
                self._met.add(tenant)
                break
            except CONFLICT:
                if attempt == ATTEMPTS:
                    raise
                await asyncio.sleep(0.02 * attempt)
        self._observe(perf_counter() - started)
        return evaluated


class UnreadError(RuntimeError):
    """What is to be judged waits until all that was sent is read."""


async def _evaluate(tx: Connection, tenant: str, now: datetime, *, whole: bool, complete: bool) -> Evaluated | None:
    case = await store.case(tx, tenant)
    if case is None:
        return None
    moment = case.newest if case.settings["clock"] == "event" else now
    waited, since = await judging.take(tx, tenant)
    if moment is None:
        await cohort_store.save_connections(tx, tenant, await timeless(tx, tenant, case))
        await store.done(tx, tenant, case.version, None)
        return Evaluated(case.version, None)
    queued = EVERYTHING if whole else scope_of(waited)
    ground = replace(await ground_of(tx, tenant, case, moment), since=since, real_now=now)
    ground, scope = await _listened(tx, ground, queued)
    if not complete and (scope.everything or noon_passed(case.as_of, moment, ground.calendar.zone)):
        raise UnreadError(tenant)
    facts = await _gather(tx, ground, scope)
    decided = await asyncio.to_thread(_decide, ground, facts)
    await cohort_store.save_connections(tx, tenant, decided.connected)
    await evaluation_store.save(tx, tenant, _news(case, queued, decided.evaluations), moment)
    await alert_store.save(tx, tenant, decided.changes, moment)
    if not scope.everything:
        await judging.queue_children(tx, tenant, speakers(decided.changes, facts.alerts, ground.rules))
    await store.done(tx, tenant, case.version, moment)
    return Evaluated(case.version, moment, [each for each in decided.changes if each.kind != TIMED], scope)


def _news(case: Case, queued: Scope, found: Sequence[Evaluation]) -> Sequence[Evaluation]:
    """Return what may not have been written before: of who waited everything, of others what is not long ago."""
    if case.as_of is None:
        return found
    since = date.fromordinal(max(1, case.as_of.toordinal() - WRITTEN_DAYS))
    return [each for each in found if each.window_to >= since or queued.holds(each.subject)]


async def _listened(tx: Connection, ground: Ground, queued: Scope) -> tuple[Ground, Scope]:
    """Return the tenant with its silences, and whom to judge."""
    silences, changed = await heard(tx, ground)
    ground = replace(ground, silences=silences)
    if changed or time_passed(ground):
        return ground, EVERYTHING
    return ground, replace(queued, launches=queued.launches | launching(ground))


async def _gather(tx: Connection, ground: Ground, scope: Scope) -> _Facts:
    tenant, now = ground.tenant, ground.now
    if scope.everything:
        alerts = await alert_store.stored(tx, tenant)
    else:
        alerts = await alert_store.met(tx, tenant, now, scope.subjects, scope.launches)
    watched = await watch(tx, ground, scope)
    return _Facts(
        scope,
        await rollouts(tx, ground, scope),
        await histories(tx, ground, scope),
        alerts,
        watched.findings,
        watched.unjudged,
        watched.evaluations,
    )


def _decide(ground: Ground, facts: _Facts) -> _Decided:
    calendar, now, rules = ground.calendar, ground.now, ground.rules
    kept = {each for rollout in facts.rollouts for each in unjudged(rollout, calendar, now, rules)}
    kept |= set(change.baseless(facts.histories, rules))
    judged = Judged(
        facts.scope,
        launch=frozenset(rule.family for rule in rules.values() if rule.predicate in LAUNCH),
        always=frozenset(rule.family for rule in rules.values() if rule.predicate == "silent"),
        unjudged=kept | facts.unjudged,
    )
    told = {each.fingerprint for each in facts.beside}
    others = [alert for alert in facts.alerts if alert.fingerprint not in told and not judged.covers(alert)]
    standing = [as_finding(alert) for alert in others if _stands(alert)]
    known = {each.fingerprint for each in standing}
    found = judge(
        ground.policy, facts.rollouts, facts.histories, now, ground.silences, rules, [*facts.beside, *standing]
    )
    found = [
        each for each in found if each.fingerprint not in known and judged.reaches(each.family, each.wave, each.subject)
    ]
    past = now - TELLABLE if ground.wall else None
    return _Decided(
        {rollout.wave.id: connections(rollout, calendar, now) for rollout in facts.rollouts},
        advance(ground.tenant, facts.alerts, found, now, judged, ladder=Ladder(calendar, wall=ground.wall), past=past),
        [*evaluations(ground.policy, facts.rollouts, facts.histories, now, found, rules), *facts.said],
    )


def _stands(alert: Alert) -> bool:
    """Tell whether the facts still showed the alert when it was judged last: it may speak for others."""
    return alert.state != RESOLVED or alert.resolution != Resolution.RESTATED
