"""Feeds: addresses that show alerts to whoever knows them. Stored is the hash of a token, never the token."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from services.api.credentials import digest
from services.api.store import alerts
from services.postgres import Connection, Row
from services.sight import Sight

_COLUMNS: Final = "id, key_id, person, filter, created_at, revoked_at"
RECENT: Final = timedelta(days=90)
"""How long ago an alert may have changed that a feed tells of."""


class Feed(NamedTuple):
    """A feed that is shown: whose it is, and what it shows."""

    tenant: str
    id: str
    key_id: str
    person: str | None
    filter: dict[str, str]


async def insert(
    connection: Connection,
    tenant: str,
    feed: str,
    token: str,
    *,
    key_id: str,
    person: str | None,
    wanted: Mapping[str, str],
) -> Row:
    """Insert a feed."""
    return await connection.fetchrow(
        f"""insert into feed (tenant, id, token_hash, key_id, person, filter) values ($1, $2, $3, $4, $5, $6)
            returning {_COLUMNS}""",
        tenant,
        feed,
        digest(token),
        key_id,
        person,
        dict(wanted),
    )


async def page(connection: Connection, tenant: str, person: str | None, after: str, limit: int) -> list[Row]:
    """Return feeds by id, from the one after ``after`` on; of a bound key only those of its person."""
    rows: list[Row] = await connection.fetch(
        f"""select {_COLUMNS} from feed where tenant = $1 and ($2::text is null or person = $2) and id > $3
            order by id limit $4""",
        tenant,
        person,
        after,
        limit,
    )
    return rows


async def revoke(connection: Connection, tenant: str, person: str | None, feed: str, now: datetime) -> bool:
    """Revoke a feed for good; return whether there is one."""
    return (
        await connection.fetchval(
            """update feed set revoked_at = coalesce(revoked_at, $4)
               where tenant = $1 and id = $3 and ($2::text is null or person = $2) returning true""",
            tenant,
            person,
            feed,
            now,
        )
        is True
    )


async def find(connection: Connection, token: str) -> Feed | None:
    """Return the feed behind a token; None: there is none, or none any more."""
    row = await connection.fetchrow(
        "select tenant, id, key_id, person, filter from feed where token_hash = $1 and revoked_at is null",
        digest(token),
    )
    return None if row is None else Feed(*row)


async def lives(connection: Connection, tenant: str, feed: str) -> bool:
    """Return whether a feed has not been revoked."""
    return bool(
        await connection.fetchval(
            "select exists (select from feed where tenant = $1 and id = $2 and revoked_at is null)", tenant, feed
        )
    )


_LATEST: Final = f"""
select {", ".join(f'"{name}"' for name in alerts.COLUMNS)} from alert
where tenant = $1 and updated_at > $2 and suppressed_by is null
  and ($3::text[] is null or (subject_kind = 'user' and subject_key = any($3))
       or (subject_kind = 'team' and subject_key = any($4::text[])))
order by updated_at desc, id desc limit $5
"""


async def latest(connection: Connection, tenant: str, since: datetime, view: Sight, limit: int) -> list[Row]:
    """Return the alerts that changed last, of those that a view may hold at all, none that another one speaks for."""
    people, teams = (None if names is None else sorted(names) for names in (view.people, view.teams))
    rows: list[Row] = await connection.fetch(_LATEST, tenant, since, people, teams, limit)
    return rows


async def changed(connection: Connection, tenant: str, ids: Sequence[str]) -> dict[str, datetime]:
    """Return when alerts were changed last, by the wall clock: readers go by it, whatever the tenant takes for now."""
    rows = await connection.fetch(
        "select alert, max(at) as at from alert_change where tenant = $1 and alert = any($2) group by alert",
        tenant,
        list(ids),
    )
    return {row["alert"]: row["at"] for row in rows}
