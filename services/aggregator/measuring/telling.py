"""Which records are to be measured anew because of people: of whom they belong to, who reviews them, and meetings."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Final

from services.aggregator.domain.measures import Span
from services.aggregator.measuring.house import House
from services.aggregator.measuring.people import Outcome
from services.aggregator.measuring.records import delayed
from services.aggregator.measuring.writing import Pair
from services.aggregator.store import reviews as store
from services.metrics.acts import MEETING
from services.postgres import Connection

_DAY: Final = timedelta(days=1)


async def tell_records(tx: Connection, house: House, outcome: Outcome) -> None:
    """Queue the records that rest on what changed of people.

    A change without an end is one of the directory: their records count elsewhere from then on. Of what people did,
    only meetings matter to records that are not told of.
    """
    by_low: dict[date | None, list[str]] = defaultdict(list)
    for user, span in outcome.spans.items():
        if span.high is None:
            by_low[span.low].append(user)
    for low, users in by_low.items():
        await store.queue_of_people(tx, house.tenant, house.cut, users, delayed(Span(low, None)))
    met: dict[date, set[str]] = defaultdict(set)
    for user, week in (*_with_meetings(outcome.pairs), *_meetings(house, outcome)):
        met[week].add(user)
    for week, holders in sorted(met.items()):
        await store.queue_of_meetings(
            tx, house.tenant, house.cut, sorted(holders), week, delayed(Span(week + _DAY, None))
        )


def _with_meetings(changed: Sequence[Pair]) -> Iterator[tuple[str, date]]:
    """Return whose contribution to which week changed that told, or tells, of meetings."""
    for before, after in changed:
        told = [kept for kept in (before and before.kept, after.kept) if kept is not None]
        if any(code.startswith("M19@") for kept in told for code in kept.counts):
            yield after.subject.key, after.week


def _meetings(house: House, outcome: Outcome) -> Iterator[tuple[str, date]]:
    """Return who held a meeting among what is new, and in which weeks it may lie, wherever they are."""
    for user, done in outcome.acts.items():
        low, high = outcome.spans[user]
        for day in {act.at.date() for act in done if act.kind == MEETING}:
            if low is not None and high is not None and low <= day <= high:
                yield from {(user, house.week_of(day + n * _DAY)) for n in (-1, 0, 1)}
