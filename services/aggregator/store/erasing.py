"""Erasures in Postgres: which are due on a shard, and everything that names a person.

The directory belongs to the API and contributions to the measurer: whoever writes here holds the locks that keep both
from writing meanwhile.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from schemas.erasures import ANONYMISE, PERSON_MARK
from services.aggregator.store.links import columns
from services.aggregator.store.windows import Person
from services.postgres import Connection


class Order(NamedTuple):
    """What is to be done with a person: ``identities`` are theirs, ``main``: this is the person and not one of these.

    ``erasure`` None: someone who was erased was entered anew.
    """

    erasure: int | None
    tenant: str
    user: str
    identities: Sequence[str]
    main: bool
    mode: str
    stand_in: str


_ORDERS: Final = """
select e.erasure, e.tenant, e.identity, e.main, r.mode, e.stand_in,
  array(select o.identity from erasing o where o.erasure = e.erasure order by 1) as identities
from unnest($1::text::text[], $2::text::text[]) as q(t, u)
join erasing e on e.tenant = t and e.identity = u and e.done_at is null
join erasure r on r.id = e.erasure order by e.erasure, e.main desc, e.identity
"""
_AGAIN: Final = f"""
select t, u from unnest($1::text::text[], $2::text::text[]) as q(t, u)
where exists (select from erased e where e.tenant = t and e.mark = {PERSON_MARK.format(tenant="t", user="u")})
  and not exists (select from erasing p where p.tenant = t and p.identity = u)
  and exists (select from person p where p.tenant = t and p.user_id = u)
"""


async def orders(tx: Connection, people: Sequence[Person]) -> list[Order]:
    """Return what is to be done with those of ``people`` who are to be erased, or were and have been entered again."""
    found = [
        Order(erasure, tenant, identity, tuple(identities), main, mode, stand_in)
        for erasure, tenant, identity, main, mode, stand_in, identities in await tx.fetch(_ORDERS, *columns(people))
    ]
    again = await tx.fetch(_AGAIN, *columns(people))
    return found + [Order(None, t, u, (u,), main=True, mode="erase", stand_in="erased") for t, u in again]


async def gone(tx: Connection, people: Sequence[Person]) -> set[Person]:
    """Return which of ``people`` were erased, or are to be."""
    mark = PERSON_MARK.format(tenant="t", user="u")
    rows = await tx.fetch(
        f"""select t, u from unnest($1::text::text[], $2::text::text[]) as q(t, u)
            where exists (select from erased e where e.tenant = t and e.mark = {mark})""",
        *columns(people),
    )
    return {(row["t"], row["u"]) for row in rows}


async def nobody(tx: Connection, people: Sequence[Person]) -> set[Person]:
    """Return which of ``people`` are no person of the directory."""
    rows = await tx.fetch(
        """select t, u from unnest($1::text::text[], $2::text::text[]) as q(t, u)
           where not exists (select from person p where p.tenant = t and p.user_id = u)""",
        *columns(people),
    )
    return {(row["t"], row["u"]) for row in rows}


async def newest(tx: Connection) -> int:
    """Return the last erasure that was asked for."""
    number: int = await tx.fetchval("select coalesce(max(id), 0) from erasure")
    return number


async def still(tx: Connection, tenant: str) -> None:
    """Keep the directory, the measurer and the evaluator from writing of the tenant until ``tx`` ends.

    An evaluation that has read before finds its mark changed, and begins again.
    """
    await tx.execute("select pg_advisory_xact_lock(hashtextextended('directory' || chr(10) || $1, 0))", tenant)
    await tx.execute("select from measured where tenant = $1 for update", tenant)
    await tx.execute(
        """insert into evaluation (tenant, version) values ($1, -1)
           on conflict (tenant) do update set version = excluded.version""",
        tenant,
    )


_MINE: Final = "tenant = $1 and user_id = any($2)"
_DIRECTORY: Final = {
    "absence": f"delete from absence where {_MINE}",
    "alias": "delete from alias where tenant = $1 and (identity = any($2) or user_id = any($2))",
    "alias_change": """delete from alias_change where tenant = $1
        and (identity = any($2) or before = any($2) or after = any($2))""",
    "scim_member": f"delete from scim_member where {_MINE}",
    "membership": f"delete from membership where {_MINE}",
    "licence": f"delete from licence where {_MINE}",
    "person": f"delete from person where {_MINE}",
}
_FACTS: Final = {
    "identity_day": f"delete from identity_day where {_MINE}",
    "person_link": "delete from person_link where tenant = $1 and (identity = any($2) or user_id = any($2))",
    "sighting": "delete from sighting where tenant = $1 and identity = any($2)",
}
_ERASED_FACTS: Final = {
    "person_day": f"delete from person_day where {_MINE}",
    **_FACTS,
    "roster": f"delete from roster where {_MINE}",
    "activity": f"""with gone as (delete from activity where {_MINE} returning object, record, at, identity),
        forgotten as (delete from record_change where tenant = $1
          and record = any(array(select distinct record from gone where record is not null))
          and identity in (select identity from gone)),
        told as (insert into dirty (tenant, kind, subject, low)
          select $1, 'record', object || chr(9) || record, min(at)::date from gone
          where object is not null and record is not null group by object, record)
        select count(*) from gone""",
}
"""What follows for records that they worked on is measured anew."""
_CHANGES: Final = """update record_change set user_id = $3 where tenant = $1 and user_id = any($2)
    and record = any(array(select distinct record from activity
      where tenant = $1 and user_id = any($2) and record is not null))"""
"""Before what they did has another name: it leads to the records."""
_OTHERS: Final = "tenant = $1 and user_id = any($2) and user_id <> $4"
"""Further identities of the person $4."""
_RENAMED: Final = {
    "absence": "update absence set user_id = $3, kind = 'leave' where tenant = $1 and user_id = $4",
    "alias": _DIRECTORY["alias"],
    "alias_change": _DIRECTORY["alias_change"],
    "scim_member": _DIRECTORY["scim_member"],
    "membership": "update membership set user_id = $3 where tenant = $1 and user_id = $4",
    "licence": "update licence set user_id = $3 where tenant = $1 and user_id = $4",
    "person": """update person set user_id = $3, name = null, email = null, external_id = null, scim_id = null,
        user_name = null, scim = null where tenant = $1 and user_id = $4""",
    "person_day": "update person_day set user_id = $3 where tenant = $1 and user_id = $4",
    "roster": """update roster set user_id = $3, keys = array['', '', ''] where tenant = $1 and user_id = $4""",
    "career": "update career set user_id = $3 where tenant = $1 and user_id = $4",
    "contribution": """update contribution set subject = $3
        where tenant = $1 and kind = 'person' and subject = $4""",
    "record_change": _CHANGES,
    "owner": """update record_change set owner = $3
        where tenant = $1 and owner = any($2) and owner <> coalesce(user_id, '')""",
    "activity": "update activity set user_id = $3 where tenant = $1 and user_id = any($2)",
    "owned": "update contribution set owner = $3 where tenant = $1 and owner = $4",
    "dirty": "update dirty set subject = $3 where tenant = $1 and kind = 'person' and subject = any($2)",
}
_MERGED: Final = (
    f"delete from absence where {_OTHERS}",
    f"delete from membership where {_OTHERS}",
    f"delete from licence where {_OTHERS}",
    f"delete from person where {_OTHERS}",
    f"delete from person_day where {_OTHERS}",
    f"delete from roster where {_OTHERS}",
)


async def forget_entries(tx: Connection, order: Order) -> Counter[str]:
    """Delete the person from the directory."""
    return await _all(tx, _DIRECTORY, order.tenant, list(order.identities))


async def forget_facts(tx: Connection, order: Order) -> Counter[str]:
    """Delete what the person did under any identity; what they contributed the measurer takes back."""
    ids = list(order.identities)
    await tx.execute(
        "insert into dirty (tenant, kind, subject) select $1, 'person', i from unnest($2::text[]) i", order.tenant, ids
    )
    return await _all(tx, _ERASED_FACTS, order.tenant, ids)


async def strangers_events(tx: Connection, tenant: str, identities: Sequence[str]) -> int:
    """Return how many events of ``identities`` count for nobody."""
    sql = f"select coalesce(sum(events), 0)::bigint from person_day where {_MINE}"
    number: int = await tx.fetchval(sql, tenant, list(identities))
    return number


async def rename(tx: Connection, order: Order) -> Counter[str]:
    """Write everything of the person under the name of who stands in; days of single identities go, theirs stay."""
    ids = list(order.identities)
    counts = await _all(tx, _FACTS, order.tenant, ids)
    for table, sql in _RENAMED.items():
        if table == "membership":
            for merged in _MERGED:
                await tx.execute(_typed(merged), order.tenant, ids, order.stand_in, order.user)
        arguments = [order.tenant, ids, order.stand_in, order.user]
        counts[table] += _count(await tx.execute(_typed(sql), *arguments))
    await tx.execute(
        "insert into dirty (tenant, kind, subject) values ($1, 'person', $2)", order.tenant, order.stand_in
    )
    return counts


def _typed(sql: str) -> str:
    """Return ``sql`` with every parameter mentioned, so that each has a type."""
    return f"with given as (select $1::text, $2::text[], $3::text, $4::text) {sql}"


async def sweep(tx: Connection, order: Order) -> Counter[str]:
    """Take away what came in of a further identity since the person was dealt with."""
    ids = [order.user]
    if order.mode != ANONYMISE:
        return await _all(tx, _ERASED_FACTS, order.tenant, ids)
    counts = await _all(tx, {**_FACTS, "person_day": _ERASED_FACTS["person_day"]}, order.tenant, ids)
    for table in ("record_change", "activity"):
        counts[table] += _count(await tx.execute(_RENAMED[table], order.tenant, ids, order.stand_in))
    return counts


async def _all(tx: Connection, statements: Mapping[str, str], tenant: str, ids: list[str]) -> Counter[str]:
    return Counter({table: await _told(tx, sql, tenant, ids) for table, sql in statements.items()})


def _count(tag: str) -> int:
    return int(tag.rpartition(" ")[2])


async def _told(tx: Connection, sql: str, tenant: str, ids: list[str]) -> int:
    """Return how many rows a statement dealt with: as it says itself, or by its tag."""
    if sql.startswith("with "):
        number: int = await tx.fetchval(sql, tenant, ids)
        return number
    return _count(await tx.execute(sql, tenant, ids))


async def done(tx: Connection, order: Order, counts: Mapping[str, int]) -> None:
    """Write down that the part of this shard is done."""
    if order.erasure is not None:
        await tx.execute(
            "update erasing set done_at = clock_timestamp(), counts = $3 where erasure = $1 and identity = $2",
            order.erasure,
            order.user,
            {table: count for table, count in counts.items() if count},
        )


_LINES: Final = """
with given as (select $3::text as stand_in)
update membership m set manager = {manager} from given where m.tenant = $1 and m.manager = any($2)
"""
_REPORTING: Final = """
insert into dirty (tenant, kind, subject)
select distinct $1, 'person', user_id from membership where tenant = $1 and manager = any($2)
"""
_LED: Final = """
update person p set scim = p.scim #- $3::text[]
where p.tenant = $1 and lower(p.scim #>> array_append($3::text[], 'value')) in (
  select lower(i) from unnest($2::text[]) i
  union select lower(told) from person m
    cross join lateral unnest(array[m.scim_id::text, m.user_name, m.email, m.external_id]) told
    where m.tenant = $1 and m.user_id = any($2))
"""
"""An identity provider tells of others who their manager is, and what the manager is called."""
_MANAGER: Final = ["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", "manager"]
_SCOPES: Final = "select id, scope, sponsor from wave where tenant = $1 for update"


async def stand_in(tx: Connection, order: Order, name: str) -> Counter[str]:
    """Take the person out of lines and waves. A wave keeps its size: one that is for nobody would be for everybody."""
    counts: Counter[str] = Counter()
    ids = set(order.identities)
    keeps = order.mode == ANONYMISE
    if not keeps:  # nobody looks at their records now
        await tx.execute(_REPORTING, order.tenant, list(ids))
    sql = _LINES.format(manager="given.stand_in" if keeps else "null")
    counts["membership"] = _count(await tx.execute(sql, order.tenant, list(ids), name))
    counts["person"] = _count(await tx.execute(_LED, order.tenant, list(ids), _MANAGER))
    for wave, scope, sponsor in await tx.fetch(_SCOPES, order.tenant):
        changed = _scope(scope, ids, name)
        led = (name if keeps else None) if sponsor in ids else sponsor
        if (changed, led) != (scope, sponsor):
            counts["wave"] += 1
            await tx.execute(
                "update wave set scope = $3, sponsor = $4 where tenant = $1 and id = $2",
                order.tenant,
                wave,
                changed,
                led,
            )
    return counts


def _scope(scope: dict[str, Any], ids: set[str], name: str) -> dict[str, Any]:
    people = scope.get("people") or []
    if not ids.intersection(people):
        return scope
    return {**scope, "people": sorted({name if user in ids else user for user in people})}
