"""What Dataverse posts: RemoteExecutionContexts as they were captured, with other people's ids."""

from collections.abc import Callable, Mapping
from typing import Any

from schemas.sources import Source
from services.ingest.vendors.shape import Delivery
from tests.ingest.deliveries import SECRET, delivery, source

ORGANIZATION = "f4cb9b2c-5d51-ee11-be6d-000d3a3c0f7e"
DEAL = "0b1a0f3c-8d50-ef11-a316-000d3a2b7c11"
MAYA = "7a52c5b2-1f50-ef11-a316-6045bd0c11aa"
ROBOT = "11111111-2222-3333-4444-555555555555"
ZERO = "00000000-0000-0000-0000-000000000000"
OPERATION = "2f5a9c1e-7c44-4a0e-9f6d-0c7b5c1d2e3f"
STEP = "9d1c3f00-8d50-ef11-a316-000d3a2b7c11"
HEADERS = {
    "content-type": "application/json",
    "x-ms-dynamics-organization": "org6eadd181.crm.dynamics.com",
    "x-ms-dynamics-entity-name": "opportunity",
    "x-ms-dynamics-request-name": "Update",
    "x-ms-correlation-request-id": "5b1f7d7e-7b1e-4a8b-9f3c-52f3a1f2b111",
}
SIGNED = {**HEADERS, "x-uptake-secret": SECRET}
CONTRACTS = "http://schemas.microsoft.com/xrm/2011/Contracts"


def pairs(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": value} for name, value in values.items()]


def entity(table: str, record: str, attributes: Mapping[str, Any], labels: Mapping[str, str] | None = None) -> Any:
    return {
        "__type": f"Entity:{CONTRACTS}",
        "Attributes": pairs(attributes),
        "EntityState": None,
        "FormattedValues": pairs(labels or {}),
        "Id": record,
        "KeyAttributes": [],
        "LogicalName": table,
        "RelatedEntities": [],
        "RowVersion": None,
    }


def reference(table: str, record: str, name: str | None = None) -> dict[str, Any]:
    return {"__type": f"EntityReference:{CONTRACTS}", "Id": record, "LogicalName": table, "Name": name}


def choice(value: int) -> dict[str, Any]:
    return {"__type": f"OptionSetValue:{CONTRACTS}", "Value": value}


def money(value: float) -> dict[str, Any]:
    return {"__type": f"Money:{CONTRACTS}", "Value": value}


def context(
    message: str = "Update",
    attributes: Mapping[str, Any] | None = None,
    *,
    table: str = "opportunity",
    record: str = DEAL,
    app: str | None = "v4_DEVKITV4",
    labels: Mapping[str, str] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Return the context of ``message``; ``attributes`` are those of its Target, ``changes`` its top level's."""
    parameters: dict[str, Any] = {} if attributes is None else {"Target": entity(table, record, attributes, labels)}
    return {
        "BusinessUnitId": "2ad6b3b1-1f50-ef11-a316-6045bd0c11aa",
        "CorrelationId": "5b1f7d7e-7b1e-4a8b-9f3c-52f3a1f2b111",
        "Depth": 1,
        "InitiatingUserAgent": "",
        "InitiatingUserAzureActiveDirectoryObjectId": ZERO,
        "InitiatingUserId": MAYA,
        "InputParameters": pairs(parameters),
        "IsExecutingOffline": False,
        "IsInTransaction": False,
        "IsOfflinePlayback": False,
        "IsolationMode": 1,
        "MessageName": message,
        "Mode": 1,
        "OperationCreatedOn": "/Date(1772442932000+0000)/",
        "OperationId": OPERATION,
        "OrganizationId": ORGANIZATION,
        "OrganizationName": "unq6eadd181",
        "OutputParameters": [],
        "OwningExtension": reference("sdkmessageprocessingstep", STEP),
        "ParentContext": None,
        "PostEntityImages": [],
        "PreEntityImages": [],
        "PrimaryEntityId": record,
        "PrimaryEntityName": table,
        "RequestId": None,
        "SecondaryEntityName": "none",
        "SharedVariables": pairs({"AcceptLang": "en-US", "x-ms-app-name": app} if app else {}),
        "Stage": 40,
        "UserAzureActiveDirectoryObjectId": ZERO,
        "UserId": MAYA,
        **changes,
    }


def deliveries(text: Callable[[], str]) -> list[tuple[Source, Delivery]]:
    """Return deliveries of every form, with ``text()`` wherever a value of a field or other free text stands."""
    origin = source("dataverse")
    saved = {
        "name": text(),
        "description": text(),
        "parentaccountid": reference("account", ROBOT, text()),
        "estimatedvalue": money(120000.5),
        "opportunityratingcode": choice(2),
        "modifiedon": "/Date(1772442930000)/",
        "modifiedby": reference("systemuser", MAYA, text()),
    }
    labels = {"estimatedvalue": text(), "opportunityratingcode": text()}
    parent = context("Create", {"name": text()}, app="v4_DEVKITV4", SharedVariables=[])
    parent["InputParameters"] += pairs({"x-ms-app-name": "v4_DEVKITV4"})
    bodies = [
        context("Update", saved, labels=labels),
        context("Create", {"subject": text(), "activityid": DEAL}, table="task", app=None, ParentContext=parent),
        context("Update", {"stepname": "4-Close", "statuscode": choice(1)}),
        context("Delete", InputParameters=pairs({"Target": reference("opportunity", DEAL, text())})),
        context("Assign", InputParameters=pairs({"Assignee": reference("systemuser", MAYA, text())})),
        context("Win", InputParameters=pairs({"OpportunityClose": entity("opportunityclose", DEAL, {"a": text()})})),
        context("Update", PreEntityImages=pairs({"before": entity("opportunity", DEAL, {"name": text()})})),
    ]
    proofs: list[dict[str, Any]] = [
        {"headers": SIGNED},
        {"query": f"code={SECRET}".encode()},
        {"query": f"version=1&key={SECRET}".encode()},
        {"secret": SECRET},
    ]
    return [
        (origin, delivery(body, **{"headers": HEADERS, **proofs[place % len(proofs)]}))
        for place, body in enumerate(bodies)
    ]
