"""How complete a directory is: counted over the people whom it has at present."""

from datetime import date, datetime
from typing import Final

from services.api.managers import NEVER, Line
from services.postgres import Connection, Row

# Who has left is no gap: neither somebody whose last day is over, nor somebody whose licence is.
_FIGURES: Final = """
with held as (
    select p.user_id, p.email, p.calendar, m.team, m.role, m.manager, l.user_id is not null as licensed
    from person p
    cross join lateral (
        select m.team, m.role, m.manager, m.kind from membership m
        where m.tenant = p.tenant and m.user_id >= p.user_id and m.user_id <= p.user_id
          and (m.valid_to is null or m.valid_to > $2)
        order by m.user_id, m.valid_from limit 1
    ) m
    left join lateral (
        select l.user_id, l.licensed_to from licence l where l.tenant = p.tenant and l.user_id = p.user_id
        order by l.licensed_from desc limit 1
    ) l on true
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


async def figures(connection: Connection, tenant: str, today: date, *, calendar: bool) -> dict[str, int]:
    """Return how many people there are, and of how many what is known; ``calendar``: the tenant has one for all.

    Right after an import the statistics do not know the tenant: sets are hashed, and single people go by their key.
    """
    await connection.execute("set local enable_nestloop = off; set local enable_sort = off")
    found = dict(await connection.fetchrow(_FIGURES, tenant, today, calendar))
    await connection.execute("set local enable_nestloop = on; set local enable_sort = on")
    return found


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
    """Return who reports to whom on ``today``."""
    rows = await connection.fetch(
        """select user_id, manager from membership where tenant = $1 and manager is not null
           and valid_from <= $2 and (valid_to is null or valid_to > $2)""",
        tenant,
        today,
    )
    return {row["user_id"]: [Line(today, NEVER, row["manager"])] for row in rows}
