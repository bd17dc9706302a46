"""A trial: what rules find in a history, told as episodes. Pure; nothing becomes an alert.

With the knowledge of now it is one judgement of everything. With that of then it is a life: what was found on one day
goes on with what is known on the next, as alerts do.
"""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final, NamedTuple

from services.aggregator.domain.alerts import TIMED, Alert, as_alert
from services.aggregator.domain.findings import Finding
from services.aggregator.domain.life import TELLABLE, Judged, advance
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
_TOLD: Final = ("id", "rule", "rule_version", "severity", "tier", "suppressed_by", "wave", "title", "opened_at")
SWEPT: Final = "\x1e"
"""Stands in the name of a rule that was made for a value, and in no other."""
_BRIEF: Final = frozenset({"num", "den", "worst_teams", "team", "team_connected"})
"""What of the evidence decides who may see an episode, and who hears of it."""


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


class Lived(NamedTuple):
    """An alert as there would have been one, and when people would have been told of it first."""

    alert: Alert
    told_at: datetime


class Sweep(NamedTuple):
    """A rule, and the values that one of its parameters takes by turns."""

    rule: str
    parameter: str
    values: Sequence[int]

    def name(self, value: int) -> str:
        """Return what the rule is called with ``value``."""
        return f"{self.rule}{SWEPT}{value}"

    def rules(self, rules: Mapping[str, Rule]) -> dict[str, Rule]:
        """Return ``rules``, and the rule once more for each value: all are judged of one gathering."""
        rule = rules[self.rule]
        return {
            **rules,
            **{
                self.name(value): replace(
                    rule,
                    id=self.name(value),
                    family=self.name(value),
                    params={**rule.params, self.parameter: value},
                )
                for value in self.values
            },
        }


def known_now(trial: Trial) -> list[Lived]:
    """Return the alerts that there would have been, had everything been known at once."""
    alerts = (as_alert(trial.tenant, each, trial.now) for each in _judged(trial))
    return [Lived(alert, alert.loud_since or alert.opened_at) for alert in alerts]


def known_then(lived: Iterable[Lived], trial: Trial, before: datetime | None) -> list[Lived]:
    """Return the alerts after ``trial``, which is what was known at its time; ``before``: the time of the last one.

    Nothing of the past became known between the two but on the day after the last: what began longer ago than people
    are alarmed for was not told then either.
    """
    found = {each.alert.fingerprint: each for each in lived}
    judged = Judged(unjudged=_unknown(trial))
    past = None if before is None else before - TELLABLE
    stored = [each.alert for each in found.values()]
    for kind, alert in advance(trial.tenant, stored, _judged(trial), trial.now, judged, past=past):
        if kind == TIMED:
            continue
        was = found.get(alert.fingerprint)
        found[alert.fingerprint] = Lived(alert, _told_at(alert, trial.now, before) if was is None else was.told_at)
    return list(found.values())


def _told_at(alert: Alert, now: datetime, before: datetime | None) -> datetime:
    happened = alert.loud_since or alert.opened_at
    return now if before is not None and happened < before else happened


def partial(trial: Trial) -> set[str]:
    """Return the rules of which only the present is known, or not all that they rest on."""
    families = {family for family, _ in _unknown(trial)}
    return {rule.id for rule in trial.rules.values() if rule.family in families}


def told(trial: Trial, lived: Iterable[Lived], rules: Container[str], days: Days) -> dict[str, Any]:
    """Return the episodes of ``rules`` that were open on ``days``, the newest first."""
    day_of = trial.policy.calendar.day_of
    chosen = [each for each in lived if each.alert.rule in rules and _spoken(each.alert, day_of).met(days)]
    chosen.sort(key=lambda each: (each.alert.opened_at, each.alert.fingerprint), reverse=True)
    return {
        "episodes": [_told(each, day_of) for each in chosen[:MOST]],
        "left_off": max(len(chosen) - MOST, 0),
    }


def swept(trial: Trial, lived: Iterable[Lived], sweep: Sweep, days: Days) -> list[dict[str, Any]]:
    """Return the episodes of each value, briefly."""
    by_rule: dict[str, list[Lived]] = {sweep.name(value): [] for value in sweep.values}
    for each in lived:
        if each.alert.rule in by_rule:
            by_rule[each.alert.rule].append(each)
    most = MOST // len(sweep.values)
    found = []
    for value in sweep.values:
        whole = told(trial, by_rule[sweep.name(value)], {sweep.name(value)}, days)
        brief = [_brief(each, sweep.rule) for each in whole["episodes"][:most]]
        left = whole["left_off"] + max(len(whole["episodes"]) - most, 0)
        found.append({"value": value, "episodes": brief, "left_off": left})
    return found


def _judged(trial: Trial) -> list[Finding]:
    return judge(trial.policy, trial.rollouts, trial.histories, trial.now, trial.silences, trial.rules, trial.beside)


def _unknown(trial: Trial) -> set[tuple[str, str | None]]:
    calendar, now, rules = trial.policy.calendar, trial.now, trial.rules
    kept = {each for rollout in trial.rollouts for each in unjudged(rollout, calendar, now, rules)}
    return {*kept, *change.baseless(trial.histories, rules), *trial.kept}


def _spoken(alert: Alert, day_of: Callable[[datetime], date]) -> Spoken:
    closed = None if alert.resolved_at is None else day_of(alert.resolved_at)
    heard = tuple((each["role"], each.get("person")) for each in alert.audience)
    return Spoken(alert.rule, day_of(alert.opened_at), closed, alert.suppressed_by is not None, heard)


def _told(each: Lived, day_of: Callable[[datetime], date]) -> dict[str, Any]:
    """Return an episode, under the id that its alert would have."""
    alert = each.alert
    return {
        **{name: getattr(alert, name) for name in _TOLD},
        "subject": alert.subject._asdict(),
        "opened_on": day_of(alert.opened_at),
        "told_at": each.told_at,
        "closed_at": alert.resolved_at,
        "closed_on": None if alert.resolved_at is None else day_of(alert.resolved_at),
        "resolution": alert.resolution,
        "window": alert.window,
        "evidence": alert.evidence,
        "audience": alert.audience,
        "action": alert.action,
        "episode": alert.episode,
    }


def _brief(episode: Mapping[str, Any], rule: str) -> dict[str, Any]:
    evidence = {name: value for name, value in episode["evidence"].items() if name in _BRIEF}
    return {**episode, "rule": rule, "evidence": evidence, "action": "", "title": ""}
