"""The tables of Uptake, in SQLAlchemy Core. Migrations are written from them; SQL lives in the ``store`` rooms.

Who writes what stands at the head of each file. Nobody else writes.
"""

from schemas.tables.alerts import alert, alert_change, evaluation, wave_connection
from schemas.tables.columns import metadata
from schemas.tables.directory import alias, alias_change, directory_change, membership, person, wave
from schemas.tables.facts import (
    claimed,
    dead_letter,
    identity_day,
    letter_position,
    log_gap,
    person_day,
    person_link,
    position,
    roster,
    sighting,
    source_seen,
    tally,
    window_delta,
)
from schemas.tables.platform import access_log, api_key, idempotency, installation, source, tenant
from schemas.tables.scim import scim_group, scim_member, scim_rules

__all__ = [
    "access_log",
    "alert",
    "alert_change",
    "alias",
    "alias_change",
    "api_key",
    "claimed",
    "dead_letter",
    "directory_change",
    "evaluation",
    "idempotency",
    "identity_day",
    "installation",
    "letter_position",
    "log_gap",
    "membership",
    "metadata",
    "person",
    "person_day",
    "person_link",
    "position",
    "roster",
    "scim_group",
    "scim_member",
    "scim_rules",
    "sighting",
    "source",
    "source_seen",
    "tally",
    "tenant",
    "wave",
    "wave_connection",
    "window_delta",
]
