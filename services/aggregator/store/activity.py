"""Activity: a row of every event that was claimed, in the partition of its UTC day; what it tells of a record, beside.

Rows go in as they come, by COPY: nothing is looked up, and no row is ever written again. Whoever reads them names the
days as values of the statement, and not only in a join, so that PostgreSQL plans for the partitions of those days
alone; a plan that is to serve any days would have to open them all. A record may be as old as all days: what was told
of it stands in one table, ``record_change``, one stretch of an index for each record.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final

import msgspec

from schemas.events import EventData
from services.aggregator.domain.facts import Claimed, Mark, Seen, as_instant_of_hour, tells_of_record
from services.aggregator.store.arrays import dates, instants, numbers, texts
from services.aggregator.store.copying import DIALECT, NOTHING, are_plain, quoted, spelled, stream
from services.postgres import CheckViolationError, Connection

_COLUMNS: Final = (
    *("tenant", "at", "identity", "kind", "source", "origin", "object", "record", "user_id"),
    *("environment", "behalf", "detail", "bulk", "automatic", "rows", "received_at"),
)
_CHANGE_COLUMNS: Final = (
    *("tenant", "at", "identity", "kind", "source", "origin", "object", "record", "user_id"),
    *("owner", "stage", "close_date", "forecast", "fields"),
)
_json: Final = msgspec.json.Encoder().encode
_HOURS: Final = """
insert into source_hour as h (tenant, source, hour, shard, events)
select t, s, timestamptz 'epoch' + a * interval '1 microsecond', $1, n
from unnest($2::text::text[], $3::text::text[], $4::text::bigint[], $5::text::bigint[]) as g(t, s, a, n)
on conflict (tenant, source, hour, shard) do update set events = h.events + excluded.events
"""


class MissingDayError(RuntimeError):
    """A day has no partition, though it had one when that was looked up."""


async def keep(tx: Connection, claimed: Sequence[Claimed]) -> None:
    """Keep a row of each of the ``claimed`` events, and what they tell of records.

    The day comes first: whoever drops it holds up everybody who would add to it.

    Raises:
        MissingDayError: there is no partition for one of them; nothing was kept.
    """
    events, changes = _lines(claimed)
    if not (are_plain(events, len(_COLUMNS)) and are_plain(changes, len(_CHANGE_COLUMNS))):
        events, changes = _lines([_quoted(each) for each in claimed])
    try:
        await _copy(tx, "activity", events, _COLUMNS, force_not_null=["user_id", "origin"])
    except CheckViolationError as error:
        raise MissingDayError(str(error)) from error
    await _copy(tx, "record_change", changes, _CHANGE_COLUMNS, force_not_null=["origin"])


async def _copy(
    tx: Connection, table: str, lines: Sequence[str], columns: Sequence[str], **options: Sequence[str]
) -> None:
    if lines:
        await tx.copy_to_table(table, source=stream(lines), columns=columns, **DIALECT, **options)


def _lines(claimed: Iterable[Claimed]) -> tuple[list[str], list[str]]:
    """Return the lines of events, and of changes of records."""
    events: list[str] = []
    changes: list[str] = []
    arrived, received_at = None, ""
    for event, at, identity, received in claimed:
        data = event.data
        if received is not arrived:
            arrived, received_at = received, spelled(received)
        what = f"{spelled(at)}\t{identity.hex()}\t{event.type}\t{event.source}\t{data.origin}"
        place = f"{data.object or NOTHING[data.object]}\t{data.record or NOTHING[data.record]}"
        detail = data.report or data.feature or data.task or data.module
        events.append(
            f"{event.tenant}\t{what}\t{place}\t{data.user or ''}"
            f"\t{'' if data.environment == 'production' else data.environment or NOTHING['']}"
            f"\t{data.on_behalf_of or NOTHING[data.on_behalf_of]}\t{detail or NOTHING[detail]}"
            f"\t{'' if data.bulk is None else data.bulk}\t{'' if data.automatic is None else data.automatic}"
            f"\t{'' if data.rows is None else data.rows}\t{received_at}\n"
        )
        if tells_of_record(event):
            forecast = data.forecast if isinstance(data.forecast, str) else None
            changes.append(
                f"{event.tenant}\t{what}\t{place}\t{data.user or '' if data.on_behalf_of is None else ''}"
                f"\t{data.owner or NOTHING[data.owner]}\t{data.stage or NOTHING[data.stage]}"
                f"\t{data.close_date or ''}\t{forecast or NOTHING[forecast]}"
                f"\t{'' if data.fields is None else _json(data.fields).decode()}\n"
            )
    return events, changes


def _quoted(claimed: Claimed) -> Claimed:
    event = claimed.event
    data = {name: quoted(value) for name, value in msgspec.structs.asdict(event.data).items()}
    told = {name: quoted(getattr(event, name)) for name in ("tenant", "source", "type")}
    return claimed._replace(event=msgspec.structs.replace(event, data=EventData(**data), **told))


async def count_hours(tx: Connection, shard: int, seen: Mapping[tuple[str, str], Seen]) -> None:
    """Add to how many events each source had in each hour."""
    rows = sorted((*key, hour, count) for key, source in seen.items() for hour, count in source.hours.items())
    await tx.execute(
        _HOURS,
        shard,
        texts([tenant for tenant, _, _, _ in rows]),
        texts([source for _, source, _, _ in rows]),
        instants([as_instant_of_hour(hour) for _, _, hour, _ in rows]),
        numbers([count for _, _, _, count in rows]),
    )


_PLACE: Final = itemgetter(0, 1)
_MARK: Final = """
insert into dirty (tenant, kind, subject, low, high, subjects, lows, highs)
values ($1, $2, '', $3, $4, $5::text::text[], $6::text::date[], $7::text::date[])
"""


async def mark(tx: Connection, marks: Iterable[Mark]) -> None:
    """Queue what is to be measured anew: all of a tenant and kind in one row, see ``dirty.unpack``."""
    for (tenant, kind), found in groupby(sorted(marks, key=_PLACE), _PLACE):
        _, _, subjects, lows, highs = zip(*found, strict=True)
        low, high = None if None in lows else min(lows), None if None in highs else max(highs)
        await tx.execute(_MARK, tenant, kind, low, high, texts(subjects), dates(lows), dates(highs))
