"""Gathers what operations show, where the scope asks for the tenant, and lets the rules judge it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from services.aggregator.domain.alerts import Alert, as_finding
from services.aggregator.domain.calendar import DAY
from services.aggregator.domain.findings import Finding, Recipient, Resolution, Subject
from services.aggregator.domain.rules.coverage import Sponsored
from services.aggregator.domain.rules.operations import NOW_ONLY, Signals, judge_operations
from services.aggregator.domain.rules.restatements import Restated
from services.aggregator.domain.rules.series import WEEK
from services.aggregator.domain.rules.telling import number
from services.aggregator.domain.rules.tireless import Busy
from services.aggregator.domain.scope import TENANT, Scope
from services.aggregator.gathering import Ground
from services.aggregator.store import evaluation as evaluation_store
from services.aggregator.store import lives
from services.aggregator.store import operations as store
from services.aggregator.watching.shape import Watched, of_waves
from services.aggregator.watching.weeks import groups_in
from services.metrics.levels import phase_since
from services.metrics.policy import policy_of
from services.metrics.windows import end_of, final_at
from services.postgres import Connection
from services.rules.shape import Rule

PART: Final = 500
REJECTS: Final = timedelta(days=7)
"""How far back rejected deliveries are looked at."""
RESTATED: Final = frozenset({"M11", "M12"})
"""The numbers whose restatements are told of: those that most people look at."""
REAL: Final = frozenset({"watermark", "rejects"})
"""The signals that are held against events of the hour, and so make no sense but on the wall clock."""


async def watch(tx: Connection, ground: Ground, scope: Scope, revised: Sequence[tuple[Subject, str, date]]) -> Watched:
    """Judge what operations show of the tenant, its groups and people in ``scope``; ``revised``: of its groups."""
    rules = {
        str(rule.params.get("signal", rule.predicate)): rule
        for rule in ground.rules.values()
        if rule.enabled and rule.predicate in {"operations", "champions", "sponsors"}
    }
    if not ground.wall:
        rules = {signal: rule for signal, rule in rules.items() if signal not in REAL}
    asked = [rule for signal, rule in rules.items() if _asks(signal, scope)]
    wanted = {signal for signal in rules if _asks(signal, scope)}
    signals = await _signals(tx, ground, scope, wanted, rules)
    if "restatement" in wanted:
        signals = replace(signals, restated=await _restated(tx, ground, revised))
    findings, kept = await asyncio.to_thread(judge_operations, asked, signals, ground.calendar, ground.now)
    left = {rule.family for signal, rule in rules.items() if not _asks(signal, scope)}
    return Watched(findings, unjudged=of_waves(ground, kept | left))


def _asks(signal: str, scope: Scope) -> bool:
    """Tell whether ``scope`` asks for a signal; those that take everybody to find out wait for everything."""
    if scope.everything:
        return True
    if signal == "automation":
        return bool(scope.users)
    return signal not in {"directory", "champions", "sponsors"} and (
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
    if "sponsors" in wanted:
        signals = replace(signals, waves=await _sponsored(tx, ground))
    if "unmapped" in wanted:
        events, unmapped = await store.events(tx, tenant)
        signals = replace(signals, events=events, unmapped=unmapped)
    if "deliveries" in wanted:
        signals = replace(signals, failing=await store.failing(tx, tenant), real_now=ground.real_now)
    if "rejects" in wanted:
        signals = replace(signals, hours=await store.rejected(tx, tenant, ground.now - REJECTS))
    if "automation" in wanted:
        signals = await _tireless(tx, ground, scope, rules["automation"], signals)
    if wanted & NOW_ONLY:
        open_now = await store.standing(tx, tenant, [rules[signal].id for signal in wanted & NOW_ONLY])
        signals = replace(signals, standing=[*signals.standing, *map(as_finding, open_now)])
    return signals


async def _sponsored(tx: Connection, ground: Ground) -> list[Sponsored]:
    """Return the waves; where somebody stands for the sponsors of all, each has one."""
    anybody = await store.has_sponsor(tx, ground.tenant)
    today, policy = ground.calendar.day_of(ground.now), policy_of(ground.case.settings, waves=True)
    return [
        Sponsored(wave.name, phase_since(wave.go_live, policy, today), anybody or wave.sponsor is not None)
        for wave in ground.waves
    ]


async def _restated(tx: Connection, ground: Ground, revised: Sequence[tuple[Subject, str, date]]) -> list[Restated]:
    """Return what was restated of groups that were never too small to be told of.

    On the event clock nobody knows when: it is told as of when the number was final.
    """
    found = await store.restated(tx, ground.tenant, [each for each in revised if each[1] in RESTATED])
    settings = ground.case.settings
    return [
        each._replace(
            name=settings["name"] if each.group == TENANT else each.name,
            at=each.at if ground.wall else final_at(end_of(each.week + WEEK, ground.zones)),
        )
        for each in found
        if min(each.before[1], each.after[1]) >= settings["min_group"]
    ]


async def _tireless(tx: Connection, ground: Ground, scope: Scope, rule: Rule, signals: Signals) -> Signals:
    """Add what accounts did, and what was found of days whose events are kept no more."""
    kept_from, tenant, zone = ground.case.settings["activity_from"], ground.tenant, ground.case.settings["time_zone"]
    since = datetime.combine(kept_from or date.min, time.min, UTC)
    writes, hours = number(rule, "count"), number(rule, "hours")
    users = sorted(await lives.users(tx, tenant) if scope.everything else scope.users)
    busy: list[Busy] = []
    for start in range(0, len(users), PART):
        busy += await store.busy(tx, tenant, users[start : start + PART], zone, since, writes=writes, hours=hours)
    if kept_from is None:
        return replace(signals, busy=busy)
    found = await store.old(tx, tenant, rule.id, since + 2 * DAY, None if scope.everything else users)
    old = [each for alert in found if (each := _as_it_was(alert)).start <= ground.calendar.day_of(since)]
    return replace(signals, busy=busy, kept_from=since, standing=[*signals.standing, *old])


def _as_it_was(alert: Alert) -> Finding:
    """Return the finding that makes exactly this alert."""
    return replace(
        as_finding(alert),
        resolution=next((each for each in Resolution if each.value == alert.resolution), None),
        audience=tuple(Recipient(heard["role"], heard.get("person")) for heard in alert.audience),
    )
