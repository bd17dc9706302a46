"""The days of people with several identities: each identity's kept apart, the person's made of them.

An identity's days are written by the owner of its shard, a person's by the owner of theirs, who makes them anew from
what the identities' owners have committed. What was counted of a person is what stands in ``person_day``.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

from services.aggregator.domain.facts import as_date
from services.aggregator.domain.windows import PersonDay
from services.aggregator.store.links import columns
from services.aggregator.store.windows import Person
from services.postgres import Connection

_COLUMNS: Final = (
    "tenant, user_id, day, events, logins, actions, qualifying,"
    " first_at, last_at, first_login_at, last_login_at, first_qualifying_at"
)
_PEOPLE: Final = "unnest($1::text::text[], $2::text::text[]) as q(t, u)"
_DAYS: Final = "unnest($1::text::text[], $2::text::text[], $3::date[]) as q(t, u, d)"

_COPY: Final = """
insert into {to} ({columns}) select {columns} from {source}
where (tenant, user_id) in (select t, u from {people})
"""
_CLEAR: Final = "delete from {table} d using {given} where d.tenant = t and d.user_id = u {day}"
_MAKE: Final = f"""
insert into person_day ({_COLUMNS})
select t, u, i.day, sum(i.events), sum(i.logins), sum(i.actions), sum(i.qualifying), min(i.first_at), max(i.last_at),
  min(i.first_login_at), max(i.last_login_at), min(i.first_qualifying_at)
from {{given}} join person_link l on l.tenant = t and l.user_id = u
join identity_day i on i.tenant = t and i.user_id = l.identity {{day}}
group by t, u, i.day
"""
_STRETCHES: Final = """
select q.n - 1 as n, p.day - date '1970-01-01' as day, p.actions, p.logins > 0 as logged_in
from unnest($1::text::text[], $2::text::text[], $3::date[], $4::date[]) with ordinality as q(t, u, low, high, n)
join person_day p on p.tenant = t and p.user_id = u and p.day between low and high order by 1, 2
"""
_EVENTS: Final = f"""
select t, u, coalesce((select sum(events) from identity_day where tenant = t and user_id = u), 0)::bigint from {_PEOPLE}
"""


async def part(tx: Connection, people: Sequence[Person]) -> None:
    """Keep the days of ``people`` apart, who were one identity each so far."""
    if people:
        sql = _COPY.format(to="identity_day", source="person_day", columns=_COLUMNS, people=_PEOPLE)
        await tx.execute(sql, *columns(people))


async def clear(tx: Connection, people: Sequence[Person]) -> None:
    """Forget what was counted of ``people``."""
    if people:
        await tx.execute(_CLEAR.format(table="person_day", given=_PEOPLE, day=""), *columns(people))


async def make(tx: Connection, people: Sequence[Person]) -> None:
    """Make the days of ``people`` from those of their identities."""
    if people:
        await tx.execute(_MAKE.format(given=_PEOPLE, day=""), *columns(people))


async def unite(tx: Connection, people: Sequence[Person]) -> None:
    """Count the days that were kept apart of ``people``, who are one identity each again."""
    if people:
        sql = _COPY.format(to="person_day", source="identity_day", columns=_COLUMNS, people=_PEOPLE)
        await tx.execute(sql, *columns(people))
        await tx.execute(_CLEAR.format(table="identity_day", given=_PEOPLE, day=""), *columns(people))


async def make_days(tx: Connection, days: Sequence[tuple[Person, date]]) -> None:
    """Make single days of people from those of their identities anew."""
    given = *columns(person for person, _ in days), [day for _, day in days]
    await tx.execute(_CLEAR.format(table="person_day", given=_DAYS, day="and d.day = q.d"), *given)
    await tx.execute(_MAKE.format(given=_DAYS, day="and i.day = d"), *given)


async def stretches(tx: Connection, spans: Sequence[tuple[Person, int, int]]) -> list[list[PersonDay]]:
    """Return what was done (ascending) by each person from a first to a last day."""
    found: list[list[PersonDay]] = [[] for _ in spans]
    people = columns(person for person, _, _ in spans)
    days = [as_date(low) for _, low, _ in spans], [as_date(high) for _, _, high in spans]
    for place, *day in await tx.fetch(_STRETCHES, *people, *days):
        found[place].append(PersonDay(*day))
    return found


async def events(tx: Connection, people: Sequence[Person]) -> dict[Person, int]:
    """Return how many events are kept apart of each of ``people``."""
    return {(tenant, user): count for tenant, user, count in await tx.fetch(_EVENTS, *columns(people))}
