"""What the rules of operations look at: how far the log is counted, what was rejected, what nobody receives."""

from collections.abc import Collection, Sequence
from dataclasses import fields
from datetime import date, datetime
from typing import Final

from services.aggregator.domain.alerts import Alert
from services.aggregator.domain.findings import Subject
from services.aggregator.domain.rules.coverage import Coverage
from services.aggregator.domain.rules.operations import Busy, Failing, Hour, Restated
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


_BUSY: Final = """
select d.user_id, d.day, d.actions::bigint, coalesce(a.hours, 0)::int from person_day d
left join lateral (
    select count(distinct date_trunc('hour', a.at)) as hours from activity a
    where a.tenant = $1 and a.user_id = d.user_id and a.at between d.first_at and d.last_at
      and d.last_at - d.first_at >= make_interval(hours => $4 - 1) and d.events >= $4
) a on true
where d.tenant = $1 and d.user_id = any($2)
  and (d.actions >= $3 or (d.events >= $4 and d.last_at - d.first_at >= make_interval(hours => $4 - 1)))
"""


async def busy(tx: Connection, tenant: str, users: Sequence[str], writes: int, hours: int) -> list[Busy]:
    """Return the days on which ``users`` may have done so much as no person can."""
    return [Busy(*row) for row in await tx.fetch(_BUSY, tenant, list(users), writes, hours)]


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
    return [Restated(Subject(d, k), metric, day, (n, e), (m, f), at) for d, k, metric, day, n, e, m, f, at in rows]


async def standing(tx: Connection, tenant: str, rules: Collection[str]) -> list[Alert]:
    """Return the alerts of ``rules`` that are open."""
    names = ", ".join(f'"{field.name}"' for field in fields(Alert))
    sql = f"select {names} from alert where tenant = $1 and rule = any($2) and resolved_at is null"
    return [Alert(**row) for row in await tx.fetch(sql, tenant, sorted(rules))]
