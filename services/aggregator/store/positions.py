"""Positions: how far a shard is folded, who folds it, and what is known of gaps and dead letters.

The position row is the fence. Whoever takes a shard over raises its epoch; a batch moves the position only from the
epoch and offset its owner knows, so an owner that was overtaken changes nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from services.postgres import Connection, Pool


class FencedError(RuntimeError):
    """Another process moved or took over the shard: we own it no longer."""


class Held(NamedTuple):
    """A shard's position as its owner knows it; ``anchor`` is the mark of the record before ``next_offset``."""

    next_offset: int
    anchor: int | None
    epoch: int


class Letter(NamedTuple):
    """A record that is no event, with what is needed to send it again."""

    offset: int
    mark: int
    tenant: str | None
    key: bytes | None
    value: bytes | None
    reason: str
    received_ms: int


_TAKE_OVER: Final = """
insert into position (shard, epoch, owner) select s, 1, $2 from unnest($1::smallint[]) as s order by s
on conflict (shard) do update set epoch = position.epoch + 1, owner = excluded.owner, drained_at = null
returning shard, next_offset, anchor, epoch
"""
_MOVE: Final = """
update position set next_offset = $4, anchor = $5, updated_at = now()
where shard = $1 and epoch = $2 and next_offset = $3
"""
_LOCK: Final = "select 1 from position where shard = $1 and epoch = $2 for update"
_DRAINED: Final = """
update position p set drained_at = d.at
from unnest($1::smallint[], $2::bigint[], $3::timestamptz[]) as d(shard, epoch, at)
where p.shard = d.shard and p.epoch = d.epoch
"""
_GAP: Final = "insert into log_gap (shard, from_offset, to_offset, reason) values ($1, $2, $3, $4)"
_LETTERS: Final = """
insert into dead_letter (shard, tenant, log_offset, mark, key, value, reason, received_at)
select $1, t, o, m, k, v, r, to_timestamp(ms / 1000.0)
from unnest($2::text[], $3::bigint[], $4::bigint[], $5::bytea[], $6::bytea[], $7::text[], $8::float8[])
  as l(t, o, m, k, v, r, ms)
on conflict do nothing returning tenant
"""


async def take_over(pool: Pool, shards: Sequence[int], owner: str) -> dict[int, Held]:
    """Raise the epoch of ``shards`` and return their positions; every earlier owner is fenced from now on."""
    rows = await pool.fetch(_TAKE_OVER, sorted(shards), owner)
    return {row["shard"]: Held(row["next_offset"], row["anchor"], row["epoch"]) for row in rows}


async def stored(pool: Pool, shards: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Return epoch and next offset of ``shards`` as Postgres has them."""
    rows = await pool.fetch("select shard, epoch, next_offset from position where shard = any($1)", list(shards))
    return {row["shard"]: (row["epoch"], row["next_offset"]) for row in rows}


async def move(tx: Connection, shard: int, held: Held, next_offset: int, anchor: int | None) -> None:
    """Lock the shard and move its position on from ``held``.

    Raises:
        FencedError: it does not stand where its owner left it.
    """
    if await tx.execute(_MOVE, shard, held.epoch, held.next_offset, next_offset, anchor) != "UPDATE 1":
        raise FencedError(f"shard {shard} moved on from offset {held.next_offset} of epoch {held.epoch}")


async def lock(tx: Connection, shard: int, held: Held) -> None:
    """Lock the shard without moving it.

    Raises:
        FencedError: another process took it over.
    """
    if await tx.fetchval(_LOCK, shard, held.epoch) is None:
        raise FencedError(f"shard {shard} was taken over after epoch {held.epoch}")


async def note_gap(tx: Connection, shard: int, held: Held, to_offset: int, reason: str) -> None:
    """Write down that the log of ``shard`` goes on at ``to_offset``: a loss is recorded, never silent."""
    await tx.execute(_GAP, shard, held.next_offset, to_offset, reason)


async def moment(pool: Pool) -> datetime:
    """Return the instant by Postgres' clock, which drained shards are dated by."""
    instant: datetime = await pool.fetchval("select clock_timestamp()")
    return instant


async def note_drained(pool: Pool, drained: Mapping[int, tuple[Held, datetime]]) -> None:
    """Write that each shard held nothing unread at its instant.

    The instants are reckoned before: a statement that waits for the server or a lock would date them too late.
    """
    shards = sorted(drained)
    await pool.execute(
        _DRAINED, shards, [drained[shard][0].epoch for shard in shards], [drained[shard][1] for shard in shards]
    )


async def keep_letters(tx: Connection, shard: int, letters: Sequence[Letter]) -> list[str | None]:
    """Keep dead letters of ``shard``; return the tenants of those that were not kept before."""
    rows = await tx.fetch(
        _LETTERS,
        shard,
        [letter.tenant for letter in letters],
        [letter.offset for letter in letters],
        [letter.mark for letter in letters],
        [letter.key for letter in letters],
        [letter.value for letter in letters],
        [letter.reason.replace("\0", "\\0")[:500] for letter in letters],
        [float(letter.received_ms) for letter in letters],
    )
    return [row["tenant"] for row in rows]


async def unpublished_letters(pool: Pool, shards: Sequence[int], limit: int = 200) -> list[tuple[int, int, Letter]]:
    """Return id, shard and letter of what is not on the dead-letter topic yet."""
    rows = await pool.fetch(
        "select id, shard, log_offset, mark, tenant, key, value, reason,"
        " extract(epoch from received_at) * 1000 as ms from dead_letter"
        " where not published and shard = any($1) order by id limit $2",
        list(shards),
        limit,
    )
    return [
        (
            row["id"],
            row["shard"],
            Letter(
                row["log_offset"],
                row["mark"],
                row["tenant"],
                row["key"],
                row["value"],
                row["reason"],
                int(row["ms"] or 0),
            ),
        )
        for row in rows
    ]


async def letters_published(pool: Pool, ids: Sequence[int]) -> None:
    """Write down that the letters are on the dead-letter topic."""
    await pool.execute("update dead_letter set published = true where id = any($1)", list(ids))
