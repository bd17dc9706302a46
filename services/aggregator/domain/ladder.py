"""The ladder: who is told of an alert that nobody answers, and when. The first step is the alert's own audience.

What is acknowledged or snoozed waits for its person; a plan whose day has passed is carried up all the same. An alert
is carried up twice at most: once because nobody answered, once because a plan came to nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from services.aggregator.domain.alerts import Alert
from services.aggregator.domain.calendar import Calendar
from services.aggregator.domain.findings import Severity
from services.rules.life import RESOLVED

WORKING_DAYS: Final = 2
EMERGENCY_HOURS: Final = 2
LOUD: Final = frozenset({Severity.WARNING.value, Severity.CRITICAL.value, Severity.EMERGENCY.value})
"""What asks for an answer."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """How a tenant counts the time that an alert waits. ``wall``: on the wall clock, from when it was found out."""

    calendar: Calendar
    wall: bool = False

    def loud_since(self, happened: datetime, now: datetime) -> datetime:
        """Return since when an alert waits that ``happened`` and is told ``now``."""
        return now if self.wall else happened

    def climbed(self, alert: Alert, now: datetime) -> Alert:
        """Return ``alert`` with the steps that it was carried up by ``now``, and when it is to be looked at again.

        Of one that is over it is what had come until then, whenever that is found out.
        """
        at = now if alert.resolved_at is None else min(now, alert.resolved_at)
        steps = list(self._steps(alert, at))
        escalation = sum(step <= at for step in steps)
        if alert.state != RESOLVED or _answered(alert):
            escalation = max(escalation, alert.escalation)
        waits = [step for step in [*steps, alert.snoozed_until] if step is not None and step > at]
        over = alert.state == RESOLVED
        return replace(
            alert,
            escalation=escalation,
            due_at=None if over else min(waits, default=None),
            audience=_joined(alert, escalation),
        )

    def _steps(self, alert: Alert, at: datetime) -> Iterator[datetime]:
        """Give the instants at which it is carried up, unless somebody does something meanwhile."""
        if alert.snoozed_until is not None and alert.snoozed_until > at:
            return
        patience, answered = self._patience(alert), alert.acknowledged_at
        if alert.suppressed_by is None and patience is not None and (answered is None or patience < answered):
            yield patience
        if alert.plan_on is not None:
            yield self.calendar.end_of(alert.plan_on)

    def _patience(self, alert: Alert) -> datetime | None:
        """Return until when it may stay unanswered; None: for ever."""
        since = max(filter(None, (alert.loud_since, alert.snoozed_until)), default=alert.opened_at)
        if alert.severity == Severity.EMERGENCY.value:
            return since + timedelta(hours=EMERGENCY_HOURS)
        if alert.severity not in LOUD:
            return None
        calendar = replace(self.calendar, working=True)
        local = since.astimezone(calendar.zone)
        return calendar.at(calendar.day_n(local.date(), WORKING_DAYS), local.time())


def _answered(alert: Alert) -> bool:
    return any(mark is not None for mark in (alert.acknowledged_at, alert.snoozed_until, alert.plan_on))


def _joined(alert: Alert, escalation: int) -> list[dict[str, object]]:
    """Return the audience with whom the steps add to it."""
    roles = {str(heard["role"]) for heard in alert.audience}
    return [*alert.audience, *({"role": role} for role in _above(alert, escalation) if role not in roles)]


def _above(alert: Alert, escalation: int) -> Iterable[str]:
    if not escalation:
        return ()
    if alert.severity == Severity.EMERGENCY.value:
        return ("steering",)
    return ("manager_of_manager",) if alert.subject_kind in {"user", "team"} else ("crm_owner",)
