"""The answer of Dataverse's ``audits`` query: user access by the web (action 64). Pure.

One row stands for four hours of a user's presence. Access by other clients (65), the auditing itself (112, 113) and
whoever is called on behalf of another are no logins.
"""

from typing import Final

from schemas.sources import DataverseOptions, Source
from services.ingest.logins.shape import NO_INSTANT, Cells, Format, Told, cell, lacks, login
from services.ingest.vendors.dataverse_context import guid
from services.ingest.vendors.documents import key
from services.ingest.vendors.shape import from_text, identity, options

_BY_THE_WEB: Final = frozenset({"64", "user access via web"})


def _read(source: Source, cells: Cells) -> Told:
    action = key(cells.get("action"))
    if action is None:
        return lacks("action")
    user = guid(cell(cells, "_objectid_value", "objectid"))
    calling = guid(cell(cells, "_callinguserid_value", "callinguserid"))
    software = {guid(each) for each in options(source, DataverseOptions).application_users} - {None}
    if action.casefold() not in _BY_THE_WEB or calling is not None or user in software:
        return None
    if user is None:
        return lacks("_objectid_value", "must be the id of a user")
    name = guid(cells.get("auditid"))
    if name is None:
        return lacks("auditid")
    time = from_text(cells.get("createdon"), naive=True)
    if time is None:
        return lacks("createdon", NO_INSTANT)
    return login(source, id=identity("dataverse-audit", name), user=user, time=time)


FORMAT: Final = Format(
    "dataverse-audit", (("auditid",), ("action",), ("_objectid_value", "objectid"), ("createdon",)), _read
)
