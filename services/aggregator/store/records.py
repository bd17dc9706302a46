"""Records: what was told of them, and what was known when older activity was forgotten."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from services.metrics.histories import Change, State, Timeline, carried, restored
from services.metrics.policies import ANY, RecordPolicy
from services.postgres import Connection

_CHUNK: Final = 1000
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


class History(NamedTuple):
    """What was told of a record since ``base``; None: since the beginning."""

    changes: list[Change]
    base: State | None = None


def key_of(noun: str, record: str) -> str:
    """Return how a record is called among all that is counted."""
    return f"{noun}\t{record}"


TOLD: Final = """
select object, record, at, identity::text as identity, kind, user_id, origin, owner, stage, close_date, forecast, fields
from record_change
where tenant = $1 and object = any($2::text[]) and record = any($3::text[]) and at >= $4 and at < $5
"""
_BASES: Final = """
select object, record, as_of, state from record_base
where tenant = $1 and object = any($2::text[]) and record = any($3::text[])
"""


async def histories(
    tx: Connection, tenant: str, subjects: Sequence[str], until: datetime, since: datetime = _BEGINNING
) -> dict[str, History]:
    """Return what was told of records (by ``key_of``) until ``until``; ``since``: nothing is older."""
    parts = [subject.partition("\t") for subject in subjects]
    nouns, records = (sorted({part[place] for part in parts}) for place in (0, 2))
    found = {subject: History([]) for subject in subjects}
    bases: dict[str, datetime] = {}
    for noun, record, as_of, state in await tx.fetch(_BASES, tenant, nouns, records):
        key = key_of(noun, record)
        if key in found:
            bases[key] = as_of
            found[key] = History([], restored(state))
    for noun, record, *told in await tx.fetch(TOLD, tenant, nouns, records, since, until):
        key = key_of(noun, record)
        if key in found and (key not in bases or told[0] >= bases[key]):
            found[key].changes.append(_change(told))
    return found


def _change(told: Sequence[Any]) -> Change:
    change = Change(*told)
    fields = change.fields
    return change._replace(fields={name.casefold(): state for name, state in fields.items()} if fields else None)


_CARRY: Final = """
insert into record_base (tenant, object, record, as_of, state)
select $1, o, r, $2, s from unnest($3::text[], $4::text[], $5::jsonb[]) as q(o, r, s)
on conflict (tenant, object, record) do update set as_of = excluded.as_of, state = excluded.state
"""
_FORGET: Final = """
delete from record_change c using unnest($2::text[], $3::text[]) as q(object, record)
where c.tenant = $1 and c.record = any($3) and c.object = q.object and c.record = q.record and c.at < $4
"""
_DROPPED: Final = """
select distinct object, record from activity
where tenant = $1 and at >= $2 and at < $3 and record is not null and object is not null
  and kind like 'crm.record.%' and environment is null
order by 1, 2
"""


async def carry(
    tx: Connection, tenant: str, policies: Mapping[str, RecordPolicy], since: datetime, cut: datetime
) -> int:
    """Keep what is known of records at ``cut`` instead of what was told from ``since`` until then.

    Returns how many records there are.
    """
    rows = await tx.fetch(_DROPPED, tenant, since, cut)
    for start in range(0, len(rows), _CHUNK):
        subjects = [key_of(noun, record) for noun, record in rows[start : start + _CHUNK]]
        told = await histories(tx, tenant, subjects, cut, since)
        parts = [subject.partition("\t") for subject in subjects]
        states = [
            Timeline(told[subject].changes, policies.get(noun, ANY), told[subject].base).state_at(cut)
            for subject, (noun, _, _) in zip(subjects, parts, strict=True)
        ]
        nouns, records = ([part[place] for part in parts] for place in (0, 2))
        await tx.execute(_CARRY, tenant, cut, nouns, records, [carried(state) for state in states])
        await tx.execute(_FORGET, tenant, nouns, records, cut)
    return len(rows)
