"""What else names a person: alerts, connections, records, letters, keys. Written when the facts are gone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from schemas.erasures import ANONYMISE
from schemas.topics import person_key
from services.aggregator.domain.alerts import alert_id
from services.aggregator.domain.scrubbing import audience_without, body_without, evidence_without, renamed
from services.aggregator.store.erasing import Order
from services.postgres import Connection

_NAMING: Final = """(
  jsonb_typeof({evidence} -> 'people') = 'array' and {evidence} -> 'people' ?| $2::text[]
  or exists (select from jsonb_array_elements({audience}) heard where heard ->> 'person' = any($2)))"""
"""Where alerts name people beside their subject; elsewhere the same word is a team, a role, or a part of the form."""
_OF_ALERT: Final = f"""(a.subject_kind = 'user' and a.subject_key = any($2)
  or {_NAMING.format(evidence="a.evidence", audience="a.audience")})"""
_OF_CHANGE: Final = f"""(c.body #>> '{{subject,kind}}' = 'user' and c.body #>> '{{subject,key}}' = any($2)
  or {_NAMING.format(evidence="(c.body -> 'evidence')", audience="c.body -> 'audience'")})"""
_ALERTS: Final = f"""
select id, fingerprint, subject_kind, subject_key, evidence, audience from alert a
where tenant = $1 and {_OF_ALERT} order by id
"""
_HISTORY: Final = f"select seq, alert, body from alert_change c where tenant = $1 and {_OF_CHANGE} order by seq"


async def alerts(tx: Connection, order: Order) -> Counter[str]:
    """Take the person out of alerts and their history: those about them go, or are about who stands in."""
    await tx.execute("set local uptake.erasing = 'on'")
    ids = list(order.identities)
    keeps = order.mode == ANONYMISE
    name = order.stand_in if keeps else None
    counts: Counter[str] = Counter()
    about: dict[str, str] = {}
    for number, fingerprint, kind, key, evidence, audience in await tx.fetch(_ALERTS, order.tenant, ids):
        counts["alert"] += 1
        mine = kind == "user" and key in ids
        if mine and name is None:
            await _drop(tx, order.tenant, number, counts)
            continue
        mark = renamed(fingerprint, key, name) if mine and name else fingerprint
        about[number] = alert_id(order.tenant, mark) if mine else number
        await tx.execute(
            """update alert set id = $3, fingerprint = $4, subject_key = $5, evidence = $6, audience = $7
               where tenant = $1 and id = $2""",
            *(order.tenant, number, about[number], mark, name if mine else key),
            *(evidence_without(evidence, ids, name), audience_without(audience, ids, name)),
        )
    for seq, alert, body in await tx.fetch(_HISTORY, order.tenant, ids):
        counts["alert_change"] += 1
        number = about.get(alert, alert)
        await tx.execute(
            "update alert_change set alert = $2, body = $3 where seq = $1",
            *(seq, number, _body(body, ids, name, alert, number)),
        )
    sql = """update wave_connection set missing = array(
                 select case when m = any($2) then $3 else m end from unnest(missing) m
                 where $3::text is not null or not m = any($2))
             where tenant = $1 and missing && $2"""
    counts["wave_connection"] = _count(await tx.execute(sql, order.tenant, ids, name))
    return counts


async def _drop(tx: Connection, tenant: str, alert: str, counts: Counter[str]) -> None:
    await tx.execute("delete from alert where tenant = $1 and id = $2", tenant, alert)
    tag = await tx.execute("delete from alert_change where tenant = $1 and alert = $2", tenant, alert)
    counts["alert_change"] += _count(tag)


def _body(body: Mapping[str, Any], ids: Sequence[str], name: str | None, old: str, new: str) -> dict[str, Any]:
    """Return the body of a change; links and ids name the alert by its id."""
    clean = body_without(body, ids, name)
    links = {key: link.replace(old, new) for key, link in clean.get("links", {}).items()}
    return {**clean, "id": new, "links": links}


_DAYS: Final = """
select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = 'activity'::regclass order by 1
"""
_TOLD: Final = """
with told as (
  update {day} set owner = case when owner = any($2) then $3 else owner end,
    behalf = case when behalf = any($2) then $4 else behalf end
  where tenant = $1 and (owner = any($2) or behalf = any($2)) returning object, record, at)
insert into dirty (tenant, kind, subject, low, high)
select $1, 'record', object || chr(9) || record, min(at)::date, max(at)::date from told
where object is not null and record is not null group by object, record
returning subject
"""


async def days(connection: Connection) -> list[str]:
    """Return the partitions of ``activity``."""
    return [row["relname"] for row in await connection.fetch(_DAYS)]


async def told_on(tx: Connection, day: str, order: Order) -> int:
    """Take the person out of what others did on a day: as the owner of records, or on whose behalf it was done."""
    owner = order.stand_in if order.mode == ANONYMISE else None
    rows = await tx.fetch(_TOLD.format(day=day), order.tenant, list(order.identities), owner, order.stand_in)
    return len(rows)


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
    counts = Counter(
        {table: _count(await tx.execute(sql, order.tenant, ids, order.stand_in)) for table, sql in _ELSEWHERE.items()}
    )
    keys = [person_key(order.tenant, identity) for identity in ids]
    counts["dead_letter"] = _count(await tx.execute(_LETTERS, order.tenant, keys, ids))
    return counts


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
  + (select count(*) from dirty where tenant = $1 and kind = 'person' and subject = any($2))
  + (select count(*) from wave_connection where tenant = $1 and missing && $2)
  + (select count(*) from alert a where tenant = $1 and {_OF_ALERT})
  + (select count(*) from alert_change c where tenant = $1 and {_OF_CHANGE})
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
    number: int = await connection.fetchval(_LEFT, order.tenant, list(order.identities))
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
