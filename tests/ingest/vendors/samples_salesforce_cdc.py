"""What Salesforce tells of changes and logins, by Event Relay (EventBridge), CometD, or decoded from Pub/Sub."""

from base64 import b64encode
from collections.abc import Callable
from typing import Any

from schemas.sources import Source
from services.ingest.vendors.shape import Delivery
from tests.ingest.deliveries import SECRET, delivery, source

MAYA = "0055e000001mKpCAAU"
DEAL = "0065e00000ABcdEAAT"
LIGHTNING = "com/salesforce/api/soap/60.0;client=SfdcInternalAPI/"


def header(**changes: Any) -> dict[str, Any]:
    return {
        "entityName": "Opportunity",
        "recordIds": [DEAL],
        "changeType": "UPDATE",
        "changeOrigin": LIGHTNING,
        "transactionKey": "0002343d-9d90-e395-ed20-cf416ba652ad",
        "sequenceNumber": 1,
        "commitTimestamp": 1772442000000,
        "commitNumber": 10585193272713,
        "commitUser": MAYA,
        "nulledFields": [],
        "diffFields": [],
        "changedFields": ["StageName", "LastModifiedDate"],
        **changes,
    }


def change(values: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Return the payload of a change event."""
    fields = {"StageName": "Negotiation", "LastModifiedDate": "2026-03-02T09:00:00.000Z"} if values is None else values
    return {"ChangeEventHeader": header(**changes), **fields}


def login(**changes: Any) -> dict[str, Any]:
    """Return the payload of LoginEventStream; a change to None takes the field away."""
    payload = {
        "EventIdentifier": "0c3a5b0e-2a9b-4a0b-8f3c-3f1d2c4b5a69",
        "LoginHistoryId": "0Ya5e00000Pq1zXCAR",
        "UserId": MAYA,
        "Username": "maya@acme.example",
        "EventDate": "2026-03-02T08:15:30.000Z",
        "CreatedById": "0055e000000AutoAAA",
        "CreatedDate": "2026-03-02T08:15:31.000Z",
        "LoginType": "Application",
        "Application": "Browser",
        "Browser": "Chrome 120",
        "Status": "Success",
        "SourceIp": "203.0.113.7",
        **changes,
    }
    return {name: value for name, value in payload.items() if value is not None}


def relayed(payload: dict[str, Any], name: str = "OpportunityChangeEvent") -> dict[str, Any]:
    """Return ``payload`` as EventBridge posts it."""
    return {
        "version": "0",
        "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "detail-type": name,
        "source": "aws.partner/salesforce.com/00D5e000001PmfmEAC/0YLa500000000AvGAI",
        "account": "123456789012",
        "time": "2026-03-02T09:00:01Z",
        "region": "eu-central-1",
        "resources": [],
        "detail": {"payload": payload, "schemaId": "x", "id": "y"},
    }


def streamed(payload: dict[str, Any], channel: str = "/data/OpportunityChangeEvent") -> dict[str, Any]:
    """Return ``payload`` as a CometD client has it."""
    return {"channel": channel, "data": {"schema": "x", "payload": payload, "event": {"replayId": 21}}}


def union(payload: dict[str, Any]) -> dict[str, Any]:
    """Return ``payload`` as a plain Avro decoder leaves it: a union around each value, null for what did not change."""
    branch = {str: "string", int: "long", float: "double", bool: "boolean"}
    return {name: {branch[type(value)]: value} if type(value) in branch else value for name, value in payload.items()}


def deliveries(text: Callable[[], str]) -> list[tuple[Source, Delivery]]:
    """Return messages of every form, with ``text()`` wherever a value of a field or other free text stands."""
    decoded = union(change({"NextStep": text(), "Amount": 12.5, "Name": None}, changedFields=["0x400000"]))
    known = union(login(Browser=text(), SourceIp=text(), EventDate=None)) | {"EventDate": 1772439330000}
    bodies: list[Any] = [
        relayed(change()),
        relayed(change({"Name": text(), "Description": text()}, changeType="CREATE", changedFields=[])),
        [relayed(change({}, recordIds=[DEAL, "0065e00000ABcdFAAT"], nulledFields=["NextStep"]))],
        {"schema": "x", "payload": change({"Name": {"FirstName": text()}}), "event": {"replayId": 1}},
        streamed(change({"Description": text()}, changeOrigin="com/salesforce/api/rest/60.0;client=sfdx toolbelt")),
        decoded,
        change({}, changeType="GAP_UPDATE", changedFields=[]),
        change({}, changeType="DELETE", changedFields=[]),
        relayed(login(Browser=text(), CountryIso=text(), LoginGeoId=text()), "LoginEventStream"),
        known,
        relayed(login(Status=f"Failed: {text()}"), "LoginEventStream"),
    ]
    proofs: list[dict[str, Any]] = [
        {"headers": {"x-api-key": SECRET}},
        {"headers": {"authorization": f"Bearer {SECRET}"}},
        {"headers": {"authorization": SECRET}},
        {"secret": SECRET},
    ]
    origin = source("salesforce-cdc")
    made = [(origin, delivery(body, **proofs[place % len(proofs)])) for place, body in enumerate(bodies)]
    basic = {"authorization": "Basic " + b64encode(b"relay:pass").decode()}
    return [*made, (source("salesforce-cdc", "relay:pass"), delivery(bodies[0], headers=basic))]
