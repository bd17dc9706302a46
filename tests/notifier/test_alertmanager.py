"""Alerts at a real Alertmanager: they burn there as long as they are open here, and no person is a label."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.egress import Client
from services.notifier.bell import Bell
from services.notifier.channels.alertmanager import alertmanager
from services.notifier.domain.alertmanager import endpoint, posting
from services.notifier.instruments import Instruments
from services.notifier.planner import Planner
from services.notifier.refreshing import once
from services.notifier.sender import Sender
from services.notifier.ways import Way
from services.postgres import Pool
from tests.builders import add_tenant
from tests.notifier import desk
from tests.notifier.alertmanager import Alertmanager
from tests.notifier.telling import sending

LINKS = "https://uptake.acme.example"
WAVE = {
    "rule": "wave-connection-d3-emergency",
    "severity": "critical",
    "subject_kind": "wave",
    "subject_key": "north",
    "wave": "north",
}


@pytest.fixture(scope="module")
def there() -> Iterator[Alertmanager]:
    made = Alertmanager()
    made.start()
    yield made
    made.remove()


class Post:
    """A notifier for one Alertmanager, on the wall clock: the other side has no other."""

    def __init__(self, pool: Pool, clock: Callable[[], datetime]) -> None:
        self.pool, self.clock = pool, clock
        self.way = alertmanager(Client(networks=desk.HERE, seconds=5), LINKS)
        ways = {"alertmanager": Way(self.way)}
        self.planner = Planner(pool, ways, clock, Bell())
        self.sender = Sender(pool, desk.SEAL, ways, clock, seconds=5, instruments=Instruments())

    async def work(self) -> None:
        while await self.planner.round(self.clock()):
            pass
        while await self.sender.round():
            await self.sender.finish()


def burns(there: Alertmanager) -> list[dict[str, Any]]:
    """Return what burns there but for trials."""
    return [alert for alert in there.alerts() if alert["labels"]["alertname"] != "uptake-test"]


@pytest.mark.debian
async def test_a_trial_is_seen_there(there: Alertmanager) -> None:
    now = datetime.now(UTC)
    data = {"tenant": "acme", "subscription": "am"}

    outcome = await alertmanager(Client(networks=desk.HERE, seconds=5), LINKS)(
        replace(sending(), url=there.url, body={"type": "subscription.test", "data": data}, now=now)
    )

    assert outcome.kind == "delivered"
    assert [alert["labels"]["alertname"] for alert in there.alerts()] == ["uptake-test"]


@pytest.mark.debian
async def test_an_alert_burns_there_as_loud_as_here_and_is_over_when_it_is(pool: Pool, there: Alertmanager) -> None:
    now = datetime.now(UTC)
    clock = desk.Clock(now)
    post = Post(pool, clock)
    async with pool.acquire() as connection:
        await add_tenant(connection)
        await desk.key(connection)
        await connection.execute(
            """insert into subscription (tenant, id, kind, name, url, key_id)
               values ('acme', 'am', 'alertmanager', 'am', $1, 'key1')""",
            desk.SEAL.close(there.url.encode(), "subscription/acme/am"),
        )
        opened = await desk.change(
            connection, "opened", desk.alert(**WAVE, opened_at=now - timedelta(hours=1), title="North: 6 of 12"), at=now
        )
    await post.work()
    (burning,) = burns(there)
    assert burning["labels"] == {
        "alertname": "wave-connection-d3-emergency",
        "alert": opened["id"],
        "rule": "wave-connection-d3-emergency",
        "severity": "critical",
        "subject": "north",
        "subject_kind": "wave",
        "tenant": "acme",
        "wave": "north",
    }
    assert burning["annotations"]["summary"] == "North: 6 of 12"
    assert burning["generatorURL"] == f"{LINKS}/v1/alerts/{opened['id']}"

    clock.forward(seconds=30)
    assert await once(pool, desk.SEAL, post.way, clock()) == 1
    (again,) = burns(there)
    assert (again["fingerprint"], again["startsAt"]) == (burning["fingerprint"], burning["startsAt"])
    assert datetime.fromisoformat(again["endsAt"]) > datetime.fromisoformat(burning["endsAt"])

    clock.now = datetime.now(UTC)
    async with pool.acquire() as connection:
        raised = await desk.change(connection, "raised", opened, at=now, severity="emergency")
    await post.work()
    assert [alert["labels"]["severity"] for alert in burns(there)] == ["emergency"]

    async with pool.acquire() as connection:
        await desk.change(connection, "resolved", raised, at=now)
    await post.work()
    assert burns(there) == []
    assert await once(pool, desk.SEAL, post.way, clock()) == 0


def published(**columns: Any) -> dict[str, Any]:
    return desk.item(desk.alert("a", **columns))


def test_no_person_is_a_label() -> None:
    (posted,) = posting("acme", published(subject_kind="user", subject_key="ada"), "opened", desk.NOON, "")

    assert "ada" not in str(posted)
    assert posted["labels"]["alert"] == "a"


def test_an_end_is_never_before_the_beginning_nor_in_the_time_to_come() -> None:
    before, after = (desk.NOON + timedelta(hours=hours) for hours in (-5, 5))

    for at in (before, after):
        over = published(state="resolved", resolved_at=at, resolution="recovered")
        (posted,) = posting("acme", over, "resolved", desk.NOON, "")
        assert posted["startsAt"] <= posted["endsAt"] <= desk.NOON.isoformat()


@pytest.mark.parametrize("url", ["http://am:9093", "http://am:9093/", "http://am:9093/api/v2/alerts"])
def test_an_address_may_be_that_of_the_alertmanager_or_of_its_api(url: str) -> None:
    assert endpoint(url) == "http://am:9093/api/v2/alerts"
