"""Identities: what says who they are, how they are counted, and the queue of what is to be counted anew.

Whatever says who an identity is was committed before the change that it queued is taken, and whoever takes a change
looks again: of two writers that do not see each other, one is seen by what the other queued.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

from schemas.mails import MAIL_MARK
from schemas.topics import person_key, shard_of
from services.aggregator.domain.links import Evidence, Link, Seat
from services.aggregator.domain.windows import Term
from services.aggregator.store.arrays import texts
from services.aggregator.store.windows import Person
from services.postgres import Connection

_SEATS: Final = """
select q.tenant, q.user_id, r.terms, r.keys, l.user_id as counts_for, l.how, l.candidates
from unnest($1::text::text[], $2::text::text[]) as q(tenant, user_id)
left join roster r on r.tenant = q.tenant and r.user_id = q.user_id
left join person_link l on l.tenant = q.tenant and l.identity = q.user_id
where r.user_id is not null or l.identity is not null
"""

# Whoever is found counts for the person they were merged into.
_FOUND: Final = """array(
    select distinct coalesce(into_person.user_id, c.user_id) from {found}
    left join alias merged on merged.tenant = c.tenant and merged.identity = c.user_id
    left join person into_person on into_person.tenant = c.tenant and into_person.user_id = merged.user_id
    where a.identity is null and p.user_id is null and {matching}
    order by 1 limit 5)"""
_BY_EXTERNAL_ID: Final = _FOUND.format(found="person c", matching="c.tenant = q.tenant and c.external_id = q.identity")
_MAIL_OF_PERSON: Final = MAIL_MARK.format(tenant="c.tenant", mail="c.email")
_BY_MAIL: Final = _FOUND.format(
    found=f"sighting s join person c on c.tenant = s.tenant and {_MAIL_OF_PERSON} = s.mark",
    matching="s.tenant = q.tenant and s.identity = q.identity",
)
_EVIDENCE: Final = f"""
select q.tenant, q.identity, case when a.user_id = a.identity then a.identity else t.user_id end as decided,
  p.user_id is not null as listed, {_BY_EXTERNAL_ID} as by_external_id, {_BY_MAIL} as by_mail,
  (select count(*) from sighting s where s.tenant = q.tenant and s.identity = q.identity)::int as mails,
  p.external_id, {MAIL_MARK.format(tenant="p.tenant", mail="p.email")}::text as mail
from unnest($1::text::text[], $2::text::text[]) as q(tenant, identity)
left join alias a on a.tenant = q.tenant and a.identity = q.identity
left join person t on t.tenant = a.tenant and t.user_id = a.user_id
left join person p on p.tenant = q.tenant and p.user_id = q.identity
"""
_FOLLOWED: Final = """
select q.tenant, q.user_id from unnest($1::text::text[], $2::text::text[]) as q(tenant, user_id)
where exists (select from person_link l
  where l.tenant = q.tenant and l.user_id = q.user_id and l.identity <> q.user_id)
"""
_RECOGNISED: Final = """
with q as (
  select * from unnest($1::text::text[], $2::text::text[], $3::text[], $4::uuid[])
    as q(tenant, user_id, external_id, mark))
select s.tenant, s.identity from q join sighting s on s.tenant = q.tenant and s.mark = q.mark
union
select q.tenant, q.external_id from q where q.external_id <> '' and (
  exists (select from person_day d where d.tenant = q.tenant and d.user_id = q.external_id)
  or exists (select from identity_day d where d.tenant = q.tenant and d.user_id = q.external_id))
union
select a.tenant, a.identity from q join alias a on a.tenant = q.tenant and a.user_id = q.user_id
"""
_SIGHT: Final = f"""
insert into sighting (tenant, identity, mark)
select distinct t, i, {MAIL_MARK.format(tenant="t", mail="m")}
from unnest($1::text::text[], $2::text::text[], $3::text[]) as g(t, i, m)
where (select count(*) from sighting s where s.tenant = t and s.identity = i) <= $4
order by 1, 2, 3 on conflict do nothing returning tenant, identity
"""
_ENROL: Final = """
insert into roster (tenant, user_id, terms, keys)
select t, u, e, array[x, m, d]
from unnest($1::text::text[], $2::text::text[], $3::jsonb[], $4::text[], $5::text[], $6::text[]) as q(t, u, e, x, m, d)
on conflict (tenant, user_id) do update set terms = excluded.terms, keys = excluded.keys
"""
_LINK: Final = """
insert into person_link (tenant, identity, user_id, how, candidates)
select * from unnest($1::text::text[], $2::text::text[], $3::text[], $4::text[], $5::jsonb[])
on conflict (tenant, identity) do update set
  user_id = excluded.user_id, how = excluded.how, candidates = excluded.candidates
"""
_QUEUE: Final = """
insert into directory_change (tenant, user_id, shard, day, queued_at)
select t, u, s, d, coalesce($5, now())
from unnest($1::text::text[], $2::text::text[], $3::smallint[], $4::date[]) as q(t, u, s, d)
"""
_TAKE: Final = """
delete from directory_change where seq in (
  select seq from directory_change where shard = $1 order by seq limit $2)
returning tenant, user_id, day, queued_at
"""


class Change(NamedTuple):
    """A queued change: of what was done on ``day``, or of anything."""

    person: Person
    day: date | None
    queued_at: datetime


def columns(people: Iterable[Person]) -> tuple[str, str]:
    """Return the arrays of the tenants and users of ``people``."""
    pairs = list(people)
    return texts([tenant for tenant, _ in pairs]), texts([user for _, user in pairs])


async def seats(tx: Connection, people: Sequence[Person]) -> dict[Person, Seat]:
    """Return how ``people`` are counted; who is missing is unknown to the directory."""
    found = {}
    for tenant, user, terms, keys, counts_for, how, candidates in await tx.fetch(_SEATS, *columns(people)):
        found[tenant, user] = Seat(
            None if terms is None else tuple(Term(*term) for term in terms),
            None if how is None else Link(counts_for, how, tuple(candidates)),
            None if keys is None else tuple(keys),
        )
    return found


async def evidence(tx: Connection, people: Sequence[Person]) -> dict[Person, Evidence]:
    """Return what says who ``people`` are."""
    found = {}
    for tenant, user, decided, listed, by_external_id, by_mail, *rest in await tx.fetch(_EVIDENCE, *columns(people)):
        found[tenant, user] = Evidence(decided, listed, tuple(by_external_id), tuple(by_mail), *rest)
    return found


async def followed(tx: Connection, people: Sequence[Person]) -> set[Person]:
    """Return those of ``people`` that another identity counts for."""
    return {(row["tenant"], row["user_id"]) for row in await tx.fetch(_FOLLOWED, *columns(people))}


async def recognised(tx: Connection, keys: Iterable[tuple[Person, Sequence[str]]]) -> set[Person]:
    """Return the identities that may be recognised by ``keys`` of people: a pair for each that they have or had."""
    pairs = [(person, external_id, mail) for person, (external_id, mail, *_) in keys]
    if not pairs:
        return set()
    rows = await tx.fetch(
        _RECOGNISED,
        *columns(person for person, _, _ in pairs),
        [external_id for _, external_id, _ in pairs],
        [mail or None for _, _, mail in pairs],
    )
    return {(row["tenant"], row["identity"]) for row in rows}


async def sight(tx: Connection, seen: Sequence[tuple[str, str, str]], most: int) -> set[Person]:
    """Keep the marks of e-mails of (tenant, identity, e-mail); return the identities that showed a new one.

    Of an identity with more than ``most`` no further ones are kept.
    """
    rows = await tx.fetch(_SIGHT, *columns((t, i) for t, i, _ in seen), [mail for _, _, mail in seen], most)
    return {(row["tenant"], row["identity"]) for row in rows}


async def enrol(tx: Connection, people: Mapping[Person, Seat]) -> None:
    """Write how ``people`` are counted from now on."""
    gone = sorted(person for person, seat in people.items() if seat.terms is None)
    if gone:
        sql = (
            "delete from roster r using unnest($1::text::text[], $2::text::text[]) as q(t, u)"
            " where r.tenant = t and r.user_id = u"
        )
        await tx.execute(sql, *columns(gone))
    listed = sorted(person for person, seat in people.items() if seat.terms is not None)
    if listed:
        keys = list(zip(*(people[person].keys or ("", "", "") for person in listed), strict=True))
        await tx.execute(_ENROL, *columns(listed), [people[person].terms for person in listed], *map(list, keys))


async def link(tx: Connection, links: Mapping[Person, Link | None]) -> None:
    """Write whom identities count for from now on."""
    loose = sorted(person for person, found in links.items() if found is None)
    if loose:
        sql = (
            "delete from person_link l using unnest($1::text::text[], $2::text::text[]) as q(t, u)"
            " where l.tenant = t and l.identity = u"
        )
        await tx.execute(sql, *columns(loose))
    bound = sorted((person, found) for person, found in links.items() if found is not None)
    if bound:
        await tx.execute(
            _LINK,
            *columns(person for person, _ in bound),
            [found.user for _, found in bound],
            [found.how for _, found in bound],
            [found.candidates for _, found in bound],
        )


async def queue(
    tx: Connection, shards: int, changes: Iterable[tuple[Person, date | None]], since: datetime | None = None
) -> None:
    """Queue people, or a day of theirs, for the owners of their shards; ``since``: when their cause was queued."""
    rows = sorted(set(changes), key=lambda row: (row[0], row[1] or date.min))
    if rows:
        await tx.execute(
            _QUEUE,
            *columns(person for person, _ in rows),
            [shard_of(person_key(*person), shards) for person, _ in rows],
            [day for _, day in rows],
            since,
        )


async def take(tx: Connection, shard: int, limit: int) -> list[Change]:
    """Take up to ``limit`` queued changes."""
    rows = await tx.fetch(_TAKE, shard, limit)
    return [Change((row["tenant"], row["user_id"]), row["day"], row["queued_at"]) for row in rows]
