"""Processes that share a port are scraped one by one, each on a port of its own."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from services import child, installation
from services.embedded import Broker
from services.settings import SettingError, load
from tests.builders import SHARDS
from tests.faults.fleet import live, ready
from tests.faults.nursery import Process, bear, prepare
from tests.ingest.service import ADMIN, SINGLE, cloud_event
from tests.patience import until

HEADERS = {"authorization": f"Bearer {ADMIN}", "uptake-tenant": "acme"}
COUNTED = {
    "api": r'uptake_api_requests_total{code="200",method="GET",route="/v1/tenants"} (\S+)',
    "ingest": r'uptake_ingest_requests_total{code="202",source="events"} (\S+)',
}
ASKED = 24


@pytest.fixture
async def places(database: str, tansu: Broker, tmp_path: Path) -> AsyncIterator[dict[str, tuple[str, list[str]]]]:
    """By service: where both of its processes serve, and where each shows its metrics."""
    prepare(*COUNTED)
    await installation.make_topics(database, tansu.address, partitions=SHARDS, replication=1)
    born: list[Process] = []
    found = {}
    for name in COUNTED:
        shared, own = child.free_port(), [child.free_port(), child.free_port()]
        for port in own:
            settings = {f"{name}_port": shared, "share_ports": "yes", "metrics_port": port, "admin_key": ADMIN}
            settings |= {"kafka": tansu.address, "database": database, "state_dir": tmp_path / str(port)}
            born.append(bear(live, name, diary=tmp_path / f"{name}.log", **settings))
            await until(lambda port=port: ready(port))  # type: ignore[misc]
        found[name] = (f"http://127.0.0.1:{shared}", [f"http://127.0.0.1:{port}" for port in own])
    yield found
    for each in born:
        each.kill()
        each.join()


async def told(method: str, url: str, **content: object) -> httpx.Response:
    """Ask over a connection that is made for this, as whoever shares the port is chosen by connection."""
    async with httpx.AsyncClient(headers=HEADERS) as client:
        return await client.request(method, url, **content)  # type: ignore[arg-type]


async def test_processes_that_share_a_port_are_each_scraped_by_themselves(
    places: dict[str, tuple[str, list[str]]],
) -> None:
    (api, _), (ingest, _) = places["api"], places["ingest"]
    assert (await told("POST", f"{api}/v1/tenants", json={"id": "acme"})).status_code == 201
    for number in range(ASKED):
        assert (await told("GET", f"{api}/v1/tenants")).status_code == 200
        event = {"json": cloud_event(number), "headers": {"content-type": SINGLE}}
        assert (await told("POST", f"{ingest}/v1/events", **event)).status_code == 202

    for name, (shared, own) in places.items():
        scraped = [(await told("GET", f"{url}/metrics")).text for url in own]
        shares = [float(found[1]) if (found := re.search(COUNTED[name], text)) else 0 for text in scraped]
        assert sum(shares) == ASKED, (name, shares)
        assert all(shares), "one of them took everything"
        assert (await told("GET", f"{shared}/metrics")).status_code == 404
        assert (await told("GET", f"{shared}/readyz")).status_code == 200
        assert {(await told("GET", f"{url}/openapi.json")).status_code for url in own} == {404}


def test_who_shares_a_port_needs_one_for_its_metrics() -> None:
    with pytest.raises(SettingError, match="UPTAKE_METRICS_PORT"):
        load({"UPTAKE_SHARE_PORTS": "yes"})

    assert load({"UPTAKE_SHARE_PORTS": "yes", "UPTAKE_METRICS_PORT": "9101"}).metrics_port == 9101
