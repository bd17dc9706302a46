"""From a rule and what its predicate found to the finding that people read.

Titles name what was found by words in braces. These may be used by any rule: ``group``, ``wave``, ``num``, ``den``,
``value`` (in whole percent), ``limit``, ``week``, ``base_num``, ``base_den``, ``base_value``, ``metric``, ``of``,
``source``, ``since``, ``number`` and ``missing``; what the predicate does not know of reads as a dash.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from typing import Final, NamedTuple

from services.aggregator.domain.findings import Finding, Recipient, Resolution, Severity, Subject, Tier
from services.metrics.catalogue import METRICS, Metric, by_code
from services.rules.shape import Rule

UNKNOWN: Final = "-"


class _Named(dict[str, object]):
    def __missing__(self, key: str) -> object:
        return UNKNOWN


class Episode(NamedTuple):
    """When an episode began and, if it has, how it ended. ``number``: which one of the subject it is.

    ``raised_at``: since when somebody is asked for an answer; None: from the beginning.
    """

    start: date
    opened_at: datetime
    closed_at: datetime | None = None
    resolution: Resolution | None = None
    number: int = 1
    raised_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a finding tells beside its rule and episode. ``severity`` None: the rule's for such a subject."""

    window: Mapping[str, object]
    evidence: Mapping[str, object]
    names: Mapping[str, object] = field(default_factory=dict)
    tier: Tier = Tier.CONFIRMED
    severity: Severity | None = None
    audience: Sequence[Recipient] | None = None
    mark: str | None = None


def finding(rule: Rule, subject: Subject, wave: str | None, episode: Episode, told: Told) -> Finding:
    """Return the finding of an episode of ``rule``."""
    return Finding(
        family=rule.family,
        rule=rule.id,
        rule_version=rule.version,
        severity=told.severity or severity_of(rule, subject, told.tier),
        tier=told.tier,
        wave=wave,
        subject=subject,
        start=episode.start,
        title=rule.title.format_map(_Named(told.names)),
        opened_at=episode.opened_at,
        closed_at=episode.closed_at,
        resolution=episode.resolution,
        window=told.window,
        evidence=told.evidence,
        audience=tuple(audience(rule) if told.audience is None else told.audience),
        action=rule.action,
        episode=episode.number,
        mark=told.mark,
        raised_at=episode.raised_at,
    )


def severity_of(rule: Rule, subject: Subject, tier: Tier = Tier.CONFIRMED) -> Severity:
    """Return how loud ``rule`` is of such a subject."""
    if tier is Tier.SUSPECTED and rule.suspected is not None:
        return Severity(rule.suspected)
    return Severity(rule.louder.get(subject.kind, rule.severity))


def audience(rule: Rule, *, manager: str | None = None, sponsor: str | None = None) -> list[Recipient]:
    """Return who should know; persons where they are known."""
    persons = {"manager": manager, "sponsor": sponsor}
    return [Recipient(role, persons.get(role)) for role in rule.audience]


def rate(num: int, den: int) -> dict[str, object]:
    """Return a share with what it is made of."""
    return {"num": num, "den": den, "value": Fraction(num, den)}


def percent(num: int, den: int) -> str:
    """Return a share in whole percent; half a percent and more is rounded up."""
    return UNKNOWN if den == 0 else str((200 * num + den) // (2 * den))


def number(rule: Rule, name: str, otherwise: int | None = None) -> int:
    """Return a parameter that is a whole number.

    Raises:
        ValueError: the rule has none, and there is no other to take.
    """
    value = rule.params.get(name, otherwise)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{rule.id}: {name} is no whole number")  # noqa: TRY004 - what is wrong is the rule
    return value


def metric_of(rule: Rule) -> Metric | None:
    """Return the metric a rule judges; None: none, or one that nobody knows."""
    name = rule.params.get("metric")
    return None if not isinstance(name, str) else METRICS.get(name) or by_code(name)


def active(rules: Mapping[str, Rule], predicate: str) -> list[Rule]:
    """Return the rules with ``predicate`` that are switched on, by name."""
    return sorted(_enabled(rules.values(), predicate), key=lambda rule: rule.id)


def _enabled(rules: Iterable[Rule], predicate: str) -> Iterable[Rule]:
    return (rule for rule in rules if rule.enabled and rule.predicate == predicate)
