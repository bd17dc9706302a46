"""The list of letters about deliveries, and how far their topic is read, both in one transaction."""

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from services.aggregator.domain.letters import Delivered
from services.postgres import Connection, Pool

SHARD: Final = -2
"""Where letters about deliveries are counted: they belong to no shard."""

_KEEP: Final = """
insert into dead_letter as d (tenant, letter, source, kind, reasons, reason, value, received_at, log_offset, published)
select l.tenant, l.id, l.source, l.kind, l.reasons::jsonb, l.reason, l.sealed, to_timestamp(l.ms / 1000.0), l.at, true
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[], $8::float8[],
            $9::bigint[]) as l(tenant, id, source, kind, reasons, reason, sealed, ms, at)
join tenant t on t.id = l.tenant
order by l.at
on conflict (letter) do update set
  reasons = excluded.reasons, reason = excluded.reason, log_offset = excluded.log_offset,
  state = 'open', replayed_at = null, outcome = null
where d.state <> 'open' and d.log_offset < excluded.log_offset
returning d.tenant, xmax = 0 as fresh
"""
_COUNT: Final = """
insert into tally as t (tenant, shard, dead_letters) values ($1, $2, $3)
on conflict (tenant, shard) do update set dead_letters = t.dead_letters + excluded.dead_letters
"""
_MOVE: Final = """
insert into letter_position as p (partition, next_offset, anchor) values ($1, $2, $3)
on conflict (partition) do update set next_offset = excluded.next_offset, anchor = excluded.anchor
where p.next_offset = $4
"""


class Place(NamedTuple):
    """How far a partition is read; ``anchor``: the mark of the record before it."""

    next_offset: int
    anchor: int | None


class OvertakenError(RuntimeError):
    """Another process has read on meanwhile; nothing was written."""


async def places(pool: Pool) -> dict[int, Place]:
    """Return how far each partition of the topic is read."""
    rows = await pool.fetch("select partition, next_offset, anchor from letter_position")
    return {row["partition"]: Place(row["next_offset"], row["anchor"]) for row in rows}


async def move(tx: Connection, partition: int, old: Place, new: Place) -> None:
    """Move the position of ``partition`` on.

    Raises:
        OvertakenError: it is not where we left it.
    """
    if await tx.execute(_MOVE, partition, new.next_offset, new.anchor, old.next_offset) != "INSERT 0 1":
        raise OvertakenError


async def keep(tx: Connection, letters: Sequence[Delivered]) -> None:
    """Keep ``letters`` of tenants that exist. A delivery that comes again is its letter again, open again."""
    rows = await tx.fetch(
        _KEEP,
        [it.tenant for it in letters],
        [it.id for it in letters],
        [it.source for it in letters],
        [it.kind for it in letters],
        [msgspec.json.encode(it.reasons).decode() for it in letters],
        [it.reasons[0].reason for it in letters],
        [it.sealed for it in letters],
        [float(it.received_ms) for it in letters],
        [it.offset for it in letters],
    )
    for tenant, count in sorted(Counter(row["tenant"] for row in rows if row["fresh"]).items()):
        await tx.execute(_COUNT, tenant, SHARD, count)
