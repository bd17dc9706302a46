"""A trial: what rules find in a history, told as episodes. Pure; nothing becomes an alert."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from services.aggregator.domain.alerts import as_alert
from services.aggregator.domain.findings import Finding
from services.aggregator.domain.rules import change
from services.aggregator.domain.rules.access import unjudged
from services.aggregator.domain.rules.change import History
from services.aggregator.domain.rules.judge import Policy, judge
from services.aggregator.domain.silence import Silence
from services.aggregator.domain.waves import Rollout
from services.rules.load import Days, Spoken
from services.rules.shape import Rule

MOST: Final = 10_000
"""So many episodes are told one by one: the newest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What the ``rules`` of a tenant have to judge at ``now``, all of it. ``kept``: of whom too little is known."""

    tenant: str
    now: datetime
    policy: Policy
    rules: Mapping[str, Rule]
    silences: Sequence[Silence]
    rollouts: Sequence[Rollout]
    histories: Sequence[History]
    beside: Sequence[Finding]
    kept: frozenset[tuple[str, str | None]]


def tried(trial: Trial, asked: Iterable[str], days: Days) -> dict[str, Any]:
    """Return the episodes of the rules ``asked`` for (none: of all) that were open on ``days``, the newest first.

    ``partial``: the rules of which only the present is known, or not all that they rest on.
    """
    only = set(asked)
    found = judge(trial.policy, trial.rollouts, trial.histories, trial.now, trial.silences, trial.rules, trial.beside)
    episodes = [each for each in found if not only or each.rule in only]
    episodes = [each for each in episodes if _spoken(each, trial.policy.calendar.day_of).met(days)]
    episodes.sort(key=lambda each: (each.opened_at, each.fingerprint), reverse=True)
    families = _partial(trial)
    return {
        "as_of": trial.now,
        "episodes": [_told(trial, each) for each in episodes[:MOST]],
        "left_off": max(len(episodes) - MOST, 0),
        "partial": sorted(
            rule.id for rule in trial.rules.values() if rule.family in families and (not only or rule.id in only)
        ),
    }


def _partial(trial: Trial) -> set[str]:
    calendar, now, rules = trial.policy.calendar, trial.now, trial.rules
    kept = {each for rollout in trial.rollouts for each in unjudged(rollout, calendar, now, rules)}
    return {family for family, _ in (*kept, *change.baseless(trial.histories, rules), *trial.kept)}


def _spoken(finding: Finding, day_of: Callable[[datetime], date]) -> Spoken:
    closed = None if finding.closed_at is None else day_of(finding.closed_at)
    silenced = finding.suppressed_by is not None
    heard = tuple((each.role, each.person) for each in finding.audience)
    return Spoken(finding.rule, day_of(finding.opened_at), closed, silenced, heard)


def _told(trial: Trial, finding: Finding) -> dict[str, Any]:
    """Return an episode, under the id that its alert would have."""
    alert, day_of = as_alert(trial.tenant, finding, trial.now), trial.policy.calendar.day_of
    names = ("id", "rule", "rule_version", "severity", "tier", "suppressed_by", "wave", "title", "opened_at")
    return {
        **{name: getattr(alert, name) for name in names},
        "subject": alert.subject._asdict(),
        "opened_on": day_of(finding.opened_at),
        "closed_at": alert.resolved_at,
        "closed_on": None if finding.closed_at is None else day_of(finding.closed_at),
        "resolution": alert.resolution,
        "window": alert.window,
        "evidence": alert.evidence,
        "audience": alert.audience,
        "action": alert.action,
        "episode": alert.episode,
    }
