"""Sealing anew: whatever is sealed, and where; what only a key of old opens is opened and sealed with the present one.

A row is sealed anew under its lock, in a transaction of its own with its neighbours: whoever reads meanwhile has both
keys, and repeating it changes nothing.
"""

from typing import Final, NamedTuple

from services.postgres import Connection, Row
from services.sealing import Seal, SealError

AT_ONCE: Final = 200


class Place(NamedTuple):
    """A column that holds sealed texts, one or an array of them; ``context`` is SQL for what they are sealed for."""

    table: str
    key: str
    column: str
    context: str
    many: bool
    only: str = "true"


PLACES: Final = (
    Place("source", "id", "secrets", "'source/' || id", many=True),
    Place("subscription", "tenant || '/' || id", "secrets", "'subscription/' || tenant || '/' || id", many=True),
    Place("subscription", "tenant || '/' || id", "url", "'subscription/' || tenant || '/' || id", many=False),
    Place("dead_letter", "letter", "value", "'letter/' || tenant", many=False, only="letter is not null"),
)


class Outcome(NamedTuple):
    """How many rows of a place were sealed anew, how many were already, and how many no key opens."""

    anew: int
    already: int
    closed: int


async def reseal(connection: Connection, place: Place, seal: Seal) -> Outcome:
    """Seal anew what stands in ``place`` and only a key of old opens."""
    write = f"update {place.table} set {place.column} = $2 where {place.key} = $1 and {place.only}"
    anew = already = closed = 0
    after = ""
    while True:
        async with connection.transaction():
            rows = await page(connection, place, after, lock=True)
            for row in rows:
                try:
                    texts = _anew(seal, row["context"], row["texts"])
                except SealError:
                    closed += 1
                    continue
                if texts is None:
                    already += 1
                    continue
                anew += 1
                await connection.execute(write, row["key"], texts if place.many else texts[0])
        if not rows:
            return Outcome(anew, already, closed)
        after = rows[-1]["key"]


async def page(connection: Connection, place: Place, after: str, *, lock: bool = False) -> list[Row]:
    """Return the rows of ``place`` that follow ``after``: key, context and sealed texts."""
    column = place.column if place.many else f"array[{place.column}]"
    rows: list[Row] = await connection.fetch(
        f"select {place.key} as key, {place.context} as context, {column} as texts from {place.table} "
        f"where {place.only} and {place.column} is not null and {place.key} > $1 order by {place.key} limit {AT_ONCE}"
        + (" for update" if lock else ""),
        after,
    )
    return rows


def _anew(seal: Seal, context: str, texts: list[bytes]) -> list[bytes] | None:
    """Return ``texts`` sealed with the present key; None: they are.

    Raises:
        SealError: one of them opens with no key.
    """
    of_old = [seal.is_of_old(text, context) for text in texts]
    if not any(of_old):
        return None
    return [seal.close(seal.open(text, context), context) for text in texts]
