"""Which tenants are to be evaluated, and how far each evaluation had seen.

The mark of an evaluation never claims more than its snapshot held: it is read first, in a repeatable-read transaction.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from schemas.sources import login_hours, logins_imported
from services.aggregator.domain.logins import LoginSource
from services.postgres import Connection

_DUE: Final = """
WITH seen AS (SELECT tenant, sum(version)::bigint AS version, max(newest) AS newest FROM tally GROUP BY tenant)
SELECT t.id AS tenant
FROM tenant t
LEFT JOIN seen s ON s.tenant = t.id
LEFT JOIN evaluation e ON e.tenant = t.id
WHERE EXISTS (SELECT FROM to_judge j WHERE j.tenant = t.id)
   OR s.tenant IS NOT NULL AND (
        e.version IS DISTINCT FROM s.version
        OR (t.clock = 'wall' AND (e.as_of IS NULL OR e.as_of <= $1::timestamptz - interval '60 seconds'))
        OR EXISTS (SELECT FROM alert a WHERE a.tenant = t.id
            AND a.due_at <= CASE WHEN t.clock = 'wall' THEN $1::timestamptz ELSE s.newest END))
ORDER BY e.evaluated_at NULLS FIRST, t.id
"""


async def due(connection: Connection, now: datetime) -> list[str]:
    """Return the tenants with something new since their last evaluation, or whose time has passed; oldest first."""
    return [row["tenant"] for row in await connection.fetch(_DUE, now)]


class LogState(NamedTuple):
    """By the database's clock: when this was asked, and up to when no event was known to be unread or uncounted."""

    asked_at: datetime
    drained_at: datetime


_LOG_STATE: Final = """
SELECT clock_timestamp() AS asked_at, least(
    coalesce(min(coalesce(drained_at, timestamptz 'epoch')), clock_timestamp()),
    (SELECT min(queued_at) FROM directory_change WHERE day IS NOT NULL)) AS drained_at
FROM position
"""


async def log_state(connection: Connection) -> LogState:
    """Return how far the log is folded. Without any shard nothing is unread."""
    return LogState(*await connection.fetchrow(_LOG_STATE))


class Case(NamedTuple):
    """A tenant as an evaluation finds it. ``version`` is what it will have seen, ``newest`` the newest event time.

    ``before``: the version that the last evaluation saw, and ``as_of`` its time; None: there was none.
    """

    version: int
    newest: datetime | None
    settings: Mapping[str, Any]
    before: int | None = None
    as_of: datetime | None = None


_CASE: Final = """
SELECT t.*, v.version AS seen, v.newest AS newest, e.version AS before, e.as_of AS as_of
FROM (SELECT coalesce(sum(version), 0)::bigint AS version, max(newest) AS newest FROM tally WHERE tenant = $1) v
JOIN tenant t ON t.id = $1
LEFT JOIN evaluation e ON e.tenant = $1
"""


async def case(tx: Connection, tenant: str) -> Case | None:
    """Return the tenant's settings and how far its facts have come; None: there is no such tenant."""
    await tx.execute("SET LOCAL idle_in_transaction_session_timeout = '60s'")
    row = await tx.fetchrow(_CASE, tenant)
    return None if row is None else Case(row["seen"], row["newest"], row, row["before"], row["as_of"])


_LOGIN_SOURCES: Final = """
SELECT coalesce(s.source, '/hooks/' || o.id) AS name, s.at, o.kind, o.logins_until
FROM (SELECT source, max(last_login_at) AS at FROM source_seen
      WHERE tenant = $1 AND last_login_at IS NOT NULL GROUP BY source) s
FULL JOIN (SELECT id, kind, logins_until FROM source WHERE tenant = $1) o ON s.source = '/hooks/' || o.id
WHERE s.at IS NOT NULL OR o.logins_until IS NOT NULL
"""


async def login_sources(tx: Connection, tenant: str) -> list[LoginSource]:
    """Return the sources that have told of logins, or are declared to be complete."""
    return [
        LoginSource(row["name"], row["at"], row["logins_until"], login_hours(row["kind"]), logins_imported(row["kind"]))
        for row in await tx.fetch(_LOGIN_SOURCES, tenant)
    ]


_DONE: Final = """
INSERT INTO evaluation (tenant, version, as_of, evaluated_at) VALUES ($1, $2, $3, clock_timestamp())
ON CONFLICT (tenant) DO UPDATE
SET version = excluded.version, as_of = excluded.as_of, evaluated_at = excluded.evaluated_at
"""


async def done(tx: Connection, tenant: str, version: int, as_of: datetime | None) -> None:
    """Write down what has been seen. Two evaluations of one tenant at once cannot both commit this row."""
    await tx.execute(_DONE, tenant, version, as_of)
