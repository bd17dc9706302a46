"""The answer of HubSpot's login history (``account-info/…/activity/login``). Pure."""

from typing import Final

from schemas.sources import Source
from services.ingest.logins.shape import NO_INSTANT, Cells, Format, Told, lacks, login, truth
from services.ingest.vendors.documents import key, text
from services.ingest.vendors.shape import from_text, identity


def _read(source: Source, cells: Cells) -> Told:
    name, email = key(cells.get("id")), text(cells.get("email"))
    user = key(cells.get("userid")) or email
    if name is None:
        return lacks("id")
    good = truth(cells.get("loginsucceeded"))
    if good is None:
        return lacks("loginSucceeded", "must be true or false")
    time = from_text(cells.get("loginat"))
    if time is None:
        return lacks("loginAt", NO_INSTANT)
    if not user:
        return lacks("userId") if good else None  # somebody whom HubSpot does not know either
    return login(source, id=identity("hubspot-login", name), user=user, time=time, good=good, email=email)


FORMAT: Final = Format("hubspot-logins", (("id",), ("loginAt",), ("loginSucceeded",)), _read)
