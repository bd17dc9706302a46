"""Facts: claimed identities, days of people, tallies. Every statement takes its rows in key order: no deadlocks."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

from services.aggregator.domain.facts import Activity, PersonDayKey, Seen
from services.aggregator.domain.windows import REACH, PersonDay
from services.aggregator.store.arrays import instants, numbers, texts, uuids
from services.postgres import Connection, Pool, UniqueViolationError

_CLAIM: Final = """
with given as materialized (
  select g.i, g.m, g.n, (select c.mark from claimed c where c.identity = g.i) as first
  from unnest($1::text::uuid[], $2::text::int[]) with ordinality as g(i, m, n) order by g.i),
fresh as (insert into claimed (identity, mark, claimed_on) select i, m, $3 from given where first is null)
select n - 1 as n, first from given where first is not null
"""
_ADD: Final = """
insert into person_day as p (tenant, user_id, day, events, logins, actions, qualifying,
  first_at, last_at, first_login_at, last_login_at, first_qualifying_at)
select t, u, date '1970-01-01' + d, e, l, a, q, timestamptz 'epoch' + fa * us, timestamptz 'epoch' + la * us,
  timestamptz 'epoch' + fl * us, timestamptz 'epoch' + ll * us, timestamptz 'epoch' + fq * us
from unnest($1::text::text[], $2::text::text[], $3::text::int[], $4::text::int[], $5::text::int[], $6::text::int[],
  $7::text::int[], $8::text::bigint[], $9::text::bigint[], $10::text::bigint[], $11::text::bigint[],
  $12::text::bigint[]) as n(t, u, d, e, l, a, q, fa, la, fl, ll, fq), (select interval '1 microsecond' as us) as i
on conflict (tenant, user_id, day) do update set
  events = p.events + excluded.events, logins = p.logins + excluded.logins,
  actions = p.actions + excluded.actions, qualifying = p.qualifying + excluded.qualifying,
  first_at = least(p.first_at, excluded.first_at), last_at = greatest(p.last_at, excluded.last_at),
  first_login_at = least(p.first_login_at, excluded.first_login_at),
  last_login_at = greatest(p.last_login_at, excluded.last_login_at),
  first_qualifying_at = least(p.first_qualifying_at, excluded.first_qualifying_at)
returning p.tenant, p.user_id, p.day - date '1970-01-01' as day, p.events, p.logins
"""
_ADD_APART: Final = _ADD.replace("into person_day", "into identity_day")
_BESIDE: Final = """
select q.n - 1 as n,
  (select p.day from person_day p where p.tenant = q.tenant and p.user_id = q.user_id
   and p.day < q.day and p.day >= q.day - $4::int order by p.day desc limit 1) - date '1970-01-01',
  (select p.day from person_day p where p.tenant = q.tenant and p.user_id = q.user_id
   and p.day > q.day and p.day <= q.day + $4::int order by p.day limit 1) - date '1970-01-01',
  (select p.day from person_day p where p.tenant = q.tenant and p.user_id = q.user_id
   and p.day < q.day and p.day >= q.day - $4::int and p.logins > 0 order by p.day desc limit 1) - date '1970-01-01',
  (select p.day from person_day p where p.tenant = q.tenant and p.user_id = q.user_id
   and p.day > q.day and p.day <= q.day + $4::int and p.logins > 0 order by p.day limit 1) - date '1970-01-01'
from (select g.tenant, g.user_id, date '1970-01-01' + g.day as day, g.n
  from unnest($1::text::text[], $2::text::text[], $3::text::int[]) with ordinality as g(tenant, user_id, day, n)) as q
"""
_BETWEEN: Final = """
select q.n - 1 as n, array_agg(p.day - date '1970-01-01' order by p.day) as active,
  array_agg(p.day - date '1970-01-01' order by p.day) filter (where p.logins > 0) as logged_in
from unnest($1::text::text[], $2::text::text[], $3::text::int[], $4::text::int[])
  with ordinality as q(tenant, user_id, low, high, n)
join person_day p on p.tenant = q.tenant and p.user_id = q.user_id
  and p.day between date '1970-01-01' + q.low and date '1970-01-01' + q.high
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
insert into source_seen as s (tenant, source, shard, last_event_at, events, last_login_at)
select tenant, source, $1, at, n, login from unnest($2::text[], $3::text[], $4::timestamptz[], $5::bigint[],
  $6::timestamptz[]) as g(tenant, source, at, n, login) order by tenant, source
on conflict (tenant, source, shard) do update set
  last_event_at = greatest(s.last_event_at, excluded.last_event_at), events = s.events + excluded.events,
  last_login_at = greatest(s.last_login_at, excluded.last_login_at)
"""


class TenantClock(NamedTuple):
    """What folding must know of a tenant."""

    time_zone: str
    clock: str


class RacedError(RuntimeError):
    """The owner of another shard claimed one of the identities at the same moment, and was faster."""


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
    """Claim ``identities`` (all different); return the mark of the first copy for each index claimed before.

    Raises:
        RacedError: nothing was claimed; whoever asks again, in a new transaction, sees what was claimed meanwhile.
    """
    try:
        rows = await tx.fetch(_CLAIM, uuids(identities), numbers(marks), on)
    except UniqueViolationError as error:
        raise RacedError(str(error)) from error
    return {row["n"]: row["first"] for row in rows}


async def add(tx: Connection, folded: Mapping[PersonDayKey, Activity], *, apart: bool = False) -> list[Added]:
    """Add ``folded`` to the days of people; return how each day stands now. ``apart``: to those of identities."""
    keys = sorted(folded)
    facts = [folded[key] for key in keys]
    rows = await tx.fetch(
        _ADD_APART if apart else _ADD,
        texts([key.tenant for key in keys]),
        texts([key.user for key in keys]),
        numbers([key.day for key in keys]),
        numbers([fact.events for fact in facts]),
        numbers([fact.logins for fact in facts]),
        numbers([fact.actions for fact in facts]),
        numbers([fact.qualifying for fact in facts]),
        instants([fact.first_at for fact in facts]),
        instants([fact.last_at for fact in facts]),
        instants([fact.first_login_at for fact in facts]),
        instants([fact.last_login_at for fact in facts]),
        instants([fact.first_qualifying_at for fact in facts]),
    )
    return [Added(PersonDayKey(tenant, user, day), events, logins) for tenant, user, day, events, logins in rows]


async def beside(tx: Connection, days: Sequence[tuple[str, str, int]]) -> list[tuple[list[int], list[int]]]:
    """Return the active days and the login days nearest to each (tenant, user, day), before and after it."""
    rows = await tx.fetch(
        _BESIDE,
        texts([day[0] for day in days]),
        texts([day[1] for day in days]),
        numbers([day[2] for day in days]),
        REACH,
    )
    found: list[tuple[list[int], list[int]]] = [([], [])] * len(days)
    for n, *near in rows:
        active, logged_in = near[:2], near[2:]
        found[n] = ([day for day in active if day is not None], [day for day in logged_in if day is not None])
    return found


async def near(tx: Connection, spans: Sequence[tuple[str, str, int, int]]) -> list[tuple[list[int], list[int]]]:
    """Return active days and login days (ascending) of each (tenant, user, first day, last day).

    Of a span that reaches as far before one day as after it, only the days nearest to that day are returned.
    """
    single = {n: (span[0], span[1], span[2] + REACH) for n, span in enumerate(spans) if span[3] - span[2] == 2 * REACH}
    wide = [n for n in range(len(spans)) if n not in single]
    found = dict(zip(single, await beside(tx, list(single.values())), strict=True)) if single else {}
    found |= zip(wide, await between(tx, [spans[n] for n in wide]), strict=True) if wide else {}
    return [found[n] for n in range(len(spans))]


async def between(tx: Connection, spans: Sequence[tuple[str, str, int, int]]) -> list[tuple[list[int], list[int]]]:
    """Return active days and login days (ascending) of each (tenant, user, first day, last day)."""
    rows = await tx.fetch(
        _BETWEEN,
        texts([span[0] for span in spans]),
        texts([span[1] for span in spans]),
        numbers([span[2] for span in spans]),
        numbers([span[3] for span in spans]),
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
    """Write when each (tenant, source) last had an event and a login, and how many more events it sent."""
    keys = sorted(seen)
    await tx.execute(
        _SOURCES,
        shard,
        [tenant for tenant, _ in keys],
        [source for _, source in keys],
        [seen[key].latest for key in keys],
        [seen[key].events for key in keys],
        [seen[key].latest_login for key in keys],
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
