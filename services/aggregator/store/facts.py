"""Facts: claimed identities, days of people, tallies. Every statement takes its rows in key order: no deadlocks."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

from services.aggregator.domain.facts import Activity, PersonDayKey, Seen, as_date
from services.aggregator.domain.windows import PersonDay
from services.postgres import Connection, PgUUID, Pool

_CLAIM: Final = """
with given as (select i, m, n from unnest($1::uuid[], $2::int[]) with ordinality as g(i, m, n)),
fresh as (
  insert into claimed (identity, mark, claimed_on) select i, m, $3 from given order by i
  on conflict do nothing returning identity)
select g.n - 1 as n, g.i from given g where not exists (select from fresh where fresh.identity = g.i)
"""
_MARKS: Final = "select identity, mark from claimed where identity = any($1::uuid[])"
_ADD: Final = """
insert into person_day as p (tenant, user_id, day, events, logins, actions, qualifying,
  first_at, last_at, first_login_at, last_login_at, first_qualifying_at)
select * from unnest($1::text[], $2::text[], $3::date[], $4::int[], $5::int[], $6::int[], $7::int[],
  $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[])
on conflict (tenant, user_id, day) do update set
  events = p.events + excluded.events, logins = p.logins + excluded.logins,
  actions = p.actions + excluded.actions, qualifying = p.qualifying + excluded.qualifying,
  first_at = least(p.first_at, excluded.first_at), last_at = greatest(p.last_at, excluded.last_at),
  first_login_at = least(p.first_login_at, excluded.first_login_at),
  last_login_at = greatest(p.last_login_at, excluded.last_login_at),
  first_qualifying_at = least(p.first_qualifying_at, excluded.first_qualifying_at)
returning p.tenant, p.user_id, p.day - date '1970-01-01' as day, p.events, p.logins
"""
_NEAR: Final = """
select q.n - 1 as n, array_agg(p.day - date '1970-01-01' order by p.day) as active,
  array_agg(p.day - date '1970-01-01' order by p.day) filter (where p.logins > 0) as logged_in
from unnest($1::text[], $2::text[], $3::date[], $4::date[]) with ordinality as q(tenant, user_id, low, high, n)
join person_day p on p.tenant = q.tenant and p.user_id = q.user_id and p.day between q.low and q.high
group by q.n
"""
_DAYS: Final = """
select q.n - 1 as n, array_agg(p.day - date '1970-01-01' order by p.day) as days,
  array_agg(p.actions order by p.day) as actions, array_agg(p.logins > 0 order by p.day) as logged_in,
  sum(p.events)::bigint as events
from unnest($1::text[], $2::text[]) with ordinality as q(tenant, user_id, n)
join person_day p on p.tenant = q.tenant and p.user_id = q.user_id
group by q.n
"""
_TALLY: Final = """
insert into tally as t (tenant, shard, version, folded, duplicates, conflicts, late, unmapped, dead_letters, newest)
select tenant, $1, 1, f, d, c, l, u, x, n
from unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
  $9::timestamptz[]) as g(tenant, f, d, c, l, u, x, n) order by tenant
on conflict (tenant, shard) do update set version = t.version + 1,
  folded = t.folded + excluded.folded, duplicates = t.duplicates + excluded.duplicates,
  conflicts = t.conflicts + excluded.conflicts, late = t.late + excluded.late,
  unmapped = t.unmapped + excluded.unmapped, dead_letters = t.dead_letters + excluded.dead_letters,
  newest = greatest(t.newest, excluded.newest)
"""
_SOURCES: Final = """
insert into source_seen as s (tenant, source, shard, last_event_at, events)
select tenant, source, $1, at, n from unnest($2::text[], $3::text[], $4::timestamptz[], $5::bigint[])
  as g(tenant, source, at, n) order by tenant, source
on conflict (tenant, source, shard) do update set
  last_event_at = greatest(s.last_event_at, excluded.last_event_at), events = s.events + excluded.events
"""


class TenantClock(NamedTuple):
    """What folding must know of a tenant."""

    time_zone: str
    clock: str


class Added(NamedTuple):
    """A person's day after a batch was added to it."""

    key: PersonDayKey
    events: int
    logins: int


class Tally:
    """What a batch adds to a tenant's counters."""

    __slots__ = ("conflicts", "dead_letters", "duplicates", "folded", "late", "newest", "unmapped")

    def __init__(self) -> None:
        self.folded = self.duplicates = self.conflicts = self.late = self.unmapped = self.dead_letters = 0
        self.newest: datetime | None = None

    def see(self, at: datetime) -> None:
        """Note that there was an event at ``at``."""
        self.newest = at if self.newest is None else max(self.newest, at)


async def claim(tx: Connection, identities: Sequence[bytes], marks: Sequence[int], on: date) -> dict[int, int]:
    """Claim ``identities`` (all different); return the mark of the first copy for each index claimed before."""
    taken = await tx.fetch(_CLAIM, [PgUUID(identity) for identity in identities], marks, on)
    if not taken:
        return {}
    first = {row["identity"]: row["mark"] for row in await tx.fetch(_MARKS, [row["i"] for row in taken])}
    return {row["n"]: first[row["i"]] for row in taken}


async def add(tx: Connection, folded: Mapping[PersonDayKey, Activity]) -> list[Added]:
    """Add ``folded`` to the days of people; return how each day stands now."""
    keys = sorted(folded)
    facts = [folded[key] for key in keys]
    rows = await tx.fetch(
        _ADD,
        [key.tenant for key in keys],
        [key.user for key in keys],
        [as_date(key.day) for key in keys],
        [fact.events for fact in facts],
        [fact.logins for fact in facts],
        [fact.actions for fact in facts],
        [fact.qualifying for fact in facts],
        [fact.first_at for fact in facts],
        [fact.last_at for fact in facts],
        [fact.first_login_at for fact in facts],
        [fact.last_login_at for fact in facts],
        [fact.first_qualifying_at for fact in facts],
    )
    return [Added(PersonDayKey(tenant, user, day), events, logins) for tenant, user, day, events, logins in rows]


async def near(tx: Connection, spans: Sequence[tuple[str, str, int, int]]) -> list[tuple[list[int], list[int]]]:
    """Return active days and login days (ascending) of each (tenant, user, first day, last day)."""
    rows = await tx.fetch(
        _NEAR,
        [span[0] for span in spans],
        [span[1] for span in spans],
        [as_date(span[2]) for span in spans],
        [as_date(span[3]) for span in spans],
    )
    found = {row["n"]: (row["active"], row["logged_in"] or []) for row in rows}
    return [found.get(n, ([], [])) for n in range(len(spans))]


async def days_of(tx: Connection, people: Sequence[tuple[str, str]]) -> list[tuple[list[PersonDay], int]]:
    """Return all days (ascending) and the number of events of each (tenant, user)."""
    rows = await tx.fetch(_DAYS, [tenant for tenant, _ in people], [user for _, user in people])
    found = {
        row["n"]: (
            [PersonDay(*day) for day in zip(row["days"], row["actions"], row["logged_in"], strict=True)],
            row["events"],
        )
        for row in rows
    }
    return [found.get(n, ([], 0)) for n in range(len(people))]


async def tell(tx: Connection, shard: int, tallies: Mapping[str, Tally]) -> None:
    """Add to the tenants' counters of ``shard`` and raise their version."""
    tenants = sorted(tallies)
    rows = [tallies[tenant] for tenant in tenants]
    await tx.execute(
        _TALLY,
        shard,
        tenants,
        [row.folded for row in rows],
        [row.duplicates for row in rows],
        [row.conflicts for row in rows],
        [row.late for row in rows],
        [row.unmapped for row in rows],
        [row.dead_letters for row in rows],
        [row.newest for row in rows],
    )


async def see_sources(tx: Connection, shard: int, seen: Mapping[tuple[str, str], Seen]) -> None:
    """Write when each (tenant, source) last had an event, and how many more it sent."""
    keys = sorted(seen)
    await tx.execute(
        _SOURCES,
        shard,
        [tenant for tenant, _ in keys],
        [source for _, source in keys],
        [seen[key].latest for key in keys],
        [seen[key].events for key in keys],
    )


async def newest(pool: Pool, shard: int) -> dict[str, datetime]:
    """Return the newest event time of every tenant on ``shard``."""
    rows = await pool.fetch("select tenant, newest from tally where shard = $1 and newest is not null", shard)
    return {row["tenant"]: row["newest"] for row in rows}


async def tenants(tx: Connection, wanted: Sequence[str]) -> dict[str, TenantClock]:
    """Return the clocks of those of ``wanted`` that exist; until ``tx`` ends, nobody changes them."""
    rows = await tx.fetch(
        "select id, time_zone, clock from tenant where id = any($1) order by id for share", list(wanted)
    )
    return {row["id"]: TenantClock(row["time_zone"], row["clock"]) for row in rows}
