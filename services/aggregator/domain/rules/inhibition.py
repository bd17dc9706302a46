"""Which finding speaks for which: a graph that the rules draw, walked when everything is found.

A rule names those that speak for it (``inhibited_by``) while they are open on the same wave, the same team or the
tenant above. What speaks for another hides nothing: the other is told as suppressed, and by whom. When it ends and the
other still holds, that one is told after one more window. A tenant's drop takes from its teams only the copies of those
who are told of the tenant, and only where none of them explains the most of it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Final

from services.aggregator.domain.findings import Finding, Subject, Tier
from services.rules.shape import Rule

EXPLAINS: Final = Fraction(60, 100)
"""A part of the tenant that makes up so much of its loss is what the tenant's alert is about: it speaks for itself."""
UPPER: Final = frozenset({"sponsor", "crm_owner", "steering"})
"""Who is told of the tenant, and need not be told of each team as well."""
_WEEK: Final = timedelta(days=7)
_DAY: Final = timedelta(days=1)
_GROUPS: Final = frozenset({"team", "role"})


def inhibit(findings: Sequence[Finding], rules: Mapping[str, Rule], now: datetime) -> list[Finding]:
    """Return ``findings`` with what is suppressed, by whom, at ``now``."""
    parents = _Parents(findings, rules)
    return [_inhibited(each, parents, now) for each in findings]


class _Parents:
    """The findings that may speak for others, by rule."""

    def __init__(self, findings: Iterable[Finding], rules: Mapping[str, Rule]) -> None:
        self.rules = rules
        named = {name for rule in rules.values() for name in rule.inhibited_by}
        drops = {rule.id for rule in rules.values() if rule.predicate == "drop"}
        self.universal = {
            rule.id: rule
            for rule in rules.values()
            if rule.predicate == "silent" or rule.params.get("signal") == "directory"
        }
        self.drops = drops
        self.by_rule: dict[str, list[Finding]] = defaultdict(list)
        for each in findings:
            if each.rule in named or each.rule in self.universal or each.rule in drops:
                self.by_rule[each.rule].append(each)

    def of(self, child: Finding) -> Iterator[Finding]:
        """Yield who might speak for ``child``, the one that does so first."""
        rule = self.rules.get(child.rule)
        if rule is None:
            return
        for name in rule.inhibited_by:
            yield from (each for each in self.by_rule.get(name, ()) if each is not child and _same_place(each, child))
        yield from self._universal(child, rule)

    def _universal(self, child: Finding, rule: Rule) -> Iterator[Finding]:
        """Yield silent sources, for shares also a directory that is out of date, that were there before ``child``."""
        if rule.pack == "operations":
            return
        for name, parent in self.universal.items():
            if parent.predicate == "silent" or child.subject.kind != "user":
                yield from (each for each in self.by_rule.get(name, ()) if each.opened_at <= child.opened_at)

    def above(self, child: Finding) -> Iterator[Finding]:
        """Yield the confirmed drops of the tenant over a group's."""
        rule = self.rules.get(child.rule)
        if rule is None or child.subject.kind not in _GROUPS:
            return
        named = [name for name in rule.inhibited_by if name in self.drops]
        for name in [*named, child.rule] if child.rule in self.drops else named:
            for each in self.by_rule.get(name, ()):
                if each.subject.kind == "tenant" and each.tier is Tier.CONFIRMED and not _explains(child, each):
                    yield each


def _inhibited(child: Finding, parents: _Parents, now: datetime) -> Finding:
    speaker = next((each for each in parents.of(child) if _covers(each, child, now)), None)
    above = any(_covers(each, child, now) for each in parents.above(child))
    audience = tuple(heard for heard in child.audience if not above or heard.role not in UPPER)
    if speaker is not None:
        return replace(child, audience=audience, suppressed_by=speaker.fingerprint)
    raised = [child.raised_at] if child.raised_at is not None else []
    if child.closed_at is None:
        raised += _releases(child, parents)
    return replace(child, audience=audience or child.audience, raised_at=max(raised, default=None))


def _releases(child: Finding, parents: _Parents) -> Iterator[datetime]:
    """Yield when those who spoke for the child, and do so no longer, let it go."""
    for each in parents.of(child):
        if each.closed_at is not None and child.opened_at < each.closed_at:
            yield _released_at(child, each.closed_at)


def _same_place(parent: Finding, child: Finding) -> bool:
    """Tell whether ``parent`` is about the wave, the group or the group of the person that ``child`` is about."""
    if parent.subject.kind == "wave":
        return parent.wave is not None and parent.wave == child.wave
    if parent.tier is not Tier.CONFIRMED and parent.subject == child.subject:
        return False
    if parent.subject == child.subject:
        return True
    team = child.evidence.get("team") if child.subject.kind == "user" else None
    return parent.subject == Subject("team", str(team)) if team is not None else False


def _explains(child: Finding, parent: Finding) -> bool:
    """Tell whether the group makes up the most of what the tenant lost."""
    lost, whole = child.evidence.get("net_loss"), parent.evidence.get("net_loss")
    return isinstance(lost, int) and isinstance(whole, int) and lost >= EXPLAINS * whole


def _covers(parent: Finding, child: Finding, now: datetime) -> bool:
    """Tell whether the parent speaks for the child now, or did when the child ended."""
    at = now if child.closed_at is None else child.closed_at
    if parent.opened_at >= at and child.closed_at is not None:
        return False
    if parent.closed_at is None:
        return True
    return child.opened_at < parent.closed_at and at < _released_at(child, parent.closed_at)


def _released_at(child: Finding, ended_at: datetime) -> datetime:
    """Return the first instant after ``ended_at`` at which the child is judged once more."""
    window = _DAY if child.subject.kind in {"user", "wave"} else _WEEK
    return child.opened_at + ((ended_at - child.opened_at) // window + 1) * window
