"""Planner and sender on a real database, against a real receiver; the signature is verified by another's library."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from services.egress import Client
from services.notifier.bell import Bell
from services.notifier.channels.webhook import webhook
from services.notifier.domain.shape import Change, Outcome, Planned, Sending, Subscription
from services.notifier.domain.signing import headers
from services.notifier.planner import Planner
from services.notifier.sender import Sender
from services.notifier.store import deliveries, subscriptions
from services.notifier.ways import Way, each_by_itself
from services.postgres import Connection, Pool
from tests.builders import NOON, add_person, add_tenant, measured
from tests.egress.receiver import Receiver, Reply
from tests.notifier.desk import HERE, SEAL, SECRET, Clock, Desk, alert, change, key, subscribe


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as made:
        yield made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def desk(pool: Pool, clock: Clock) -> Desk:
    async with pool.acquire() as connection:
        await add_tenant(connection, clock="wall", min_group=1)
        await key(connection)
    return Desk(pool, clock)


def _told(receiver: Receiver) -> list[str]:
    return [msgspec.json.decode(came.body)["type"] for came in receiver.came]


async def _one(pool: Pool, query: str, *arguments: Any) -> Any:
    async with pool.acquire() as connection:
        return await connection.fetchval(query, *arguments)


async def test_a_change_is_told_once_and_signed(pool: Pool, desk: Desk, receiver: Receiver) -> None:
    async with pool.acquire() as connection:
        await subscribe(connection, "ops", receiver.url)
        opened = await change(connection, "opened", alert("a1"))
    assert [await desk.work(), await desk.work()] == [1, 0]

    came = receiver.came[0]
    body = msgspec.json.decode(came.body)
    assert body["type"] == "alert.opened"
    assert body["timestamp"] == "2026-03-02T12:00:00Z"
    assert body["data"]["alert"]["id"] == opened["id"]
    assert body["data"]["alert"]["evidence"] == {"num": 6, "den": 12, "value": 0.5}
    assert (body["data"]["kind"], body["data"]["tenant"]) == ("opened", "acme")
    assert came.headers["webhook-timestamp"] == str(int(NOON.timestamp()))
    assert desk.counted("delivered") == 1


def test_the_signature_is_that_of_standard_webhooks(monkeypatch: pytest.MonkeyPatch) -> None:
    import standardwebhooks.webhooks as theirs  # noqa: PLC0415 - its clock is set back

    class Then(theirs.datetime):  # type: ignore[name-defined,misc]
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return NOON.astimezone(tz)

    monkeypatch.setattr(theirs, "datetime", Then)
    old = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
    signed = headers("msg_1", b'{"type":"alert.opened"}', [SECRET, old], NOON)
    for secret in (SECRET, old):
        assert Webhook(secret).verify(b'{"type":"alert.opened"}', signed) == {"type": "alert.opened"}
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(b'{"type":"alert.closed"}', signed)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").verify(b'{"type":"alert.opened"}', signed)


async def test_what_is_not_taken_is_tried_again_under_the_same_id_until_it_is(
    pool: Pool, desk: Desk, clock: Clock, receiver: Receiver
) -> None:
    receiver.replies = [Reply(500), Reply(cut=True), Reply(307, {"location": "http://127.0.0.1:1/"}), Reply(204)]
    async with pool.acquire() as connection:
        await subscribe(connection, "ops", receiver.url)
        await change(connection, "opened", alert("a1"))
    await desk.work()
    assert await desk.work() == 0
    assert await _one(pool, "select failing_since from subscription") == NOON
    for _ in range(4):
        clock.forward(minutes=4)
        await desk.work()

    ids = {came.headers["webhook-id"] for came in receiver.came}
    async with pool.acquire() as connection:
        attempts = await connection.fetch("select number, outcome, status from delivery_attempt order by number")
        last = await connection.fetchrow("select state, attempts, finished_at, lease from delivery")
    assert (len(ids), len(receiver.came)) == (1, 4)
    assert [tuple(row) for row in attempts] == [
        (1, "refused", 500),
        (2, "unknown", None),
        (3, "refused", 307),
        (4, "delivered", 204),
    ]
    assert tuple(last) == ("delivered", 4, clock.now - timedelta(minutes=4), None)
    assert await _one(pool, "select failing_since from subscription") is None
    assert await _one(pool, "select count(*) from to_judge") == 2  # when it began to fail, and when it was well again


async def test_the_rules_are_told_of_each_hour_that_nothing_arrives(pool: Pool, desk: Desk, clock: Clock) -> None:
    async with pool.acquire() as connection:
        for name in ("one", "two", "well"):
            await subscribe(connection, name, "http://127.0.0.1:1/")
        await connection.execute("update subscription set failing_since = $1 where id <> 'well'", NOON)

    async def told(minutes: float) -> int:
        clock.now = NOON + timedelta(minutes=minutes)
        await desk.plan()
        return int(await _one(pool, "with told as (delete from to_judge returning 1) select count(*) from told"))

    hours = {minutes: await told(minutes) for minutes in (59, 60.5, 61, 90, 120, 122, 180)}
    again = Desk(pool, clock)
    await again.plan()
    begun = await told(180)
    await pool.execute("update subscription set state = 'paused'")

    assert hours == {59: 0, 60.5: 0, 61: 1, 90: 0, 120: 0, 122: 1, 180: 0}
    assert begun == 1, "who begins does not know what was told"
    assert await told(300) == 0


async def test_a_message_that_never_arrives_is_given_up_at_once_and_says_nothing_of_others(
    pool: Pool, desk: Desk, clock: Clock
) -> None:
    async def refuse(_sending: Sending) -> Outcome:
        return Outcome(kind="refused", status=550, error="no such mailbox", final=True)

    async with pool.acquire() as connection:
        await subscribe(connection, "ops", "http://127.0.0.1:1/")
        await change(connection, "opened", alert("a1"))
    await desk.plan()
    sender = Sender(pool, SEAL, {"webhook": Way(refuse)}, clock, seconds=2.0, instruments=desk.instruments)
    assert await sender.round() == 1
    await sender.finish()
    clock.forward(days=1)

    assert await sender.round() == 0
    assert await _one(pool, "select state from delivery") == "given_up"
    assert await _one(pool, "select failing_since from subscription") is None


async def test_a_receiver_that_asks_for_time_is_given_it(
    pool: Pool, desk: Desk, clock: Clock, receiver: Receiver
) -> None:
    receiver.replies = [Reply(429, {"retry-after": "600"})]
    async with pool.acquire() as connection:
        await subscribe(connection, "ops", receiver.url)
        await change(connection, "opened", alert("a1"))
    await desk.work()
    clock.forward(minutes=9, seconds=59)
    assert await desk.work() == 0
    clock.forward(seconds=2)
    assert await desk.work() == 1


async def test_what_is_never_taken_is_given_up_after_three_days_and_the_receiver_after_five(
    pool: Pool, desk: Desk, clock: Clock, receiver: Receiver
) -> None:
    receiver.usual = Reply(503)
    async with pool.acquire() as connection:
        await subscribe(connection, "ops", receiver.url)
        await change(connection, "opened", alert("a1"))
    for _ in range(60):
        await desk.work()
        clock.forward(hours=1.3)
    assert await _one(pool, "select state from delivery") == "given_up"
    assert await _one(pool, "select state from subscription") == "active"
    async with pool.acquire() as connection:
        await change(connection, "opened", alert("a2"))
    for _ in range(48):
        await desk.work()
        clock.forward(hours=1.3)

    assert await _one(pool, "select state from subscription") == "disabled"
    assert "five days" in await _one(pool, "select reason from subscription")
    before = len(receiver.came)
    clock.forward(hours=20)
    assert (await desk.work(), len(receiver.came)) == (0, before)


async def test_who_answers_gone_is_asked_no_more(pool: Pool, desk: Desk, clock: Clock, receiver: Receiver) -> None:
    receiver.usual = Reply(410)
    async with pool.acquire() as connection:
        await subscribe(connection, "ops", receiver.url)
        await change(connection, "opened", alert("a1"))
        await change(connection, "opened", alert("a2"))
    await desk.work()
    clock.forward(days=1)

    assert await _one(pool, "select state from subscription") == "disabled"
    assert await desk.work() == 0
    assert len(receiver.came) == 2  # they were under way at once


async def test_what_follows_of_an_alert_never_overtakes(
    pool: Pool, desk: Desk, clock: Clock, receiver: Receiver
) -> None:
    receiver.replies = [Reply(500), Reply(500)]
    async with pool.acquire() as connection:
        await subscribe(connection, "ops", receiver.url)
        opened = await change(connection, "opened", alert("a1"))
        await change(connection, "resolved", opened)
        await change(connection, "opened", alert("a2"))
    await desk.work()
    assert _told(receiver) == ["alert.opened", "alert.opened"]
    clock.forward(seconds=7)
    await desk.work()

    assert _told(receiver)[2:] == ["alert.opened", "alert.opened", "alert.resolved"]


async def test_what_is_due_later_holds_up_nothing_of_its_lane(
    pool: Pool, desk: Desk, clock: Clock, receiver: Receiver
) -> None:
    def planned(message: str, due_at: datetime) -> Planned:
        return Planned(message=message, kind="digest", body={"type": message}, due_at=due_at, lane="to ada")

    async with pool.acquire() as connection:
        await subscribe(connection, "ops", receiver.url)
        taken = await subscriptions.take(connection, "acme", "ops", NOON)
        assert taken is not None
        later, now = planned("tomorrow", NOON + timedelta(days=1)), planned("now", NOON)
        await deliveries.plan(connection, taken.subscription, [later, now, now])
    await desk.send()
    clock.forward(days=1)
    await desk.send()

    assert _told(receiver) == ["now", "tomorrow"]


async def test_a_slow_receiver_keeps_no_other_waiting(pool: Pool, desk: Desk, receiver: Receiver) -> None:
    receiver.usual = Reply(after=1.5)
    async with Receiver() as quick:
        async with pool.acquire() as connection:
            await subscribe(connection, "slow", receiver.url)
            await subscribe(connection, "quick", quick.url)
            for number in range(30):
                await change(connection, "opened", alert(f"a{number}"))
        await desk.plan()
        while len(quick.came) < 30:
            await desk.sender.round()
            await asyncio.sleep(0.02)

        assert len(receiver.came) < 30
        await desk.sender.finish()


async def test_one_that_cannot_be_planned_keeps_no_other_waiting_and_rests_for_longer_each_time(
    pool: Pool, desk: Desk, clock: Clock, receiver: Receiver
) -> None:
    tried = []

    async def plan(tx: Connection, one: Subscription, changes: Sequence[Change], now: datetime) -> list[Planned]:
        tried.append(one.id)
        if one.id == "broken":
            raise ValueError("it does not fit")
        return await each_by_itself(tx, one, changes, now)

    ways = {"webhook": Way(webhook(Client(networks=HERE)), plan)}
    desk.planner = Planner(pool, ways, clock, Bell())
    async with pool.acquire() as connection:
        await subscribe(connection, "broken", receiver.url)
        await subscribe(connection, "whole", receiver.url)
        await change(connection, "opened", alert("a1"))
    for _ in range(30):
        await desk.work()
        clock.forward(seconds=1)

    assert len(receiver.came) == 1
    assert (tried.count("whole"), tried.count("broken")) == (1, 4)  # at 0, 2, 6 and 14 seconds


async def test_two_notifiers_send_nothing_twice(pool: Pool, desk: Desk, clock: Clock, receiver: Receiver) -> None:
    other = Desk(pool, clock)
    async with pool.acquire() as connection:
        await subscribe(connection, "ops", receiver.url)
        await subscribe(connection, "too", receiver.url)
        for number in range(60):
            await change(connection, "opened", alert(f"a{number}"))
    await asyncio.gather(desk.plan(), other.plan())
    await asyncio.gather(*(each.send() for each in (desk, other)))
    await desk.send()

    ids = [came.headers["webhook-id"] for came in receiver.came]
    assert (len(ids), len(set(ids))) == (120, 120)


async def test_who_took_it_and_was_lost_is_followed_when_the_lease_is_over(
    pool: Pool, desk: Desk, clock: Clock, receiver: Receiver
) -> None:
    async with pool.acquire() as connection:
        await subscribe(connection, "ops", receiver.url)
        await change(connection, "opened", alert("a1"))
    lost = Desk(pool, clock)
    await lost.plan()
    await lost.sender.round()
    await lost.sender.finish()
    async with pool.acquire() as connection:  # as it stands when one dies between sending and noting
        await connection.execute("update delivery set state = 'sending', lease = $1", NOON + timedelta(seconds=9))
        await connection.execute("update delivery_attempt set outcome = 'unknown', status = null")
    assert await desk.work() == 0
    clock.forward(seconds=10)
    assert await desk.work() == 1

    assert receiver.came[0].headers["webhook-id"] == receiver.came[1].headers["webhook-id"]
    async with pool.acquire() as connection:
        attempts = await connection.fetch("select outcome from delivery_attempt order by number")
    assert [row[0] for row in attempts] == ["unknown", "delivered"]


async def test_a_subscription_whose_key_is_gone_tells_nothing_more(pool: Pool, desk: Desk, receiver: Receiver) -> None:
    async with pool.acquire() as connection:
        await subscribe(connection, "ops", receiver.url)
        await connection.execute("update api_key set revoked_at = now()")
        await change(connection, "opened", alert("a1"))
    await desk.work()

    assert receiver.came == []
    assert "revoked" in await _one(pool, "select reason from subscription where state = 'disabled'")
    assert await _one(pool, "select failing_since from subscription") == NOON


async def test_a_bound_key_is_told_of_its_own_line_only_and_of_its_end_whoever_leads_it_then(
    pool: Pool, desk: Desk, receiver: Receiver
) -> None:
    about = {"subject_kind": "user", "evidence": {"num": 0, "den": 1}}
    async with pool.acquire() as connection:
        await add_person(connection, "boss")
        await add_person(connection, "ada", manager="boss")
        await add_person(connection, "eve")
        await key(connection, "bosskey", person="boss")
        await subscribe(connection, "mine", receiver.url, key_id="bosskey", person="boss")
        ada = await change(connection, "opened", alert("a1", subject_key="ada", **about))
        await change(connection, "opened", alert("a2", subject_key="eve", **about))
        await desk.work()
        await connection.execute("update membership set manager = null where user_id = 'ada'")
        await change(connection, "resolved", ada)
        await desk.work()
        logged = await connection.fetch("select key_id, route, subject from access_log")

    assert _told(receiver) == ["alert.opened", "alert.resolved"]
    end = msgspec.json.decode(receiver.came[1].body)["data"]["alert"]
    assert (end["id"], end["title"], end["evidence"]) == ("a1", "This alert has ended.", {})
    assert {tuple(row) for row in logged} == {("bosskey", "/v1/subscriptions/mine", "ada")}


async def test_without_single_persons_and_with_hidden_groups_nothing_of_them_is_told(
    pool: Pool, desk: Desk, receiver: Receiver
) -> None:
    worst = [{"team": "North", "num": 1, "den": 6}, {"team": "South", "num": 2, "den": 9}]
    async with pool.acquire() as connection:
        await connection.execute("update tenant set individual_visibility = 'off', min_group = 5")
        await measured(connection, "acme", "team:North")
        await subscribe(connection, "ops", receiver.url)
        await change(connection, "opened", alert("a1", subject_kind="user", subject_key="ada"))
        await change(connection, "opened", alert("a2"))
        await change(connection, "opened", alert("a3", subject_key="South", evidence={"num": 1, "den": 4}))
        of_all = {"num": 3, "den": 15, "worst_teams": worst, "people": ["ada"]}
        await change(connection, "opened", alert("a4", subject_kind="wave", subject_key="w", evidence=of_all))
    await desk.work()

    shown = [msgspec.json.decode(came.body)["data"]["alert"] for came in receiver.came]
    assert [(each["id"], each["evidence"]) for each in shown] == [
        ("a4", {"num": 3, "den": 15, "worst_teams": worst[1:]})
    ]


async def test_what_was_told_is_remembered_until_it_has_ended(pool: Pool, desk: Desk, receiver: Receiver) -> None:
    async with pool.acquire() as connection:
        await subscribe(connection, "ops", receiver.url)
        lasting = await change(connection, "opened", alert("a1"))
        over = await change(connection, "opened", alert("a2"))
        await change(connection, "resolved", over)
        await desk.work()
        assert await deliveries.forget(connection, NOON + timedelta(days=30), 100) == 2
        await change(connection, "resolved", lasting)
        await desk.work()

        assert _told(receiver)[-1] == "alert.resolved"
        assert msgspec.json.decode(receiver.came[-1].body)["data"]["alert"]["id"] == "a1"
        assert await deliveries.forget(connection, NOON + timedelta(days=30), 100) == 2
