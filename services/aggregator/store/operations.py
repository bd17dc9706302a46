"""What the rules of operations look at: how far the log is counted, what was rejected, what nobody receives."""

from collections.abc import Collection, Sequence
from dataclasses import fields
from datetime import date, datetime
from typing import Final

from services.aggregator.domain.alerts import Alert
from services.aggregator.domain.findings import Subject
from services.aggregator.domain.rules.coverage import Coverage
from services.aggregator.domain.rules.operations import Failing, Hour
from services.aggregator.domain.rules.restatements import Restated
from services.aggregator.domain.rules.tireless import Busy
from services.aggregator.store.rebuilding import QUALIFYING
from services.postgres import Connection

_UNLED: Final = """
with held as (
    select m.user_id, m.manager from membership m
    join person p on p.tenant = m.tenant and p.user_id = m.user_id
    where m.tenant = $1 and m.kind = 'human' and m.valid_from <= $2 and (m.valid_to is null or m.valid_to > $2)
      and (p.active_to is null or p.active_to >= $2)
      and exists (select from licence l where l.tenant = $1 and l.user_id = m.user_id
                  and l.licensed_from <= $2 and (l.licensed_to is null or l.licensed_to >= $2))
)
select count(*) as people, count(*) filter (where h.manager is null and b.manager is null) as unled
from held h left join (select distinct manager from held) b on b.manager = h.user_id
"""


_COVERAGE: Final = """
with held as (
    select m.champion, m.function from membership m
    join person p on p.tenant = m.tenant and p.user_id = m.user_id
    where m.tenant = $1 and m.kind = 'human' and m.valid_from <= $2 and (m.valid_to is null or m.valid_to > $2)
      and (p.active_to is null or p.active_to >= $2)
      and exists (select from licence l where l.tenant = $1 and l.user_id = m.user_id
                  and l.licensed_from <= $2 and (l.licensed_to is null or l.licensed_to >= $2))
)
select count(*) as people, count(*) filter (where champion) as champions,
       array(select function from held where function is not null group by function
             having not bool_or(champion) order by function) as without
from held
"""


async def coverage(tx: Connection, tenant: str, today: date) -> Coverage:
    """Return how many people there are, how many champions among them, and the functions without one."""
    return Coverage(*await tx.fetchrow(_COVERAGE, tenant, today))


async def has_sponsor(tx: Connection, tenant: str) -> bool:
    """Return whether somebody is told in the role of the sponsor, whatever the wave."""
    return bool(await tx.fetchval("select exists (select from contact where tenant = $1 and role = 'sponsor')", tenant))


async def unled(tx: Connection, tenant: str, today: date) -> tuple[int, int]:
    """Return how many people there are, and how many have no manager and lead nobody."""
    return tuple(await tx.fetchrow(_UNLED, tenant, today))


async def events(tx: Connection, tenant: str) -> tuple[int, int]:
    """Return how many events were counted, and of how many nobody knows who did it."""
    sql = """select coalesce(sum(folded), 0)::bigint, coalesce(sum(unmapped), 0)::bigint
             from tally where tenant = $1"""
    return tuple(await tx.fetchrow(sql, tenant))


async def failing(tx: Connection, tenant: str) -> list[Failing]:
    """Return the subscriptions that nothing reaches, with what was tried last."""
    rows = await tx.fetch(
        """select s.id, s.failing_since, coalesce(d.attempts, 0)::int, d.error from subscription s
           left join lateral (
               select sum(w.attempts) as attempts, max(t.error) as error from delivery w
               left join delivery_attempt t on t.delivery = w.id and t.number = w.attempts
               where w.tenant = s.tenant and w.subscription = s.id and w.state in ('waiting', 'sending')
           ) d on true
           where s.tenant = $1 and s.failing_since is not null and s.state <> 'paused' order by 1""",
        tenant,
    )
    return [Failing(*row) for row in rows]


async def rejected(tx: Connection, tenant: str, since: datetime) -> list[Hour]:
    """Return the hours since then in which something was rejected."""
    rows = await tx.fetch(
        """select h.hour, h.rejected, coalesce((select sum(s.events) from source_hour s
               where s.tenant = $1 and s.hour = h.hour), 0)::bigint
           from (select date_trunc('hour', created_at) as hour, count(*) as rejected from dead_letter
                 where tenant = $1 and created_at >= $2 group by 1) h order by 1""",
        tenant,
        since,
    )
    return [Hour(*row) for row in rows]


# A day without so much done, or with all of it in few hours, is no such day: few are looked at event by event.
_MAY_BE_BUSY: Final = """
select d.user_id, d.day, d.first_at, d.last_at from person_day d
where d.tenant = $1 and d.user_id = any($2) and d.first_at >= $5
  and (d.qualifying >= $3 or (d.qualifying >= $4 and d.last_at - d.first_at > ($4 - 2) * interval '1 hour'))
  and exists (select from membership m where m.tenant = $1 and m.user_id = d.user_id and m.kind = 'human'
              and m.valid_from <= d.day and (m.valid_to is null or m.valid_to > d.day))
"""
_BUSY: Final = f"""
with asked as (
    select * from unnest($2::text[], $3::date[], $4::timestamptz[], $5::timestamptz[]) as q(user_id, day, low, high)
), named as (
    select q.*, q.user_id as identity from asked q
    union all select q.*, l.identity from asked q
    join person_link l on l.tenant = $1 and l.user_id = q.user_id and l.identity <> l.user_id
)
select user_id, day, max(writes), count(*)::int from (
    select n.user_id, n.day,
           count(*) filter (where starts_with(a.kind, 'crm.record.') and a.kind <> 'crm.record.viewed') as writes
    from named n join activity a on a.tenant = $1 and a.user_id = n.identity and a.at between n.low and n.high
      and a.at >= $6 and a.at <= $7
    where {QUALIFYING} and a.behalf is null group by 1, 2, date_trunc('hour', a.at, $8)
) hours group by 1, 2
"""


async def busy(
    tx: Connection, tenant: str, users: Sequence[str], zone: str, since: datetime, *, writes: int, hours: int
) -> list[Busy]:
    """Return the days on which ``users`` may have written so much in an hour, or been active in so many ``hours``.

    What says itself that software did it is nothing that they did; software accounts may do what they like. ``since``:
    from when on every event is kept.
    """
    days = await tx.fetch(_MAY_BE_BUSY, tenant, list(users), writes, hours, since)
    if not days:
        return []
    names, dates, lows, highs = (list(column) for column in zip(*days, strict=True))
    rows = await tx.fetch(_BUSY, tenant, names, dates, lows, highs, min(lows), max(highs), zone)
    return [Busy(*row) for row in rows]


_RESTATED: Final = """
select c.dimension, c.key, c.metric, c.day, p.num, p.den, c.num, c.den, coalesce(f.known_at, c.known_at)
from unnest($2::text[], $3::text[], $4::text[], $5::date[]) as g(dimension, key, code, day)
join metric_cell c on c.tenant = $1 and c.dimension = g.dimension and c.key = g.key and c.metric = g.code
  and c.day = g.day
cross join lateral (
    select p.num, p.den from metric_past p
    where p.tenant = $1 and p.dimension = c.dimension and p.key = c.key and p.metric = c.metric and p.day = c.day
      and p.revision = 0 order by p.known_at desc limit 1
) p
left join lateral (
    select min(p.known_at) as known_at from metric_past p
    where p.tenant = $1 and p.dimension = c.dimension and p.key = c.key and p.metric = c.metric and p.day = c.day
      and p.revision > 0
) f on true
"""


async def restated(tx: Connection, tenant: str, asked: Sequence[tuple[Subject, str, date]]) -> list[Restated]:
    """Return the numbers ``asked`` for, by group, code and week, with what they were when they were final."""
    if not asked:
        return []
    columns = zip(*((*group, code, week) for group, code, week in asked), strict=True)
    rows = await tx.fetch(_RESTATED, tenant, *map(list, columns))
    return [Restated(Subject(d, k), metric, day, (n, e), (m, f), at, k) for d, k, metric, day, n, e, m, f, at in rows]


_NAMES: Final = ", ".join(f'"{field.name}"' for field in fields(Alert))


async def standing(tx: Connection, tenant: str, rules: Collection[str]) -> list[Alert]:
    """Return the alerts of ``rules`` that are open."""
    sql = f"select {_NAMES} from alert where tenant = $1 and rule = any($2) and resolved_at is null"
    return [Alert(**row) for row in await tx.fetch(sql, tenant, sorted(rules))]


async def old(tx: Connection, tenant: str, rule: str, before: datetime, users: Collection[str] | None) -> list[Alert]:
    """Return the alerts of ``rule`` that opened ``before`` and were not withdrawn, in order; ``users`` None: of all."""
    sql = f"""select {_NAMES} from alert where tenant = $1 and rule = $2 and opened_at < $3
              and resolution is distinct from 'restated' and ($4::text[] is null or subject_key = any($4))
              order by opened_at, id"""
    return [Alert(**row) for row in await tx.fetch(sql, tenant, rule, before, None if users is None else sorted(users))]
