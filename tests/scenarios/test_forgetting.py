"""A person is forgotten by the running product: asked for over HTTP, done by the aggregator, proven by a report."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.patience import settled, wait_until
from tests.stack import Stack

CREW = ["ada", "bo", "cy"]
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


class House:
    """A tenant on the event clock with three people, who worked for a week."""

    def __init__(self, product: Stack, tenant: str) -> None:
        self.ready = product.ready
        self._access = {"authorization": f"Bearer {self.ready['admin_key']}", "uptake-tenant": tenant}
        settings = {"id": tenant, "clock": "event", "privacy": {"min_group": 1}}
        self.call("POST", "/v1/tenants", json=settings)
        people = [{"user": user, "team": "North", "licensed_from": "2026-01-01"} for user in CREW]
        self.call("PUT", "/v1/directory/people", json=people)
        self.work("first")

    def call(self, method: str, path: str, *, to: str = "api", **request: Any) -> Any:
        headers = self._access | ({"content-type": "application/cloudevents-batch+json"} if to == "ingest" else {})
        answer = httpx.request(method, self.ready[to] + path, headers=headers, **request)
        assert answer.is_success, answer.text
        return answer.json()

    def work(self, name: str) -> None:
        events = [
            {
                "specversion": "1.0",
                "type": "crm.record.updated",
                "source": "/crm",
                "id": f"{name}-{user}-{day}",
                "time": (START + timedelta(days=day)).isoformat(),
                "data": {"user": user, "origin": "ui", "object": "deal", "record": f"d{day}", "owner": "ada"},
            }
            for user in CREW
            for day in range(5)
        ]
        self.call("POST", "/v1/events", to="ingest", json=events)
        self.settle()

    def settle(self) -> None:
        settled(lambda: self.call("GET", "/v1/status?wait=60"))

    def active(self) -> list[tuple[int, int]]:
        windows = self.call("GET", "/v1/windows?dimension=tenant&window=1d&from=2026-03-02&to=2026-03-06")["items"]
        return [(window["licensed"], window["active"]) for window in windows]

    def forget(self, user: str, mode: str) -> dict[str, Any]:
        number = self.call("DELETE", f"/v1/people/{user}?mode={mode}")["id"]
        wait_until(lambda: self.call("GET", f"/v1/erasures/{number}")["state"] == "finished")
        self.settle()
        erasure: dict[str, Any] = self.call("GET", f"/v1/erasures/{number}")
        return erasure


@pytest.mark.parametrize(("mode", "left"), [("erase", (2, 2)), ("anonymise", (3, 3))])
def test_a_person_is_forgotten_and_does_not_come_back(product: Stack, mode: str, left: tuple[int, int]) -> None:
    house = House(product, mode)
    assert house.active() == [(3, 3)] * 5

    report = house.forget("ada", mode)["report"]

    assert (report["left"], report["tombstones"], report["identities"]) == (0, 1, 1)
    assert report["tables"]["person_day"] == 5
    assert house.active() == [left] * 5
    assert "ada" not in {person["user"] for person in house.call("GET", "/v1/directory/people")["items"]}
    house.work("later")
    assert house.active() == [left] * 5
    assert house.call("GET", "/v1/status")["dead_letters"] == 0
