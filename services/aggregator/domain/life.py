"""The life of alerts: ``advance`` compares what is stored with what the facts show now, and with what time makes of it.

Whatever the order of arrival and the moments of evaluation, afterwards the alerts not withdrawn (``restated``) are
exactly the findings, in the same state; only ``updated_at``, ``revision`` and the list of changes tell the way it went.
What a person did is kept: an acknowledged alert stays so until it ends, also when it turns out that it has not ended;
one resolved by hand stays resolved. A snoozed one is open again when its time is over, or when it becomes louder.
"""

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from services.aggregator.domain.alerts import TIMED, Alert, Change, as_alert
from services.aggregator.domain.findings import FADING, Finding, Resolution, Severity, Subject, Tier
from services.aggregator.domain.ladder import LOUD, Ladder
from services.aggregator.domain.scope import EVERYTHING, Scope
from services.rules.life import ACKNOWLEDGED, OPEN, RESOLVED, SNOOZED

TELLABLE: Final = timedelta(days=35)
"""What comes to light later than this on the wall clock came by a backfill: windows change, nobody is alarmed."""
_LOUDNESS: Final = {severity.value: rank for rank, severity in enumerate(Severity)}
_OWN: Final = frozenset(Resolution)
_KEPT: Final = (
    "updated_at",
    "revision",
    "acknowledged_at",
    "snoozed_until",
    "snooze_reason",
    "assignee",
    "plan_on",
    "escalation",
    "useful",
    "loud_since",
    "due_at",
)
"""What no finding knows of."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What an evaluation judged. Of the rest nothing is opened or withdrawn.

    ``launch``: the families that ask who connected, judged by wave. ``always``: those that are judged every time.
    ``unjudged``: families and waves of whom too little is known.
    """

    scope: Scope = EVERYTHING
    launch: Container[str] = ()
    always: Container[str] = ()
    unjudged: Container[tuple[str, str | None]] = ()

    def covers(self, alert: Alert) -> bool:
        """Tell whether the episode would have been found again."""
        known = (alert.family, alert.wave) not in self.unjudged
        return known and self.reaches(alert.family, alert.wave, alert.subject)

    def reaches(self, family: str, wave: str | None, subject: Subject) -> bool:
        """Tell whether episodes of ``family`` were looked for."""
        if family in self.launch and not self.scope.everything:
            return wave in self.scope.launches
        return family in self.always or self.scope.holds(subject)


def advance(
    tenant: str,
    stored: Iterable[Alert],
    findings: Iterable[Finding],
    now: datetime,
    judged: Judged | None = None,
    *,
    ladder: Ladder | None = None,
    past: datetime | None = None,
) -> list[Change]:
    """Return the changes that bring the ``stored`` alerts to what ``findings`` show at ``now``.

    What was not ``judged`` stays as it is, but for what time does. What began before ``past`` and was never told is not
    told any more: nobody can act on it.
    """
    judged = judged or Judged()
    known = {alert.fingerprint: alert for alert in stored}
    changes: list[Change] = []
    for finding in sorted(findings, key=lambda finding: (finding.opened_at, finding.fingerprint)):
        wanted = as_alert(tenant, finding, now)
        alert = known.pop(wanted.fingerprint, None)
        if alert is not None:
            changes += _follow(alert, wanted, now, ladder)
        elif judged.reaches(finding.family, finding.wave, finding.subject) and (
            past is None or wanted.opened_at >= past
        ):
            changes += _open(wanted, now, ladder)
    for alert in sorted(known.values(), key=lambda alert: (alert.opened_at, alert.id)):
        changes += _withdraw(alert, now) if judged.covers(alert) else _wait(alert, now, ladder)
    return changes


def _open(wanted: Alert, now: datetime, ladder: Ladder | None) -> Iterator[Change]:
    opened = replace(wanted, state=OPEN, resolved_at=None, resolution=None)
    if wanted.resolved_at is not None:
        yield Change("opened", opened)
        yield Change("resolved", replace(wanted if ladder is None else ladder.climbed(wanted, now), revision=1))
    elif ladder is None:
        yield Change("opened", opened)
    else:
        opened = replace(opened, loud_since=ladder.loud_since(wanted.loud_since or wanted.opened_at, now))
        climbed = ladder.climbed(opened, now)
        if not climbed.escalation:
            yield Change("opened", climbed)
            return
        yield Change("opened", opened)
        yield Change("escalated", replace(climbed, revision=1))


def _follow(alert: Alert, wanted: Alert, now: datetime, ladder: Ladder | None) -> Iterator[Change]:
    if alert.state == RESOLVED and alert.resolution not in _OWN:
        return
    wanted = _unfaded(wanted, alert)
    louder = _louder(wanted, alert)
    state = _state(alert, wanted, now, louder=louder)
    after = replace(wanted, state=state, **{name: getattr(alert, name) for name in _KEPT})
    if louder:
        after = replace(after, snoozed_until=None, snooze_reason=None)
    asked = after.severity in LOUD and alert.severity not in LOUD
    if asked or after.loud_since is None or (alert.suppressed_by is not None and after.suppressed_by is None):
        happened = wanted.loud_since or wanted.opened_at
        after = replace(after, loud_since=happened if ladder is None else ladder.loud_since(happened, now))
    yield from _changed(alert, after, now, ladder)


def _unfaded(wanted: Alert, alert: Alert) -> Alert:
    """Return ``wanted`` with what ``alert`` told and nobody knows any more."""
    faded = [name for name in FADING if name in wanted.evidence and wanted.evidence[name] is None]
    if not faded:
        return wanted
    known = {name: told for name, told in wanted.evidence.items() if name not in faded}
    return replace(wanted, evidence=known | {name: alert.evidence[name] for name in faded if name in alert.evidence})


def _wait(alert: Alert, now: datetime, ladder: Ladder | None) -> Iterator[Change]:
    """Let time pass for an alert that nothing was found out about."""
    if alert.state != RESOLVED:
        yield from _changed(alert, replace(alert, state=_state(alert, alert, now, louder=False)), now, ladder)


def _changed(alert: Alert, after: Alert, now: datetime, ladder: Ladder | None) -> Iterator[Change]:
    if ladder is not None:
        after = ladder.climbed(after, now)
    if after == alert:
        return
    kind = _kind(alert, after)
    yield Change(kind, after if kind == TIMED else replace(after, updated_at=now, revision=alert.revision + 1))


def _louder(after: Alert, alert: Alert) -> bool:
    louder = _LOUDNESS[after.severity] > _LOUDNESS[alert.severity]
    return louder or (after.tier, alert.tier) == (Tier.CONFIRMED, Tier.SUSPECTED)


def _state(alert: Alert, wanted: Alert, now: datetime, *, louder: bool) -> str:
    """Return the state of an alert: what people decided, as long as it is not over."""
    if wanted.state == RESOLVED:
        return RESOLVED
    if alert.state == ACKNOWLEDGED or (alert.state == RESOLVED and alert.acknowledged_at is not None):
        return ACKNOWLEDGED
    snoozed = alert.state == SNOOZED if alert.snoozed_until is None else alert.snoozed_until > now
    return SNOOZED if snoozed and not louder else OPEN


def _kind(alert: Alert, after: Alert) -> str:
    """Return what happened, or the weightiest of what happened at once."""
    ended = alert.state == RESOLVED
    happened = {
        TIMED: after == replace(alert, due_at=after.due_at, loud_since=after.loud_since),
        "restated": ended and after.state == RESOLVED,
        "reopened": ended,
        "resolved": after.state == RESOLVED,
        "raised": _louder(after, alert),
        "escalated": after.escalation > alert.escalation,
        "suppressed": alert.suppressed_by is None and after.suppressed_by is not None,
        "released": alert.suppressed_by is not None and after.suppressed_by is None,
        "woken": (alert.state, after.state) == (SNOOZED, OPEN),
    }
    return next((kind for kind, true in happened.items() if true), "updated")


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
        due_at=None,
    )
    yield Change("restated" if ended else "resolved", after)
