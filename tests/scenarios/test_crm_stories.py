"""From each CRM's published shape to the window and the alert: one person works in it, a colleague never comes."""

import json
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest

from schemas.events import HUMAN_ORIGINS
from schemas.sources import KINDS, Source
from schemas.topics import DEAD_LETTERS, EVENTS
from services import postgres
from services.ingest.vendors.catalogue import VENDORS
from services.ingest.vendors.shape import Delivery
from tests.ingest.deliveries import taken
from tests.ingest.vendors import samples_hubspot, samples_standard_webhooks
from tests.ingest.vendors.test_every_adapter import MAKERS
from tests.log import everything
from tests.patience import settled
from tests.stack import Stack

ABSENT = "somebody.who.never.came"
PRIVATE = "qzprivatezq"
"""What stands in every field of every delivery, and must stand nowhere else."""


def private() -> str:
    return PRIVATE


class Story(NamedTuple):
    """A delivery of a person at work, who it is, and the days on which the log has something of them."""

    source: Source
    delivery: Delivery
    user: str
    days: list[date]


def told(kind: str) -> Story:
    """Return the first published delivery of ``kind`` in which a person does something."""
    for maker in MAKERS.values():
        for source, delivery in maker(private):
            events = [event["data"] | event for event in taken(source, delivery)[0]]
            human = [event for event in events if event["origin"] in HUMAN_ORIGINS and "user" in event]
            if source.kind == kind and human:
                user = human[0]["user"]
                days = {
                    date.fromisoformat(e["time"][:10]) if "time" in e else None for e in events if e.get("user") == user
                }
                if None not in days:
                    return Story(source, delivery, user, sorted(day for day in days if day))
    raise AssertionError(f"no person works in the deliveries of {kind}")


def signed_now(source: Source, delivery: Delivery, path: str) -> Delivery:
    """Return ``delivery`` as it is signed today, where its sender signs the time."""
    now = datetime.now(UTC)
    if source.kind == "hubspot":
        url = f"https://in.example.com{path}"
        return samples_hubspot.signed(delivery.body, secret=source.secrets[0], url=url, at=int(now.timestamp() * 1000))
    if source.kind == "standard-webhooks":
        return samples_standard_webhooks.signed(delivery.body.decode(), secret=source.secrets[0], at=now)
    if KINDS[source.kind].by_key:  # their clocks are corrected by the moment of sending
        sent = re.sub(rb'"(sentAt|sent_at)": ?"[^"]*"', rb'"\1": "%b"' % now.isoformat().encode(), delivery.body)
        return msgspec.structs.replace(delivery, body=sent)
    return delivery


class Product:
    """The whole product with its API as the admin sees it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.ready = stack.ready
        self.headers = {"Authorization": f"Bearer {stack.ready['admin_key']}"}

    def ask(self, method: str, path: str, tenant: str = "", body: Any = None, **parameters: Any) -> Any:
        """Return what the API says."""
        headers = {**self.headers, **({"Uptake-Tenant": tenant} if tenant else {})}
        url = f"{self.ready['api']}{path}"
        answer = httpx.request(method, url, headers=headers, json=body, params=parameters)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def settled(self, tenant: str) -> dict[str, Any]:
        """Return the status of a tenant once all is counted."""
        return settled(lambda: self.ask("GET", "/v1/status", tenant, wait=60))

    def furnish(self, story: Story, tenant: str) -> None:
        """Make the tenant of a story: two people, a wave of both, and the CRM as its source."""
        go_live = story.days[0]
        settings = {"clock": "event", "day_counting": "calendar", "privacy": {"min_group": 1}}
        self.ask("POST", "/v1/tenants", body={"id": tenant, **settings})
        people = [
            {"user": user, "team": "north", "role": "sales", "licensed_from": f"{go_live - timedelta(days=9)}"}
            for user in (story.user, ABSENT)
        ]
        self.ask("PUT", "/v1/directory/people", tenant, people)
        self.ask("POST", "/v1/waves", tenant, {"id": "first", "name": "First", "go_live": f"{go_live}"})
        options = {
            name: value
            for name, value in msgspec.to_builtins(story.source.options).items()
            if value != msgspec.to_builtins(KINDS[story.source.kind].options())[name]
        }
        if story.source.kind == "hubspot":
            options["public_url"] = "https://in.example.com"
        source = {"id": tenant, "kind": story.source.kind, "secrets": list(story.source.secrets), "options": options}
        self.ask("POST", "/v1/sources", tenant, source)

    def deliver(self, story: Story, tenant: str, *, cut: int | None = None) -> httpx.Response:
        """Deliver as the CRM does; ``cut``: only so many bytes of the body from the end are missing."""
        delivery = msgspec.structs.replace(story.delivery, body=story.delivery.body[:cut])
        steps = [*delivery.steps, *([delivery.secret] if delivery.secret else [])]
        path = "/" + "/".join(steps) if KINDS[story.source.kind].by_key else "/".join(["/v1/hooks", tenant, *steps])
        fresh = signed_now(story.source, delivery, path)
        query = f"?{delivery.query.decode()}" if delivery.query else ""
        url = f"{self.ready['ingest']}{path}{query}"
        return httpx.post(url, content=fresh.body, headers=dict(fresh.headers))

    def pass_time(self, tenant: str, day: date) -> None:
        """Let the tenant's clock reach ``day`` by an event of somebody else."""
        event = {
            "specversion": "1.0",
            "id": "later",
            "source": "/elsewhere",
            "type": "crm.search.performed",
            "time": f"{day}T12:00:00Z",
            "data": {"user": "nobody.in.the.directory"},
        }
        headers = {**self.headers, "Uptake-Tenant": tenant, "content-type": "application/cloudevents+json"}
        answer = httpx.post(f"{self.ready['ingest']}/v1/events", content=json.dumps(event), headers=headers)
        assert answer.status_code == 202


@pytest.fixture(scope="module")
def product(product: Stack) -> Product:
    return Product(product)


@pytest.mark.parametrize("kind", sorted(VENDORS))
def test_who_works_in_the_crm_is_seen_and_who_never_came_is_told(product: Product, kind: str) -> None:
    story, tenant = told(kind), f"story-{kind}"
    product.furnish(story, tenant)
    answers = [product.deliver(story, tenant) for _ in range(2)]
    product.pass_time(tenant, story.days[0] + timedelta(days=6))
    status = product.settled(tenant)
    day = f"{story.days[-1]}"
    [window] = product.ask("GET", "/v1/windows", tenant, dimension="team", window="1d", **{"from": day, "to": day})[
        "items"
    ]
    connection = {item["n"]: item for item in product.ask("GET", "/v1/waves/first/connection", tenant)["items"]}
    alerts = product.ask("GET", "/v1/alerts", tenant, rule="user-never-logged-in-d3")["items"]
    product.ask("DELETE", f"/v1/sources/{tenant}", tenant)

    manners = VENDORS[kind].manners
    assert [answer.status_code for answer in answers] == [manners.accepted.status] * 2
    assert (status["dead_letters"], status["conflicts"]) == (0, 0)
    assert (window["active"], window["licensed"]) == (1, 2)
    assert (connection[5]["num"], connection[5]["den"], connection[5]["missing"]) == (1, 2, [ABSENT])
    assert [alert["subject"]["key"] for alert in alerts] == [ABSENT]


async def test_no_text_of_a_field_is_anywhere_but_in_the_crm(product: Product) -> None:
    answers = []
    for kind in sorted(VENDORS):
        story, tenant = told(kind), f"private-{kind}"
        product.furnish(story, tenant)
        answers += [product.deliver(story, tenant), product.deliver(story, tenant, cut=-2)]
        product.settled(tenant)
        product.ask("DELETE", f"/v1/sources/{tenant}", tenant)
    records = await everything(product.ready["kafka"], EVENTS, DEAD_LETTERS)
    rows = await every_row(product.ready["database"])
    letters = sum(record.topic == DEAD_LETTERS for record in records)

    assert letters
    assert len(records) > len(VENDORS) < len(rows)
    for name, text in {
        "the log": repr(records),
        "a table": "\n".join(rows),
        "an answer": "".join(answer.text for answer in answers),
        "what the services say": product.stack.log,
    }.items():
        assert PRIVATE not in text, f"a field's text stands in {name}"


async def every_row(database: str) -> list[str]:
    """Return every row of every table, as text."""
    connection = await postgres.connect(database, name="tests")
    try:
        tables = await connection.fetch("select tablename as name from pg_tables where schemaname = 'public'")
        return [
            row["text"]
            for table in tables
            for row in await connection.fetch(f'select t::text as text from "{table["name"]}" t')
        ]
    finally:
        await connection.close()
