"""Alerts and their history without a person: what names them, what was written about them and by them.

What people wrote with an alert about the person, or with their key in it, goes with them, as does what they wrote.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from schemas.erasures import ANONYMISE
from services.aggregator.domain.alerts import alert_id
from services.aggregator.domain.scrubbing import (
    audience_without,
    body_without,
    detail_without,
    evidence_without,
    renamed,
)
from services.aggregator.store import unmailing
from services.aggregator.store.erasing import Order
from services.postgres import Connection

_NAMING: Final = """(
  jsonb_typeof({evidence} -> 'people') = 'array' and {evidence} -> 'people' ?| $2::text[]
  or exists (select from jsonb_array_elements({audience}) heard where heard ->> 'person' = any($2)))"""
"""Where alerts name people beside their subject; elsewhere the same word is a team, a role, or a part of the form."""
_MENTIONED: Final = """string_to_array(regexp_replace(regexp_replace(lower({text}), '[^[:alnum:]@._+-]+', ' ', 'g'),
    '[._+-]+( |$)', ' ', 'g'), ' ') && (select array_agg(lower(i)) from unnest($2::text[]) i)"""
"""Whether what somebody wrote names the person by their key."""
OF_ALERT: Final = f"""(a.subject_kind = 'user' and a.subject_key = any($2) or a.assignee = any($2)
  or {_MENTIONED.format(text="a.snooze_reason")}
  or {_NAMING.format(evidence="a.evidence", audience="a.audience")})"""
OF_CHANGE: Final = f"""(c.body #>> '{{subject,kind}}' = 'user' and c.body #>> '{{subject,key}}' = any($2)
  or c.body ->> 'assignee' = any($2) or c.detail ->> 'person' = any($2)
  or {_MENTIONED.format(text="concat_ws(' ', c.detail ->> 'text', c.detail ->> 'reason')")}
  or {_NAMING.format(evidence="(c.body -> 'evidence')", audience="c.body -> 'audience'")})"""
_ALERTS: Final = f"""
select id, fingerprint, subject_kind, subject_key, evidence, audience, assignee, snooze_reason from alert a
where tenant = $1 and {OF_ALERT} order by id
"""
_HISTORY: Final = f"select seq, alert, body, detail from alert_change c where tenant = $1 and {OF_CHANGE} order by seq"


_FORGOTTEN: Final = {
    "rule_evaluation": """delete from rule_evaluation
        where tenant = $1 and subject_kind = 'user' and subject_key = any($2)""",
    "to_judge": "delete from to_judge where tenant = $1 and kind = 'user' and key = any($2)",
    "backtest": "delete from backtest where tenant = $1 and cardinality($2::text[]) > 0",
}


async def alerts(tx: Connection, order: Order) -> Counter[str]:
    """Take the person out of alerts and their history: those about them go, or are about who stands in."""
    await tx.execute("set local uptake.erasing = 'on'")
    ids = list(order.identities)
    keeps = order.mode == ANONYMISE
    name = order.stand_in if keeps else None
    counts = await unmailing.messages(tx, order)
    about: dict[str, str] = {}
    for number, fingerprint, kind, key, evidence, audience, assignee, _ in await tx.fetch(_ALERTS, order.tenant, ids):
        counts["alert"] += 1
        mine = kind == "user" and key in ids
        if mine and name is None:
            await _drop(tx, order.tenant, number, counts)
            continue
        mark = renamed(fingerprint, key, name) if mine and name else fingerprint
        about[number] = alert_id(order.tenant, mark) if mine else number
        await tx.execute(
            """update alert set id = $3, fingerprint = $4, subject_key = $5, evidence = $6, audience = $7,
                 assignee = $8, snooze_reason = null
               where tenant = $1 and id = $2""",
            *(order.tenant, number, about[number], mark, name if mine else key),
            *(evidence_without(evidence, ids, name), audience_without(audience, ids, name)),
            name if assignee in ids else assignee,
        )
    for seq, alert, body, detail in await tx.fetch(_HISTORY, order.tenant, ids):
        counts["alert_change"] += 1
        number = about.get(alert, alert)
        await tx.execute(
            "update alert_change set alert = $2, body = $3, detail = $4 where seq = $1",
            *(seq, number, _body(body, ids, name, alert, number), detail_without(detail, ids, name)),
        )
    sql = """update wave_connection set missing = array(
                 select case when m = any($2) then $3 else m end from unnest(missing) m
                 where $3::text is not null or not m = any($2))
             where tenant = $1 and missing && $2"""
    counts["wave_connection"] = _count(await tx.execute(sql, order.tenant, ids, name))
    for table, sql in _FORGOTTEN.items():
        counts[table] += _count(await tx.execute(sql, order.tenant, ids))
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


_THEIRS: Final = "c.actor in (select id from api_key where tenant = $1 and person = any($2))"
_WRITTEN: Final = f"""update alert_change c set detail = detail - 'text' - 'reason'
where tenant = $1 and detail ?| array['text', 'reason'] and {_THEIRS}"""
_PUT_OFF: Final = f"""update alert a set snooze_reason = null where tenant = $1 and snooze_reason is not null
and exists (select from alert_change c where c.tenant = $1 and c.alert = a.id and c.kind = 'snoozed' and {_THEIRS})"""


async def say_nothing(tx: Connection, order: Order) -> None:
    """Take away what the person wrote to alerts, as long as it is known which keys were theirs."""
    await tx.execute("set local uptake.erasing = 'on'")
    for sql in (_PUT_OFF, _WRITTEN):
        await tx.execute(sql, order.tenant, list(order.identities))


def _count(tag: str) -> int:
    return int(tag.rpartition(" ")[2])
