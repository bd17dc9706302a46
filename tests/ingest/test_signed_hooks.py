"""Signed deliveries over HTTP: what is signed is what the service sees, behind whatever host and proxy."""

import json
from datetime import UTC, datetime

import httpx

from services.embedded import Broker
from tests.ingest.deliveries import KEY, SECRET
from tests.ingest.service import Ingest, on_the_log
from tests.ingest.vendors import samples_hubspot, samples_okta, samples_standard_webhooks

CONFIGURED = "https://in.example.com/uptake/v1/hooks/hubspot-eu?region=eu%2F1"


def now() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


async def test_hubspots_signature_is_over_the_configured_address_and_never_over_the_host_header(
    house: Ingest, house_broker: Broker
) -> None:
    form = [samples_hubspot.edit(name, "quite private", occurredAt=now()) for name in ("dealname", "amount")]
    good = samples_hubspot.signed(form, secret=SECRET, url=CONFIGURED, at=now())
    by_host = samples_hubspot.signed(
        form, secret=SECRET, url="https://evil.example/v1/hooks/hubspot-eu?region=eu%2F1", at=now()
    )
    stale = samples_hubspot.signed(form, secret=SECRET, url=CONFIGURED, at=now() - 301_000)

    answers = [
        house.deliver(
            "hubspot-eu?region=eu%2F1", each.body, headers={**each.headers, "host": "evil.example"}
        ).status_code
        for each in (good, by_host, stale, good)
    ]
    records = await on_the_log(house_broker.address, at_least=2, containing=b"/hooks/hubspot-eu")

    assert answers == [200, 401, 401, 200]
    assert len({record.value for record in records}) == 1
    assert json.loads(records[0].value)["data"]["fields"] == {"dealname": "filled", "amount": "filled"}
    assert b"private" not in records[0].value


def test_without_a_configured_address_the_one_that_the_set_up_shows_is_signed(house: Ingest) -> None:
    url = f"{house.url}/v1/hooks/hubspot-plain"
    good, by_host = [
        samples_hubspot.signed([samples_hubspot.edit()], secret=SECRET, url=each, at=now())
        for each in (url, "http://evil.example/v1/hooks/hubspot-plain")
    ]

    answers = [
        house.deliver("hubspot-plain", each.body, headers={**each.headers, "host": "evil.example"}).status_code
        for each in (good, by_host)
    ]

    assert answers == [200, 401]


async def test_a_standard_webhook_is_taken_once_it_is_signed(house: Ingest, house_broker: Broker) -> None:
    made = samples_standard_webhooks.signed(samples_standard_webhooks.saved(), secret=KEY, at=datetime.now(UTC))
    spoiled = made.body.replace(b"u1", b"u2")

    taken = house.deliver("signed-tool", made.body, headers=made.headers)
    refused = house.deliver("signed-tool", spoiled, headers=made.headers)
    records = await on_the_log(house_broker.address, containing=b"/hooks/signed-tool")

    assert (taken.status_code, refused.status_code) == (202, 401)
    users = {json.loads(record.value)["data"]["user"] for record in records}
    assert "u1" in users
    assert "u2" not in users


def test_okta_verifies_a_hook_by_a_challenge(house: Ingest) -> None:
    address = f"{house.url}/v1/hooks/okta-crm"
    verification = httpx.get(address, headers={"x-okta-verification-challenge": "GUgI1cg9_rXVJbCCqzG46"})

    assert (verification.status_code, verification.json()) == (200, {"verification": "GUgI1cg9_rXVJbCCqzG46"})
    assert httpx.get(address).status_code == 400


async def test_a_sign_on_that_okta_tells_is_answered_with_nothing(house: Ingest, house_broker: Broker) -> None:
    target = [{**samples_okta.CRM, "id": "0oa-crm"}]
    sign_on = samples_okta.entry(target=target, published=datetime.now(UTC).isoformat())

    taken = house.deliver("okta-crm", samples_okta.body(sign_on), headers={"authorization": SECRET})
    refused = house.deliver("okta-crm", samples_okta.body(sign_on), headers={"authorization": "wrong"})
    record, *_ = await on_the_log(house_broker.address, at_least=1, containing=b"/hooks/okta-crm")

    assert (taken.status_code, taken.content, refused.status_code) == (200, b"", 401)
    assert json.loads(record.value)["type"] == "crm.session.login"
    assert SECRET not in house.log
