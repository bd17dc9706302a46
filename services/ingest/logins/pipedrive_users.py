"""The answer of Pipedrive's ``GET /v1/users``: each user with the time of the last login, in naive UTC. Pure.

There is only ever the last one, so the users are asked for at least once a day.
"""

from typing import Final

from schemas.sources import Source
from services.ingest.logins.shape import NO_INSTANT, Cells, Format, Told, cell, lacks, login
from services.ingest.vendors.documents import key, text
from services.ingest.vendors.shape import from_text, identity

_NEVER: Final = "0000-00-00"


def _read(source: Source, cells: Cells) -> Told:
    user = key(cells.get("id"))
    if user is None:
        return lacks("id")
    given = cell(cells, "last_login")
    if given is None or text(given).startswith(_NEVER):
        return None
    time = from_text(given, naive=True)
    if time is None:
        return lacks("last_login", NO_INSTANT)
    name = identity("pipedrive-login", user, f"{time}")
    email = text(cells.get("email"))
    return login(source, id=name, user=user, time=time, email=email, confidence="inferred")


FORMAT: Final = Format("pipedrive-users", (("id",), ("last_login",)), _read)
