"""The life of an alert: in which states people, time and facts may do what to it, as one table.

Pure, and shared: the API asks it before it lets people act, the aggregator goes by it when time or facts act. Every
kind of change is one row of an alert's history, with its actor.
"""

from collections.abc import Mapping
from typing import Final

OPEN: Final = "open"
ACKNOWLEDGED: Final = "acknowledged"
SNOOZED: Final = "snoozed"
RESOLVED: Final = "resolved"
STATES: Final = (OPEN, ACKNOWLEDGED, SNOOZED, RESOLVED)

_LIVING: Final = {OPEN: OPEN, ACKNOWLEDGED: ACKNOWLEDGED, SNOOZED: SNOOZED}
_ANY: Final = {**_LIVING, RESOLVED: RESOLVED}

BY_PEOPLE: Final[Mapping[str, Mapping[str, str]]] = {
    "acknowledged": dict.fromkeys(_LIVING, ACKNOWLEDGED),
    "snoozed": dict.fromkeys(_LIVING, SNOOZED),
    "assigned": _LIVING,
    "planned": _LIVING,
    "noted": _ANY,
    "labelled": _ANY,
    "resolved": dict.fromkeys(_LIVING, RESOLVED),
}
BY_TIME: Final[Mapping[str, Mapping[str, str]]] = {
    "woken": {SNOOZED: OPEN},
    "escalated": {OPEN: OPEN, ACKNOWLEDGED: ACKNOWLEDGED, SNOOZED: OPEN},
}
BY_FACTS: Final[Mapping[str, Mapping[str, str]]] = {
    "opened": {},
    "updated": _ANY,
    "raised": {OPEN: OPEN, ACKNOWLEDGED: ACKNOWLEDGED, SNOOZED: OPEN},
    "suppressed": _LIVING,
    "released": _LIVING,
    "resolved": dict.fromkeys(_LIVING, RESOLVED),
    "restated": {RESOLVED: RESOLVED},
    "reopened": {RESOLVED: OPEN},
}
"""What facts do. What is reopened is answered as far as people had answered it before."""

KINDS: Final = tuple(dict.fromkeys([*BY_FACTS, *BY_TIME, *BY_PEOPLE]))
TOLD: Final = frozenset({"opened", "raised", "resolved", "reopened", "escalated", "restated", "released"})
"""The kinds of changes that somebody is told of."""

HANDLED: Final = "handled"
BY_HAND: Final = (HANDLED, "accepted", "false_alarm", "duplicate")
"""How people resolve an alert; facts and time have other words for it."""


def after(kind: str, state: str) -> str | None:
    """Return the state that an act of people leads to from ``state``; None: it cannot be done there."""
    return BY_PEOPLE[kind].get(state)
