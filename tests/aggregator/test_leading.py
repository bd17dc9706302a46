"""Sharing what is led: whose a tenant is, when somebody comes, ends, or is killed amid its work."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from services.aggregator import leading
from services.aggregator.domain.measures import Span, Subject
from services.aggregator.evaluator import Evaluated, Evaluator
from services.aggregator.leading import PARTS, Confirm, Leader, Share
from services.aggregator.measurer import Measurer
from services.aggregator.store import dirty
from services.aggregator.store.leading import EVALUATOR, MEASURER
from services.child import free_port
from services.postgres import Pool
from tests.aggregator.evaluation import SETTINGS, evaluated, running
from tests.aggregator.settle import settle, tick
from tests.aggregator.world import World, crew, later
from tests.databases import Databases
from tests.patience import until

ROOT = Path(__file__).parents[2]
TENANTS = [f"tenant-{number}" for number in range(12)]


class Member:
    """One that takes part and remembers what its share is."""

    def __init__(self, database: str, parts: int = PARTS) -> None:
        self.share = Share()
        self.stop = asyncio.Event()
        self._leader = Leader(database, "tests", EVALUATOR, 0.02, parts)

    async def _round(self, confirm: Confirm, share: Share) -> None:
        await confirm()
        self.share = share

    async def run(self) -> None:
        await self._leader.run(self.stop, self._round)
        self.share = Share()


@asynccontextmanager
async def taking_part(*members: Member) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(member.run()) for member in members]
    try:
        yield
    finally:
        for member in members:
            member.stop.set()
        await asyncio.gather(*tasks)


def divided(*members: Member) -> bool:
    """Tell whether each part is exactly one member's, and none has more than falls to it."""
    parts = [part for member in members for part in member.share.parts]
    fair = -(-PARTS // len(members))
    return sorted(parts) == list(range(PARTS)) and all(len(member.share.parts) <= fair for member in members)


@pytest.fixture
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leading, "STANDBY_SECONDS", 0.05)


@pytest.mark.usefixtures("_hasty")
async def test_parts_are_divided_anew_whenever_somebody_comes_or_ends(database: str) -> None:
    first, second, third = (Member(database) for _ in range(3))

    async with taking_part(first):
        await until(lambda: divided(first))
        async with taking_part(second, third):
            await until(lambda: divided(first, second, third))
            second.stop.set()
            await until(lambda: divided(first, third))
        await until(lambda: divided(first))


@pytest.mark.usefixtures("_hasty")
async def test_of_a_single_part_one_leads_and_another_takes_over(database: str) -> None:
    first, second = Member(database, parts=1), Member(database, parts=1)

    async with taking_part(first):
        await until(lambda: first.share.parts)
        async with taking_part(second):
            await asyncio.sleep(0.3)
            assert not second.share.parts
            first.stop.set()
            await until(lambda: second.share.parts)


@pytest.mark.usefixtures("_hasty")
async def test_who_loses_its_session_and_is_not_let_in_again_waits_until_it_is(
    database: str, databases: Databases, caplog: pytest.LogCaptureFixture
) -> None:
    member, name = Member(database), database.rpartition("/")[2]
    lost = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'uptake-tests'"

    async with taking_part(member):
        await until(lambda: member.share.parts)
        await databases.run(f"alter database {name} allow_connections false")
        await databases.run(lost)
        await until(lambda: "is not currently accepting connections" in caplog.text)
        member.share = Share()
        await databases.run(f"alter database {name} allow_connections true")
        await until(lambda: member.share.parts)


# ---------------------------------------------------------------- evaluators


class Noting(Evaluator):
    """An evaluator that notes whom it evaluated."""

    def __init__(self, pool: Pool, database: str) -> None:
        super().__init__(pool, database, SETTINGS, lambda: later(0))
        self.seen: list[str] = []

    async def evaluate(self, tenant: str, now: datetime, **how: Any) -> Evaluated | None:
        self.seen.append(tenant)
        return await super().evaluate(tenant, now, **how)


async def all_evaluated(pool: Pool) -> bool:
    return all([await evaluated(pool, tenant) for tenant in TENANTS])


async def shared_by_two(pool: Pool, lock: int = EVALUATOR) -> bool:
    """Tell whether each of two sessions holds half of the parts."""
    rows = await pool.fetch(
        """select count(*) as parts from pg_locks where locktype = 'advisory' and classid = $1 and objid < $2
           and granted and database = (select oid from pg_database where datname = current_database()) group by pid""",
        lock,
        PARTS,
    )
    return [row["parts"] for row in rows] == [PARTS // 2, PARTS // 2]


async def opened(pool: Pool) -> list[Any]:
    """How often each alert was opened, beside its tenant."""
    return await pool.fetch("select tenant, count(*) from alert_change where kind = 'opened' group by tenant, alert")


@pytest.mark.usefixtures("_hasty")
async def test_each_tenant_is_one_evaluators(pool: Pool, database: str) -> None:
    for tenant in TENANTS:
        await settle(pool, World(crew(1)), later(0), tenant)
    both = Noting(pool, database), Noting(pool, database)

    async with running(*both):
        await until(lambda: shared_by_two(pool))
        await until(lambda: all_evaluated(pool))
        for each in both:
            each.seen.clear()
        for tenant in TENANTS:
            await tick(pool, later(6), tenant)
        await until(lambda: all_evaluated(pool))

    assert both[0].seen
    assert both[1].seen
    assert not set(both[0].seen) & set(both[1].seen)
    found = await opened(pool)
    assert {row["tenant"] for row in found} == set(TENANTS)
    assert {row["count"] for row in found} == {1}


# ---------------------------------------------------------------- measurers


class Watched(Measurer):
    """A measurer that notes whom it measured."""

    def __init__(self, pool: Pool, database: str) -> None:
        super().__init__(pool, database, lambda: later(0))
        self.seen: list[str] = []

    async def measure(self, tenant: str, now: datetime, **how: Any) -> bool:
        self.seen.append(tenant)
        return await super().measure(tenant, now, **how)


async def all_measured(pool: Pool) -> bool:
    return not await pool.fetchval("select exists (select from dirty)")


@pytest.mark.usefixtures("_hasty")
async def test_each_tenant_is_one_measurers(pool: Pool, database: str) -> None:
    for tenant in TENANTS:
        await settle(pool, World(crew(1)), later(0), tenant)
    both = Watched(pool, database), Watched(pool, database)
    stop = asyncio.Event()
    tasks = [asyncio.create_task(each.run(stop)) for each in both]
    try:
        await until(lambda: shared_by_two(pool, MEASURER))
        await until(lambda: all_measured(pool))
        for each in both:
            each.seen.clear()
        async with pool.acquire() as connection:
            for tenant in TENANTS:
                await dirty.queue(connection, tenant, later(0), [(Subject("person", "u1"), Span(None, None))])
        await until(lambda: all_measured(pool))
    finally:
        stop.set()
        await asyncio.gather(*tasks)

    assert set(both[0].seen) | set(both[1].seen) == set(TENANTS)
    assert not set(both[0].seen) & set(both[1].seen)


# ---------------------------------------------------------------- one of them killed


@pytest.fixture
def another(database: str, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A whole aggregator as a process, without a log to read: what it evaluates, it evaluates as any other."""
    env = {
        "PATH": os.environ["PATH"],
        "UPTAKE_DATABASE": database,
        "UPTAKE_KAFKA": "127.0.0.1:1",
        "UPTAKE_AGGREGATOR_PORT": str(free_port()),
    }
    with (tmp_path / "diary").open("ab") as diary:
        command = [sys.executable, "-m", "services.aggregator"]
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=diary, stderr=diary)
    yield process
    process.kill()
    process.wait()


@pytest.mark.faults
@pytest.mark.usefixtures("_hasty")
async def test_the_tenants_of_a_killed_evaluator_are_taken_over_and_no_alert_opens_twice(
    pool: Pool, database: str, another: subprocess.Popen[bytes]
) -> None:
    await pool.execute("insert into installation values ('shards', '12')")
    for tenant in TENANTS:
        await settle(pool, World(crew(1)), later(0), tenant)
    ours = Noting(pool, database)

    async with running(ours):
        await until(lambda: shared_by_two(pool))
        await until(lambda: all_evaluated(pool))
        ours.seen.clear()
        for tenant in TENANTS:
            await tick(pool, later(6), tenant)
        before = set(ours.seen)
        another.kill()
        await until(lambda: all_evaluated(pool))
        for tenant in TENANTS:
            await tick(pool, later(6.1), tenant)
        await until(lambda: all_evaluated(pool))

    assert before < set(TENANTS) == set(ours.seen)
    found = await opened(pool)
    assert {row["tenant"] for row in found} == set(TENANTS)
    assert {row["count"] for row in found} == {1}
