"""What every way out of Salesforce has in common: ids of 15 and 18 characters, ``changeOrigin``, logins. Pure."""

import re
import string
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from schemas.sources import SalesforceOptions, Source
from services.ingest.vendors.documents import number, text
from services.ingest.vendors.shape import event, from_milliseconds, from_text, identity, options

_SHORT: Final = re.compile(r"[A-Za-z0-9]{15}")
_LENGTHS: Final = (15, 18)
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_BITS: Final = {ord(one): "1" if one.isupper() else "0" for one in string.ascii_letters + string.digits}
_NOBODY: Final = "0" * 15
_ORIGIN: Final = re.compile(r"com/salesforce/api/([a-z]{1,32})/[0-9.]{1,8}(?:;client=([^;]{0,200}))?")
_SUCCESS: Final = "success"
_BROWSER: Final = "browser"


def long_id(value: object) -> str | None:
    """Return an id in its 18 characters, whether it came with them or with 15; ids of other shapes as they are.

    The last three say which of the fifteen are capitals, so that ids differ without regard to case.
    """
    given = text(value)
    return _long(given) if len(given) in _LENGTHS else given or None


@lru_cache(4096)
def _long(given: str) -> str | None:
    if len(given) == 18 and given.isascii() and given.isalnum():  # noqa: PLR2004 - the long form
        given = given[:15] if _fits(given) else given
    if not _SHORT.fullmatch(given):
        return given
    return None if given == _NOBODY else given + _suffix(given)


def _suffix(short: str) -> str:
    """Return the three characters that spell the capitals of fifteen, of each five the first as the least."""
    bits = short.translate(_BITS)[::-1]
    return _LETTERS[int(bits[10:], 2)] + _LETTERS[int(bits[5:10], 2)] + _LETTERS[int(bits[:5], 2)]


def _fits(long: str) -> bool:
    return long[15:].upper() == _suffix(long[:15])


def software_of(source: Source) -> frozenset[str]:
    """Return the ids of the users of ``source`` that are declared to be software."""
    return _long_ids(tuple(options(source, SalesforceOptions).software_users))


@lru_cache(1024)
def _long_ids(given: tuple[str, ...]) -> frozenset[str]:
    return frozenset(filter(None, map(long_id, given)))


@lru_cache(1024)
def _folded(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name.casefold() for name in names)


def origin_of(source: Source, change_origin: str, user: str | None) -> tuple[str, str]:
    """Return the origin that ``changeOrigin`` tells, and how that is known."""
    if user is not None and user in software_of(source):
        return "automation", "inferred"
    if not change_origin:
        return "automation", "inferred"  # neither Lightning nor an API: Setup, Classic, a flow
    match = _ORIGIN.fullmatch(change_origin)
    if match is None:
        return "unknown", "none"
    known = options(source, SalesforceOptions)
    client = (match[2] or "").strip("/").split("/")[0].casefold()
    if match[1] == "bulkapi" or client in _folded(tuple(known.import_clients)):
        return "import", "stated"
    if client and client in _folded(tuple(known.ui_clients)):
        return "ui", "stated"
    return "api", "stated"


def login_identity(history: object, name: object = None) -> str | None:
    """Return the identity of a login: that of its row in LoginHistory, which every way of telling it shares."""
    told = long_id(history) or text(name)
    return identity("salesforce-login", told) if told else None


def login_of(source: Source, told: dict[str, Any], at: datetime | None = None) -> dict[str, Any] | None:
    """Return the event of a row of LoginEventStream, LoginEvent or LoginHistory; None when nobody came to the screen.

    A person at the screen has one of the declared login types and a browser; without success it is a failed one.
    """
    if text(told.get("LoginType")).casefold() not in _folded(tuple(options(source, SalesforceOptions).login_types)):
        return None
    good = text(told.get("Status")).casefold() == _SUCCESS
    if good and text(told.get("Application")).casefold() != _BROWSER:
        return None
    name = login_identity(told.get("LoginHistoryId"), told.get("EventIdentifier"))
    user = long_id(told.get("UserId"))
    if name is None or user is None:
        return None
    made = event(
        source,
        id=name,
        type="crm.session.login" if good else "crm.session.login_failed",
        time=moment(told.get("EventDate") or told.get("LoginTime")) or at,
        user=user,
        origin="ui",
        confidence="stated",
    )
    return made()


def moment(value: object) -> datetime | None:
    """Return the instant in a date of any of its spellings: ISO 8601 text or milliseconds since 1970."""
    return from_text(value, naive=True) or from_milliseconds(number(value))
