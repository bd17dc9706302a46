"""The identities of people over HTTP, on the whole product with two aggregators: merged, taken apart, and settled."""

from typing import Any

import httpx

from tests.patience import settled
from tests.stack import Stack

PEOPLE = [
    {"user": "anna", "email": "anna@acme.example", "team": "North", "role": "sales", "licensed_from": "2026-01-01"},
    {"user": "bo", "email": "bo@acme.example", "team": "North", "role": "sales", "licensed_from": "2026-01-01"},
]


class Acme:
    """A tenant with two people, by its admin."""

    def __init__(self, ready: dict[str, Any], api: httpx.Client) -> None:
        self.ingest = ready["ingest"]
        self.api = api
        self.number = 0
        made = {"id": "acme", "clock": "event", "privacy": {"min_group": 1}}
        assert api.post("/v1/tenants", json=made).status_code == 201
        assert api.put("/v1/directory/people", json=PEOPLE).json()["created"] == 2

    def act(self, user: str, kind: str = "crm.record.updated", **data: str) -> None:
        self.number += 1
        event = {"specversion": "1.0", "id": f"e{self.number}", "source": "/crm", "type": kind}
        event |= {"time": "2026-03-02T09:00:00Z", "data": {"user": user, **data}}
        headers = {"content-type": "application/cloudevents+json"}
        assert self.api.post(f"{self.ingest}/v1/events", json=event, headers=headers).status_code == 202

    def decide(self, what: str, **body: Any) -> None:
        assert self.api.post(f"/v1/directory/{what}", json=body).status_code == 200

    def settled(self) -> tuple[int, ...]:
        """Return unmapped, and licensed, active, logged_in, actions and user-days of the day, once all is counted."""
        status = settled(lambda: self.api.get("/v1/status?wait=60").json())
        query = {"dimension": "tenant", "window": "1d", "from": "2026-03-02", "to": "2026-03-02"}
        [item] = self.api.get("/v1/windows", params=query).json()["items"]
        names = ("licensed", "active", "logged_in", "actions", "active_user_days")
        return status["unmapped"], *(item[name] for name in names)


def test_several_identities_are_one_person_as_soon_as_it_is_settled(product: Stack) -> None:
    key = {"Authorization": f"Bearer {product.ready['admin_key']}", "Uptake-Tenant": "acme"}
    with httpx.Client(base_url=product.ready["api"], headers=key) as api:
        acme = Acme(product.ready, api)
        acme.act("anna")
        acme.act("hub-1", "crm.session.login", email="Anna@acme.example")
        for n in range(6):
            acme.act(f"sf-{n}")
        assert acme.settled() == (6, 2, 1, 1, 1, 1)

        acme.decide("merge", user="bo", aliases=[f"sf-{n}" for n in range(6)])
        assert acme.settled() == (0, 2, 2, 1, 7, 2)
        for n in range(6):
            acme.act(f"sf-{n}", "crm.session.login")
        assert acme.settled() == (0, 2, 2, 2, 7, 2)

        acme.decide("merge", user="anna", aliases=["hub-1"])
        acme.decide("unmerge", aliases=["hub-1"])
        acme.decide("unmerge", aliases=["hub-1", "sf-0"])
        assert acme.settled() == (3, 2, 2, 1, 6, 2)
        shown = api.get("/v1/people/bo").json()
        assert [entry["identity"] for entry in shown["identities"]] == [f"sf-{n}" for n in range(1, 6)]
        assert (shown["active_days"], shown["first_login_at"]) == (1, "2026-03-02T09:00:00Z")
        links = api.get("/v1/directory/links?how=pinned").json()["items"]
        assert [link["identity"] for link in links] == ["hub-1"]
