"""What was measured, by tenant: how far, over which weeks, and the careers of people.

Whoever writes what is measured holds the row of ``measured``. So contributions and numbers have one writer at a
time, and what a difference is added to is what the last one left.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, Final, NamedTuple

from services.aggregator.domain.findings import Subject
from services.aggregator.domain.scope import ALL
from services.aggregator.store import judging
from services.postgres import Connection


class Measured(NamedTuple):
    """How far a tenant is measured. ``cut``: what was queued until then is being measured; None: nothing is.

    ``week``, ``until``: the newest week, and when it ends where the tenant is.
    """

    since: date | None
    week: date | None
    until: datetime | None
    as_of: datetime | None
    cut: datetime | None
    known_at: datetime | None


class Case(NamedTuple):
    """A tenant as a pass finds it."""

    settings: Mapping[str, Any]
    newest: datetime | None
    waves: bool


# Weeks are over, judged and final at full quarters of an hour, wherever anybody is.
_DUE: Final = """
select t.id from tenant t left join measured m on m.tenant = t.id
where exists (select from dirty d where d.tenant = t.id and d.queued_at < 'infinity') or m.cut is not null
  or (m.tenant is not null and coalesce(m.until, timestamptz '-infinity') <=
    case when t.clock = 'wall' then $1::timestamptz else (select max(newest) from tally where tenant = t.id) end)
  or (t.clock = 'event' and m.as_of < (
    select date_bin('15 minutes', max(newest), timestamptz 'epoch') from tally where tenant = t.id))
order by m.measured_at nulls first, t.id
"""


async def due(connection: Connection, now: datetime) -> list[str]:
    """Return the tenants of whom something waits, and those whose newest week is over; who waits longest first.

    On the event clock also those whose time went on by itself: the rules ask how far it had come when all was measured.
    """
    return [row["id"] for row in await connection.fetch(_DUE, now)]


_CASE: Final = """
select t.*, v.newest as newest, exists (select from wave where tenant = $1) as waves,
  (select day from kept_since where tenant = $1 and what = 'people') as people_from
from (select max(newest) as newest from tally where tenant = $1) v join tenant t on t.id = $1
"""


async def case(tx: Connection, tenant: str) -> Case | None:
    """Return a tenant's settings and time; None: there is no such tenant."""
    row = await tx.fetchrow(_CASE, tenant)
    return None if row is None else Case(row, row["newest"], row["waves"])


async def lock(tx: Connection, tenant: str) -> Measured:
    """Return how far the tenant is measured; nobody else measures it until ``tx`` ends."""
    await tx.execute("set local idle_in_transaction_session_timeout = '60s'")
    sql = "select since, week, until, as_of, cut, known_at from measured where tenant = $1 for update"
    row = await tx.fetchrow(sql, tenant)
    if row is None:
        await tx.execute("insert into measured (tenant) values ($1) on conflict do nothing", tenant)
        row = await tx.fetchrow(sql, tenant)
    return Measured(*row)


_BEGIN: Final = """
update measured set since = $2, week = $3, until = $4, cut = clock_timestamp(),
  known_at = greatest($5, known_at + interval '1 microsecond')
where tenant = $1 returning since, week, until, as_of, cut, known_at
"""


async def begin(tx: Connection, tenant: str, calendar: Measured, known_at: datetime) -> Measured:
    """Write down that a pass begins, over the weeks of ``calendar``. What it finds was not known before."""
    row = await tx.fetchrow(_BEGIN, tenant, calendar.since, calendar.week, calendar.until, known_at)
    return Measured(*row)


_FINISH: Final = """
update measured set through = case when $2 then cut else through end, cut = null, measured_at = clock_timestamp()
where tenant = $1
"""
_WEEKS: Final = """
insert into measured_week (tenant, week, known_at)
select tenant, week, known_at from (
  select tenant, generate_series(since, week, interval '7 days')::date as week, known_at from measured where tenant = $1
) w on conflict do nothing returning week
"""


async def _note_weeks(tx: Connection, tenant: str) -> None:
    """Write down that everybody is counted in all weeks there are; where one is new, the rules judge everything."""
    if await tx.fetch(_WEEKS, tenant):
        await judging.queue(tx, tenant, {Subject(ALL, "")})


async def finish(tx: Connection, tenant: str, *, complete: bool) -> None:
    """Write down that a pass is over; ``complete``: and everybody counted in who was queued until the cut."""
    if complete:
        await _note_weeks(tx, tenant)
    await tx.execute(_FINISH, tenant, complete)


async def reached(tx: Connection, tenant: str, as_of: datetime | None) -> None:
    """Write down that every person was measured who was queued until the cut, and counted in; ``as_of``: its now."""
    await _note_weeks(tx, tenant)
    await tx.execute("update measured set through = cut, as_of = $2 where tenant = $1", tenant, as_of)


async def weeks_known(tx: Connection, tenant: str, known_at: datetime) -> set[date]:
    """Return the weeks that everybody was counted in before ``known_at``."""
    sql = "select week from measured_week where tenant = $1 and known_at < $2"
    return {row["week"] for row in await tx.fetch(sql, tenant, known_at)}


async def zones(tx: Connection, tenant: str) -> list[str]:
    """Return the time zones of people that have one of their own."""
    sql = "select distinct time_zone from person where tenant = $1 and time_zone is not null"
    return [row["time_zone"] for row in await tx.fetch(sql, tenant)]


async def earliest(tx: Connection, tenant: str, before: date | None) -> datetime | None:
    """Return the time of the first event; ``before``: None unless it lies before that day."""
    sql = "select min(at) from activity where tenant = $1 and ($2::timestamptz is null or at < $2)"
    instant: datetime | None = await tx.fetchval(sql, tenant, None if before is None else _midnight(before))
    return instant


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


class Career(NamedTuple):
    """Day zero of a person, and the first day of activity from then on."""

    day_zero: date | None
    first_on: date | None


async def careers(tx: Connection, tenant: str, users: Sequence[str]) -> dict[str, Career]:
    """Return what is known of ``users``; who is missing was never measured."""
    sql = "select user_id, day_zero, first_on from career where tenant = $1 and user_id = any($2)"
    return {
        row["user_id"]: Career(row["day_zero"], row["first_on"]) for row in await tx.fetch(sql, tenant, list(users))
    }


_CAREER: Final = """
insert into career (tenant, user_id, day_zero, first_on) select $1, * from unnest($2::text[], $3::date[], $4::date[])
on conflict (tenant, user_id) do update set day_zero = excluded.day_zero, first_on = excluded.first_on
"""


async def write_careers(tx: Connection, tenant: str, changed: Mapping[str, Career | None]) -> None:
    """Write careers; those that are None go."""
    if gone := [user for user, career in changed.items() if career is None]:
        await tx.execute("delete from career where tenant = $1 and user_id = any($2)", tenant, gone)
    if there := [(user, *career) for user, career in changed.items() if career is not None]:
        await tx.execute(_CAREER, tenant, *map(list, zip(*there, strict=True)))
