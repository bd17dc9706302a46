"""Reviews of records: the meetings that were held, and which records rest on a person, as an owner or as a manager."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Final, NamedTuple

from services.aggregator.domain.measures import Span
from services.postgres import Connection


class Held(NamedTuple):
    """A meeting: when it began, and the identity that held it."""

    at: datetime
    user: str


_HELD: Final = """
select distinct at, user_id from activity where tenant = $1 and kind = 'meeting.held' and at >= $2 and at < $3
  and user_id <> '' and environment is null and behalf is null order by 1, 2
"""


async def held(tx: Connection, tenant: str, first: date, end: date) -> list[Held]:
    """Return the meetings of the UTC days from ``first`` until before ``end``."""
    low, high = (datetime.combine(day, time.min, UTC) for day in (first, end))
    return [Held(*row) for row in await tx.fetch(_HELD, tenant, low, high)]


# Whoever manages somebody may look at their records, and who manages that one, while the manager is away.
_OF_PEOPLE: Final = """
insert into dirty (tenant, kind, subject, low, high, queued_at)
with recursive line as (
  select unnest($3::text[]) as user_id, 0 as level
  union select m.user_id, level + 1 from line join membership m on m.tenant = $1 and m.manager = line.user_id
  where level < 2),
names as (
  select user_id as name, level from line
  union select l.identity, level from line join person_link l on l.tenant = $1 and l.user_id = line.user_id),
found as (
  select c.subject from contribution c
  where c.tenant = $1 and c.kind = 'record' and c.owner in (select name from names)
  union select a.object || E'\\t' || a.record from activity a
  where a.tenant = $1 and a.at >= $6::timestamptz and a.user_id in (select name from names where level = 0)
    and a.record is not null and a.object is not null and a.kind like 'crm.record.%'
  union select c.object || E'\\t' || c.record from record_change c
  where c.tenant = $1 and c.at >= $6::timestamptz and c.owner = c.user_id and c.owner in (select name from names)
    and c.record = any(array(select distinct a.record from activity a
      where a.tenant = $1 and a.at >= $6::timestamptz and a.user_id in (select name from names where level > 0)
        and a.record is not null and a.kind like 'crm.record.%'))
  union select c.object || E'\\t' || c.record from record_change c
  where c.tenant = $1 and c.at >= $6::timestamptz and c.owner = any(array(select name from names))
    and c.owner <> coalesce(c.user_id, ''))
select $1, 'record', subject, $4, $5, $2 from found
"""


async def queue_of_people(
    tx: Connection, tenant: str, since: datetime, users: Sequence[str], span: Span, low: date
) -> None:
    """Queue the records of ``users`` and of whom they manage, and those that they had to do with from ``low`` on."""
    if users:
        first = datetime.combine(low, time.min, UTC)
        await tx.execute(_OF_PEOPLE, tenant, since, list(users), *span, first)


# A record may change hands within the week: those are found by who had it in hand before, and who had to do with it.
_OF_MEETINGS: Final = """
insert into dirty (tenant, kind, subject, low, high, queued_at)
with teams as (
  select distinct team from membership where tenant = $1 and user_id = any($3::text[]) and team is not null
    and valid_from < $4::date + 8 and (valid_to is null or valid_to > $4::date - 1)
  union select unnest($9::text[])),
crew as (
  select user_id from membership where tenant = $1 and (manager = any($3) or team in (select team from teams))
    and valid_from < $4::date + 8 and (valid_to is null or valid_to > $4::date - 1)
  union select m.user_id from membership b join membership m on m.tenant = $1 and m.manager = b.user_id
  where b.tenant = $1 and b.manager = any($3)),
names as (
  select user_id as name from crew
  union select l.identity from crew join person_link l on l.tenant = $1 and l.user_id = crew.user_id),
found as (
  select c.subject from contribution c
  where c.tenant = $1 and c.kind = 'record' and c.week in ($4, $4::date - 7) and c.owner in (select name from names)
  union select a.object || E'\\t' || a.record from activity a
  where a.tenant = $1 and a.at >= $7::timestamptz and a.at < $8::timestamptz and a.record is not null
    and a.object is not null and a.user_id in (select name from names)
  union select c.object || E'\\t' || c.record from record_change c
  where c.tenant = $1 and c.at >= $7::timestamptz and c.at < $8::timestamptz
    and c.owner = any(array(select name from names)) and c.owner <> coalesce(c.user_id, ''))
select $1, 'record', subject, $5, $6, $2 from found
"""


async def queue_of_meetings(
    tx: Connection,
    tenant: str,
    since: datetime,
    holders: Sequence[str],
    week: date,
    span: Span,
    teams: Sequence[str] = (),
) -> None:
    """Queue the records that meetings of ``holders`` in ``week`` may be about, as changed in ``span``.

    ``teams``: further ones, which the meetings were about so far.
    """
    first, last = (datetime.combine(date.fromordinal(week.toordinal() + n), time.min, UTC) for n in (-1, 8))
    await tx.execute(_OF_MEETINGS, tenant, since, list(holders), week, *span, first, last, list(teams))
