"""An export of Odoo's log of users (``res.users.log``): CSV from the list view, or JSON from ``search_read``. Pure.

Only logins that succeeded are written there, in naive UTC. A login has the identity that the automation rule on the
same model gives it as well. Exports name users by their database id, by an external id, or by their names with it.
"""

import re
from typing import Final

from schemas.sources import OdooOptions, Source
from services.ingest.logins.shape import NO_INSTANT, Cells, Format, Told, cell, lacks, login
from services.ingest.vendors.documents import key, listing
from services.ingest.vendors.shape import from_text, identity, options

_MODEL: Final = "res.users.log"
_EXPORTED: Final = re.compile(r"__export__\.res_users(?:_log)?_([0-9]+)(?:_[0-9a-f]+)?")
_NAMED: Final = re.compile(r".*\(([0-9]+)\)", re.DOTALL)
_BUILT_IN: Final = {"base.user_root": "1", "base.user_admin": "2"}


def _read(source: Source, cells: Cells) -> Told:
    user = _number(cell(cells, "create_uid/.id", "create_uid", "create_uid/id", "created by/id", "created by"))
    if user is None:
        return lacks("create_uid", "must hold the id of a user: export create_uid/.id")
    time = from_text(cell(cells, "create_date", "created on"), naive=True)
    if time is None:
        return lacks("create_date", NO_INSTANT)
    if user in options(source, OdooOptions).software_users:
        return None
    record = _number(cell(cells, ".id", "id")) or f"of user {user}"
    name = identity("login", _MODEL, record, f"{time}")
    return login(source, id=name, user=user, time=time, origin="unknown", confidence="none")


def _number(value: object) -> str | None:
    """Return the database id in any of its spellings; None where there is none."""
    given = key(next(iter(listing(value)), None) or value)
    if given is None or given.isdecimal():
        return given
    match = _EXPORTED.fullmatch(given) or _NAMED.fullmatch(given)
    return match[1] if match else _BUILT_IN.get(given)


FORMAT: Final = Format(
    "odoo-logins",
    (
        ("create_uid", "create_uid/.id", "create_uid/id", "Created by", "Created by/ID"),
        ("create_date", "Created on"),
    ),
    _read,
)
