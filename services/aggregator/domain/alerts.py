"""What an alert is: a finding with an id, and with what people and time made of it.

The same episode has the same id on every machine, after every rebuild, whatever it tells.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from services.aggregator.domain.findings import Finding, Severity, Subject, Tier, family_of
from services.rules.life import OPEN, RESOLVED

TIMED: Final = "timed"
"""No change that is told or kept: only when the alert is to be looked at again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert as it is stored. ``window``, ``evidence`` and ``audience`` hold plain JSON values.

    From ``acknowledged_at`` on it is what people and time made of it. ``loud_since``: since when it waits for an
    answer; ``due_at``: when it is to be looked at again, whatever the facts.
    """

    id: str
    fingerprint: str
    rule: str
    rule_version: int
    severity: str
    tier: str
    state: str
    suppressed_by: str | None
    subject_kind: str
    subject_key: str
    wave: str | None
    title: str
    opened_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    resolution: str | None
    window: Mapping[str, Any]
    evidence: Mapping[str, Any]
    audience: list[dict[str, Any]]
    action: str
    episode: int
    revision: int
    acknowledged_at: datetime | None = None
    snoozed_until: datetime | None = None
    snooze_reason: str | None = None
    assignee: str | None = None
    plan_on: date | None = None
    escalation: int = 0
    useful: bool | None = None
    loud_since: datetime | None = None
    due_at: datetime | None = None

    @property
    def family(self) -> str:
        """The rule family that it is an episode of."""
        return family_of(self.fingerprint)

    @property
    def subject(self) -> Subject:
        """What it is about."""
        return Subject(self.subject_kind, self.subject_key)


class Change(NamedTuple):
    """What happened to an alert, and the alert afterwards."""

    kind: str
    alert: Alert


def alert_id(tenant: str, fingerprint: str) -> str:
    """Return the id of an alert: the same episode has the same id on every machine, after every rebuild."""
    return blake2b(f"{tenant}\x00{fingerprint}".encode()).hexdigest()[:20]


def as_alert(tenant: str, finding: Finding, now: datetime) -> Alert:
    """Return the alert that ``finding`` makes by itself."""
    suppressed_by = finding.suppressed_by
    return Alert(
        id=alert_id(tenant, finding.fingerprint),
        fingerprint=finding.fingerprint,
        rule=finding.rule,
        rule_version=finding.rule_version,
        severity=finding.severity.value,
        tier=finding.tier.value,
        state=OPEN if finding.closed_at is None else RESOLVED,
        suppressed_by=None if suppressed_by is None else alert_id(tenant, suppressed_by),
        subject_kind=finding.subject.kind,
        subject_key=finding.subject.key,
        wave=finding.wave,
        title=finding.title,
        opened_at=finding.opened_at,
        updated_at=now,
        resolved_at=finding.closed_at,
        resolution=None if finding.resolution is None else finding.resolution.value,
        window=plain(finding.window),
        evidence=plain(finding.evidence),
        audience=[
            {"role": heard.role, **({"person": heard.person} if heard.person else {})} for heard in finding.audience
        ],
        action=finding.action,
        episode=finding.episode,
        revision=0,
        loud_since=finding.raised_at or finding.opened_at,
    )


def as_finding(alert: Alert) -> Finding:
    """Return the finding that ``alert`` was made of, as far as others must know of it: which episode, and how long."""
    _, _, _, _, start, *mark = alert.fingerprint.split("\x1f")
    return Finding(
        family=alert.family,
        rule=alert.rule,
        rule_version=alert.rule_version,
        severity=Severity(alert.severity),
        tier=Tier(alert.tier),
        wave=alert.wave,
        subject=alert.subject,
        start=date.fromisoformat(start),
        title=alert.title,
        opened_at=alert.opened_at,
        closed_at=alert.resolved_at,
        resolution=None,
        window=alert.window,
        evidence=alert.evidence,
        audience=(),
        action=alert.action,
        episode=alert.episode,
        mark=mark[0] if mark else None,
    )


def plain(value: object) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """Return ``value`` as JSON holds it: here, at the edge, fractions become floats."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Fraction):
        return float(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return value
