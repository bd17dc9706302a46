"""What goes into one message to one recipient: as few messages as their pace and budget allow, each with many lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple, TypeAlias

from services.hearing.audience import Heard
from services.hearing.hours import Hours
from services.hearing.pace import Budget, Pace, Spent, pace, within
from services.hearing.shape import RANK, Alert, Told, What

BatchKind: TypeAlias = Literal["change", "group", "digest", "correction"]
_ORDER: Final[dict[What, int]] = {
    "corrected": 0,
    "opened": 1,
    "reopened": 1,
    "raised": 1,
    "handed_over": 2,
    "resolved": 3,
}


class Item(NamedTuple):
    """What one recipient is owed of one alert."""

    alert: Alert
    what: What
    heard: Heard
    told: Told | None = None

    @property
    def pace(self) -> Pace:
        """How soon it is told."""
        return pace(self.alert, self.what, self.told, self.heard.role)


@dataclass(frozen=True, slots=True)
class Batch:
    """One message. ``counted``: it is one of the interruptions that are counted."""

    kind: BatchKind
    items: Sequence[Item]
    due_at: datetime
    counted: bool


def interruption(
    items: Sequence[Item], hours: Hours, spent: Spent, budget: Budget, now: datetime, hold: timedelta
) -> Batch | None:
    """Return the message that may interrupt a recipient at ``now``; None: what there is waits for a morning.

    What is no emergency is held for a moment, so that what comes right behind it joins the same message. Whoever is
    written to because of an emergency reads the rest with it.
    """
    loud = [item for item in items if item.pace == Pace.AT_ONCE]
    rest = [item for item in items if item.pace == Pace.HOURS] if hours.open_at(now) else []
    if loud:
        return Batch(_kind(chosen := ordered([*loud, *rest])), chosen, now, counted=False)
    free = bool(rest) and all(_of_emergency(item) for item in rest)
    if not rest or not (free or within(budget, spent)):
        return None
    return Batch(_kind(chosen := ordered(rest)), chosen, now + hold, counted=not free)


def digest(items: Sequence[Item], now: datetime, latest: Pace) -> Batch | None:
    """Return the message of a morning, with all that is not slower than ``latest``; None: there is nothing."""
    chosen = [item for item in items if item.pace <= latest]
    return Batch("digest", ordered(chosen), now, counted=False) if chosen else None


def ordered(items: Sequence[Item]) -> list[Item]:
    """Return ``items`` as they are read: mistakes, then what is new by loudness, then what is over."""
    return sorted(items, key=_place)


def _place(item: Item) -> tuple[object, ...]:
    alert = item.alert
    return _ORDER[item.what], -RANK[alert.severity], alert.rule, alert.title, alert.opened_at, alert.id


def _of_emergency(item: Item) -> bool:
    return item.told is not None and item.told.severity == "emergency" and item.what in {"resolved", "corrected"}


def _kind(items: Sequence[Item]) -> BatchKind:
    if all(item.what == "corrected" for item in items):
        return "correction"
    return "change" if len(items) == 1 else "group"
