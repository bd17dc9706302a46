"""Rows of Salesforce's LoginHistory, as a query gives them: CSV or JSON. Pure.

A login has the identity that LoginEventStream gives it as well: by whichever way it comes, it is one.
"""

from typing import Final

from schemas.sources import Source
from services.ingest.logins.salesforce_login import software
from services.ingest.logins.shape import NO_INSTANT, Cells, Format, Told, cell, lacks
from services.ingest.vendors.salesforce import login_of, long_id, moment


def _read(source: Source, cells: Cells) -> Told:
    name, user, time = cell(cells, "id"), long_id(cell(cells, "userid")), cell(cells, "logintime")
    if long_id(name) is None:
        return lacks("Id")
    if user is None:
        return lacks("UserId")
    if moment(time) is None:
        return lacks("LoginTime", NO_INSTANT)
    if user in software(source):
        return None
    told = {
        "LoginHistoryId": name,
        "UserId": user,
        "LoginTime": time,
        "LoginType": cells.get("logintype"),
        "Status": cells.get("status"),
        "Application": cells.get("application", "Browser"),  # where it was not asked for, the type decides alone
    }
    return login_of(source, told)


FORMAT: Final = Format(
    "salesforce-login-history", (("Id",), ("UserId",), ("LoginTime",), ("LoginType",), ("Status",)), _read
)
