"""Since when the same people count in a group in a week, and it is no more hidden than now.

Who asks what was known before that would learn what tells the two apart: of few people.
"""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Final

from services.postgres import Connection

_WRITE: Final = """
insert into regrouped (tenant, week, dimension, key, known_at)
select $1, w, d, k, $2 from unnest($3::date[], $4::text[], $5::text[]) as g(w, d, k)
on conflict (tenant, dimension, key, week) do update set known_at = excluded.known_at
"""


async def write(tx: Connection, tenant: str, known_at: datetime, groups: Iterable[tuple[date, str, str]]) -> None:
    """Write that groups of weeks are others since ``known_at``."""
    if rows := sorted(groups):
        await tx.execute(_WRITE, tenant, known_at, *map(list, zip(*rows, strict=True)))
