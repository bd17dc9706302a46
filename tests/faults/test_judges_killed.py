"""An evaluator and two notifiers, killed again and again while facts change: at any moment, and where it hurts most.

Afterwards alerts and their history are those of a run that nobody disturbed. Each channel was told of every change that
such a run tells, in order for each alert, under one id each; what had been noted as delivered was not sent again.
``JUDGES_KILLS`` says how often somebody is killed.
"""

import asyncio
import base64
import itertools
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.aggregator.domain.waves import Wave
from services.child import free_port
from services.embedded import Postgres
from services.postgres import Pool, close_pool, connect_pool, transaction
from tests.aggregator.evaluation import evaluated, evaluator
from tests.aggregator.settle import TENANT, alerts_of, settle, write_facts
from tests.aggregator.world import World, crew, later, users
from tests.counts import say
from tests.databases import Databases
from tests.egress.receiver import Receiver, Reply
from tests.faults.mortals import EVALUATOR, NOTIFIER, evaluate, notify
from tests.faults.nursery import Process, bear, prepare
from tests.notifier.desk import KEY, Clock, Desk, key, subscribe
from tests.patience import until

pytestmark = pytest.mark.faults

KILLS = int(os.environ.get("JUDGES_KILLS", "6"))
DAYS_A_KILL = 2
CHANNELS = ("machines", "people")
HARMS: list[tuple[str, str | None]] = [
    harm
    for judge, teller in zip(itertools.cycle(EVALUATOR), NOTIFIER, strict=False)
    for harm in (("evaluator", judge), ("notifier", teller), ("evaluator", None), ("notifier", None))
]
"""Who dies, and where; None: at any moment."""
Told = dict[str, list[tuple[str, Any]]]
"""By alert: what was told of it, in order."""


class Bench:
    """One evaluator and two notifiers as processes; none outlives the test."""

    def __init__(self, database: str, diary: Path) -> None:
        self._diary = diary
        self._settings = {
            "database": database,
            "kafka": "127.0.0.1:1",
            "seal_key": base64.b64encode(KEY).decode(),
            "delivery_networks": "127.0.0.0/8",
            "delivery_seconds": 10,
            "evaluate_seconds": 0.02,
        }
        self.evaluator = self._evaluator()
        self.notifiers: list[Process] = []
        self.hire_notifiers()

    def _evaluator(self, site: str | None = None) -> Process:
        return bear(evaluate, site, diary=self._diary, **self._settings)

    def _notifier(self, site: str | None = None) -> Process:
        return bear(notify, site, diary=self._diary, notifier_port=free_port(), **self._settings)

    def doom(self, who: str, site: str) -> Process:
        """Let there be one that dies at ``site``, alone of its kind."""
        if who == "evaluator":
            end(self.evaluator)
            self.evaluator = self._evaluator(site)
            return self.evaluator
        self.notifiers = [self._notifier(site)]
        return self.notifiers[0]

    def replace(self, who: str, number: int = 0) -> None:
        """Kill one, if it still lives, and let there be one evaluator and two notifiers."""
        if who == "evaluator":
            end(self.evaluator)
            self.evaluator = self._evaluator()
        else:
            end(self.notifiers.pop(number % len(self.notifiers)))
            self.hire_notifiers()

    def hire_notifiers(self) -> None:
        """Let there be two."""
        self.notifiers += [self._notifier() for _ in range(2 - len(self.notifiers))]

    def dismiss_notifiers(self) -> None:
        """Kill all notifiers."""
        for each in self.notifiers:
            end(each)
        self.notifiers = []


def end(process: Process) -> None:
    process.kill()
    process.join()


class Slow(Receiver):
    """A receiver that takes a moment, so that whoever tells it may die meanwhile."""

    dice = random.Random(20)

    def reply(self) -> Reply:
        return Reply(after=self.dice.random() / 50)


@pytest.fixture
def bench(database: str, tmp_path: Path) -> Iterator[Bench]:
    prepare("aggregator", "notifier")
    made = Bench(database, tmp_path / "diary")
    yield made
    made.dismiss_notifiers()
    end(made.evaluator)


@pytest.fixture
async def quiet(databases: Databases, postgres_server: Postgres) -> AsyncIterator[Pool]:
    """A pool on the database of the run that nobody disturbs."""
    name = await databases.lend()
    opened = await connect_pool(postgres_server.url(name), name="tests")
    yield opened
    await close_pool(opened)
    await databases.take_back(name)


class Tale:
    """What people do: some never come, some come late, teams stop and begin again, and some of it is known late."""

    def __init__(self) -> None:
        dice = random.Random(7)
        members = [member for team in ("North", "South", "East", "West") for member in crew(9, team)]
        waves = [Wave("all", "All", later(0).date(), sponsor="ceo"), Wave("east", "East", later(9).date(), ("East",))]
        self.world = World(members, waves)
        self._visits: list[tuple[datetime, str, datetime]] = []
        for user in users(members):
            first, pause = dice.choice([0, 0, 1, 2, 4, 6, 12]), dice.randrange(8, 60)
            for day in range(first, 2 + KILLS * DAYS_A_KILL):
                if not pause <= day < pause + 14 and dice.random() < 0.5:
                    visit = later(day, dice.uniform(6, 20))
                    self._visits.append((later(day + dice.choice([0, 0, 0, 1, 5])), user, visit))

    def until(self, now: datetime) -> World:
        """Return the world as it is known by ``now``."""
        for known, user, visit in self._visits:
            if known <= now and visit <= now:
                self.world.visit([user], visit)
        return self.world


async def begin(pool: Pool, tale: Tale, addresses: list[str]) -> None:
    await settle(pool, tale.until(later(0)), later(0))
    async with pool.acquire() as connection:
        await key(connection)
        for channel, address in zip(CHANNELS, addresses, strict=True):
            await subscribe(connection, channel, address)


async def history(pool: Pool) -> list[tuple[Any, ...]]:
    rows = await pool.fetch("select alert, kind, state, actor, as_of, body from alert_change order by seq")
    return [tuple(row) for row in rows]


async def planned(pool: Pool, channel: str) -> Told:
    """Return what a channel is to be told."""
    told: Told = {}
    for row in await pool.fetch("select alerts, body from delivery where subscription = $1 order by id", channel):
        told.setdefault(row["alerts"][0], []).append((row["body"]["data"]["kind"], row["body"]["data"]["alert"]))
    return told


def came(receiver: Receiver) -> Told:
    """Return what a receiver was told, which drops what it has already."""
    told: Told = {}
    first = {each.headers["webhook-id"]: each for each in reversed(receiver.came)}
    for each in reversed(first.values()):
        data = msgspec.json.decode(each.body)["data"]
        told.setdefault(data["alert"]["id"], []).append((data["kind"], data["alert"]))
    return told


async def all_told(pool: Pool) -> bool:
    left = await pool.fetchval(
        """select (select count(*) from delivery where state <> 'delivered')
             + (select count(*) from subscription s where s.cursor < (select max(seq) from alert_change))"""
    )
    return bool(left == 0)


async def leave_to_others(pool: Pool, bench: Bench) -> None:
    """Kill all notifiers, and let the time pass for which others wait for what they had taken."""
    bench.dismiss_notifiers()
    await pool.execute("update delivery set lease = now() where state = 'sending'")
    await pool.execute("update delivery set due_at = now() where state = 'waiting' and due_at > now()")


async def harm(pool: Pool, bench: Bench, tale: Tale, kill: int, dice: random.Random) -> bool:
    """Kill somebody while the facts change; return whether it was where it was to be."""
    now = later(2 + kill * DAYS_A_KILL)
    who, site = HARMS[kill % len(HARMS)]
    if site is not None and who == "notifier":
        await leave_to_others(pool, bench)
    doomed = None if site is None else bench.doom(who, site)

    async def over() -> bool:
        return doomed is None or not doomed.is_alive() or (await evaluated(pool) and await all_told(pool))

    async with transaction(pool) as tx:
        await write_facts(tx, tale.until(now), now)
    await asyncio.sleep(dice.random() * 0.2 if site is None else 0)
    await until(over)
    died = doomed is not None and not doomed.is_alive()
    bench.replace(who, kill)
    await until(lambda: evaluated(pool))
    return died


async def repeated(pool: Pool) -> int:
    """Count the attempts that were made after another had been noted as delivered."""
    count: int = await pool.fetchval(
        """select count(*) from delivery_attempt a join delivery_attempt b using (delivery)
           where a.outcome = 'delivered' and b.number > a.number"""
    )
    return count


async def test_whoever_is_killed_alerts_are_those_of_a_quiet_run_and_each_is_told_under_one_id(
    pool: Pool, quiet: Pool, bench: Bench
) -> None:
    dice, died = random.Random(50), 0
    tale, calm = Tale(), Tale()
    desk, judge = Desk(quiet, Clock()), evaluator(quiet)
    async with Slow() as machines, Slow() as people:
        addresses = [machines.url, people.url]
        await begin(pool, tale, addresses)
        await begin(quiet, calm, addresses)
        await until(lambda: evaluated(pool))
        await judge.evaluate(TENANT, later(0))
        for kill in range(KILLS):
            died += await harm(pool, bench, tale, kill, dice)
            await write_facts(quiet, calm.until(now := later(2 + kill * DAYS_A_KILL)), now)
            await judge.evaluate(TENANT, now)
            await desk.plan()
        await leave_to_others(pool, bench)
        bench.hire_notifiers()
        await until(lambda: all_told(pool))

    changes = await history(quiet)
    kinds = dict(Counter(kind for _, kind, *_ in changes))
    ids = [Counter(each.headers["webhook-id"] for each in receiver.came) for receiver in (machines, people)]
    copies = sum(count.total() - len(count) for count in ids)
    lost = await pool.fetchval("select count(*) from delivery_attempt where outcome = 'unknown'")
    again = await repeated(pool)
    say(
        f"{KILLS} kills, {died} of them at a site: {len(changes)} changes {kinds}; {len(ids[0])} and {len(ids[1])} ids"
        f" told, {copies} copies of {lost} attempts whose end was lost, {again} sent again after they were noted"
    )
    assert await history(pool) == changes
    assert await alerts_of(pool) == await alerts_of(quiet)
    for channel, receiver in zip(CHANNELS, (machines, people), strict=True):
        assert came(receiver) == await planned(quiet, channel)
    assert [len(count) for count in ids] == [await quiet.fetchval("select count(*) / 2 from delivery")] * 2
    assert copies <= lost
    assert again == 0
