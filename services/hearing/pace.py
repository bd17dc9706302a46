"""How soon what somebody is owed may reach them, and how much of it may interrupt them.

An emergency comes at once and is never counted. Everything else keeps to working hours, and what would be one
interruption too many waits for the digest of the next morning.
"""

from enum import IntEnum
from typing import Final, NamedTuple

from services.hearing.shape import Alert, Told, What


class Pace(IntEnum):
    """How soon. HOURS: in working hours; MORNING: with the next digest; WEEK: with the first digest of a week."""

    AT_ONCE = 0
    HOURS = 1
    MORNING = 2
    WEEK = 3


_BY_SEVERITY: Final = {
    "emergency": Pace.AT_ONCE,
    "critical": Pace.HOURS,
    "warning": Pace.MORNING,
    "info": Pace.WEEK,
}


class Budget(NamedTuple):
    """How many messages may interrupt somebody."""

    day: int = 3
    week: int = 10


class Spent(NamedTuple):
    """How many did, today and this week."""

    day: int = 0
    week: int = 0


def pace(alert: Alert, what: What, told: Told | None, role: str) -> Pace:
    """Return how soon ``what`` is told of ``alert`` in ``role``.

    The end of an emergency is good news and wakes nobody up; other ends wait for the morning. What was carried upwards
    because nobody answered does not wait for the morning again. A mistake is put right as loudly as it was made.
    """
    if what == "corrected":
        return max(Pace.HOURS, _BY_SEVERITY[told.severity if told is not None else alert.severity])
    if what == "resolved":
        loud = told is not None and told.severity == "emergency"
        return Pace.HOURS if loud else max(Pace.MORNING, _BY_SEVERITY[alert.severity])
    if what == "handed_over":
        return max(Pace.MORNING, _BY_SEVERITY[alert.severity])
    plain = _BY_SEVERITY[alert.severity]
    return min(plain, Pace.HOURS) if alert.escalation and role in ESCALATED else plain


ESCALATED: Final = frozenset({"manager_of_manager", "steering"})
"""Roles that hear of an alert because it was carried upwards."""


def within(budget: Budget, spent: Spent) -> bool:
    """Whether one more interruption is within ``budget``."""
    return spent.day < budget.day and spent.week < budget.week
