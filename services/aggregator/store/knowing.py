"""What was known at an instant: temporary views and tables stand before those of the same names, while ``tx`` lasts.

So whoever gathers reads what they always read, as it was known then. Nothing is locked, and nothing is written that
stays. Instants are gone through in their order. Kept by the time of knowledge are events (when they were received),
numbers of groups (when they were measured), who counted together, since when a source is known to be silent, and when
people and waves were entered.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Final, NamedTuple

from services.aggregator.domain.facts import as_date
from services.aggregator.domain.windows import REVISION, PersonDay, Row
from services.aggregator.store import facts as fact_store
from services.aggregator.store.rebuilding import LOGIN, QUALIFYING
from services.postgres import Connection

NEVER: Final = datetime.min.replace(tzinfo=UTC)
"""Before anything was known."""
_KNOWN: Final = "current_setting('uptake.known')::timestamptz"
_IN_TIME: Final = "({day} + {days})::timestamp at time zone $2 + interval '2 hours'"
"""What is known by then was known when it was judged."""
_DAY_LATE: Final = _IN_TIME.format(day="(a.at at time zone $2)::date", days=1)

_LATE: Final = """
create temp table late_day (tenant text, user_id text, day date, primary key (tenant, user_id, day)) on commit drop;
create temp table late_activity (
  tenant text, user_id text, day date, kind text, origin text, environment text, at timestamptz, received_at timestamptz
) on commit drop;
create temp table unknown_delta (like window_delta) on commit drop;
create temp table known_day (like person_day including indexes) on commit drop;
"""
_LATE_DAYS: Final = f"""
insert into late_day select distinct $1, coalesce(l.user_id, a.user_id), (a.at at time zone $2)::date
from activity a left join person_link l on l.tenant = $1 and l.identity = a.user_id
where a.tenant = $1 and a.user_id <> '' and a.received_at > a.at + interval '2 hours' and a.received_at > {_DAY_LATE}
"""
_LATE_ACTIVITY: Final = """
insert into late_activity
select d.tenant, d.user_id, d.day, a.kind, a.origin, a.environment, a.at, a.received_at
from late_day d
cross join lateral (
  select d.user_id as identity where not exists (
    select from person_link o where o.tenant = $1 and o.identity = d.user_id and o.user_id <> d.user_id)
  union select l.identity from person_link l where l.tenant = $1 and l.user_id = d.user_id) i
join activity a on a.tenant = $1 and a.user_id = i.identity
  and a.at >= d.day::timestamp at time zone $2 and a.at < (d.day + 1)::timestamp at time zone $2
"""
_PAST_COLUMNS: Final = "tenant, dimension, key, metric, day, num, den, known_at, revision"
_VIEWS: Final = f"""
create temp view person as select p.* from public.person p where p.created_at <= {_KNOWN};
create temp view wave as select w.* from public.wave w where w.created_at <= {_KNOWN};
create temp view activity as select a.* from public.activity a where a.received_at <= {_KNOWN};
create temp view measured_week as select m.* from public.measured_week m where m.known_at <= {_KNOWN};
create temp view window_delta as
  select * from public.window_delta union all select * from unknown_delta;
create temp view silence as
  select tenant, source, since, opened_at, case when until <= {_KNOWN} then until end as until, expected, seen,
    case when until <= {_KNOWN} then state else 'silent' end as state
  from public.silence where opened_at <= {_KNOWN};
create temp view hidden_group as
  select h.* from public.hidden_group h
  union all
  select r.tenant, r.week, r.dimension, r.key, 'regrouped' from public.regrouped r where r.known_at > {_KNOWN};
create temp view person_day as
  select p.* from public.person_day p where not exists (
    select from late_day d where (d.tenant, d.user_id, d.day) = (p.tenant, p.user_id, p.day))
  union all select * from known_day;
create temp table metric_cell (like public.metric_cell including indexes) on commit drop;
"""
_KNOW_DAYS: Final = f"""
insert into known_day (tenant, user_id, day, events, logins, actions, qualifying, first_at, last_at,
  first_login_at, last_login_at, first_qualifying_at)
select tenant, user_id, day, count(*), count(*) filter (where {LOGIN}),
  count(*) filter (where not starts_with(kind, 'crm.session.')), count(*) filter (where {QUALIFYING}),
  min(at), max(at), min(at) filter (where {LOGIN}), max(at) filter (where {LOGIN}), min(at) filter (where {QUALIFYING})
from late_activity where received_at <= $1 group by 1, 2, 3
"""
_KNOW_CELLS: Final = f"""
insert into metric_cell ({_PAST_COLUMNS})
select distinct on (dimension, key, metric, day) {_PAST_COLUMNS} from (
  select {_PAST_COLUMNS} from public.metric_cell where tenant = $1 and known_at > $2 and known_at <= $3
  union all select {_PAST_COLUMNS} from public.metric_past where tenant = $1 and known_at > $2 and known_at <= $3
) c order by dimension, key, metric, day, known_at desc
on conflict (tenant, dimension, key, metric, day) do update set num = excluded.num, den = excluded.den,
  known_at = excluded.known_at, revision = excluded.revision
"""
_WEEK_LATE: Final = _IN_TIME.format(day="week", days=7)
_CELLS_OF: Final = """select known_at, day - (extract(isodow from day)::int - $3::int + 7) % 7 as week
  from {table} where tenant = $1"""
_REWRITTEN: Final = f"""
with known as (
  select received_at as at from late_activity a where received_at > {_DAY_LATE}
  union select known_at from ({_CELLS_OF.format(table="metric_cell")}) c where known_at > {_WEEK_LATE}
  union select known_at from ({_CELLS_OF.format(table="metric_past")}) c where known_at > {_WEEK_LATE}
  union select p.created_at from person p where p.tenant = $1 and exists (select from membership m
    where m.tenant = $1 and m.user_id = p.user_id and m.valid_from < (p.created_at at time zone $2)::date)
  union select created_at from wave where tenant = $1 and go_live < (created_at at time zone $2)::date
) select distinct (at at time zone $2)::date as day from known order by 1
"""
_UNCERTAIN: Final = f"""
select exists (select from contribution where tenant = $1 and kind = 'person' and known_at > {_WEEK_LATE}) as weeks,
  exists (select from contribution c where c.tenant = $1 and kind = 'person' and known_at > {_WEEK_LATE}
    and not exists (select from late_day d where d.user_id = c.subject))
  or exists (select from person where tenant = $1 and updated_at > created_at) as directory,
  exists (select from regrouped where tenant = $1) as groups,
  exists (select from silence where tenant = $1 and state = 'filled') as silences,
  (select activity_from from tenant where id = $1) as kept_from
"""
_ADD: Final = ("tenant", "dimension", "key", "days", "day", "shard", "licensed", "active", "logged_in", "actions",
               "active_user_days", "revision")  # fmt: skip


class Uncertain(NamedTuple):
    """What is known only as it is now.

    ``weeks``: what people did in weeks was measured anew. ``directory``: people were changed in it. ``groups``: other
    people count in groups than before. ``silences``: some were filled up. ``kept_from``: when events were received is
    known of later days only; None: of all.
    """

    weeks: bool
    directory: bool
    groups: bool
    silences: bool
    kept_from: date | None


async def prepare(tx: Connection, tenant: str, zone: str, first_day_of_week: int) -> tuple[list[date], Uncertain]:
    """Look through what came late; return the days on which something of the past became known, and what is unsure."""
    await tx.execute(_LATE)
    await tx.execute(_LATE_DAYS, tenant, zone)
    await tx.execute(_LATE_ACTIVITY, tenant, zone)
    days = [row["day"] for row in await tx.fetch(_REWRITTEN, tenant, zone, first_day_of_week)]
    return days, Uncertain(*await tx.fetchrow(_UNCERTAIN, tenant, zone))


async def unsure(tx: Connection, tenant: str, since: datetime) -> dict[str, datetime]:
    """Return of whom days came late or who was entered ``since``, and when they were entered."""
    sql = """select user_id, created_at from person where tenant = $1 and (created_at > $2
             or user_id in (select user_id from late_day)) order by 1"""
    return {row["user_id"]: row["created_at"] for row in await tx.fetch(sql, tenant, since)}


async def stand_before(tx: Connection) -> None:
    """Put views before the tables: from then on, whoever reads in ``tx`` sees what is known at the instant set last."""
    await tx.execute(_VIEWS)
    await tx.execute("discard plans")  # else a statement that was prepared before may go on reading the tables


async def know(tx: Connection, tenant: str, before: datetime, at: datetime) -> None:
    """Let what is read be known at ``at``; ``before``: at which instant it was known until now."""
    await tx.execute("select set_config('uptake.known', $1, true)", at.isoformat())
    await tx.execute("delete from known_day")
    await tx.execute(_KNOW_DAYS, at)
    await tx.execute(_KNOW_CELLS, tenant, before, at)


async def days_of(tx: Connection, tenant: str, users: Sequence[str]) -> list[list[PersonDay]]:
    """Return the days of ``users`` as they are known."""
    return [days for days, _ in await fact_store.days_of(tx, [(tenant, user) for user in users])]


async def take_away(tx: Connection, rows: Iterable[tuple[Row, list[int]]]) -> None:
    """Let the windows differ by ``rows`` from what they are now."""
    await tx.execute("truncate unknown_delta")
    records = [(*row[:4], as_date(row.day), -1, *values[:REVISION], 0) for row, values in rows]
    await tx.copy_records_to_table("unknown_delta", records=records, columns=_ADD)
