"""Which records are to be measured anew because of people: of whom they belong to, who reviews them, and meetings."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

from services.aggregator.domain.measures import WEEK, Span
from services.aggregator.measuring.house import House
from services.aggregator.measuring.people import Outcome
from services.aggregator.measuring.records import delayed
from services.aggregator.measuring.writing import Pair
from services.aggregator.store import reviews as store
from services.metrics.acts import MEETING
from services.metrics.records import AFTERMATH
from services.metrics.shape import Contribution
from services.postgres import Connection

_DAY: Final = timedelta(days=1)
_BEGINNING: Final = date(1970, 1, 2)


async def tell_records(tx: Connection, house: House, outcome: Outcome) -> None:
    """Queue the records that rest on what changed of people.

    A change without an end is one of the directory: their records count elsewhere from then on, and a deal that was
    won before may have been handed over in other working days. Of what people did, only meetings matter to records
    that are not told of.
    """
    by_low: dict[date | None, list[str]] = defaultdict(list)
    for user, span in outcome.spans.items():
        if span.high is None:
            by_low[span.low].append(user)
    for low, users in by_low.items():
        first = _BEGINNING if low is None else max(_BEGINNING, low - AFTERMATH - WEEK)
        await store.queue_of_people(tx, house.tenant, house.queued_at, users, Span(low, None), first)
    met: dict[date, set[str]] = defaultdict(set)
    left: dict[date, set[str]] = defaultdict(set)
    for before, after in _with_meetings(outcome):
        met[after.week].add(after.subject.key)
        left[after.week] |= set() if before is None or before.kept is None else _teams(before.kept)
    for user, week in _meetings(house, outcome):
        met[week].add(user)
    for week, holders in sorted(met.items()):
        span = delayed(Span(week + _DAY, None))
        await store.queue_of_meetings(
            tx, house.tenant, house.queued_at, sorted(holders), week, span, sorted(left[week])
        )


def _with_meetings(outcome: Outcome) -> Iterator[Pair]:
    """Return the contributions that changed and told, or tell, of meetings, or are of days with meetings.

    Who is not live tells of no meetings, but may hold reviews.
    """
    held = {
        user: {act.at.date() for act in done if act.kind == MEETING}
        for user, done in outcome.acts.items()
        if outcome.spans[user].high is None
    }
    for pair in outcome.pairs:
        told = [kept for kept in (pair.before and pair.before.kept, pair.after.kept) if kept is not None]
        days = held.get(pair.after.subject.key, ())
        near = any(pair.after.week - _DAY <= day <= pair.after.week + WEEK for day in days)
        if near or any(code.startswith("M19@") for kept in told for code in kept.counts):
            yield pair


def _teams(kept: Contribution) -> set[str]:
    """Return the teams that a person counted in."""
    return {groups.team for groups in (kept.groups, *kept.moves.values()) if groups.team is not None}


def _meetings(house: House, outcome: Outcome) -> Iterator[tuple[str, date]]:
    """Return who held a meeting among what is new, and in which weeks it may lie, wherever they are.

    Where somebody turned out to be somebody else, or not to be, a meeting may be of any of them: of their teams too.
    """
    anew = [user for user, span in outcome.spans.items() if span == Span(None, None)]
    joined = not set(anew).isdisjoint(outcome.careers)
    for user, done in outcome.acts.items():
        low, high = outcome.spans[user]
        holders = anew if joined and low is None and high is None else [user]
        for day in {act.at.date() for act in done if act.kind == MEETING}:
            if holders is anew or (low is not None and high is not None and low <= day <= high):
                yield from {(one, house.week_of(day + n * _DAY)) for one in holders for n in (-1, 0, 1)}
