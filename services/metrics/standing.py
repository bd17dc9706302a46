"""How a record stands at an instant: what is due and not answered, and whether it is ready for a review. Pure.

A field of which nothing can be known is no fault.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta, tzinfo
from typing import NamedTuple

from services.metrics.histories import State
from services.metrics.policies import RecordPolicy, Slot


class Reason(NamedTuple):
    """Why a record is not ready for a review: a word for it, the field, and the role that fills it."""

    reason: str
    field: str | None = None
    role: str | None = None


def last_day(instant: datetime, zone: tzinfo) -> date:
    """Return the local day that is today just before ``instant``."""
    return (instant - timedelta.resolution).astimezone(zone).date()


def due(slots: Sequence[Slot], state: State, policy: RecordPolicy) -> Iterator[tuple[Slot, str]]:
    """Yield the slots that are due in ``state``, and their states; not those that are unknown."""
    for slot in slots:
        if slot.due is None or policy.is_due(slot.due, state.stage, state.outcome):
            answer = state.answer(slot)
            if answer is not None:
                yield slot, answer


def next_step(state: State, policy: RecordPolicy, instant: datetime) -> str | None:
    """Return what is wrong with the next step, nothing (empty) when it is current; None: it is not due, or unknown."""
    slot = policy.next_step
    if slot is None or not policy.is_due(slot.due, state.stage, state.outcome):
        return None
    answer = state.answer(slot)
    if answer != "filled":
        return None if answer is None else "no_next_step"
    written = state.written(slot)
    current = written is not None and written >= instant - timedelta(days=policy.next_step_days)
    return "" if current else "old_next_step"


def evidence(state: State, policy: RecordPolicy) -> Iterator[str | None]:
    """Yield the states of the evidence for a deal that is promised; of others nothing."""
    promised = state.forecast in policy.commit or (
        policy.commit_due is not None and policy.is_due(policy.commit_due, state.stage, state.outcome)
    )
    if promised:
        yield from map(state.answer, policy.evidence)


def reasons(state: State, policy: RecordPolicy, today: date, instant: datetime) -> Iterator[Reason]:
    """Yield what keeps an open record from being ready for a review at ``instant``, ``today`` for its owner."""
    yield from _gaps(due(policy.decision, state, policy))
    if not policy.deal:
        return
    if state.close_date is not None and state.close_date < today:
        yield Reason("stale_close_date")
    step = next_step(state, policy, instant)
    if step and policy.next_step is not None:
        yield Reason(step, policy.next_step.name, policy.next_step.role)
    for slot, answer in zip(policy.evidence, evidence(state, policy), strict=False):
        if answer not in (None, "filled"):
            yield Reason("no_evidence", slot.name, slot.role)


def handoff_reasons(state: State, policy: RecordPolicy) -> Iterator[Reason]:
    """Yield what is missing for whoever takes over a won deal."""
    for slot, answer in due(policy.handoff, state, policy):
        if answer != "filled":
            yield Reason("handoff", slot.name, slot.role)


def _gaps(answers: Iterator[tuple[Slot, str]]) -> Iterator[Reason]:
    for slot, answer in answers:
        if answer != "filled":
            yield Reason("missing" if answer == "empty" else "placeholder", slot.name, slot.role)
