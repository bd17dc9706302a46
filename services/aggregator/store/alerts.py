"""Alerts in Postgres: the current row of each, and its history, to which is only ever added.

Both are written in the transaction that read the facts they rest on. Changes of a tenant are numbered in the order they
are committed in (``order``), so that whoever reads on from a number misses none; each commit wakes those who listen.
"""

from collections.abc import Collection, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

from schemas.alerts import ORDER, WAKE, item
from services.aggregator.domain.alerts import TIMED, Alert, Change
from services.aggregator.domain.findings import Subject
from services.postgres import Connection

ACTOR: Final = "evaluator"

_COLUMNS: Final = tuple(field.name for field in fields(Alert))
_NAMES: Final = ", ".join(f'"{name}"' for name in _COLUMNS)
_KEPT: Final = frozenset({"id", "fingerprint"})

_STORED: Final = f"SELECT {_NAMES} FROM alert WHERE tenant = $1 ORDER BY opened_at, id"

_MET: Final = f"""
WITH met AS (
    SELECT a.id FROM unnest($3::text[], $4::text[]) AS s(kind, key)
    JOIN alert a ON a.tenant = $1 AND a.subject_kind = s.kind AND a.subject_key = s.key
    UNION SELECT id FROM alert WHERE tenant = $1 AND due_at <= $2
    UNION SELECT id FROM alert WHERE tenant = $1 AND wave = ANY($5::text[]) AND subject_kind IN ('user', 'wave')
    UNION SELECT id FROM alert WHERE tenant = $1 AND subject_kind IN ('wave', 'tenant')
)
SELECT {_NAMES} FROM met JOIN alert USING (id) WHERE tenant = $1 ORDER BY opened_at, id
"""

_SAVE: Final = f"""
INSERT INTO alert (tenant, {_NAMES})
VALUES ($1, {", ".join(f"${number}" for number in range(2, len(_COLUMNS) + 2))})
ON CONFLICT (tenant, id) DO UPDATE
SET {", ".join(f'"{name}" = excluded."{name}"' for name in _COLUMNS if name not in _KEPT)}
"""

_REMEMBER: Final = """
INSERT INTO alert_change (tenant, alert, kind, state, actor, as_of, body) VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


async def stored(tx: Connection, tenant: str) -> list[Alert]:
    """Return every alert the tenant ever had, the oldest first."""
    return [Alert(**row) for row in await tx.fetch(_STORED, tenant)]


async def met(
    tx: Connection, tenant: str, now: datetime, subjects: Collection[Subject], launches: Collection[str]
) -> list[Alert]:
    """Return the alerts of ``subjects``, those that ``launches`` opened, and those that are due at ``now``.

    The oldest come first, as when all are found again: of several that may speak for another the first one does.
    Alerts of waves and of the tenant are always among them: they may speak for others.
    """
    columns = [subject.kind for subject in subjects], [subject.key for subject in subjects]
    return [Alert(**row) for row in await tx.fetch(_MET, tenant, now, *columns, list(launches))]


async def order(tx: Connection, tenant: str) -> None:
    """Let nobody else add changes of the tenant until the transaction ends."""
    await tx.execute(ORDER, tenant)


async def save(tx: Connection, tenant: str, changes: Sequence[Change], as_of: datetime) -> None:
    """Write ``changes``: the last state of each alert, and every change behind it in order."""
    if not changes:
        return
    told = [change for change in changes if change.kind != TIMED]
    if told:
        await order(tx, tenant)
    last = {change.alert.id: change.alert for change in changes}
    await tx.executemany(_SAVE, [(tenant, *(getattr(last[key], name) for name in _COLUMNS)) for key in sorted(last)])
    if told:
        await tx.executemany(
            _REMEMBER,
            [(tenant, alert.id, kind, alert.state, ACTOR, as_of, item(_columns(alert))) for kind, alert in told],
        )
        await tx.execute(WAKE, tenant)


def _columns(alert: Alert) -> dict[str, Any]:
    return {name: getattr(alert, name) for name in _COLUMNS}
