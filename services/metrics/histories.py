"""What is known of a record at an instant, from what was told of it. States, instants and integers, never values.

A later word replaces an earlier one, field by field, in the order of (instant, identity of the event): the order of
arrival never matters. What happened exactly at an instant is not known at it yet.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final, NamedTuple, TypeAlias

from schemas.fields import folded
from services.metrics.policies import RecordPolicy, Slot

CREATED: Final = "crm.record.created"
DELETED: Final = "crm.record.deleted"
MERGED: Final = "crm.record.merged"
VIEWED: Final = "crm.record.viewed"
OPEN: Final = "open"
WON: Final = "won"


class Change(NamedTuple):
    """What one event says of a record. Names of fields are in lower case, people stand as the event has them."""

    at: datetime
    identity: str
    kind: str
    user: str | None = None
    origin: str = "unknown"
    owner: str | None = None
    stage: str | None = None
    close_date: date | None = None
    forecast: str | None = None
    fields: Mapping[str, str] | None = None


Told: TypeAlias = tuple[str, datetime | None]
"""The state of a field, and when somebody last wrote it; None: it was only seen."""


@dataclass(slots=True)
class State:
    """A record as it is known at an instant."""

    created: datetime | None = None
    """When it was made; None: before anything was told of it, so that a field that was never told is unknown."""
    creator: str | None = None
    alive: bool = True
    owner: str | None = None
    stage: str | None = None
    """Its last stage while it was open, folded."""
    outcome: str = OPEN
    ended: datetime | None = None
    """Since when it is won or lost."""
    close_date: date | None = None
    forecast: str | None = None
    fields: dict[str, Told] = field(default_factory=dict)

    @property
    def holder(self) -> str | None:
        """Whose it is: its owner, or who made it while nobody said."""
        return self.owner if self.owner is not None else self.creator

    def copied(self) -> "State":
        """Return the same, to be told more."""
        return State(
            self.created,
            self.creator,
            self.alive,
            self.owner,
            self.stage,
            self.outcome,
            self.ended,
            self.close_date,
            self.forecast,
            dict(self.fields),
        )

    def answer(self, slot: Slot) -> str | None:
        """Return the state of the best of the fields that answer ``slot``; None: it is unknown."""
        best: str | None = None
        for name in slot.names:
            told = self.fields.get(name)
            if told is None:
                continue
            if told[0] == "filled":
                return "filled"
            if best is None or best == "empty":
                best = told[0]
        if best is not None:
            return best
        if slot.fact is not None and getattr(self, slot.fact) is not None:
            return "filled"
        return None if self.created is None else "empty"

    def written(self, slot: Slot) -> datetime | None:
        """Return when a field that answers ``slot`` was written last."""
        told = (self.fields.get(name, ("", None)) for name in slot.names)
        return max((at for state, at in told if at is not None and state == "filled"), default=None)


class Timeline:
    """The history of a record, and what is known at any instant of it.

    ``base``: what was known when all that happened before ``changes`` was forgotten.
    """

    __slots__ = ("_base", "_places", "_policy", "_states", "_times", "changes")

    def __init__(self, changes: Iterable[Change], policy: RecordPolicy, base: State | None = None) -> None:
        self.changes: Sequence[Change] = sorted(changes, key=_order)
        self._times = [change.at for change in self.changes]
        self._policy = policy
        self._base = base
        self._states: dict[int, State] = {0: State() if base is None else base}
        self._places = [0]

    def known_at(self, instant: datetime) -> bool:
        """Whether anything is known of the record at ``instant``."""
        return self._base is not None or bool(self._times and self._times[0] < instant)

    def state_at(self, instant: datetime) -> State:
        """Return what is known at ``instant``; whoever gets it changes nothing in it."""
        return self._state(bisect_left(self._times, instant))

    def state_after(self, instant: datetime) -> State:
        """Return what is known when all that happened at ``instant`` is known as well."""
        return self._state(bisect_right(self._times, instant))

    def between(self, low: datetime, high: datetime) -> Sequence[Change]:
        """Return the changes from ``low`` on until before ``high``."""
        return self.changes[bisect_left(self._times, low) : bisect_left(self._times, high)]

    def _state(self, place: int) -> State:
        found = self._states.get(place)
        if found is None:
            known = bisect_left(self._places, place)
            start = self._places[known - 1]
            found = self._states[start].copied()
            for change in self.changes[start:place]:
                _apply(found, change, self._policy)
            self._states[place] = found
            self._places.insert(known, place)
        return found


def _order(change: Change) -> tuple[datetime, str]:
    return change.at, change.identity


def _apply(state: State, change: Change, policy: RecordPolicy) -> None:
    """Let ``state`` know what ``change`` says."""
    kind = change.kind
    if kind == CREATED and state.created is None:
        state.created, state.creator = change.at, change.user
    if kind == DELETED:
        state.alive = False
    elif kind not in (VIEWED, MERGED):
        state.alive = True
    if change.owner is not None:
        state.owner = change.owner
    if change.forecast is not None:
        state.forecast = folded(change.forecast)
    if change.stage is not None:
        _move(state, folded(change.stage), change.at, policy)
    if change.fields:
        _tell(state, change.fields, None if kind == VIEWED else change.at, policy)
    if change.close_date is not None:
        state.close_date = change.close_date


def _tell(state: State, fields: Mapping[str, str], written: datetime | None, policy: RecordPolicy) -> None:
    for name, told in fields.items():
        before = state.fields.get(name)
        state.fields[name] = (told, written if written is not None or before is None else before[1])
    if state.close_date is not None and not policy.close_names.isdisjoint(fields):
        state.close_date = None  # the date itself, where there is one, comes with the change


def _move(state: State, stage: str, at: datetime, policy: RecordPolicy) -> None:
    outcome = policy.meaning(stage)
    if outcome == OPEN and (stage != OPEN or OPEN in policy.rank):
        state.stage = stage
    if outcome != state.outcome:
        state.outcome, state.ended = outcome, None if outcome == OPEN else at


def carried(state: State) -> dict[str, Any]:
    """Return ``state`` as JSON that ``restored`` reads: what is kept when the activity before it is dropped."""
    kept: dict[str, Any] = {
        "created": _spelled(state.created),
        "creator": state.creator,
        "owner": state.owner,
        "stage": state.stage,
        "outcome": state.outcome,
        "ended": _spelled(state.ended),
        "close_date": None if state.close_date is None else state.close_date.isoformat(),
        "forecast": state.forecast,
    }
    kept = {name: value for name, value in kept.items() if value is not None}
    fields = {name: [told, *([] if at is None else [_spelled(at)])] for name, (told, at) in state.fields.items()}
    return {**kept, "alive": state.alive, "fields": fields}


def restored(kept: Mapping[str, Any]) -> State:
    """Return the state that ``carried`` made ``kept`` of."""
    return State(
        created=_instant(kept.get("created")),
        creator=kept.get("creator"),
        alive=kept["alive"],
        owner=kept.get("owner"),
        stage=kept.get("stage"),
        outcome=kept["outcome"],
        ended=_instant(kept.get("ended")),
        close_date=None if kept.get("close_date") is None else date.fromisoformat(kept["close_date"]),
        forecast=kept.get("forecast"),
        fields={name: (told[0], _instant(told[1]) if len(told) > 1 else None) for name, told in kept["fields"].items()},
    )


def _spelled(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
