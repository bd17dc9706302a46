"""Listening: brings the silences of a tenant's sources up to date, before anybody is said to have stayed away.

On the wall clock what was once missed is remembered, and an hour counts as quiet only when the log was read up to its
end. On the event clock silences are a function of what is known now: what comes in later takes their traces away.

What comes in later is heard at once and counted into the numbers of weeks a little after. So a silence in weeks that
are over is not let go of before all that came in for it is measured: nobody judges what was lost as if it were known.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

from services.aggregator.domain import silence
from services.aggregator.domain.calendar import Calendar
from services.aggregator.domain.rhythm import HOUR, LEAST_EVENTS, Hours, Time, hour_of, slots_of
from services.aggregator.domain.silence import Heard, Silence
from services.aggregator.store import dirty
from services.aggregator.store import silence as store
from services.aggregator.store.silence import Source
from services.postgres import Connection

MOMENT: Final = timedelta.resolution
QUIET: Final = HOUR
"""A source heard of more recently than this is not looked at: it is not silent."""


@dataclass(frozen=True, slots=True)
class Ears:
    """How a tenant listens: its calendar, up to when all sent is known, and when this week began everywhere."""

    calendar: Calendar
    event_clock: bool
    now: datetime
    week: datetime


class Listened(NamedTuple):
    """All silences there ever were. ``held``: one of them only until what came in for it is measured."""

    silences: list[Silence]
    held: bool = False


async def listen(tx: Connection, tenant: str, ears: Ears) -> Listened:
    """Bring the tenant's silences up to date."""
    known = await store.stored(tx, tenant)
    spoken = await store.sources(tx, tenant, ears.now - silence.REACH)
    sources = [source for source in spoken if source.events >= LEAST_EVENTS]
    looked_at = sources if ears.event_clock else _quiet(sources, known, ears.now)
    if not looked_at or (ears.event_clock and len(sources) < 2):  # noqa: PLR2004 - alone its time stands still with it
        return Listened(known)
    hours = await store.hours(tx, tenant, [source.name for source in looked_at], ears.now - silence.REACH)
    found = await asyncio.to_thread(_judge, looked_at, hours, known, ears)
    held = await _held(tx, tenant, silence.let_go(known, found), ears.week)
    places = {(each.source, each.since) for each in held}
    after = [*held, *(each for each in found if (each.source, each.since) not in places)]
    await store.save(tx, tenant, known, after)
    return Listened(after, held=bool(held))


async def _held(
    tx: Connection, tenant: str, let_go: Sequence[tuple[Silence, datetime]], week: datetime
) -> list[Silence]:
    """Return the silences for which something came in before this ``week``, and waits to be measured."""
    return [
        each
        for each, since in let_go
        if since < (end := min(each.until or week, week))
        and await dirty.reaching(tx, tenant, _day(since), _day(end - MOMENT))
    ]


def _day(instant: datetime) -> date:
    return instant.astimezone(UTC).date()


def _quiet(sources: Sequence[Source], known: Sequence[Silence], now: datetime) -> list[Source]:
    """Return whom to look at on the wall clock: who is quiet now, or of whom something is missing."""
    missing = store.unsettled(known)
    return [source for source in sources if source.name in missing or source.newest <= now - QUIET]


def _judge(
    sources: Sequence[Source], hours: dict[str, dict[int, int]], known: Sequence[Silence], ears: Ears
) -> list[Silence]:
    first, end = hour_of(ears.now - silence.REACH), hour_of(ears.now) + 1
    slots = slots_of(first, end, ears.calendar)
    since = ears.now - silence.GONE - HOUR
    names = {source.name for source in sources}
    after = [each for each in known if each.source not in names]
    for source in sources:
        mine = [each for each in known if each.source == source.name]
        if ears.event_clock:
            now, passed = _of_others(source, sources, hours)
            heard = Heard(source.name, hours[source.name], source.newest, now)
            after += [each for each in mine if each.since < since]
            after += silence.find(heard, Time(first, slots, passed), since=since)
        else:
            heard = Heard(source.name, hours[source.name], source.newest, ears.now)
            after += silence.follow(heard, Time(first, slots), since=since, known=mine)
    return after


def _of_others(
    source: Source, sources: Sequence[Source], hours: Mapping[str, Hours]
) -> tuple[datetime, frozenset[int]]:
    """Return the newest event of the other sources, and the hours in which they had any."""
    others = [other for other in sources if other is not source]
    return max(other.newest for other in others), frozenset(hour for other in others for hour in hours[other.name])
