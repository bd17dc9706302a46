"""The tables of Uptake, in SQLAlchemy Core. Migrations are written from them; SQL lives in the ``store`` rooms.

Who writes what stands at the head of each file. Nobody else writes.
"""

from schemas.tables.alerts import alert, alert_change, evaluation, wave_connection
from schemas.tables.columns import metadata
from schemas.tables.directory import directory_change, membership, person, wave
from schemas.tables.facts import (
    claimed,
    dead_letter,
    log_gap,
    person_day,
    position,
    roster,
    source_seen,
    tally,
    window_delta,
)
from schemas.tables.platform import access_log, api_key, idempotency, installation, tenant

__all__ = [
    "access_log",
    "alert",
    "alert_change",
    "api_key",
    "claimed",
    "dead_letter",
    "directory_change",
    "evaluation",
    "idempotency",
    "installation",
    "log_gap",
    "membership",
    "metadata",
    "person",
    "person_day",
    "position",
    "roster",
    "source_seen",
    "tally",
    "tenant",
    "wave",
    "wave_connection",
    "window_delta",
]
