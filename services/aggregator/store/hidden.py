"""The groups of a week that are hidden, and the people they are found from."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final, NamedTuple

from services.metrics.shape import Groups
from services.postgres import Connection


class Crowd(NamedTuple):
    """How many people count in the same groups; of records nobody does.

    Numbers are told of all of them, of those of whom something is ``expected``, and of those with a licence: they are
    ``licensed`` here who have one on all days of the week.
    """

    groups: Groups
    people: int
    expected: int
    licensed: int


_CROWDS: Final = """
select c.wave, c.team, c.role, c.function, c.location, c.segment, count(*) filter (where c.kind = 'person')::int,
    count(*) filter (where c.kind = 'person' and c.reason is null)::int,
    count(*) filter (where c.kind = 'person' and exists (
        select from licence l where l.tenant = $1 and l.user_id = c.subject
        and l.licensed_from <= c.week and coalesce(l.licensed_to, 'infinity') >= c.week + 6))::int
from contribution c where c.tenant = $1 and c.week = $2 group by 1, 2, 3, 4, 5, 6
"""


async def crowds(tx: Connection, tenant: str, week: date) -> list[Crowd]:
    """Return who counts in the week, and where. ``tx`` may then wait for as long as it takes to think about it."""
    await tx.execute("set local idle_in_transaction_session_timeout = 0")
    return [Crowd(Groups(*row[:6]), *row[6:]) for row in map(tuple, await tx.fetch(_CROWDS, tenant, week))]


_WRITE: Final = """
insert into hidden_group (tenant, week, dimension, key, reason)
select $1, $2, d, k, r from unnest($3::text[], $4::text[], $5::text[]) as g(d, k, r)
on conflict (tenant, week, dimension, key) do update set reason = excluded.reason
where hidden_group.reason <> excluded.reason
"""
_SHOW: Final = """
delete from hidden_group h where h.tenant = $1 and h.week = $2
and not exists (select from unnest($3::text[], $4::text[]) as g(d, k) where h.dimension = d and h.key = k)
returning h.dimension, h.key
"""


async def write(tx: Connection, tenant: str, week: date, found: Mapping[tuple[str, str], str]) -> list[tuple[str, str]]:
    """Write which groups are hidden in the week, and why; return the others that were so before."""
    dimensions, keys = [dimension for dimension, _ in found], [key for _, key in found]
    shown = await tx.fetch(_SHOW, tenant, week, dimensions, keys)
    if found:
        await tx.execute(_WRITE, tenant, week, dimensions, keys, list(found.values()))
    return [(row["dimension"], row["key"]) for row in shown]


_PEOPLED: Final = """
select g.week, g.dimension, g.key from unnest($2::date[], $3::text[], $4::text[]) as g(week, dimension, key)
where exists (select from contribution c where c.tenant = $1 and c.week = g.week and case g.dimension
    when 'wave' then c.wave = g.key when 'team' then c.team = g.key when 'role' then c.role = g.key
    when 'function' then c.function = g.key when 'location' then c.location = g.key
    when 'segment' then c.segment = g.key else true end)
"""


async def peopled(tx: Connection, tenant: str, groups: Iterable[tuple[date, str, str]]) -> set[tuple[date, str, str]]:
    """Return those of ``groups``, by week, that something counts in. Mostly the first rows of the week tell."""
    columns = [list(column) for column in zip(*sorted(groups), strict=True)]
    return {tuple(row) for row in await tx.fetch(_PEOPLED, tenant, *columns)} if columns else set()


_CLOSE: Final = """
insert into hidden_group (tenant, week, dimension, key, reason)
select $1, w, d, k, 'small' from unnest($2::date[], $3::text[], $4::text[]) as g(w, d, k) on conflict do nothing
"""


async def close(tx: Connection, tenant: str, groups: Iterable[tuple[date, str, str]]) -> None:
    """Hide ``groups`` of weeks beside those that are hidden."""
    if rows := sorted(groups):
        await tx.execute(_CLOSE, tenant, *map(list, zip(*rows, strict=True)))
