"""What people and records contribute to weeks."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

import msgspec

from services.aggregator.domain.measures import Subject
from services.aggregator.store.arrays import dates, optional, texts
from services.metrics.shape import Contribution, Groups
from services.postgres import Connection, Row


class Written(NamedTuple):
    """A contribution as it is to stand; None: none. ``owner``: whose record it is."""

    subject: Subject
    week: date
    kept: Contribution | None
    owner: str | None = None


_json: Final = msgspec.json.Encoder().encode
_GROUPS: Final = "wave, team, role, function, location, segment"
_KEPT: Final = f"""
select subject, week, {_GROUPS}, reason, counts, moves, owner from contribution
where tenant = $1 and kind = $2 and subject = any($3) and week between $4 and $5
"""


async def kept(
    tx: Connection, tenant: str, kind: str, subjects: Sequence[str], low: date, high: date
) -> dict[str, dict[date, Written]]:
    """Return what ``subjects`` contribute to the weeks from ``low`` to ``high``, both included."""
    found: dict[str, dict[date, Written]] = {}
    for row in await tx.fetch(_KEPT, tenant, kind, list(subjects), low, high):
        subject = Subject(kind, row["subject"])
        found.setdefault(subject.key, {})[row["week"]] = Written(subject, row["week"], contribution(row), row["owner"])
    return found


def contribution(row: Row) -> Contribution:
    """Return what a row of contributions says."""
    moves = {int(offset): Groups(*groups) for offset, groups in (row["moves"] or {}).items()}
    groups = Groups(*(row[name] for name in Groups._fields))
    counts = {code: (num, den) for code, (num, den) in row["counts"].items()}
    return Contribution(groups, counts, moves, row["reason"])


_WRITE: Final = f"""
insert into contribution (tenant, known_at, kind, subject, week, {_GROUPS}, reason, owner, counts, moves)
select $1, $2, k, s, w, a, b, c, d, e, f, r, o, n::jsonb, m::jsonb
from unnest($3::text::text[], $4::text::text[], $5::text::date[], $6::text::text[], $7::text::text[], $8::text::text[],
  $9::text::text[], $10::text::text[], $11::text::text[], $12::text::text[], $13::text::text[], $14::text::text[],
  $15::text::text[]) as q(k, s, w, a, b, c, d, e, f, r, o, n, m)
on conflict (tenant, kind, subject, week) do update set known_at = excluded.known_at,
  {", ".join(f"{name} = excluded.{name}" for name in (*Groups._fields, "reason", "owner", "counts", "moves"))}
"""
_DROP: Final = """
delete from contribution c using unnest($2::text[], $3::text[], $4::date[]) as q(kind, subject, week)
where c.tenant = $1 and c.kind = q.kind and c.subject = q.subject and c.week = q.week
"""


async def write(tx: Connection, tenant: str, known_at: datetime, rows: Iterable[Written]) -> None:
    """Write contributions; those that are None go."""
    rows = list(rows)
    if gone := [row for row in rows if row.kept is None]:
        columns = list(zip(*((*row.subject, row.week) for row in gone), strict=True))
        await tx.execute(_DROP, tenant, *map(list, columns))
    if there := [(row, row.kept) for row in rows if row.kept is not None]:
        await tx.execute(_WRITE, tenant, known_at, *_columns(there))


def _columns(rows: Sequence[tuple[Written, Contribution]]) -> Iterator[str]:
    """Yield what the columns hold."""
    yield texts([row.subject.kind for row, _ in rows])
    yield texts([row.subject.key for row, _ in rows])
    yield dates([row.week for row, _ in rows])
    for name in Groups._fields:
        yield optional([getattr(told.groups, name) for _, told in rows])
    yield optional([told.reason for _, told in rows])
    yield optional([row.owner for row, _ in rows])
    yield texts([_json(told.counts).decode() for _, told in rows])
    yield optional([_moves(told) for _, told in rows])


def _moves(told: Contribution) -> str | None:
    moves = {str(offset): list(groups) for offset, groups in told.moves.items()}
    return _json(moves).decode() if moves else None
