"""Any list of logins: columns ``user`` and ``time``, and ``email`` and ``id`` where there are any. Pure.

A time without an offset is UTC. Without an id a login is recognised by its user and time.
"""

from typing import Final

from schemas.sources import Source
from services.ingest.logins.shape import NO_INSTANT, Cells, Format, Told, cell, lacks, login
from services.ingest.vendors.documents import key, text
from services.ingest.vendors.shape import from_text, identity


def _read(source: Source, cells: Cells) -> Told:
    email = text(cells.get("email"))
    user = key(cell(cells, "user")) or email
    if not user:
        return lacks("user")
    time = from_text(cell(cells, "time"), naive=True)
    if time is None:
        return lacks("time", NO_INSTANT)
    given = key(cell(cells, "id"))
    name = identity("login", given) if given is not None else identity("login", user, f"{time}")
    return login(source, id=name, user=user, time=time, email=email)


FORMAT: Final = Format("csv", (("user", "email"), ("time",)), _read)
