"""All rules over all facts of one tenant: the whole time line of episodes, as the facts show it now.

A pure function of facts and of the tenant's now: the order in which the facts arrived leaves no trace in it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.aggregator.domain.calendar import Calendar
from services.aggregator.domain.findings import Finding
from services.aggregator.domain.rules.access import judge_people, judge_wave
from services.aggregator.domain.rules.catalogue import ADOPTION_DROP, D3_EMERGENCY, D5_BELOW
from services.aggregator.domain.rules.change import History, judge_change
from services.aggregator.domain.rules.sources import judge_sources
from services.aggregator.domain.silence import Silence
from services.aggregator.domain.waves import Rollout

INHIBITED = frozenset({D5_BELOW.id, ADOPTION_DROP.id})
"""What the emergency of the same wave speaks for while it is open."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a tenant has decided about counting and naming people."""

    calendar: Calendar
    min_group: int = 5
    name_people: bool = True


def judge(
    policy: Policy,
    rollouts: Iterable[Rollout],
    histories: Iterable[History],
    now: datetime,
    silences: Iterable[Silence] = (),
) -> list[Finding]:
    """Return every episode of every rule and subject up to ``now``, inhibited ones marked."""
    found = [*judge_sources(silences, policy.calendar), *_judge(policy, rollouts, histories, now)]
    return _inhibit(found)


def _judge(
    policy: Policy, rollouts: Iterable[Rollout], histories: Iterable[History], now: datetime
) -> Iterator[Finding]:
    for rollout in rollouts:
        yield from judge_people(rollout, policy.calendar, now)
        yield from judge_wave(rollout, policy.calendar, now, min_group=policy.min_group, name_people=policy.name_people)
    for history in histories:
        yield from judge_change(history, policy.calendar, now)


def _inhibit(findings: Sequence[Finding]) -> list[Finding]:
    emergencies = {finding.wave: finding for finding in findings if finding.rule == D3_EMERGENCY.id}
    return [
        replace(finding, suppressed_by=emergency.fingerprint)
        if finding.rule in INHIBITED and (emergency := emergencies.get(finding.wave)) and _covers(emergency, finding)
        else finding
        for finding in findings
    ]


def _covers(emergency: Finding, finding: Finding) -> bool:
    """Tell whether the emergency is open now, or was when ``finding`` ended."""
    if finding.closed_at is None:
        return emergency.closed_at is None
    return emergency.opened_at < finding.closed_at and (
        emergency.closed_at is None or finding.closed_at <= emergency.closed_at
    )
