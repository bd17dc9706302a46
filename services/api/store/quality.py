"""How complete a directory is: counted over the people whom it has at present."""

import contextlib
from collections.abc import AsyncIterator
from datetime import date, datetime
from typing import Final

from schemas.events import HUMAN_ORIGINS
from services.api.managers import NEVER, Line
from services.postgres import Connection, Row

TIRELESS_HOURS: Final = 16
"""Nobody is active in so many hours of a day."""
# Who has left is no gap: neither somebody whose last day is over, nor somebody whose licence is.
_FIGURES: Final = """
with spells as (
    select distinct on (m.user_id) m.user_id, m.team, m.role, m.manager, m.kind from membership m
    where m.tenant = $1 and (m.valid_to is null or m.valid_to > $2) order by m.user_id, m.valid_from
), licences as (
    select distinct on (l.user_id) l.user_id, l.licensed_to from licence l
    where l.tenant = $1 order by l.user_id desc, l.licensed_from desc
), held as (
    select p.user_id, p.email, p.calendar, m.team, m.role, m.manager, l.user_id is not null as licensed
    from person p join spells m on m.user_id = p.user_id left join licences l on l.user_id = p.user_id
    where p.tenant = $1 and m.kind = 'human' and (p.active_to is null or p.active_to >= $2)
      and (l.user_id is null or l.licensed_to is null or l.licensed_to >= $2)
      and not exists (select from alias a where a.tenant = $1 and a.identity = p.user_id and a.user_id <> p.user_id)
), bosses as (select distinct manager from held where manager is not null),
known as (select b.manager from bosses b join person p on p.tenant = $1 and p.user_id = b.manager)
select count(*) as people, count(*) filter (where h.manager is not null or b.manager is not null) as manager,
    count(h.team) as team, count(h.role) as role,
    count(*) filter (where h.calendar is not null or $3) as calendar,
    count(*) filter (where h.licensed) as licence,
    count(h.email) as email, count(h.manager) as managed, count(k.manager) as known_manager
from held h left join bosses b on b.manager = h.user_id left join known k on k.manager = h.manager
"""
_STRANGERS: Final = """
select count(*) from (select distinct user_id from person_day where tenant = $1 and user_id <> '') d
where not exists (select from person p where p.tenant = $1 and p.user_id = d.user_id)
  and not exists (select from person_link l where l.tenant = $1 and l.identity = d.user_id and l.user_id is not null)
"""


@contextlib.asynccontextmanager
async def _hashing(connection: Connection) -> AsyncIterator[None]:
    """Join sets by hashing, whatever is expected of them: after an import the statistics do not know the tenant."""
    await connection.execute("set local enable_nestloop = off; set local enable_sort = off")
    yield
    await connection.execute("set local enable_nestloop = on; set local enable_sort = on")


async def figures(connection: Connection, tenant: str, today: date, *, calendar: bool) -> dict[str, int]:
    """Return how many people there are, and of how many what is known; ``calendar``: the tenant has one for all.

    Each table is read once, in the order of its key.
    """
    async with _hashing(connection):
        return dict(await connection.fetchrow(_FIGURES, tenant, today, calendar))


async def version(connection: Connection, tenant: str) -> int:
    """Return how often the API wrote something of the tenant."""
    found = await connection.fetchval("select version from tally where tenant = $1 and shard = -1", tenant)
    return int(found or 0)


async def approved_at(connection: Connection, tenant: str) -> datetime | None:
    """Return when the directory was approved as it is."""
    instant: datetime | None = await connection.fetchval("select quality_approved_at from tenant where id = $1", tenant)
    return instant


async def approve(connection: Connection, tenant: str, now: datetime) -> None:
    """Write down that the directory was approved as it is; the first time stands."""
    await connection.execute(
        "update tenant set quality_approved_at = coalesce(quality_approved_at, $2) where id = $1", tenant, now
    )


async def loose_ends(connection: Connection, tenant: str) -> Row:
    """Return the events of actors whom nobody knows, the identities that may be several people, and shared e-mails."""
    return await connection.fetchrow(
        """select (select coalesce(sum(unmapped), 0)::bigint from tally where tenant = $1) as events,
               (select count(*) from person_link where tenant = $1 and how = 'ambiguous') as ambiguous,
               (select count(*) from (select from person where tenant = $1 and email <> ''
                    group by lower(email) having count(*) > 1) shared) as shared_emails""",
        tenant,
    )


async def strangers(connection: Connection, tenant: str) -> int:
    """Return how many actors are nobody of the directory."""
    return int(await connection.fetchval(_STRANGERS, tenant))


async def lines(connection: Connection, tenant: str, today: date) -> dict[str, list[Line]]:
    """Return who reports to whom on ``today``, of those whom somebody reports to: only they can be in a loop."""
    async with _hashing(connection):
        rows = await connection.fetch(
            """with held as materialized (
                   select user_id, manager from membership where tenant = $1 and manager is not null
                   and valid_from <= $2 and (valid_to is null or valid_to > $2)
               ), bosses as (select distinct manager as boss from held)
               select user_id, manager from held join bosses on boss = user_id""",
            tenant,
            today,
        )
    return {row["user_id"]: [Line(today, NEVER, row["manager"])] for row in rows}


# A day without so many events between so distant instants has not so many hours: few are looked at one by one.
_TIRELESS: Final = """
with busy as (
    select p.user_id, d.day, coalesce(p.time_zone, $3) as zone
    from person p join person_day d on d.tenant = $1 and d.user_id = p.user_id and d.day > $2::date - 28 and d.day <= $2
    where p.tenant = $1 and d.events >= $4 and d.last_at - d.first_at > ($4 - 2) * interval '1 hour'
      and exists (select from membership m where m.tenant = $1 and m.user_id = p.user_id and m.kind = 'human'
                  and m.valid_from <= d.day and (m.valid_to is null or m.valid_to > d.day))
    order by d.day desc, p.user_id limit 1000
), names as (
    select b.*, b.user_id as identity from busy b
    union all select b.*, l.identity from busy b
    join person_link l on l.tenant = $1 and l.user_id = b.user_id and l.identity <> l.user_id
)
select n.user_id as "user", n.day, count(distinct date_trunc('hour', a.at, n.zone))::int as hours
from names n join activity a on a.tenant = $1 and a.user_id = n.identity and a.origin = any($5)
    and a.environment is null and a.behalf is null
    and a.at >= ($2::date - 28)::timestamp at time zone n.zone and a.at >= n.day::timestamp at time zone n.zone
    and a.at < (n.day + 1)::timestamp at time zone n.zone
group by 1, 2 having count(distinct date_trunc('hour', a.at, n.zone)) >= $4
order by n.day desc, 1 limit 100
"""


async def tireless(connection: Connection, tenant: str, today: date, zone: str) -> list[Row]:
    """Return on which of the last days human people were active in so many hours that software did it rather."""
    rows: list[Row] = await connection.fetch(_TIRELESS, tenant, today, zone, TIRELESS_HOURS, sorted(HUMAN_ORIGINS))
    return rows
