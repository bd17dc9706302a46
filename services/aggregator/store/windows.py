"""Window rows, the terms of the directory they are counted under, and the shards that something is queued for."""

from collections.abc import Sequence
from typing import Final, TypeAlias

from services.aggregator.domain.directory import Licence, Spell, terms_of
from services.aggregator.domain.windows import Row, Term
from services.aggregator.store.arrays import numbers, texts
from services.postgres import Connection, Pool

Person: TypeAlias = tuple[str, str]
"""A tenant and a user."""

Terms: TypeAlias = tuple[Term, ...]

_ADD: Final = """
insert into window_delta as w (tenant, dimension, key, days, day, shard,
  licensed, active, logged_in, actions, active_user_days, revision)
select t, d, k, l, date '1970-01-01' + y, $1, a, b, c, e, f, g
from unnest($2::text::text[], $3::text::text[], $4::text::text[], $5::text::smallint[], $6::text::int[],
  $7::text::int[], $8::text::int[], $9::text::int[], $10::text::int[], $11::text::int[], $12::text::int[])
  as n(t, d, k, l, y, a, b, c, e, f, g)
on conflict (tenant, dimension, key, days, day, shard) do update set
  licensed = w.licensed + excluded.licensed, active = w.active + excluded.active,
  logged_in = w.logged_in + excluded.logged_in, actions = w.actions + excluded.actions,
  active_user_days = w.active_user_days + excluded.active_user_days, revision = w.revision + excluded.revision
"""
_DIRECTORY: Final = """
select p.tenant, p.user_id, m.valid_from, m.valid_to, m.team, m.role, m.kind
from unnest($1::text[], $2::text[]) as q(tenant, user_id) join person p using (tenant, user_id)
left join membership m using (tenant, user_id)
"""
_LICENCES: Final = """
select l.tenant, l.user_id, l.licensed_from, l.licensed_to
from unnest($1::text[], $2::text[]) as q(tenant, user_id) join licence l using (tenant, user_id)
"""


async def add(tx: Connection, shard: int, rows: Sequence[tuple[Row, list[int]]]) -> None:
    """Add differences (in key order) to the window rows of ``shard``."""
    if not rows:
        return
    keys = [row for row, _ in rows]
    await tx.execute(
        _ADD,
        shard,
        texts([row.tenant for row in keys]),
        texts([row.dimension for row in keys]),
        texts([row.key for row in keys]),
        numbers([row.days for row in keys]),
        numbers([row.day for row in keys]),
        *(numbers([values[field] for _, values in rows]) for field in range(6)),
    )


async def changed_shards(pool: Pool, shards: Sequence[int]) -> list[int]:
    """Return which of ``shards`` have people whose directory entry changed."""
    rows = await pool.fetch(
        "select s from unnest($1::smallint[]) as s where exists (select from directory_change where shard = s)",
        sorted(shards),
    )
    return [row["s"] for row in rows]


async def directory(tx: Connection, people: Sequence[Person]) -> dict[Person, Terms]:
    """Return the terms that the directory gives ``people`` now; who is missing left it."""
    asked = [tenant for tenant, _ in people], [user for _, user in people]
    spells: dict[Person, list[Spell]] = {}
    for tenant, user, start, *rest in await tx.fetch(_DIRECTORY, *asked):
        known = spells.setdefault((tenant, user), [])
        if start is not None:
            known.append(Spell(start, *rest))
    licences: dict[Person, list[Licence]] = {}
    for tenant, user, first, last in await tx.fetch(_LICENCES, *asked):
        licences.setdefault((tenant, user), []).append(Licence(first, last))
    return {person: terms_of(licences.get(person, ()), held) for person, held in spells.items()}
