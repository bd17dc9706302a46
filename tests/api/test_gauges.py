"""Adoption at its largest: bounded series, shown by one process of a cluster, and nobody by name."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import date

import pytest
from prometheus_client import CollectorRegistry

from services.api import instruments
from services.api.gauges import Adoption
from services.api.gauges.numbers import MOST_GROUPS
from services.api.gauges.waiting import Waiting
from services.api.instruments import Instruments
from services.fading import FADES_SECONDS, Fading
from services.observability import exposition
from services.postgres import Pool
from tests.api.conftest import Clock
from tests.builders import NOON
from tests.patience import until

TENANTS, TEAMS, PEOPLE = 50, 500, 10_000
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


@contextlib.asynccontextmanager
async def owning(pool: Pool) -> AsyncIterator[tuple[Adoption, Instruments, asyncio.Task[None]]]:
    """The adoption of one process of a cluster."""
    made = instruments.make()
    adoption = Adoption(made)
    task = asyncio.create_task(adoption.keep_fresh(pool, Clock(NOON)))
    yield adoption, made, task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def shown(adoption: Adoption) -> str:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(adoption.collector(CollectorRegistry(), None))
    return exposition(registry, OPEN_METRICS)[0].decode()


async def large(pool: Pool) -> None:
    """Ten thousand people in the teams of one tenant, one team too many among them, and forty-nine tenants beside."""
    await pool.execute(
        "insert into tenant (id, name, min_group) select 't' || n, 't' || n, 5 from generate_series(1, $1) n", TENANTS
    )
    await pool.execute("insert into tally (tenant, shard, version) select id, 0, 1 from tenant")
    await pool.execute(
        "insert into measured_week (tenant, week, known_at) select id, $1, now() from tenant", date(2026, 3, 2)
    )
    await pool.execute(
        """insert into person (tenant, user_id, name) select 't1', 'person-' || n, 'Person ' || n
           from generate_series(1, $1) n""",
        PEOPLE,
    )
    await pool.execute(
        """insert into window_delta (tenant, dimension, key, days, day, shard, licensed, active, logged_in)
           select tenant, dimension, key, days, '2026-03-01', 0, people, people / 2, 1
           from unnest(array[1, 7, 28]) days cross join (
             select 't1' as tenant, 'team' as dimension, 'team ' || lpad(n::text, 4, '0') as key, $1::int / $2 as people
             from generate_series(0, $2) n
             union all select id, 'team', 'tiny', 4 from tenant
             union all select id, 'tenant', 'all', 200 from tenant) g""",
        PEOPLE,
        TEAMS,
    )


async def test_ten_thousand_people_in_five_hundred_teams_of_fifty_tenants_are_bounded_series(pool: Pool) -> None:
    await large(pool)
    async with owning(pool) as (adoption, _, _):
        await until(lambda: len(adoption.samples) == TENANTS)
        text = shown(adoption)

    series = [line for line in text.splitlines() if not line.startswith("#")]
    of_windows = [line for line in series if line.startswith("uptake_adoption") and "truncated" not in line]
    assert len(of_windows) == 10 * (MOST_GROUPS + TENANTS)
    assert len(series) - len(of_windows) <= 10 * TENANTS
    assert 'uptake_adoption_truncated{dimension="team",tenant="t1"} 1.0' in series
    assert "person" not in text
    assert "tiny" not in text


async def test_adoption_is_shown_by_one_process_and_by_another_when_that_is_gone(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.api.gauges.owning.STANDBY", 0.05)
    await pool.execute("insert into tenant (id, name) values ('acme', 'acme')")
    async with owning(pool) as one, owning(pool) as other:
        await until(lambda: one[0].samples or other[0].samples)
        first, second = (one, other) if one[0].samples else (other, one)
        assert not second[0].samples
        assert "uptake_adoption_read_timestamp_seconds 1.77" in exposition(first[1].registry, "")[0].decode()
        assert "uptake_adoption_read_timestamp_seconds 1.77" not in exposition(second[1].registry, "")[0].decode()

        first[2].cancel()
        await asyncio.gather(first[2], return_exceptions=True)
        await until(lambda: second[0].samples and not first[0].samples)


def test_what_was_counted_waits_until_it_is_judged_whatever_is_counted_after_it() -> None:
    waiting = Waiting()

    assert waiting.look({"a": (1, 1), "b": (7, 7)}, 0) == 0
    assert waiting.look({"a": (2, 1), "b": (7, 7)}, 10) == 0
    assert waiting.look({"a": (3, 1), "b": (8, 7)}, 15) == 5
    assert waiting.look({"a": (4, 2), "b": (8, 7)}, 20) == 5
    assert waiting.look({"a": (4, 4), "b": (8, 7)}, 25) == 10
    assert waiting.look({"a": (4, 4)}, 30) == 0


def test_what_one_tells_for_all_is_absent_before_after_a_while_and_when_another_tells_it() -> None:
    moment, registry = [0.0], CollectorRegistry()
    told = Fading("told", "A sentence.", registry=registry, clock=lambda: moment[0])

    assert registry.get_sample_value("told") is None
    told.set(3)
    moment[0] = FADES_SECONDS
    assert registry.get_sample_value("told") == 3
    moment[0] += 1
    assert registry.get_sample_value("told") is None
    told.set(4)
    told.clear()
    assert registry.get_sample_value("told") is None
