"""What concerns a whole tenant, spread over its people and records: so many at a time, the rest waits behind a mark.

The mark is a row of the queue like any other, so nothing is lost or forgotten, and no transaction is a giant one.
"""

from collections.abc import Mapping
from typing import Final

from services.aggregator.domain.measures import WEEK, Span, Subject
from services.aggregator.measuring.house import House
from services.aggregator.measuring.records import delayed
from services.aggregator.store import dirty, spreading
from services.postgres import Connection

AT_ONCE: Final = 5000
_PEOPLE, _RECORDS, _TOUCHED = "people\t", "records\t", "touched\t"


async def spread(tx: Connection, house: House, spans: Mapping[str, Span]) -> None:
    """Queue the next people or records of a tenant; ``spans``: by the mark at which to go on."""
    for mark, span in spans.items():
        rest = await _next(tx, house, mark, span)
        if rest is not None:
            await dirty.queue(tx, house.tenant, house.queued_at, [(Subject("tenant", rest), span)])
        if rest == _RECORDS and span == Span(None, None) and house.weeks is not None:  # all people are spread
            weeks = [(Subject("week", week.isoformat()), Span(week, week)) for week in house.weeks.all()]
            await dirty.queue(tx, house.tenant, house.queued_at, weeks)


async def _next(tx: Connection, house: House, mark: str, span: Span) -> str | None:
    """Queue the next part; return the mark of what remains, None: nothing."""
    kind, tab, after = mark.partition("\t")
    tenant, since = house.tenant, house.queued_at
    if kind + tab == _RECORDS:
        weeks = [] if house.weeks is None or span.low is None else house.weeks.of(span)
        week = None if not weeks else weeks[0] - WEEK
        last = await spreading.records(tx, tenant, since, after, delayed(span), week, AT_ONCE)
        return _TOUCHED if last is None else f"{kind}\t{last}"
    if kind + tab == _TOUCHED:
        await spreading.touched(tx, tenant, since, span, delayed(span))
        return None
    last = await spreading.people(tx, tenant, since, after if tab else "", span, AT_ONCE)
    return _RECORDS if last is None else f"{_PEOPLE}{last}"
