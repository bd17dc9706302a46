"""Gathers what operations show, where the scope asks for the tenant, and lets the rules judge it."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Final

from services.aggregator.domain.alerts import as_finding
from services.aggregator.domain.findings import Subject
from services.aggregator.domain.rules.operations import NOW_ONLY, Busy, Signals, judge_operations
from services.aggregator.domain.rules.telling import number
from services.aggregator.domain.scope import TENANT, Scope
from services.aggregator.gathering import Ground
from services.aggregator.store import evaluation as evaluation_store
from services.aggregator.store import lives
from services.aggregator.store import operations as store
from services.aggregator.watching.shape import Watched, of_waves
from services.aggregator.watching.weeks import groups_in
from services.postgres import Connection
from services.rules.shape import Rule

PART: Final = 500
REJECTS: Final = timedelta(days=7)
"""How far back rejected deliveries are looked at."""
RESTATED: Final = frozenset({"M11", "M12"})
"""The numbers whose restatements are told of: those that most people look at."""
REAL: Final = frozenset({"watermark", "deliveries", "rejects"})
"""The signals that live on the wall clock."""


async def watch(tx: Connection, ground: Ground, scope: Scope, revised: Sequence[tuple[Subject, str, date]]) -> Watched:
    """Judge what operations show of the tenant, its groups and people in ``scope``; ``revised``: of its groups."""
    rules = {
        str(rule.params.get("signal", rule.predicate)): rule
        for rule in ground.rules.values()
        if rule.enabled and rule.predicate in {"operations", "champions"}
    }
    if not ground.wall:
        rules = {signal: rule for signal, rule in rules.items() if signal not in REAL}
    asked = [rule for signal, rule in rules.items() if _asks(signal, scope)]
    wanted = {signal for signal in rules if _asks(signal, scope)}
    signals = await _signals(tx, ground, scope, wanted, rules)
    if "restatement" in wanted:
        told = [each for each in revised if each[1] in RESTATED]
        signals = replace(signals, restated=await store.restated(tx, ground.tenant, told))
    findings, kept = await asyncio.to_thread(judge_operations, asked, signals, ground.calendar, ground.now)
    left = {rule.family for signal, rule in rules.items() if not _asks(signal, scope)}
    return Watched(findings, unjudged=of_waves(ground, kept | left))


def _asks(signal: str, scope: Scope) -> bool:
    """Tell whether ``scope`` asks for a signal; those that take everybody to find out wait for everything."""
    if scope.everything:
        return True
    if signal == "automation":
        return bool(scope.users)
    return signal not in {"directory", "champions"} and (
        scope.holds(TENANT) if signal != "restatement" else bool(groups_in(scope))
    )


async def _signals(tx: Connection, ground: Ground, scope: Scope, wanted: set[str], rules: dict[str, Rule]) -> Signals:
    tenant, signals = ground.tenant, Signals()
    if "watermark" in wanted:
        counted = (await evaluation_store.log_state(tx)).drained_at
        signals = replace(signals, counted=counted)
    if "directory" in wanted:
        people, unled = await store.unled(tx, tenant, ground.calendar.day_of(ground.now))
        signals = replace(signals, people=people, unled=unled)
    if "champions" in wanted:
        coverage = await store.coverage(tx, tenant, ground.calendar.day_of(ground.now))
        signals = replace(signals, coverage=coverage)
    if "unmapped" in wanted:
        events, unmapped = await store.events(tx, tenant)
        signals = replace(signals, events=events, unmapped=unmapped)
    if "deliveries" in wanted:
        signals = replace(signals, failing=await store.failing(tx, tenant))
    if "rejects" in wanted:
        signals = replace(signals, hours=await store.rejected(tx, tenant, ground.now - REJECTS))
    if "automation" in wanted:
        signals = replace(signals, busy=await _busy(tx, ground, scope, rules["automation"]))
    if wanted & NOW_ONLY:
        open_now = await store.standing(tx, tenant, [rules[signal].id for signal in wanted & NOW_ONLY])
        signals = replace(signals, standing=[as_finding(alert) for alert in open_now])
    return signals


async def _busy(tx: Connection, ground: Ground, scope: Scope, rule: Rule) -> list[Busy]:
    users: Iterable[str] = await lives.users(tx, ground.tenant) if scope.everything else scope.users
    ordered = sorted(users)
    found: list[Busy] = []
    for start in range(0, len(ordered), PART):
        part = ordered[start : start + PART]
        found += await store.busy(tx, ground.tenant, part, number(rule, "count"), number(rule, "hours"))
    return found
