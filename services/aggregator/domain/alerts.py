"""Alerts: findings with a life. ``advance`` compares what is stored with what the facts show now.

Whatever the order of arrival and the moments of evaluation, afterwards the alerts not withdrawn (``restated``) are
exactly the findings, in the same state; only ``updated_at``, ``revision`` and the list of changes tell the way it went.
What a person did is kept: an acknowledged alert stays so until it ends, one resolved by hand stays resolved.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from fractions import Fraction
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from services.aggregator.domain.findings import Finding, Resolution, Severity, Tier, family_of

OPEN: Final = "open"
RESOLVED: Final = "resolved"

_LOUDNESS: Final = {severity.value: rank for rank, severity in enumerate(Severity)}
_OWN: Final = frozenset(Resolution)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert as it is stored. ``window``, ``evidence`` and ``audience`` hold plain JSON values."""

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


class Change(NamedTuple):
    """What happened to an alert, and the alert afterwards."""

    kind: str
    alert: Alert


def alert_id(tenant: str, fingerprint: str) -> str:
    """Return the id of an alert: the same episode has the same id on every machine, after every rebuild."""
    return blake2b(f"{tenant}\x00{fingerprint}".encode()).hexdigest()[:20]


def advance(
    tenant: str,
    stored: Iterable[Alert],
    findings: Iterable[Finding],
    now: datetime,
    unjudged: Container[tuple[str, str | None]] = (),
    past: datetime | None = None,
) -> list[Change]:
    """Return the changes that bring the ``stored`` alerts to what ``findings`` show at ``now``.

    Alerts of the rule families and waves that were ``unjudged`` stay as they are. What began before ``past`` and was
    never told is not told any more: nobody can act on it.
    """
    known = {alert.fingerprint: alert for alert in stored}
    changes: list[Change] = []
    for finding in sorted(findings, key=lambda finding: (finding.opened_at, finding.fingerprint)):
        wanted = _as_alert(tenant, finding, now)
        alert = known.pop(wanted.fingerprint, None)
        if alert is not None:
            changes += _follow(alert, wanted, now)
        elif past is None or wanted.opened_at >= past:
            changes += _open(wanted)
    for alert in sorted(known.values(), key=lambda alert: (alert.opened_at, alert.id)):
        if (family_of(alert.fingerprint), alert.wave) not in unjudged:
            changes += _withdraw(alert, now)
    return changes


def _open(wanted: Alert) -> Iterator[Change]:
    yield Change("opened", replace(wanted, state=OPEN, resolved_at=None, resolution=None))
    if wanted.resolved_at is not None:
        yield Change("resolved", replace(wanted, revision=1))


def _follow(alert: Alert, wanted: Alert, now: datetime) -> Iterator[Change]:
    if alert.state == RESOLVED and alert.resolution not in _OWN:
        return
    state = wanted.state if RESOLVED in {wanted.state, alert.state} else alert.state
    after = replace(wanted, state=state, updated_at=alert.updated_at, revision=alert.revision)
    if after != alert:
        yield Change(_kind(alert, after), replace(after, updated_at=now, revision=alert.revision + 1))


def _kind(alert: Alert, after: Alert) -> str:
    if after.state == RESOLVED:
        return "restated" if alert.state == RESOLVED else "resolved"
    if alert.state == RESOLVED:
        return "reopened"
    louder = _LOUDNESS[after.severity] > _LOUDNESS[alert.severity]
    return "raised" if louder or (after.tier, alert.tier) == (Tier.CONFIRMED, Tier.SUSPECTED) else "updated"


def _withdraw(alert: Alert, now: datetime) -> Iterator[Change]:
    """Resolve an alert that the facts no longer support; of one already resolved only the reason changes."""
    if alert.state == RESOLVED and (alert.resolution not in _OWN or alert.resolution == Resolution.RESTATED):
        return
    ended = alert.state == RESOLVED
    after = replace(
        alert,
        state=RESOLVED,
        resolved_at=alert.resolved_at if ended else now,
        resolution=Resolution.RESTATED.value,
        suppressed_by=None,
        updated_at=now,
        revision=alert.revision + 1,
    )
    yield Change("restated" if ended else "resolved", after)


def _as_alert(tenant: str, finding: Finding, now: datetime) -> Alert:
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
        window=_plain(finding.window),
        evidence=_plain(finding.evidence),
        audience=[
            {"role": heard.role, **({"person": heard.person} if heard.person else {})} for heard in finding.audience
        ],
        action=finding.action,
        episode=finding.episode,
        revision=0,
    )


def _plain(value: object) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """Return ``value`` as JSON holds it: here, at the edge, fractions become floats."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Fraction):
        return float(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value
