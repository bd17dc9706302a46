"""Microsoft Dynamics 365 and Dataverse: the RemoteExecutionContext that a webhook step posts. Pure.

One delivery tells of one message on one record. Several steps may deliver the same message, so the identity of an
event knows nothing of the step; a nested ``ParentContext`` is never counted. Of a body beyond 256 KB Dataverse leaves
out what was changed: the event is taken without fields. Only 502, 503 and 504 are sent again, once.
"""

from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from schemas.fields import FieldRegistry
from schemas.sources import DataverseOptions, Source
from services.ingest.vendors.dataverse_context import Change, change_of, guid, pairs, plain, time_of
from services.ingest.vendors.documents import json_object, mapping, raw, text
from services.ingest.vendors.shape import (
    MALFORMED,
    OK,
    OVERLOADED,
    TOO_LARGE,
    UNAUTHORIZED,
    Bad,
    Delivery,
    Manners,
    Reading,
    Vendor,
    event,
    identity,
    options,
    record_event,
    same,
)
from services.ingest.vendors.stages import stage_of

_KINDS: Final = {
    "create": "created",
    "update": "updated",
    "upsert": "updated",
    "assign": "updated",
    "delete": "deleted",
    "merge": "merged",
    "retrieve": "viewed",
    "setstate": "stage_changed",
    "setstatedynamicentity": "stage_changed",
}
_STAGES: Final = frozenset({"statuscode", "stageid", "stepname"})
_OWN: Final = frozenset(
    {
        *("createdon", "createdby", "createdonbehalfby", "modifiedon", "modifiedby", "modifiedonbehalfby"),
        *("overriddencreatedon", "importsequencenumber", "versionnumber", "timezoneruleversionnumber"),
        *("utcconversiontimezonecode", "owningbusinessunit", "owninguser", "owningteam"),
    }
)
"""Attributes that the platform writes by itself."""
_MOST_PARAMETERS: Final = 16


def _verify(source: Source, delivery: Delivery) -> bool:
    """Whether the header, any parameter of the query (``code`` or one of the operator's) or the path has the secret."""
    shown = [raw(delivery.headers.get(options(source, DataverseOptions).header.lower(), ""))]
    parameters = delivery.query.split(b"&", _MOST_PARAMETERS)[:_MOST_PARAMETERS]
    shown += [unquote_to_bytes(each.partition(b"=")[2]) for each in parameters]
    found = same(delivery.secret, source.secrets)
    for given in shown:
        found |= same(given, source.secrets)
    return found


def _parse(source: Source, delivery: Delivery, fields: FieldRegistry) -> Reading:
    change = change_of(json_object(delivery.body), delivery)
    time = time_of(change, delivery.received_at)
    name = _identity(change, delivery)
    if change.table == "msdyn_agentstatus":
        return _agent_status(source, change, name, time)
    origin, confidence = _origin(source, change)
    behalf = _on_behalf_of(change)
    kind = _KINDS.get(change.message.casefold())
    if kind is None:
        used = event(
            source,
            id=name,
            type="crm.feature.used",
            time=time,
            user=change.user,
            origin=origin,
            confidence=confidence,
        )
        return Reading([used(feature=change.message, object=change.table, record=change.record, on_behalf_of=behalf)])
    values = _values(change)
    stage = stage_of(values or {} if kind != "created" else {}, values or {}, change.table, fields, _STAGES)
    made = record_event(
        source,
        fields,
        id=name,
        kind=stage.kind(kind),
        time=time,
        user=change.user,
        object=change.table,
        record=change.record,
        values=values,
        origin=origin,
        confidence=confidence,
        on_behalf_of=behalf,
        **stage.told,
    )
    return Reading([made])


def _values(change: Change) -> dict[str, Any] | None:
    """Return the attributes that somebody set, by name."""
    if change.attributes is None or change.message.casefold() in ("delete", "retrieve"):
        return None
    key = f"{change.table}id"
    return {
        name: plain(value)
        for name, value in change.attributes.items()
        if (folded := name.casefold()) not in _OWN and folded != key
    }


def _agent_status(source: Source, change: Change, name: str, time: datetime | None) -> Reading:
    """Return the login of an agent of the contact center; other changes of presence say nothing."""
    if change.attributes is None or plain(change.attributes.get("msdyn_isagentloggedin")) is not True:
        return Reading([])
    images = [_image(change.context.get(kind)) for kind in ("PostEntityImages", "PreEntityImages")]
    found = (guid(plain(each.get("msdyn_agentid"))) for each in (change.attributes, *images))
    agent = next((each for each in found if each is not None), None)
    if agent is None:
        return Reading([], [Bad("/InputParameters", "has no msdyn_agentid: register it in an image of the step")])
    login = event(
        source,
        id=name,
        type="crm.session.login",
        time=time,
        user=agent,
        origin="ui",
        confidence="inferred",
    )
    return Reading([login(method="agent-status")])


def _image(value: object) -> dict[str, Any]:
    """Return the attributes of the images in ``value``, as one."""
    found: dict[str, Any] = {}
    for image in pairs(value).values():
        found |= pairs(mapping(image).get("Attributes"))
    return found


def _identity(change: Change, delivery: Delivery) -> str:
    """Return the same name for every step that delivers one message on one record."""
    told_by = change.context.get
    operation = guid(told_by("OperationId")) or guid(told_by("RequestId")) or guid(told_by("CorrelationId"))
    organization = guid(change.context.get("OrganizationId")) or text(change.context.get("OrganizationName"))
    told: object = operation or delivery.body.hex()
    return identity(organization, told, change.message.casefold(), change.table.casefold(), change.record)


def _on_behalf_of(change: Change) -> str | None:
    """Return the other one of the two where somebody acted in the name of another."""
    delegate = change.reference("modifiedonbehalfby") or change.reference("createdonbehalfby")
    if delegate is None or delegate != change.user:
        return delegate
    others = (change.reference("modifiedby"), change.reference("createdby"), guid(change.context.get("UserId")))
    return next((other for other in others if other not in (None, change.user)), None)


def _origin(source: Source, change: Change) -> tuple[str, str]:
    """Return where the change came from, and how that is known."""
    software = options(source, DataverseOptions).application_users
    if change.user is not None and software and change.user in map(guid, software):
        return "automation", "inferred"
    depth = change.context.get("Depth")
    if type(depth) is int and depth > 1:
        return "automation", "inferred"
    attributes = change.attributes or {}
    if attributes.get("importsequencenumber") is not None or attributes.get("overriddencreatedon") is not None:
        return "import", "stated"
    agent = text(change.context.get("InitiatingUserAgent"))
    if _on_behalf_of(change) is not None or (agent and not agent.startswith("Mozilla/")):
        return "api", "inferred"
    if text(pairs(change.context.get("SharedVariables")).get("x-ms-app-name")):
        return "ui", "stated"
    parent = mapping(change.context.get("ParentContext"))
    named = bool(parent) and any(
        text(pairs(parent.get(name)).get("x-ms-app-name")) for name in ("InputParameters", "SharedVariables")
    )
    return ("ui", "inferred") if named or agent else ("unknown", "none")


VENDOR: Final = Vendor(
    kind="dataverse",
    manners=Manners(
        accepted=OK,
        unauthorized=UNAUTHORIZED,
        malformed=MALFORMED,
        overloaded=OVERLOADED,
        limited=OVERLOADED,
        too_large=TOO_LARGE,
        seconds=2.0,
    ),
    verify=_verify,
    parse=_parse,
)
