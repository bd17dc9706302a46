"""The hooks as a CRM meets them: over HTTP, to a running ingest."""

import json

from services.embedded import Broker
from tests.builders import SHARDS
from tests.ingest.deliveries import SECRET
from tests.ingest.service import Ingest, on_the_log

ODOO = {
    "_action": "Lead saved(#41)",
    "_id": 7,
    "_model": "crm.lead",
    "id": 7,
    "create_uid": 12,
    "write_uid": 12,
    "create_date": "2026-03-02 08:15:30",
    "write_date": "2026-03-02 09:00:00.123456",
    "stage_id": 3,
    "partner_name": "Smith & Sons",
    "phone": False,
}


async def test_an_odoo_notification_lands_as_states_only(house: Ingest, house_broker: Broker) -> None:
    paths = [f"odoo-sales/lead-save/write/{secret}" for secret in ("wrong", SECRET, SECRET)]

    answers = [house.deliver(path, ODOO).status_code for path in paths]
    [first, second] = await on_the_log(house_broker.address, partitions=SHARDS, at_least=2, containing=b"odoo-sales")
    event = json.loads(first.value)

    assert answers == [401, 200, 200]
    assert first.value == second.value
    assert event["data"]["fields"] == {"stage_id": "filled", "partner_name": "filled", "phone": "empty"}
    assert (event["data"]["stage"], event["data"]["object"], event["data"]["user"]) == ("3", "opportunity", "12")
    assert b"Smith" not in first.value
    assert SECRET not in house.log


def test_an_unknown_source_is_told_so(house: Ingest) -> None:
    assert house.deliver("nobody/x", {}).status_code == 404
