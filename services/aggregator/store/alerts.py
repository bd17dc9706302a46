"""Alerts in Postgres: the current row of each, and its history, to which is only ever added.

Both are written in the transaction that read the facts they rest on.
"""

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Final

from schemas.alerts import item
from services.aggregator.domain.alerts import Alert, Change
from services.postgres import Connection

ACTOR: Final = "evaluator"

_COLUMNS: Final = tuple(field.name for field in fields(Alert))
_NAMES: Final = ", ".join(f'"{name}"' for name in _COLUMNS)
_KEPT: Final = frozenset({"id", "fingerprint"})

_STORED: Final = f"SELECT {_NAMES} FROM alert WHERE tenant = $1"

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
    """Return every alert the tenant ever had."""
    return [Alert(**row) for row in await tx.fetch(_STORED, tenant)]


async def save(tx: Connection, tenant: str, changes: Sequence[Change], as_of: datetime) -> None:
    """Write ``changes``: the last state of each alert, and every change behind it in order."""
    if not changes:
        return
    last = {change.alert.id: change.alert for change in changes}
    await tx.executemany(_SAVE, [(tenant, *(getattr(last[key], name) for name in _COLUMNS)) for key in sorted(last)])
    await tx.executemany(
        _REMEMBER,
        [(tenant, alert.id, kind, alert.state, ACTOR, as_of, item(asdict(alert))) for kind, alert in changes],
    )
