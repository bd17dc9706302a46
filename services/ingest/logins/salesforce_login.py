"""The Login files of Salesforce's EventLogFile: CSV by the hour or day, up to two days late. Pure.

A person at the screen comes to ``/index.jsp``, or by a declared login type, with a browser. OAuth and API logins stand
in the same file, and so does who logs in as somebody else.
"""

import re
from datetime import UTC, datetime
from typing import Final

from schemas.sources import SalesforceOptions, Source
from services.ingest.logins.shape import NO_INSTANT, Cells, Format, Told, cell, lacks, login
from services.ingest.vendors.documents import text
from services.ingest.vendors.salesforce import long_id, moment
from services.ingest.vendors.shape import identity, options

_SUCCESS: Final = "LOGIN_NO_ERROR"
_SCREEN: Final = "/index.jsp"
_APPLICATION: Final = "application"
_TYPES: Final = {
    "A": _APPLICATION,
    "s": "certificate-based login",
    "z": "lightning login",
    "w": "passwordless login",
    "5": "saml idp initiated sso",
    "8": "saml sfdc initiated sso",
    "j": "third party sso",
    "i": "remote access 2.0",
    "I": "other apex api",
    "6": "remote access client",
}
"""What the letters of LOGIN_TYPE are called in LoginHistory; of others the address decides."""
_NEVER: Final = frozenset({"i", "I", "6"})
_TIME: Final = re.compile(r"([0-9]{14})(?:\.([0-9]{1,6}))?")


def _read(source: Source, cells: Cells) -> Told:
    kind = text(cell(cells, "event_type")) or "Login"
    if kind.casefold() != "login" or cell(cells, "delegated_user_id", "delegated_user_name"):
        return None
    user = long_id(cell(cells, "user_id_derived", "user_id"))
    if not _at_the_screen(source, cells) or user is None or user in software(source):
        return None
    request = text(cell(cells, "request_id"))
    if not request:
        return lacks("REQUEST_ID")
    time = moment(cells.get("timestamp_derived")) or _compact(text(cells.get("timestamp")))
    if time is None:
        return lacks("TIMESTAMP_DERIVED", NO_INSTANT)
    good = text(cells.get("login_status")).upper() == _SUCCESS
    return login(source, id=identity("salesforce-login", request, "Login"), user=user, time=time, good=good)


def _at_the_screen(source: Source, cells: Cells) -> bool:
    letter = text(cells.get("login_type"))
    if letter in _NEVER or not text(cells.get("browser_type")).startswith("Mozilla/"):
        return False
    declared = {each.casefold() for each in options(source, SalesforceOptions).login_types}
    if _TYPES.get(letter, letter.casefold()) in declared:
        return True
    return text(cells.get("uri")) == _SCREEN and _APPLICATION in declared


def software(source: Source) -> set[str | None]:
    """Return the ids of the users that are declared to be software."""
    return {long_id(each) for each in options(source, SalesforceOptions).software_users}


def _compact(given: str) -> datetime | None:
    """Return the instant in ``yyyyMMddHHmmss.SSS``, which is UTC."""
    match = _TIME.fullmatch(given)
    if match is None:
        return None
    try:
        whole = datetime.strptime(match[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return whole.replace(microsecond=int((match[2] or "0").ljust(6, "0")))


FORMAT: Final = Format(
    "salesforce-login",
    (
        ("USER_ID", "USER_ID_DERIVED"),
        ("TIMESTAMP", "TIMESTAMP_DERIVED"),
        ("REQUEST_ID",),
        ("LOGIN_STATUS",),
        ("URI", "LOGIN_TYPE"),
        ("BROWSER_TYPE",),
    ),
    _read,
)
