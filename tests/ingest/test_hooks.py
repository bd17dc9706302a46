"""The hooks as a CRM meets them: over HTTP, to a running ingest."""

import base64
import gzip
import json
import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.fields import DEFAULT
from services import postgres, sealing
from services.embedded import Broker
from services.ingest.hooks import Hooks
from services.ingest.instruments import Instruments
from services.ingest.registry import Registry
from tests.builders import NOON
from tests.ingest.deliveries import SECRET
from tests.ingest.service import Ingest, add_source, on_the_log
from tests.ingest.test_letters import letters_of, seal_of_house
from tests.ingest.vendors import samples_segment

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
    first, second, *_ = await on_the_log(house_broker.address, at_least=2, containing=b"odoo-sales")
    event = json.loads(first.value)

    assert answers == [401, 200, 200]
    assert first.value == second.value
    assert event["data"]["fields"] == {"stage_id": "filled", "partner_name": "filled", "phone": "empty"}
    assert (event["data"]["stage"], event["data"]["object"], event["data"]["user"]) == ("3", "opportunity", "12")
    assert b"Smith" not in first.value
    assert SECRET not in house.log


def test_an_unknown_source_is_told_so(house: Ingest) -> None:
    assert house.deliver("nobody/x", {}).status_code == 404


async def test_a_secret_that_was_changed_works_at_once_and_the_old_one_no_longer(
    house: Ingest, house_database: str
) -> None:
    connection = await postgres.connect(house_database, name="tests")
    await add_source(connection, "odoo-rotated", "odoo", SECRET)
    before = house.deliver(f"odoo-rotated/lead/write/{SECRET}", ODOO).status_code
    seal = await sealing.seal_of(connection, "")
    fresh = [seal.close(b"the-next-secret", "source/odoo-rotated")]
    await connection.execute("update source set secrets = $1 where id = 'odoo-rotated'", fresh)
    await connection.close()

    after = [house.deliver(f"odoo-rotated/lead/write/{it}", ODOO).status_code for it in ("the-next-secret", SECRET)]

    assert (before, after) == (200, [200, 401])


async def test_what_only_looks_packed_must_prove_itself_and_is_kept(
    house: Ingest, house_broker: Broker, house_database: str
) -> None:
    broken = gzip.compress(json.dumps(ODOO).encode())[:-9] + os.urandom(4)
    basic = {"authorization": f"Basic {base64.b64encode(f'uptake:{SECRET}'.encode()).decode()}"}

    strangers = [house.deliver(name, broken).status_code for name in ("hubspot-eu", "okta-crm", "pipedrive-eu")]
    taken = house.deliver("pipedrive-eu", broken, headers=basic)
    kept = [letter.body for _, letter, _ in await letters_of(house_broker.address, await seal_of_house(house_database))]

    assert strangers == [401, 401, 401]
    assert taken.status_code == 200
    assert kept.count(broken) == 1


def test_of_several_keys_of_one_delivery_none_counts(house: Ingest) -> None:
    basic, other = (base64.b64encode(it.encode()).decode() for it in (f"uptake:{SECRET}", "uptake:other"))
    keys = [("authorization", f"Basic {it}") for it in (other, basic)]

    answers = [house.deliver("pipedrive-eu", b"{}", headers=keys[first:]).status_code for first in (0, 1)]

    assert answers == [401, 200]


def test_a_small_request_cannot_become_very_many_parts(house: Ingest) -> None:
    bomb = gzip.compress(b"[" + b"[]," * 1_700_000 + b"[]]")
    url = f"{house.url}/v1/batch"
    key = base64.b64encode(f"{samples_segment.KEY}:".encode()).decode()
    call = {
        "type": "track",
        "event": "Saved",
        "userId": "u",
        "messageId": "one",
        "context": {str(n): {} for n in range(55)},
    }
    rich = json.dumps({"batch": [{**call, "messageId": f"many-{n}"} for n in range(2500)]}).encode()

    refused = httpx.post(url, content=bomb)
    taken = httpx.post(url, content=rich, headers={"authorization": f"Basic {key}"})

    assert len(bomb) < 10_000
    assert (refused.status_code, taken.status_code) == (413, 200)


async def test_a_field_registry_that_cannot_be_read_costs_nobody_else(furnished: str, tmp_path: Path) -> None:
    connection = await postgres.connect(furnished, name="tests")
    await connection.execute("update tenant set fields = $1 where id = 'globex'", {"objects": {}, "of a later": 1})
    await connection.execute("update tenant set fields = $1 where id = 'acme'", {"objects": {"chance": {}}})
    await connection.close()
    registry = Registry(furnished, tmp_path, every=5.0)
    try:
        await registry.refresh()
    finally:
        await registry.stop()

    assert registry.fields("globex") == DEFAULT
    assert registry.fields("acme").objects.keys() == {"chance"}


@pytest.mark.parametrize("path", ["/v1/hooks/nobody/x", "/v1/track"])
async def test_who_cannot_be_looked_up_is_not_told_to_be_unknown(path: str, tmp_path: Path) -> None:
    registry = Registry("postgresql://nowhere.invalid/none", tmp_path, every=5.0)
    registry.waiting = 1000
    told: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b'{"writeKey": "a-key"}'}

    async def send(message: MutableMapping[str, Any]) -> None:
        told.append(message)

    nowhere: Any = None
    hooks = Hooks(nowhere, registry, nowhere, Instruments(), clock=lambda: NOON, rate=1, public_url="", own_url="")
    await hooks({"type": "http", "path": path, "method": "POST", "headers": [], "query_string": b""}, receive, send)

    assert told[0]["status"] == 503
