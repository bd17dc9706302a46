"""Gathers the days of people, of the scope or of everybody, and lets the rules on single persons judge them."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

from services.aggregator.domain.logins import ALL, known
from services.aggregator.domain.rules.users import PREDICATES, Clock, Life, judge_user
from services.aggregator.domain.scope import Scope
from services.aggregator.gathering import Ground
from services.aggregator.store import directory
from services.aggregator.store import evaluation as evaluation_store
from services.aggregator.store import lives as store
from services.aggregator.store.series import Known as Counted
from services.aggregator.watching.shape import Watched, of_waves
from services.metrics.policy import policy_of
from services.metrics.shape import Person
from services.postgres import Connection
from services.rules.shape import Rule

PART: Final = 500
"""So many people are looked at together."""


async def watch(tx: Connection, ground: Ground, counted: Counted, scope: Scope) -> Watched:
    """Judge the people in ``scope``. Before the first week is counted, nobody is asked for anything."""
    rules = [rule for rule in ground.rules.values() if rule.enabled and rule.predicate in PREDICATES]
    if not rules or not (scope.everything or scope.users):
        return Watched()
    if not counted.weeks:
        return Watched(unjudged=of_waves(ground, {rule.family for rule in rules}))
    users = await store.users(tx, ground.tenant) if scope.everything else sorted(scope.users)
    clock = await _clock(tx, ground, counted.weeks[0])
    watched = Watched()
    for start in range(0, len(users), PART):
        watched += await _part(tx, ground, rules, clock, users[start : start + PART])
    return watched


async def _clock(tx: Connection, ground: Ground, since: date) -> Clock:
    policy = policy_of(ground.case.settings, waves=bool(ground.waves))
    far = ALL
    if policy.by_login:
        far = known(await evaluation_store.login_sources(tx, ground.tenant))
    return Clock(ground.calendar, policy, ground.now, since, ground.silences, far)


async def _part(tx: Connection, ground: Ground, rules: Sequence[Rule], clock: Clock, users: Sequence[str]) -> Watched:
    people = await directory.people(tx, ground.tenant, users)
    days = await store.days(tx, ground.tenant, users)
    met = await store.met(tx, ground.tenant, [user for user in users if _paused(days.get(user))])
    return await asyncio.to_thread(_judge, rules, clock, people, days, met)


def _paused(days: store.Days | None) -> bool:
    """Tell whether somebody who came may have stopped: it matters then how regularly they came."""
    return days is not None and len(days.active) > 1


def _judge(
    rules: Sequence[Rule],
    clock: Clock,
    people: Mapping[str, Person],
    days: Mapping[str, store.Days],
    met: Mapping[str, set[date]],
) -> Watched:
    nothing = store.Days((), ())
    judged = [
        judge_user(rules, Life(person, *days.get(user, nothing), met.get(user, ())), clock)
        for user, person in people.items()
    ]
    return Watched(
        [found for each in judged for found in each.findings],
        [said for each in judged for said in each.evaluations],
    )
