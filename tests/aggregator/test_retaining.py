"""What was kept long enough goes, and the numbers of the past stay as they are. On real Postgres."""

import asyncio
import random
import sys
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from schemas.events import encode
from schemas.topics import shard_of
from services.aggregator.retaining import Periods, due, retain
from services.aggregator.shard import Tenants
from services.aggregator.store import backfill, forgetting
from services.aggregator.store.backfill import Restated
from services.api.store import windows as window_store
from services.api.store.windows import Question
from services.postgres import Pool, transaction
from tests.aggregator.evaluation import evaluator
from tests.aggregator.measured import measurer, stored
from tests.aggregator.settle import TENANT, alerts_of, settle
from tests.aggregator.shards import NOW, SHARDS, Log, Numbered, event, own, settled
from tests.aggregator.world import World, crew, later
from tests.builders import add_tenant, enter
from tests.oracle import Entry, Spell
from tests.stack import ROOT

PERIODS = Periods(activity=20, people=50, aggregates=1827, letters=90)
"""Much shorter than anybody would have it: each day of activity is a table."""
TODAY = NOW.date()
PEOPLE = ["ada", "bo", "cy", "dee"]


def entry(team: str) -> Entry:
    return Entry([Spell(date(1, 1, 1), None, team, "sales")], date(2015, 1, 1), None)


async def work(pool: Pool, days: int, *, count: int = 200, clock: str = "wall", until: datetime = NOW) -> list[Any]:
    """Fold what four people did in as many days; return the shards."""
    rng = random.Random(days)
    await add_tenant(pool, clock=clock)
    for number, user in enumerate(PEOPLE):
        await enter(pool, user, entry("AB"[number % 2]), SHARDS)
    log, tenants = Log(), Tenants()
    for number in range(count):
        at = until - timedelta(minutes=rng.randrange(60 * 24 * days))
        log.append(event(number, rng.choice(PEOPLE), at, rng.choice(["crm.session.login", "crm.record.updated"])))
    shards = [await own(pool, number, tenants) for number in range(SHARDS)]
    await settled(pool, shards)
    for shard in shards:
        if mine := log.records[shard.number]:
            await shard.fold(pool, mine, NOW)
    await settled(pool, shards)
    return shards


async def windows(pool: Pool, first: date, last: date = TODAY) -> Any:
    question = Question(window_store.DIMENSIONS, None, window_store.WINDOWS, first, last)
    async with pool.acquire() as connection:
        found = await window_store.page(connection, "acme", question, None, 1_000_000)
    return {place: values[:5] for place, values in found}


async def oldest(pool: Pool, table: str, column: str) -> date | None:
    found: date | None = await pool.fetchval(f"select min({column})::date from {table}")
    return found


async def test_what_single_people_did_goes_and_the_windows_stay(pool: Pool) -> None:
    shards = await work(pool, 80)
    before = await windows(pool, TODAY - timedelta(days=80))

    gone = await retain(pool, PERIODS, NOW)

    assert gone["person_day"] > 20
    assert gone["activity_days"] > 50
    assert await oldest(pool, "person_day", "day") == TODAY - timedelta(days=50)
    assert await oldest(pool, "activity", "at") >= TODAY - timedelta(days=20)  # type: ignore[operator]
    assert await windows(pool, TODAY - timedelta(days=80)) == before
    since = await pool.fetchval("select day from kept_since where what = 'people'")
    assert since == TODAY - timedelta(days=50)

    moved = Entry([Spell(date(1, 1, 1), TODAY, "A", "sales"), Spell(TODAY, None, "C", "sales")], date(2015, 1, 1), None)
    await enter(pool, "ada", moved, SHARDS)
    await settled(pool, shards)
    yesterday = TODAY - timedelta(days=1)
    past = TODAY - timedelta(days=80)
    assert await windows(pool, past, yesterday) == {
        place: told for place, told in before.items() if place.as_of < TODAY
    }


async def measured(pool: Pool) -> tuple[Any, Any]:
    await measurer(pool, now=NOW).measure("acme", NOW)
    state = await stored(pool)
    return state.cells, state.careers


async def test_what_was_measured_stays_when_what_it_was_made_of_goes(pool: Pool) -> None:
    shards = await work(pool, 80)
    cells, careers = await measured(pool)

    gone = await retain(pool, PERIODS, NOW)
    contributions = (await stored(pool)).contributions
    await settled(pool, shards)
    assert gone["activity_days"] > 50
    assert await measured(pool) == (cells, careers)

    await pool.execute("insert into dirty (tenant, kind, subject) values ('acme', 'tenant', '')")
    await enter(pool, "ada", entry("C"), SHARDS)
    await settled(pool, shards)
    await pool.executemany(
        "insert into dirty (tenant, kind, subject) values ('acme', 'person', $1)", [(user,) for user in PEOPLE]
    )
    after, still = await measured(pool)
    since = await pool.fetchval("select activity_from from tenant")

    assert still == careers
    assert {place: told for place, told in after.items() if place[3] < since} == {
        place: told for place, told in cells.items() if place[3] < since
    }
    assert after != cells
    mine = (await stored(pool)).contributions
    assert {key for key in mine if key[2] < since} == {key for key in contributions if key[2] < since}


async def test_a_late_week_on_the_wall_clock_ends_in_a_report(pool: Pool) -> None:
    shards = await work(pool, 70)
    await measured(pool)
    await pool.execute("update measured_week set known_at = known_at - interval '1 day'")
    await pool.execute("update metric_cell set known_at = known_at - interval '1 day'")
    await pool.execute("update measured set as_of = as_of, known_at = known_at - interval '1 day'")
    day = NOW - timedelta(days=60)
    for number in range(4):
        late = event(9000 + number, PEOPLE[number], day + timedelta(days=number), "crm.session.login", origin="ui")
        record = encode("acme", late)
        home = next(shard for shard in shards if shard.number == shard_of(record.key, SHARDS))
        await home.fold(pool, [Numbered(home.held.next_offset, 1_780_000_000_000, record.key, record.value)], NOW)
    await settled(pool, shards)
    await measured(pool)

    (row,) = await pool.fetch("select * from backfill")
    assert row["report"]["cells"] > 0
    assert set(row["report"]["weeks"]) <= {"2026-03-30", "2026-04-06", *row["report"]["weeks"]}
    assert all(date.fromisoformat(week) < TODAY - timedelta(days=28) for week in row["report"]["weeks"])


async def test_what_would_go_is_what_goes(pool: Pool) -> None:
    await work(pool, 70)
    await pool.execute(
        "insert into access_log (tenant, key_id, route, subject, at) values ('acme', 'k', '/', 'ada', $1), "
        "('acme', 'k', '/', 'ada', $2)",
        NOW - timedelta(days=400),
        NOW,
    )
    told = await due(pool, PERIODS, NOW)
    gone = await retain(pool, PERIODS, NOW)

    assert told["activity"] > 0
    assert {table: n for table, n in told.items() if table != "activity"} == {
        table: n for table, n in gone.items() if table != "activity_days"
    }
    assert await due(pool, PERIODS, NOW) == {}
    assert await retain(pool, PERIODS, NOW) == {}


async def test_a_data_set_of_the_past_is_judged_by_its_own_clock(pool: Pool) -> None:
    until = datetime(2013, 6, 1, tzinfo=UTC)
    await work(pool, 40, clock="event", until=until)

    await retain(pool, PERIODS, NOW)

    assert await oldest(pool, "person_day", "day") < date(2013, 4, 28)  # type: ignore[operator]
    assert date(2013, 5, 11) <= await oldest(pool, "activity", "at") < date(2013, 5, 15)  # type: ignore[operator]


async def test_a_tenant_may_want_less_and_never_more(pool: Pool) -> None:
    await work(pool, 60)
    await pool.execute("""update tenant set retention = '{"people": 30, "activity": 100000}'""")

    await retain(pool, PERIODS, NOW)

    assert await oldest(pool, "person_day", "day") >= TODAY - timedelta(days=30)  # type: ignore[operator]
    assert await oldest(pool, "activity", "at") >= TODAY - timedelta(days=20)  # type: ignore[operator]


async def test_windows_that_are_old_enough_go_and_younger_ones_keep_their_numbers(pool: Pool) -> None:
    await work(pool, 70)
    cut = TODAY - timedelta(days=10)
    before = await windows(pool, cut)
    assert len(await windows(pool, cut - timedelta(days=60), cut - timedelta(days=40))) > 0

    assert await forgetting.fold_windows(pool, "acme", cut)

    assert await windows(pool, cut) == before
    assert await windows(pool, cut - timedelta(days=60), cut - timedelta(days=40)) == {}
    assert not await forgetting.fold_windows(pool, "acme", cut)


async def test_dead_letters_go_by_the_wall_clock(pool: Pool) -> None:
    await add_tenant(pool, clock="event")
    for number, age in enumerate((10, 100)):
        await pool.execute(
            """insert into dead_letter (tenant, shard, log_offset, mark, reason, created_at)
               values ('acme', 0, $1, 0, 'no event', $2)""",
            number,
            NOW - timedelta(days=age),
        )

    assert await retain(pool, PERIODS, NOW) == {"dead_letter": 1}


async def test_of_an_open_window_the_last_thought_of_each_hour_is_kept(pool: Pool) -> None:
    await add_tenant(pool)
    day = date(2026, 3, 2)
    known = [datetime(2026, 3, 3, 9, minute, tzinfo=UTC) for minute in (1, 20, 59)]
    known += [datetime(2026, 3, 3, 10, tzinfo=UTC), datetime(2026, 4, 3, 9, 1, tzinfo=UTC)]
    known += [datetime(2026, 4, 3, 9, 2, tzinfo=UTC), NOW - timedelta(minutes=2), NOW - timedelta(minutes=1)]
    for num, instant in enumerate(known):
        await pool.execute(
            "insert into metric_past (tenant, dimension, key, metric, day, known_at, num, den)"
            " values ('acme', 'tenant', 'all', 'M11', $1, $2, $3, 9)",
            day,
            instant,
            num,
        )

    await retain(pool, PERIODS, NOW)

    rows = await pool.fetch("select num from metric_past order by known_at")
    assert [row["num"] for row in rows] == [2, 3, 4, 5, 6, 7]


# ---------------------------------------------------------------- backfills


def cell(day: date, before: tuple[int, int] | None, after: tuple[int, int] | None, key: str = "all") -> Restated:
    return Restated("tenant", key, "M11", day, before, after)


async def test_a_backfill_is_one_until_ten_minutes_bring_no_more(pool: Pool) -> None:
    await add_tenant(pool, clock="wall")
    old, young = TODAY - timedelta(days=70), TODAY - timedelta(days=20)

    async def note(minutes: int, *changes: Restated) -> None:
        async with transaction(pool) as tx:
            await backfill.note(tx, "acme", NOW + timedelta(minutes=minutes), changes)
        await backfill.finish(pool, NOW + timedelta(minutes=minutes))

    await note(0, cell(young, (1, 9), (2, 9)), cell(old, (3, 9), (3, 9)))
    assert await pool.fetch("select * from backfill") == []
    await note(1, cell(old, (1, 9), (5, 9)), cell(old, None, (1, 9), "b"))
    await note(8, cell(old, (5, 9), (8, 9)))
    await note(17)
    await note(18)
    await note(30, cell(old, (8, 9), (9, 9)))

    first, second = await pool.fetch("select * from backfill order by id")
    assert (first["started_at"], first["finished_at"]) == (NOW + timedelta(minutes=1), NOW + timedelta(minutes=18))
    assert first["report"]["cells"] == 3
    assert first["report"]["largest"][1] == {
        "dimension": "tenant",
        "key": "all",
        "metric": "M11",
        "day": old.isoformat(),
        "before": [1, 9],
        "after": [8, 9],
    }
    assert second["finished_at"] is None


@pytest.mark.parametrize("clock", ["wall", "event"])
async def test_only_on_the_wall_clock_the_far_past_opens_no_alerts(pool: Pool, clock: str) -> None:
    world = World(crew(12))
    await settle(pool, world, later(45), clock=clock)
    await evaluator(pool).evaluate(TENANT, later(45))
    told = await alerts_of(pool)
    await pool.execute("update wave set go_live = $1", later(20).date())
    await evaluator(pool).evaluate(TENANT, later(45))

    assert (len(told) == 0) == (clock == "wall")
    assert len([alert for alert in (await alerts_of(pool)).values() if alert.opened_at > later(20)]) > 12


async def test_the_command_tells_what_would_go_and_deletes_nothing(pool: Pool, database: str) -> None:
    await add_tenant(pool, clock="wall")
    await pool.execute(
        "insert into dead_letter (tenant, shard, log_offset, mark, reason, created_at)"
        " values ('acme', 0, 1, 0, 'no event', '2020-01-01')"
    )

    async def run(*options: str) -> bytes:
        command = [sys.executable, "-m", "services.cli", "retention", *options]
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", "UPTAKE_DATABASE": database},
            stdout=asyncio.subprocess.PIPE,
        )
        printed, _ = await process.communicate()
        return printed

    assert await run("--dry-run") == b'{"dead_letter": 1}\n'
    assert await pool.fetchval("select count(*) from dead_letter") == 1
    assert await run() == b'{"dead_letter": 1}\n'
    assert await pool.fetchval("select count(*) from dead_letter") == 0


async def test_a_group_stays_hidden_in_every_window_that_is_left(pool: Pool) -> None:
    await work(pool, 60, until=NOW)
    first = TODAY - timedelta(days=TODAY.weekday() + 14)
    kept = (TODAY - first - timedelta(days=2)).days
    weeks = [first + timedelta(weeks=number) for number in range(-8, 2)]
    for table in ("hidden_group (tenant, week, dimension, key, reason)", "measured_week (tenant, week, known_at)"):
        more = "'team', 'A', 'small'" if table.startswith("hidden") else "now()"
        await pool.execute(f"insert into {table} select 'acme', w, {more} from unnest($1::date[]) w", weeks)

    await retain(pool, Periods(activity=10, people=10, aggregates=kept, letters=90), NOW)

    oldest_window = min(place.as_of for place in await windows(pool, TODAY - timedelta(days=kept)))
    begins = oldest_window - timedelta(days=max(window_store.WINDOWS) - 1)
    for table in ("hidden_group", "measured_week"):
        assert await oldest(pool, table, "week") <= begins  # type: ignore[operator]
        assert await oldest(pool, table, "week") > weeks[0]  # type: ignore[operator]
