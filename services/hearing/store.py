"""The directory of a day: who stands behind the roles of an audience, how they are reached, and when they work."""

from collections.abc import Collection, Iterable
from datetime import date, datetime, timedelta, tzinfo
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from services.hearing.shape import Contact, Place
from services.hearing.teams import Member
from services.metrics.shape import Interval
from services.postgres import Connection

_TENANT: Final = """
select id, name, time_zone, work_days, holidays, first_day_of_week, individual_visibility, min_group, clock,
       (select max(newest) from tally where tenant = $1) as newest
from tenant where id = $1
"""
_NOW: Final = "m.valid_from <= $3 and (m.valid_to is null or m.valid_to > $3)"
_LINES: Final = f"""
with recursive up (user_id, manager, team, function) as (
  select m.user_id, coalesce(a.user_id, m.manager), m.team, m.function
  from membership m left join alias a on a.tenant = m.tenant and a.identity = m.manager
  where m.tenant = $1 and m.user_id = any($2) and {_NOW}
  union
  select m.user_id, coalesce(a.user_id, m.manager), m.team, m.function
  from up join membership m on m.user_id = up.manager
  left join alias a on a.tenant = m.tenant and a.identity = m.manager
  where m.tenant = $1 and {_NOW}
) select * from up
"""
_MEMBERS: Final = f"""
select m.team, m.user_id, coalesce(a.user_id, m.manager) as manager, m.function, m.champion
from membership m left join alias a on a.tenant = m.tenant and a.identity = m.manager
where m.tenant = $1 and m.team = any($2) and m.kind = 'human' and {_NOW} order by m.team, m.user_id
"""
_CHAMPIONS: Final = f"""
select m.function, m.user_id from membership m
where m.tenant = $1 and m.function = any($2) and m.champion and {_NOW} order by m.user_id
"""
_PROFILES: Final = f"""
select p.user_id, p.name, nullif(trim(p.email), '') as email, p.time_zone, p.calendar, m.work_days,
  coalesce(p.active_from <= $3, true) and coalesce(p.active_to >= $3, true) as here,
  array(select array[a.first, a.last] from absence a
        where a.tenant = p.tenant and a.user_id = p.user_id and a.last >= $3) as away
from person p left join membership m on m.tenant = p.tenant and m.user_id = p.user_id and {_NOW}
where p.tenant = $1 and p.user_id = any($2)
"""
_ZONES: Final = "select distinct time_zone from person where tenant = $1 and time_zone is not null"
_TEAMS_BELOW: Final = f"""
with recursive line (head, user_id) as (
  select h, h from unnest($2::text[]) h
  union
  select line.head, m.user_id from membership m join line on m.manager = line.user_id where m.tenant = $1 and {_NOW}
) select distinct line.head, m.team from membership m join line using (user_id)
where m.tenant = $1 and m.team is not null and {_NOW}
"""


class House(NamedTuple):
    """What a tenant has set. ``newest``: the instant that its event clock shows."""

    id: str
    name: str
    time_zone: str
    work_days: Collection[int]
    holidays: Collection[date]
    first_day_of_week: int
    individual_visibility: str
    min_group: int
    clock: str = "wall"
    newest: datetime | None = None

    def today(self, now: datetime) -> date:
        """Return the tenant's day."""
        moment = self.newest if self.clock == "event" and self.newest is not None else now
        return moment.astimezone(ZoneInfo(self.time_zone)).date()


class Profile(NamedTuple):
    """How a person is reached, and when. ``email`` None: not at all today."""

    user_id: str
    name: str | None
    email: str | None
    zone: tzinfo | None
    calendar: str | None
    work_days: Collection[int] | None
    away: tuple[Interval, ...]


async def house(tx: Connection, tenant: str) -> House:
    """Return what ``tenant`` has set."""
    return House(**dict(await tx.fetchrow(_TENANT, tenant)))


async def lines(tx: Connection, tenant: str, people: Iterable[str], day: date) -> dict[str, Place]:
    """Return where ``people`` stand on ``day``, and everybody above them."""
    rows = await tx.fetch(_LINES, tenant, sorted(set(people)), day)
    return {row["user_id"]: Place(row["manager"], row["team"], row["function"]) for row in rows}


async def members(tx: Connection, tenant: str, teams: Iterable[str], day: date) -> list[Member]:
    """Return who is in ``teams`` on ``day``."""
    return [Member(**dict(row)) for row in await tx.fetch(_MEMBERS, tenant, sorted(set(teams)), day)]


async def champions(tx: Connection, tenant: str, functions: Iterable[str], day: date) -> dict[str, list[str]]:
    """Return the champions of ``functions``."""
    found: dict[str, list[str]] = {}
    for row in await tx.fetch(_CHAMPIONS, tenant, sorted(set(functions)), day):
        found.setdefault(row["function"], []).append(row["user_id"])
    return found


async def contacts(tx: Connection, tenant: str) -> dict[str, list[Contact]]:
    """Return who stands behind the roles that no directory tells."""
    found: dict[str, list[Contact]] = {}
    for row in await tx.fetch(
        "select role, kind, address from contact where tenant = $1 order by role, address", tenant
    ):
        found.setdefault(row["role"], []).append(Contact(row["kind"], row["address"]))
    return found


async def sponsors(tx: Connection, tenant: str) -> dict[str, str]:
    """Return the sponsors of waves."""
    rows = await tx.fetch("select id, sponsor from wave where tenant = $1 and sponsor is not null", tenant)
    return {row["id"]: row["sponsor"] for row in rows}


async def profiles(tx: Connection, tenant: str, people: Iterable[str], day: date) -> dict[str, Profile]:
    """Return how ``people`` are reached; whoever is not here on ``day``, or on leave, has no address."""
    rows = await tx.fetch(_PROFILES, tenant, sorted(set(people)), day)
    return {
        row["user_id"]: Profile(
            row["user_id"],
            row["name"],
            row["email"] if row["here"] and not any(first <= day <= last for first, last in row["away"]) else None,
            None if row["time_zone"] is None else ZoneInfo(row["time_zone"]),
            row["calendar"],
            row["work_days"],
            tuple(Interval(first, last + timedelta(days=1)) for first, last in row["away"]),
        )
        for row in rows
    }


async def zones(tx: Connection, tenant: str) -> list[str]:
    """Return the time zones that people of the tenant have for themselves."""
    return [row[0] for row in await tx.fetch(_ZONES, tenant)]


async def teams_below(tx: Connection, tenant: str, people: Iterable[str], day: date) -> dict[str, set[str]]:
    """Return for each of ``people`` their teams and those of everybody below."""
    found: dict[str, set[str]] = {}
    for row in await tx.fetch(_TEAMS_BELOW, tenant, sorted(set(people)), day):
        found.setdefault(row["head"], set()).add(row["team"])
    return found
