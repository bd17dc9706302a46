"""What every format takes and gives. Pure.

A row becomes the event of a login or of a refused one, nothing where nobody came to the screen (software, an
administrator in somebody's name), or a reason why it cannot be read. Addresses, browsers and places are not even
looked at. The identity of a login is a function of the row: what is imported twice counts once.
"""

from collections.abc import Callable, Container, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from schemas.sources import Source
from services.ingest.normalise import Rejection, pointer_to
from services.ingest.vendors.documents import text
from services.ingest.vendors.shape import event

Cells = Mapping[str, Any]
"""A row: what stands in it by the name of the column in lower case."""

Told = dict[str, Any] | Rejection | None
"""An event for ``normalise``, why there is none, or None where the row is no login of a person."""


class Format(NamedTuple):
    """A format. ``needs``: the columns a row must have, of each group at least one."""

    name: str
    needs: tuple[tuple[str, ...], ...]
    read: Callable[[Source, Cells], Told]

    def lacking(self, columns: Container[str]) -> tuple[str, ...]:
        """Return the first group of which none is among ``columns`` (in lower case)."""
        return next((group for group in self.needs if not any(name.casefold() in columns for name in group)), ())


def login(
    source: Source,
    *,
    id: str,  # noqa: A002 - its name in CloudEvents
    user: str,
    time: datetime,
    good: bool = True,
    email: str = "",
    origin: str = "ui",
    confidence: str = "stated",
) -> dict[str, Any]:
    """Return the event of a login; not ``good``: of one that was refused."""
    kind = "crm.session.login" if good else "crm.session.login_failed"
    return event(source, id=id, type=kind, time=time, user=user, origin=origin, confidence=confidence)(email=email)


def lacks(column: str, reason: str = "is needed") -> Rejection:
    """Return that a row cannot be read for what stands in ``column``."""
    return Rejection(pointer_to(column), reason)


NO_INSTANT: Final = "must be a date and time"


def cell(cells: Cells, *columns: str) -> Any:  # noqa: ANN401 - whatever stands there
    """Return what stands in the first of ``columns`` that has anything."""
    for column in columns:
        value = cells.get(column)
        if value is not None and value != "" and value is not False:
            return value
    return None


def truth(value: object) -> bool | None:
    """Return the truth that ``value`` is or spells; None: neither."""
    if isinstance(value, bool):
        return value
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(text(value).casefold())
