"""What is derived, computed anew in temporary tables beside what stands, compared, and put in its place.

Everything happens in one transaction of whoever rebuilds; the tables go with it.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple

from services.aggregator.domain.facts import as_date
from services.aggregator.domain.windows import LENGTHS, REACH, REVISION, PersonDay, Row
from services.aggregator.store import facts as fact_store
from services.aggregator.store.windows import Person
from services.postgres import Connection


class Since(NamedTuple):
    """The local days after which activity, and from which on the days of people and differences are all there."""

    activity: date
    people: date
    differences: date


class Compared(NamedTuple):
    """How many rows there are to be, and how many do not stand as they are to be."""

    rows: int
    differing: int


def _of(alias: str, names: str) -> str:
    """Return the columns of one table, as a row."""
    return f"({', '.join(f'{alias}.{name}' for name in names.split(', '))})"


_COUNTED: Final = (
    "events, logins, actions, qualifying, first_at, last_at, first_login_at, last_login_at, first_qualifying_at"
)
_FIELDS: Final = "licensed, active, logged_in, actions, active_user_days"
_PLACE: Final = "dimension, key, days, day, shard"

_SINCE: Final = f"""
select coalesce(t.activity_from, $2), coalesce(p.day, $2), greatest(p.day + {LENGTHS[-1]}, a.day - {REACH}, $2)
from tenant t left join kept_since p on p.tenant = t.id and p.what = 'people'
left join kept_since a on a.tenant = t.id and a.what = 'aggregates' where t.id = $1
"""
_TABLES: Final = """
create temp table local_day (quarter bigint, low timestamptz, high timestamptz, day date) on commit drop;
create temp table told (like person_day) on commit drop;
create temp table anew_identity_day (like person_day) on commit drop;
create temp table anew_person_day (like person_day) on commit drop;
create temp table anew_delta (like window_delta) on commit drop;
"""
_IDENTITIES: Final = """
select user_id as name from person where tenant = $1 union select user_id from roster where tenant = $1
union select identity from person_link where tenant = $1 union select identity from alias where tenant = $1
union select identity from sighting where tenant = $1 union select user_id from person_day where tenant = $1
union select user_id from identity_day where tenant = $1 order by 1
"""
_QUARTERS: Final = (
    "select distinct floor(date_part('epoch', at) / 900)::bigint as quarter from activity where tenant = $1"
)

LOGIN: Final = "kind = 'crm.session.login'"
QUALIFYING: Final = """starts_with(kind, 'crm.') and kind <> 'crm.session.login_failed'
  and origin in ('ui', 'mobile', 'unknown') and environment is null"""
_TOLD: Final = f"""
insert into told (tenant, user_id, day, {_COUNTED})
select a.tenant, a.user_id, d.day, count(*), count(*) filter (where {LOGIN}),
  count(*) filter (where not starts_with(kind, 'crm.session.')), count(*) filter (where {QUALIFYING}),
  min(at), max(at), min(at) filter (where {LOGIN}), max(at) filter (where {LOGIN}),
  min(at) filter (where {QUALIFYING})
from activity a join local_day d on d.quarter = floor(date_part('epoch', at) / 900)::bigint and at >= low and at < high
where a.tenant = $1 and d.day > $2 and d.day >= $3
group by 1, 2, 3
"""
_LINKED: Final = "select from person_link l where l.tenant = $1 and l.user_id is not null and l.identity ="
_KEPT: Final = f"""
insert into told (tenant, user_id, day, {_COUNTED})
select tenant, user_id, day, {_COUNTED} from identity_day i
where tenant = $1 and day <= $2 and exists ({_LINKED} i.user_id)
union all
select tenant, user_id, day, {_COUNTED} from person_day p
where tenant = $1 and day <= $2 and not exists ({_LINKED} p.user_id)
"""
_DIVIDE: Final = f"""
insert into anew_identity_day (tenant, user_id, day, {_COUNTED})
select tenant, user_id, day, {_COUNTED} from told t where exists ({_LINKED} t.user_id)
"""
_UNITE: Final = f"""
insert into anew_person_day (tenant, user_id, day, {_COUNTED})
select tenant, user_id, day, {_COUNTED} from told t where not exists ({_LINKED} t.user_id)
union all
select i.tenant, l.user_id, i.day, sum(events), sum(logins), sum(actions), sum(qualifying), min(first_at), max(last_at),
  min(first_login_at), max(last_login_at), min(first_qualifying_at)
from anew_identity_day i join person_link l on l.tenant = $1 and l.identity = i.user_id
join person_link own on own.tenant = $1 and own.identity = l.user_id and own.user_id = l.user_id
group by 1, 2, 3
"""
_COMPARE_DAYS: Final = f"""
select count(a.day), count(*) filter (where {_of("s", _COUNTED)} is distinct from {_of("a", _COUNTED)})
from (select * from {{table}} where tenant = $1) s full join anew_{{table}} a using (user_id, day)
"""
_DROP_DAYS: Final = f"""
delete from {{table}} s where tenant = $1 and not exists (select from anew_{{table}} a
  where a.user_id = s.user_id and a.day = s.day and {_of("s", _COUNTED)} is not distinct from {_of("a", _COUNTED)})
"""
_ADD_DAYS: Final = f"""
insert into {{table}} (tenant, user_id, day, {_COUNTED})
select tenant, user_id, day, {_COUNTED} from anew_{{table}} order by 1, 2, 3 on conflict do nothing
"""


def _amounts(alias: str) -> str:
    """Return the amounts of a window's difference, as a row: where there is none they are nothing."""
    return f"({', '.join(f'coalesce({alias}.{name}, 0)' for name in _FIELDS.split(', '))})"


_COMPARE_WINDOWS: Final = f"""
select count(a.day), count(*) filter (where {_amounts("s")} <> {_amounts("a")})
from (select * from window_delta where tenant = $1 and day >= $2) s
full join (select * from anew_delta where day >= $2) a using ({_PLACE})
"""
_CORRECT_WINDOWS: Final = f"""
update window_delta w set ({_FIELDS}) = {_amounts("a")}
from window_delta s left join anew_delta a using ({_PLACE})
where s.tenant = $1 and s.day >= $2 and {_amounts("s")} <> {_amounts("a")}
  and w.tenant = s.tenant and {_of("w", _PLACE)} = {_of("s", _PLACE)}
"""
_ADD_WINDOWS: Final = f"""
insert into window_delta (tenant, {_PLACE}, {_FIELDS})
select tenant, {_PLACE}, {_FIELDS} from anew_delta where day >= $1 order by {_PLACE} on conflict do nothing
"""


async def tell_evaluator(tx: Connection, tenant: str) -> None:
    """Have the tenant's waves and alerts judged anew."""
    sql = """insert into tally as t (tenant, shard, version) values ($1, -1, 1)
        on conflict (tenant, shard) do update set version = t.version + 1"""
    await tx.execute(sql, tenant)
    await tx.execute("insert into to_judge (tenant, kind, key) values ($1, 'all', '')", tenant)


async def prepare(tx: Connection) -> None:
    """Make the temporary tables."""
    await tx.execute(_TABLES)


async def identities(tx: Connection, tenant: str) -> list[Person]:
    """Return everybody of whom there is anything in ``tenant``."""
    return [(tenant, row["name"]) for row in await tx.fetch(_IDENTITIES, tenant) if row["name"]]


async def quarters(tx: Connection, tenant: str) -> list[int]:
    """Return the quarters of an hour, since 1970, in which there is activity."""
    return [row["quarter"] for row in await tx.fetch(_QUARTERS, tenant)]


async def since(tx: Connection, tenant: str) -> Since:
    """Return since when what is kept of ``tenant`` is all there."""
    return Since(*await tx.fetchrow(_SINCE, tenant, date.min))


async def tell(tx: Connection, tenant: str, since: Since, days: Iterable[tuple[int, datetime, datetime, date]]) -> None:
    """Compute what each identity did, by the local ``days`` of quarters; where activity is missing, what stands.

    Before anybody is linked otherwise: whose days stand where follows from that.
    """
    await tx.copy_records_to_table("local_day", records=days, columns=("quarter", "low", "high", "day"))
    await tx.execute(_TOLD, tenant, since.activity, since.people)
    await tx.execute(_KEPT, tenant, since.activity)


async def replace_days(tx: Connection, tenant: str) -> dict[str, Compared]:
    """Put what was told in the place of the days of identities and of people."""
    await tx.execute(_DIVIDE, tenant)
    await tx.execute(_UNITE, tenant)
    found = {}
    for table in ("identity_day", "person_day"):
        found[table] = Compared(*await tx.fetchrow(_COMPARE_DAYS.format(table=table), tenant))
        if found[table].differing:
            await tx.execute(_DROP_DAYS.format(table=table), tenant)
            await tx.execute(_ADD_DAYS.format(table=table))
    return found


async def days_of(tx: Connection, people: Sequence[Person]) -> list[list[PersonDay]]:
    """Return all days (ascending) of each of ``people``."""
    return [days for days, _ in await fact_store.days_of(tx, people)]


async def compute_windows(tx: Connection, shard: int, rows: Iterable[tuple[Row, list[int]]]) -> None:
    """Note the differences that the people of ``shard`` are to make."""
    records: Iterable[tuple[Any, ...]] = (
        (*row[:4], as_date(row.day), shard, *values[:REVISION], 0) for row, values in rows
    )
    columns = ("tenant", "dimension", "key", "days", "day", "shard", *_FIELDS.split(", "), "revision")
    await tx.copy_records_to_table("anew_delta", records=records, columns=columns)


async def replace_windows(tx: Connection, tenant: str, since: Since) -> Compared:
    """Put what was computed in the place of the windows' differences; how often a cell was restated stays.

    What rests on days of people that are gone stays as well: a difference rests on those that a window holds before it.
    """
    found = Compared(*await tx.fetchrow(_COMPARE_WINDOWS, tenant, since.differences))
    if found.differing:
        await tx.execute(_CORRECT_WINDOWS, tenant, since.differences)
        await tx.execute(_ADD_WINDOWS, since.differences)
    return found
