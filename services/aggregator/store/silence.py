"""What is heard of each source, hour by hour, and the silences that were found. Written by the evaluator."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from services.aggregator.domain.rhythm import hour_of
from services.aggregator.domain.silence import OVER, SILENT, Silence
from services.postgres import Connection

MOST_SOURCES: Final = 50
"""More than this a tenant has only when its senders name themselves, one by one: the busiest are looked at."""
IMPORTED: Final = "/logins/"

_SOURCES: Final = """
select source, max(last_event_at) as newest, sum(events)::bigint as events from source_seen
where tenant = $1 and not starts_with(source, $2) group by source having max(last_event_at) >= $3
order by 3 desc, 1 limit $4
"""
_HOURS: Final = """
select h.source, h.hour, sum(h.events)::bigint as events
from unnest($2::text[]) as s(source) join source_hour h on h.tenant = $1 and h.source = s.source and h.hour >= $3
group by 1, 2
"""
_STORED: Final = """
select source, since, opened_at, until, expected, seen, state from silence where tenant = $1 order by source, since
"""
_SAVE: Final = """
insert into silence as s (tenant, source, since, opened_at, until, expected, seen, state)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (tenant, source, since) do update set opened_at = excluded.opened_at, until = excluded.until,
  expected = excluded.expected, seen = excluded.seen, state = excluded.state
"""


class Source(NamedTuple):
    """A source with its newest event, and how many events it ever sent."""

    name: str
    newest: datetime
    events: int


async def sources(tx: Connection, tenant: str, since: datetime) -> list[Source]:
    """Return the sources heard of since then, the busiest first, but for imports: these speak when somebody does."""
    return [Source(*row) for row in await tx.fetch(_SOURCES, tenant, IMPORTED, since, MOST_SOURCES)]


async def hours(tx: Connection, tenant: str, names: Sequence[str], since: datetime) -> dict[str, dict[int, int]]:
    """Return the events of each named source by hour."""
    found: dict[str, dict[int, int]] = {name: {} for name in names}
    for source, hour, events in await tx.fetch(_HOURS, tenant, list(names), since) if names else ():
        found[source][hour_of(hour)] = events
    return found


async def stored(tx: Connection, tenant: str) -> list[Silence]:
    """Return every silence that was found."""
    return [Silence(*row) for row in await tx.fetch(_STORED, tenant)]


async def save(tx: Connection, tenant: str, before: Iterable[Silence], after: Iterable[Silence]) -> None:
    """Write the silences ``after`` in place of those ``before``; what did not change is not touched."""
    old, new = set(before), set(after)
    kept = {(each.source, each.since) for each in new}
    gone = sorted({(each.source, each.since) for each in old} - kept)
    if gone:
        await tx.executemany(
            "delete from silence where tenant = $1 and source = $2 and since = $3", [(tenant, *key) for key in gone]
        )
    if fresh := sorted(new - old, key=lambda each: (each.source, each.since)):
        await tx.executemany(_SAVE, [(tenant, each.source, each.since, *each[2:]) for each in fresh])


def unsettled(silences: Iterable[Silence]) -> set[str]:
    """Return the sources that are silent, or of which something is still missing."""
    return {each.source for each in silences if each.state in (SILENT, OVER)}
