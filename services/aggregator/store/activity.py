"""Activity: one row of every event that was claimed, in the partition of its UTC day.

Rows go in as they come, by COPY: nothing is looked up, and no row is ever written again. Whoever reads them names the
days as values of the statement, and not only in a join, so that PostgreSQL plans for the partitions of those days
alone; a plan that is to serve any days would have to open them all.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from services.aggregator.domain.facts import Claimed, Mark, Seen, as_instant_of_hour
from services.aggregator.store.arrays import instants, integers, texts
from services.postgres import CheckViolationError, Connection, PgUUID

_COLUMNS: Final = (
    *("tenant", "user_id", "at", "identity", "kind", "source", "origin", "environment", "behalf", "object", "record"),
    *("owner", "stage", "close_date", "forecast", "detail", "bulk", "automatic", "rows", "fields", "received_at"),
)
_HOURS: Final = """
insert into source_hour as h (tenant, source, hour, shard, events)
select t, s, timestamptz 'epoch' + a * interval '1 microsecond', $1, n
from unnest($2::text::text[], $3::text::text[], $4::text::bigint[], $5::text::bigint[]) as g(t, s, a, n)
on conflict (tenant, source, hour, shard) do update set events = h.events + excluded.events
"""


class MissingDayError(RuntimeError):
    """A day has no partition, though it had one when that was looked up."""


async def keep(tx: Connection, claimed: Iterable[Claimed]) -> None:
    """Keep a row of each of the ``claimed`` events.

    Raises:
        MissingDayError: there is no partition for one of them; nothing was kept.
    """
    try:
        await tx.copy_records_to_table("activity", records=_rows(claimed), columns=_COLUMNS)
    except CheckViolationError as error:
        raise MissingDayError(str(error)) from error


def _rows(claimed: Iterable[Claimed]) -> Iterator[tuple[Any, ...]]:
    for event, at, identity, received_at in claimed:
        data = event.data
        yield (
            event.tenant,
            data.user or "",
            at,
            PgUUID(identity),
            event.type,
            event.source,
            data.origin,
            None if data.environment == "production" else data.environment,
            data.on_behalf_of,
            data.object,
            data.record,
            data.owner,
            data.stage,
            data.close_date,
            data.forecast if isinstance(data.forecast, str) else None,
            data.report or data.feature or data.task or data.module,
            data.bulk,
            data.automatic,
            data.rows,
            data.fields,
            received_at,
        )


async def count_hours(tx: Connection, shard: int, seen: Mapping[tuple[str, str], Seen]) -> None:
    """Add to how many events each source had in each hour."""
    rows = sorted((*key, hour, count) for key, source in seen.items() for hour, count in source.hours.items())
    await tx.execute(
        _HOURS,
        shard,
        texts([tenant for tenant, _, _, _ in rows]),
        texts([source for _, source, _, _ in rows]),
        instants([as_instant_of_hour(hour) for _, _, hour, _ in rows]),
        integers([count for _, _, _, count in rows]),
    )


async def mark(tx: Connection, marks: Sequence[Mark]) -> None:
    """Queue what is to be measured anew."""
    if marks:
        await tx.copy_records_to_table("dirty", records=marks, columns=("tenant", "kind", "subject", "low", "high"))
