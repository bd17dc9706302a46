"""Who speaks for others, and has something else to say now: those it speaks for are to be judged anew.

A tenant's drop speaks for its teams, a wave's emergency for the groups of the wave, a team's drop for its people. When
one of them opens, ends, or tells of another loss, alerts that nobody touched may be told otherwise.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from services.aggregator.domain.alerts import Alert, Change
from services.aggregator.domain.findings import Resolution, Subject
from services.rules.shape import Rule


class Speaker(NamedTuple):
    """An alert that speaks for those of ``rules`` that were there after ``since``. ``rules`` None: for everything."""

    subject: Subject
    wave: str | None
    since: datetime
    rules: frozenset[str] | None


def speakers(changes: Iterable[Change], before: Iterable[Alert], rules: Mapping[str, Rule]) -> list[Speaker]:
    """Return the alerts among ``changes`` that say something else than ``before``."""
    known = {alert.id: _said(alert) for alert in before}
    last = {change.alert.id: change.alert for change in changes}
    found = []
    for alert in last.values():
        rule = rules.get(alert.rule)
        if rule is None or known.get(alert.id) == _said(alert):
            continue
        spoken = None if _universal(rule) else frozenset(_spoken_for(rule, rules))
        if spoken is None or spoken:
            found.append(Speaker(alert.subject, alert.wave, alert.opened_at, spoken))
    return found


def _said(alert: Alert) -> tuple[object, ...]:
    restated = alert.resolution == Resolution.RESTATED
    return alert.opened_at, alert.resolved_at, restated, alert.tier, alert.evidence.get("net_loss")


def _universal(rule: Rule) -> bool:
    """Tell whether the rule speaks for everything that rests on what it is about."""
    return rule.predicate == "silent" or rule.params.get("signal") == "directory"


def _spoken_for(rule: Rule, rules: Mapping[str, Rule]) -> Iterator[str]:
    for each in rules.values():
        if rule.id in each.inhibited_by or (each.id == rule.id and rule.predicate == "drop"):
            yield each.id
