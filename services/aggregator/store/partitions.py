"""The partitions of ``activity``: one of each UTC day, made when it is first needed.

A partition is made as a table of its own and then attached, because attaching holds up neither those who read nor those
who write. Several owners may need the same day at once: one makes it, the others wait for that and find it.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Final

from services.postgres import Connection, Pool, transaction

LOCK: Final = 7_081_975_006
"""The advisory lock of whoever makes or drops partitions."""

_AT_ONCE: Final = 50
_DAY: Final = timedelta(days=1)
_MISSING: Final = """
select d from unnest($1::date[]) as d where not exists (select from pg_class c
  where c.relnamespace = 'public'::regnamespace and c.relname = 'activity_' || to_char(d, 'YYYYMMDD')
  and c.relispartition) order by d
"""
_EXISTING: Final = """
select to_date(right(inhrelid::regclass::text, 8), 'YYYYMMDD') as day
from pg_inherits where inhparent = 'activity'::regclass order by 1
"""


class Days:
    """The days that are known to have a partition."""

    def __init__(self) -> None:
        self._known: set[date] = set()

    def forget(self) -> None:
        """Look every day up again."""
        self._known.clear()

    async def ensure(self, pool: Pool, days: Iterable[date]) -> None:
        """Make sure that each of ``days`` has its partition."""
        wanted = set(days) - self._known
        if not wanted:
            return
        missing = [row["d"] for row in await pool.fetch(_MISSING, sorted(wanted))]
        for start in range(0, len(missing), _AT_ONCE):
            async with transaction(pool) as tx:
                await make(tx, missing[start : start + _AT_ONCE])
        self._known |= wanted


async def make(tx: Connection, days: Sequence[date]) -> None:
    """Make the partitions of those of ``days`` that have none."""
    await tx.execute("set local lock_timeout = '5s'")
    await tx.execute("select pg_advisory_xact_lock($1)", LOCK)
    missing = [row["d"] for row in await tx.fetch(_MISSING, list(days))]
    if missing:
        await tx.execute(";".join(map(_statements, missing)))


async def existing(connection: Connection) -> list[date]:
    """Return the days that have a partition, the oldest first."""
    return [row["day"] for row in await connection.fetch(_EXISTING)]


def name_of(day: date) -> str:
    """Return the name of the partition of ``day``."""
    return f"activity_{day:%Y%m%d}"


def _statements(day: date) -> str:
    name = name_of(day)
    return (
        f"create table {name} (like activity including defaults including indexes);"
        f"alter table activity attach partition {name}"
        f" for values from ('{day} 00:00:00+00') to ('{day + _DAY} 00:00:00+00')"
    )
