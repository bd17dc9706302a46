"""Records that wait for somebody: which there are, what was told of them, and where they stand in the CRM."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple

from services.metrics.histories import Change, State, restored
from services.postgres import Connection


class Asked(NamedTuple):
    """Whose records: of these owners (None: of all), of a team, of one kind."""

    owners: list[str] | None
    team: str | None
    object: str | None


class Told(NamedTuple):
    """What was told of a record since ``base``; ``source``: by whom last."""

    changes: list[Change]
    base: State | None = None
    source: str | None = None


_CANDIDATES: Final = """
select distinct subject from contribution
where tenant = $1 and kind = 'record' and week >= $2 and subject > $3
  and ($4::text[] is null or owner = any($4)) and ($5::text is null or team = $5)
  and ($6::text is null or split_part(subject, e'\\t', 1) = $6)
order by subject limit $7
"""
_TOLD: Final = """
select object, record, source,
  at, identity::text as identity, kind, user_id, origin, owner, stage, close_date, forecast, fields
from record_change
where tenant = $1 and object = any($2::text[]) and record = any($3::text[]) and at <= $4
order by at, identity
"""
_BASES: Final = """
select object, record, as_of, state from record_base
where tenant = $1 and object = any($2::text[]) and record = any($3::text[])
"""


async def candidates(
    connection: Connection, tenant: str, asked: Asked, week: date, *, after: str, limit: int
) -> list[str]:
    """Return the records, by object, tab and key, that were counted from ``week`` on."""
    rows = await connection.fetch(_CANDIDATES, tenant, week, after, *asked, limit)
    return [row["subject"] for row in rows]


async def told(connection: Connection, tenant: str, subjects: Sequence[str], until: datetime) -> dict[str, Told]:
    """Return what was told of ``subjects`` up to ``until``."""
    parts = [subject.partition("\t") for subject in subjects]
    nouns, records = (sorted({part[place] for part in parts}) for place in (0, 2))
    found = {subject: Told([]) for subject in subjects}
    bases: dict[str, datetime] = {}
    for noun, record, as_of, state in await connection.fetch(_BASES, tenant, nouns, records):
        key = f"{noun}\t{record}"
        if key in found:
            bases[key] = as_of
            found[key] = Told([], restored(state))
    for noun, record, source, *rest in await connection.fetch(_TOLD, tenant, nouns, records, until):
        key = f"{noun}\t{record}"
        if key in found and (key not in bases or rest[0] >= bases[key]):
            found[key].changes.append(_change(rest))
            found[key] = found[key]._replace(source=source)
    return found


def _change(told: Sequence[Any]) -> Change:
    change = Change(*told)
    fields = change.fields
    return change._replace(fields={name.casefold(): state for name, state in fields.items()} if fields else None)


async def people(connection: Connection, tenant: str, names: Sequence[str]) -> dict[str, str | None]:
    """Return whom identities count for; None: several could be meant."""
    rows = await connection.fetch(
        "select identity, user_id from person_link where tenant = $1 and identity = any($2)", tenant, names
    )
    linked = {row["identity"]: row["user_id"] for row in rows}
    return {name: linked.get(name, name) for name in names}


async def zones(connection: Connection, tenant: str, users: Sequence[str]) -> dict[str, str]:
    """Return the time zones of those of ``users`` who have one of their own."""
    rows = await connection.fetch(
        "select user_id, time_zone from person where tenant = $1 and user_id = any($2) and time_zone is not null",
        tenant,
        users,
    )
    return {row["user_id"]: row["time_zone"] for row in rows}


async def links(connection: Connection, tenant: str) -> dict[str, str]:
    """Return the templates of addresses by what sources are called in events."""
    rows = await connection.fetch(
        "select id, options->>'link' as link from source where tenant = $1 and options->>'link' <> ''", tenant
    )
    return {f"/hooks/{row['id']}": row["link"] for row in rows}
