"""CRMs as they really deliver, over HTTP: each is answered in its own words, and its events land once."""

import json
from typing import Any

import pytest

from services.embedded import Broker
from tests.ingest.deliveries import SECRET
from tests.ingest.service import Ingest, on_the_log
from tests.ingest.vendors.samples_dataverse import HEADERS, context
from tests.ingest.vendors.samples_pipedrive import hook
from tests.ingest.vendors.samples_salesforce_cdc import change, login, relayed
from tests.ingest.vendors.samples_salesforce_outbound import message, notification
from tests.ingest.vendors.samples_zoho import notification as zoho

TEXT = "Grace Hopper is quite private"
SOAP = {"content-type": "text/xml; charset=UTF-8", "soapaction": '""'}


async def landed(broker: Broker, source: str, *, at_least: int) -> list[dict[str, Any]]:
    """Return the events of ``source`` on the log, each as often as it stands there; nothing private among them."""
    name = f"/hooks/{source}".encode()
    records = await on_the_log(broker.address, at_least=at_least, containing=name)

    assert TEXT.encode() not in b"".join(record.value for record in records)
    return [json.loads(record.value) for record in records]


async def test_dynamics_is_taken_by_header_query_and_path(house: Ingest, house_broker: Broker) -> None:
    body = context("Update", {"name": TEXT})
    proofs: list[tuple[str, dict[str, str]]] = [
        ("dynamics", {"x-uptake-secret": SECRET}),
        (f"dynamics?code={SECRET}", {}),
        (f"dynamics/{SECRET}", {}),
        ("dynamics", {"x-uptake-secret": SECRET[:-1]}),
        ("dynamics?code=", {}),
    ]

    answers = [house.deliver(path, body, headers={**HEADERS, **proof}).status_code for path, proof in proofs]
    malformed = house.deliver("dynamics", b"{}", headers={"x-uptake-secret": SECRET})
    events = await landed(house_broker, "dynamics", at_least=3)

    assert answers == [200, 200, 200, 401, 401]
    assert malformed.status_code == 400
    assert len(events) == 3
    assert all(event == events[0] for event in events)
    assert SECRET not in house.log


async def test_salesforce_flows_are_answered_in_soap(house: Ingest, house_broker: Broker) -> None:
    body = message(*(notification(number, {"Name": TEXT}) for number in (1, 2))).encode()

    taken = house.deliver(f"sf-flows/{SECRET}", body, headers=SOAP)
    refused = house.deliver(f"sf-flows/{SECRET}x", body, headers=SOAP)
    fault = house.deliver(f"sf-flows/{SECRET}", body[:-30], headers=SOAP)
    events = await landed(house_broker, "sf-flows", at_least=2)

    assert (taken.status_code, taken.headers["content-type"]) == (200, "text/xml; charset=UTF-8")
    assert "<Ack>true</Ack>" in taken.text
    assert refused.status_code == 401
    assert (fault.status_code, "Fault" in fault.text) == (500, True)
    assert len({event["id"] for event in events}) == len(events) == 2


async def test_salesforce_changes_and_logins_come_by_event_bridge(house: Ingest, house_broker: Broker) -> None:
    bodies = [relayed(change({"Name": TEXT})), relayed(login(Browser=TEXT), "LoginEventStream")]

    answers = [house.deliver("sf-changes", body, headers={"x-api-key": SECRET}).status_code for body in bodies]
    refused = house.deliver("sf-changes", bodies[0], headers={"x-api-key": "wrong"})
    events = await landed(house_broker, "sf-changes", at_least=2)

    assert [*answers, refused.status_code] == [200, 200, 401]
    assert {event["type"] for event in events} == {"crm.record.updated", "crm.session.login"}


async def test_pipedrive_is_told_that_all_is_well_once_it_has_shown_the_password(
    house: Ingest, house_broker: Broker
) -> None:
    who = ("uptake", SECRET)
    answers = [
        house.deliver("pipedrive-eu", body, auth=auth).status_code
        for body, auth in [
            (hook({"title": TEXT}), who),
            (b"not JSON", who),
            (hook({"title": TEXT}), ("uptake", "wrong")),
        ]
    ]
    [event] = await landed(house_broker, "pipedrive-eu", at_least=1)

    assert answers == [200, 200, 401]
    assert event["data"]["fields"] == {"title": "filled"}


@pytest.mark.parametrize("token", [None, "", SECRET.upper(), 0])
def test_zoho_shows_its_token_in_the_body(house: Ingest, token: object) -> None:
    assert house.deliver("zoho-eu", zoho(token=token)).status_code == 401
    assert house.deliver("zoho-eu", b"{").status_code == 401


async def test_zohos_records_land_each(house: Ingest, house_broker: Broker) -> None:
    taken = house.deliver("zoho-eu", zoho("update", {"Deal_Name": TEXT}))
    malformed = house.deliver("zoho-eu", zoho(ids=[]))
    [event] = await landed(house_broker, "zoho-eu", at_least=1)

    assert (taken.status_code, malformed.status_code) == (200, 400)
    assert event["data"]["fields"] == {"Deal_Name": "filled"}
    assert SECRET not in house.log
