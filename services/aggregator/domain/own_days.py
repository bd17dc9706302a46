"""The days of somebody in a launch whose days are not everybody's: part time, other holidays, leave, a later beginning.

Rates of a wave count all who held a licence on its go-live day, by the tenant's days. A single person is asked for by
their own: who is on leave is not missing. Who begins later than the initial cohort is asked for as a joiner.
"""

from collections.abc import Mapping
from datetime import date
from typing import Final, NamedTuple

from services.metrics.calendar import back_from_leave, counted_day_after, working_day_after
from services.metrics.presence import NOT_LIVE, ON_LEAVE, OPTED_OUT
from services.metrics.shape import Person, Policy

ASKED: Final = (2, 3)
"""The n of D+n by which single people are asked for."""


class OwnDays(NamedTuple):
    """Somebody's day zero and D+n, by n; ``reason``: why they are not asked for at all."""

    zero: date
    days: Mapping[int, date]
    reason: str | None = None


def own_days(person: Person, policy: Policy, go_live: date) -> OwnDays:
    """Return the own days of ``person`` in the launch of a wave."""
    if any(spell.opted_out for spell in person.spells):
        return OwnDays(go_live, {}, OPTED_OUT)
    first = max(go_live, person.active.start)
    zero = back_from_leave(person, policy, first)
    last = working_day_after(person, policy, go_live, 1, pausing=False) or go_live
    if zero is None or zero > last:
        return OwnDays(zero or first, {}, NOT_LIVE if first > last else ON_LEAVE)
    found = {n: counted_day_after(person, policy, zero, n) for n in ASKED}
    days = {n: day for n, day in found.items() if day is not None}
    return OwnDays(zero, days, None if days else ON_LEAVE)
