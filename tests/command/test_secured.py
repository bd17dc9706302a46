"""The whole product on engines that want TLS and passwords, and traced: one installation for all of this file.

Apache Kafka with SASL_SSL and PostgreSQL behind a door with TLS, both certified for ``localhost`` by an authority of
the test's own.
"""

import asyncio
import contextlib
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from deploy.kafka import node
from services import child, postgres
from services.cli.doctor import Found, examine
from services.embedded import Postgres, fresh_directory
from services.settings import Settings, environment
from tests.builders import event
from tests.certificates import Authority
from tests.collector import Collector, collecting
from tests.patience import settled, wait_until
from tests.stack import Stack
from tests.tls_door import tls_door

pytestmark = pytest.mark.kafka

USER, PASSWORD = "uptake", "right-9f2b"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
"""The trace that the sender of the event has begun."""


@dataclass
class Secured:
    """What runs, and the settings that reach it."""

    stack: Stack
    collector: Collector
    settings: Settings
    stranger: Path
    """An authority that signed nothing here."""

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.stack.ready['admin_key']}", "uptake-tenant": "acme"}

    def post(self, path: str, body: object, *, at: str = "api", **headers: str) -> httpx.Response:
        headers |= self.headers | ({"content-type": "application/cloudevents+json"} if at == "ingest" else {})
        return httpx.post(self.stack.ready[at] + path, json=body, headers=headers)

    def settled(self) -> dict[str, Any]:
        """Wait until all is counted; return the status."""
        url = f"{self.stack.ready['api']}/v1/status?wait=60"
        return settled(lambda: httpx.get(url, headers=self.headers).json())

    def address(self, *, host: str = "localhost", password: str = PASSWORD, ca: Path | None = None) -> str:
        """Return the URL of the database, with something wrong in it."""
        port = urlsplit(self.settings.database).port
        trusted = ca or self.settings.kafka_ca
        return f"postgresql://{USER}:{password}@{host}:{port}/uptake?sslmode=verify-full&sslrootcert={trusted}"

    @contextlib.contextmanager
    def service(self, role: str, state: Path, *, database_password: str = PASSWORD, **changed: str) -> Iterator[str]:
        """Run one more service with settings that ``changed``; yields its address."""
        port = child.free_port()
        changed |= {"database": self.address(password=database_password), f"{role}_port": str(port)}
        settings = replace(self.settings, state_dir=state, **changed)
        process = child.start(
            [sys.executable, "-m", f"services.{role}"],
            env={"PATH": "/usr/bin:/bin"} | environment(settings),
            output=subprocess.DEVNULL,
            at_parents_end=signal.SIGKILL,
        )
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            child.end(process, signal.SIGKILL, seconds=5)

    async def examined(self, **changed: str) -> dict[str, Found]:
        """Return what the doctor finds with settings that ``changed``."""
        found = await examine(replace(self.settings, **changed), lambda: datetime.now(UTC))
        return {one.name: one for one in found}


def ready(url: str) -> dict[str, Any]:
    """Return what a service says of its readiness; before it answers, that nothing is known."""
    try:
        body: dict[str, Any] = httpx.get(f"{url}/readyz").json()
    except httpx.TransportError:
        return {"wrong": {}}
    return body


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    made = fresh_directory()
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def authority(home: Path) -> Authority:
    return Authority(home, "authority")


@pytest.fixture(scope="module")
def kafka(home: Path, authority: Authority) -> Iterator[node.Node]:
    """An Apache Kafka with a listener that wants TLS and a password."""
    pem = home / "kafka.pem"
    key, certificate = authority.certify("localhost")
    pem.write_bytes(key.read_bytes() + certificate.read_bytes())
    server = node.Node(home / "kafka", lock=node.Lock(pem, USER, PASSWORD))
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="module")
async def database(home: Path, authority: Authority, _migrated: Path) -> AsyncIterator[str]:
    """The address of a PostgreSQL that wants TLS and a password."""
    await asyncio.to_thread(subprocess.run, ["cp", "-a", _migrated, home / "postgres"], check=True)
    server = Postgres(home / "postgres", fast=True)
    server.start()
    connection = await postgres.connect(server.url(), name="tests")
    await connection.execute(f"alter role uptake password '{PASSWORD}'")
    rules = await connection.fetchval("show hba_file")
    await connection.execute(f"copy (select 'host all all all scram-sha-256') to '{rules}'")
    await connection.execute("select pg_reload_conf()")
    await connection.close()
    with tls_door(server.port, *authority.certify("localhost")) as port:
        yield f"localhost:{port}/uptake"
    server.remove()


@pytest.fixture(scope="module")
def secured(home: Path, authority: Authority, kafka: node.Node, database: str) -> Iterator[Secured]:
    settings = Settings(
        kafka=f"localhost:{kafka.door}",
        kafka_security="sasl_ssl",
        kafka_ca=str(authority.path),
        kafka_user=USER,
        kafka_password=PASSWORD,
        database=f"postgresql://{USER}:{PASSWORD}@{database}?sslmode=verify-full&sslrootcert={authority.path}",
        state_dir=home / "state",
    )
    stack = Stack(home / "state")
    with collecting() as collector:
        stack.start(
            kafka=settings.kafka,
            database=f"postgresql://{USER}:{PASSWORD}@{database}",
            database_tls="verify-full",
            database_ca=authority.path,
            kafka_security=settings.kafka_security,
            kafka_ca=authority.path,
            kafka_user=USER,
            kafka_password=PASSWORD,
            otlp_endpoint=collector.url,
        )
        made = Secured(stack, collector, settings, Authority(home, "stranger").path)
        assert made.post("/v1/tenants", {"id": "acme", "clock": "event"}).status_code == httpx.codes.CREATED
        yield made
        stack.remove()


async def test_an_event_comes_through_and_the_doctor_finds_everything_well(secured: Secured) -> None:
    sent = secured.post("/v1/events", event(user="ada", id="one"), at="ingest", traceparent=f"00-{TRACE}-{SPAN}-01")
    status = secured.settled()
    found = await secured.examined()

    assert sent.status_code == httpx.codes.ACCEPTED, sent.text
    assert status["folded"] == 1
    assert [one for one in found.values() if one.state == "ill"] == []
    assert found["tls"].found.startswith("that of PostgreSQL holds until ")
    assert found["kafka-tls"].found.startswith("that of Kafka holds until ")
    assert found["lag"].found == "all 12 shards were read to their end"


@pytest.mark.parametrize(
    ("change", "part", "words"),
    [
        (lambda it: {"kafka_ca": str(it.stranger)}, "kafka", "unable to get local issuer certificate"),
        (
            lambda it: {"kafka": it.settings.kafka.replace("localhost", "127.0.0.1")},
            "kafka",
            "not valid for '127.0.0.1'",
        ),
        (lambda _: {"kafka_password": "wrong"}, "kafka", "Authentication failed"),
        (lambda it: {"database": it.address(ca=it.stranger)}, "postgres", "unable to get local issuer certificate"),
        (lambda it: {"database": it.address(host="127.0.0.1")}, "postgres", "not valid for '127.0.0.1'"),
        (lambda it: {"database": it.address(password="wrong")}, "postgres", "password authentication failed"),
    ],
    ids=[
        "Kafka of an unknown authority",
        "Kafka under another name",
        "a wrong password for Kafka",
        "PostgreSQL of an unknown authority",
        "PostgreSQL under another name",
        "a wrong password for PostgreSQL",
    ],
)
async def test_the_doctor_says_in_one_line_why_nobody_is_let_in(
    secured: Secured, change: Callable[[Secured], dict[str, str]], part: str, words: str
) -> None:
    found = (await secured.examined(**change(secured)))[part]

    assert (found.state, words in found.found) == ("ill", True), found
    assert PASSWORD not in str(found)
    assert "\n" not in str(found)


@pytest.mark.parametrize(
    ("role", "change", "part", "words"),
    [
        ("ingest", {"kafka_password": "wrong"}, "kafka", "not connected: localhost:"),
        ("aggregator", {"database_password": "wrong"}, "postgres", 'password authentication failed for user "uptake"'),
        ("api", {"database_password": "wrong"}, "postgres", 'password authentication failed for user "uptake"'),
    ],
    ids=["ingest on Kafka", "an aggregator on PostgreSQL", "the API on PostgreSQL"],
)
def test_a_service_that_is_not_let_in_says_so_in_its_readiness(
    secured: Secured, home: Path, role: str, change: dict[str, str], part: str, words: str
) -> None:
    with secured.service(role, home / role, **change) as url:
        wait_until(lambda: words in ready(url)["wrong"].get(part, ""))
        body = ready(url)

    assert body["ready"] is False
    assert list(body["since"]) == list(body["wrong"])
    assert "wrong" not in body["wrong"][part].replace("wrong password", "")


def test_one_trace_leads_from_the_request_to_the_commit_of_its_batch(secured: Secured) -> None:
    assert secured.stack.stop() == 0  # what was not sent yet is sent at the end
    mine = {span.name: (service, span) for service, span in secured.collector.spans if span.trace_id.hex() == TRACE}
    request, append, fold, commit = (
        mine[name][1] for name in ("POST /v1/events", "send uptake.events.v1", "fold uptake.events.v1", "commit")
    )

    assert {name: service for name, (service, _) in mine.items()} == {
        "POST /v1/events": "uptake-ingest",
        "send uptake.events.v1": "uptake-ingest",
        "fold uptake.events.v1": "uptake-aggregator",
        "commit": "uptake-aggregator",
    }
    assert request.parent_span_id.hex() == SPAN
    assert (append.parent_span_id, fold.parent_span_id, commit.parent_span_id) == (
        request.span_id,
        append.span_id,
        fold.span_id,
    )
    for private in (b"ada", PASSWORD.encode(), secured.stack.ready["admin_key"].encode()):
        assert private not in secured.collector.raw
