"""Every format there is, and a body of one into records for the log. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from schemas.events import LOGIN, Record, encode
from schemas.sources import Source
from services.ingest.logins import (
    dataverse_audit,
    generic,
    hubspot_logins,
    odoo_logins,
    pipedrive_users,
    salesforce_login,
    salesforce_login_history,
)
from services.ingest.logins.rows import rows_of
from services.ingest.logins.shape import Cells, Format, Told, lacks
from services.ingest.normalise import Rejection, normalise
from services.ingest.vendors.shape import from_text

FORMATS: Final[dict[str, Format]] = {
    module.FORMAT.name: module.FORMAT
    for module in (
        salesforce_login,
        salesforce_login_history,
        dataverse_audit,
        hubspot_logins,
        odoo_logins,
        pipedrive_users,
        generic,
    )
}


class Sender(NamedTuple):
    """Whose logins these are. ``source`` None: no source is named, the format stands for it."""

    tenant: str
    source: Source | None = None


class Refused(NamedTuple):
    """A row that is not taken, by its number from 0 on."""

    row: int
    rejection: Rejection


class Taken(NamedTuple):
    """What a body holds. ``skipped``: rows that are no login of a person; ``newest``: the last login."""

    records: Sequence[Record]
    places: Sequence[int]
    refused: list[Refused]
    skipped: int
    newest: datetime | None


def take(form: Format, sender: Sender, body: bytes, received_at: datetime) -> Taken:
    """Return the records of ``body``.

    Raises:
        MalformedError: the body is no table of the format. The message repeats nothing of it.
        TooManyRowsError: it has too many rows.
    """
    source = sender.source or Source("", sender.tenant, form.name)
    records: list[Record] = []
    places: list[int] = []
    refused: list[Refused] = []
    newest: datetime | None = None
    rows = rows_of(body, form)
    for place, cells in enumerate(rows):
        event = _read(form, source, cells)
        if isinstance(event, dict):
            event = normalise(_named(event, form, sender), received_at)
        if isinstance(event, Rejection):
            refused.append(Refused(place, event))
        elif event is not None:
            records.append(encode(sender.tenant, event))
            places.append(place)
            newest = _later(newest, event)
    return Taken(records, places, refused, len(rows) - len(records) - len(refused), newest)


def _read(form: Format, source: Source, cells: Cells | None) -> Told:
    if cells is None:
        return Rejection("", "is not a row of the table")
    group = form.lacking(cells)
    return lacks(group[0]) if group else form.read(source, cells)


def _named(event: dict[str, Any], form: Format, sender: Sender) -> dict[str, Any]:
    return event if sender.source is not None else {**event, "source": f"/logins/{form.name}"}


def _later(newest: datetime | None, event: dict[str, Any]) -> datetime | None:
    at = from_text(event.get("time")) if event["type"] == LOGIN else None
    return newest if at is None or (newest is not None and newest >= at) else at
