"""What else names a person: records, letters, keys, logs. Written when the facts are gone."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from schemas.erasures import ANONYMISE, IS_PERSON, spelled
from schemas.topics import person_key
from services.aggregator.store import untelling
from services.aggregator.store.erasing import Order
from services.aggregator.store.unmailing import LEFT as MESSAGES_LEFT
from services.aggregator.store.unnaming import OF_ALERT, OF_CHANGE, say_nothing
from services.postgres import Connection

_DAYS: Final = """
select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = 'activity'::regclass order by 1
"""
_OWNED: Final = """
with told as (
  update record_change set owner = $3 where tenant = $1 and owner = any($2) and owner <> coalesce(user_id, '')
  returning object, record, at)
insert into dirty (tenant, kind, subject, low)
select $1, 'record', object || chr(9) || record, min(at)::date from told group by object, record
returning subject
"""


async def days(connection: Connection) -> list[str]:
    """Return the partitions of ``activity``."""
    return [row["relname"] for row in await connection.fetch(_DAYS)]


async def told_on(tx: Connection, day: str, order: Order) -> int:
    """Take the person out of what others did on a day: on their behalf, or with the record of them."""
    is_person = IS_PERSON.format(record="record", object="object", names="$4::text[]")
    sql = f"""update {day} set behalf = case when behalf = any($2) then $3 else behalf end,
          record = case when {is_person} then $5 else record end
        where tenant = $1 and (behalf = any($2) or {is_person})"""
    name = order.stand_in if order.mode == ANONYMISE else None
    ids = list(order.identities)
    return _count(await tx.execute(sql, order.tenant, ids, order.stand_in, spelled(ids), name))


async def owned(tx: Connection, order: Order) -> int:
    """Take the person out of what others told of records that were theirs; return how many records these are."""
    owner = order.stand_in if order.mode == ANONYMISE else None
    return len(await tx.fetch(_OWNED, order.tenant, list(order.identities), owner))


_IS_THEIRS: Final = f"tenant = $1 and {IS_PERSON.format(record='record', object='object', names='$2::text[]')}"
_FORGOTTEN: Final = f"""
with found as (
  select object, record from record_change where {_IS_THEIRS}
  union select object, record from record_base where {_IS_THEIRS}),
told as (
  insert into dirty (tenant, kind, subject)
  select $1, 'record', object || chr(9) || name from found, unnest(array[record, $3::text]) name
  where name is not null),
"""
_ERASED_RECORDS: Final = f"""{_FORGOTTEN}
changes as (delete from record_change where {_IS_THEIRS} returning 1),
bases as (delete from record_base where {_IS_THEIRS} returning 1)
select (select count(*) from changes) + (select count(*) from bases)
"""
_RENAMED_RECORDS: Final = f"""{_FORGOTTEN}
changes as (update record_change set record = $3 where {_IS_THEIRS} returning 1),
bases as (delete from record_base where {_IS_THEIRS} returning *),
renamed as (
  insert into record_base (tenant, object, record, as_of, state)
  select distinct on (object) tenant, object, $3, as_of, state from bases order by object, as_of desc
  on conflict do nothing)
select (select count(*) from changes) + (select count(*) from bases)
"""
"""One who had several records has one now."""


async def recorded(tx: Connection, order: Order) -> int:
    """Take away the record of the person, which others worked on, or let who stands in have it."""
    keeps = order.mode == ANONYMISE
    sql = _RENAMED_RECORDS if keeps else _ERASED_RECORDS
    number: int = await tx.fetchval(sql, order.tenant, spelled(order.identities), order.stand_in if keeps else None)
    return number


_ELSEWHERE: Final = {
    "api_key": """update api_key set person = $3, revoked_at = coalesce(revoked_at, now())
        where tenant = $1 and person = any($2)""",
    "idempotency": """delete from idempotency where split_part(scope, '/', 3) = $1 and $3::text is not null
        and exists (select from unnest($2::text[]) i where strpos(body::text, to_json(i)::text) > 0)""",
    "access_log": "update access_log set subject = $3 where tenant = $1 and subject = any($2)",
    "record_base": """update record_base
        set state = state || (select jsonb_object_agg(whose, $3::text)
          from unnest(array['owner', 'creator']) whose where state ->> whose = any($2))
        where tenant = $1 and (state ->> 'owner' = any($2) or state ->> 'creator' = any($2))""",
}
_LETTERS: Final = """
delete from dead_letter where tenant = $1 and shard is not null and (key = any($2)
  or exists (select from unnest($3::text[]) i where position(convert_to(to_json(i)::text, 'UTF8') in value) > 0))
"""
_CANDIDATES: Final = """
update person_link set candidates = (
  select jsonb_agg(case when c = any($2) then $3 else c end) from jsonb_array_elements_text(candidates) c)
where tenant = $1 and candidates ?| $2::text[]
"""


async def candidates(tx: Connection, order: Order) -> int:
    """Let who stands in be whom identities may be. Of who is erased the owners of these identities take it away.

    While no shard is written: whoever looks for candidates later finds who stands in.
    """
    if order.mode != ANONYMISE:
        return 0
    await tx.execute("select from position order by shard for update")
    return _count(await tx.execute(_CANDIDATES, order.tenant, list(order.identities), order.stand_in))


async def elsewhere(tx: Connection, order: Order) -> Counter[str]:
    """Take the person out of keys, logs and letters. A key that was theirs is revoked: it would see everybody else."""
    ids = list(order.identities)
    await say_nothing(tx, order)
    counts = Counter(
        {table: _count(await tx.execute(sql, order.tenant, ids, order.stand_in)) for table, sql in _ELSEWHERE.items()}
    )
    keys = [person_key(order.tenant, identity) for identity in ids]
    counts["dead_letter"] = _count(await tx.execute(_LETTERS, order.tenant, keys, ids))
    return counts + await untelling.deliveries(tx, order)


def _count(tag: str) -> int:
    return int(tag.rpartition(" ")[2])


_UNFINISHED: Final = """
select r.id, e.tenant, e.identity, r.mode, e.stand_in, e.counts, r.report,
  array(select o.identity from erasing o where o.erasure = r.id order by 1) as identities
from erasure r join erasing e on e.erasure = r.id and e.main
where r.finished_at is null and not exists (select from erasing o where o.erasure = r.id and o.done_at is null)
order by r.id limit 20
"""
_COUNTS: Final = """
select key, sum(value::bigint)::bigint as count from erasing, jsonb_each_text(counts) where erasure = $1 group by key
"""
_RECORD: Final = IS_PERSON.format(
    record="split_part(s, chr(9), 2)", object="split_part(s, chr(9), 1)", names="$3::text[]"
)
_LEFT: Final = f"""
select
  (select count(*) from person where tenant = $1 and user_id = any($2))
  + (select count(*) from membership where tenant = $1 and (user_id = any($2) or manager = any($2)))
  + (select count(*) from licence where tenant = $1 and user_id = any($2))
  + (select count(*) from absence where tenant = $1 and user_id = any($2))
  + (select count(*) from alias where tenant = $1 and (identity = any($2) or user_id = any($2)))
  + (select count(*) from person_day where tenant = $1 and user_id = any($2))
  + (select count(*) from identity_day where tenant = $1 and user_id = any($2))
  + (select count(*) from person_link where tenant = $1
      and (identity = any($2) or user_id = any($2) or candidates ?| $2::text[]))
  + (select count(*) from roster where tenant = $1 and user_id = any($2))
  + (select count(*) from sighting where tenant = $1 and identity = any($2))
  + (select count(*) from activity where tenant = $1 and user_id = any($2))
  + (select count(*) from career where tenant = $1 and user_id = any($2))
  + (select count(*) from contribution where tenant = $1 and kind = 'person' and subject = any($2))
  + (select count(*) from contribution where tenant = $1 and owner = any($2))
  + (select count(*) from dirty where tenant = $1 and kind = 'person' and (subject = any($2) or subjects && $2))
  + (select count(*) from record_change where {_IS_THEIRS.replace("$2", "$3")})
  + (select count(*) from dirty where tenant = $1 and kind = 'record' and exists (
      select from unnest(coalesce(subjects, array[subject])) s
      where {_RECORD}))
  + (select count(*) from wave_connection where tenant = $1 and missing && $2)
  + (select count(*) from alert a where tenant = $1 and {OF_ALERT})
  + (select count(*) from alert_change c where tenant = $1 and {OF_CHANGE})
  + {MESSAGES_LEFT}
"""


async def unfinished(connection: Connection) -> list[tuple[Order, dict[str, Any]]]:
    """Return the erasures that every shard has done its part of, each with its report so far."""
    return [
        (Order(number, tenant, user, tuple(identities), main=True, mode=mode, stand_in=name), report)
        for number, tenant, user, mode, name, _, report, identities in await connection.fetch(_UNFINISHED)
    ]


async def counted(connection: Connection, order: Order) -> Counter[str]:
    """Return how many rows of each table the owners of the shards dealt with."""
    return Counter({row["key"]: row["count"] for row in await connection.fetch(_COUNTS, order.erasure)})


async def left(connection: Connection, order: Order) -> int:
    """Return how many rows still name the person."""
    ids = list(order.identities)
    number: int = await connection.fetchval(_LEFT, order.tenant, ids, spelled(ids))
    return number


async def told(connection: Connection, order: Order, report: Mapping[str, Any]) -> None:
    """Write down what was done so far."""
    await connection.execute("update erasure set report = $2 where id = $1", order.erasure, dict(report))


async def finish(tx: Connection, order: Order, report: Mapping[str, Any]) -> None:
    """Close the erasure: from now on nobody knows who it was."""
    await tx.execute(
        "update erasure set report = $2, finished_at = clock_timestamp() where id = $1", order.erasure, dict(report)
    )
    await tx.execute("delete from erasing where erasure = $1", order.erasure)
