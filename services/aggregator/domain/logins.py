"""How far a tenant's logins are known: who has not logged in can only be told as far as logins would have come in.

A live source is trusted for a while after its newest login; an import speaks for the time up to its newest login, or
up to the instant that it is declared to be complete to. Beyond that nobody is missing: it is unknown.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from schemas.sources import USUAL_LOGIN_HOURS

NONE: Final = "login-source-none"
STALE: Final = "login-source-stale"
SILENT: Final = "source_silent"

_ALWAYS: Final = datetime.max.replace(tzinfo=UTC)
_IMPORTED: Final = "/logins/"


class LoginSource(NamedTuple):
    """What is known of a source of logins. ``until``: up to when it is declared to be complete.

    ``imported``: it tells of none as they happen, so nothing that it told makes it live, not even amid an import.
    """

    name: str
    newest: datetime | None
    until: datetime | None
    hours: int = USUAL_LOGIN_HOURS
    imported: bool = False

    @property
    def told(self) -> datetime | None:
        """Return the last instant that the source speaks of."""
        return max(filter(None, (self.newest, self.until)), default=None)

    @property
    def is_import(self) -> bool:
        """Tell whether what it told last came in by an import, and not while it happened."""
        if self.until is not None and (self.newest is None or self.newest <= self.until):
            return True
        return self.imported or self.name.startswith(_IMPORTED)


class Known(NamedTuple):
    """Up to when logins are ``complete``, and up to when their source counts as ``fresh``. None: there is no source.

    ``blind``: from when to when people may have come unseen, because a source was silent.
    """

    complete: datetime | None
    fresh: datetime | None
    blind: tuple[tuple[datetime, datetime], ...] = ()

    def at(self, instant: datetime) -> bool:
        """Tell whether who had not come by ``instant`` can be judged."""
        return self.complete is not None and instant <= self.complete and not self._unseen(instant)

    def unknown(self, instant: datetime | None) -> str | None:
        """Return why nothing can be said of ``instant`` (None: the tenant has no time yet), not even for now."""
        if self.fresh is None:
            return NONE
        if instant is not None and self._unseen(instant):
            return SILENT
        return STALE if instant is not None and instant > self.fresh else None

    def _unseen(self, instant: datetime) -> bool:
        return any(start < instant <= end for start, end in self.blind)


ALL: Final = Known(_ALWAYS, _ALWAYS)
"""What is known where work connects people, not logins."""


def known(sources: Iterable[LoginSource]) -> Known:
    """Return how far logins are known from ``sources`` together."""
    complete: datetime | None = None
    fresh: datetime | None = None
    for source in sources:
        told = source.told
        if told is None:
            continue
        trusted = told + timedelta(hours=source.hours)
        whole = told if source.is_import else trusted
        complete = whole if complete is None else max(complete, whole)
        fresh = trusted if fresh is None else max(fresh, trusted)
    return Known(complete, fresh)
