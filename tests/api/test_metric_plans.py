"""What the questions about metrics cost on large tables: their own group's rows, found by an index, and no others."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from services.api.store import contributions, metrics
from services.api.store.sessions import Walled, reading
from services.postgres import Connection, Pool

FIRST = date(2025, 1, 6)
QUARTER = (date(2025, 3, 3), date(2025, 6, 2))
KNOWN = datetime(2026, 1, 1, tzinfo=UTC)
WALK = 2 * 20 + 2
"""Finding twenty metrics, one after the other."""


def scans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "Relation Name" in plan:
        yield plan
    for child in plan.get("Plans", []):
        yield from scans(child)


async def explained(connection: Connection, statement: str, arguments: Sequence[object]) -> tuple[dict[str, Any], int]:
    """Return the plan, all of whose scans use an index, and how many rows they gave."""
    answer = await connection.fetchval(f"explain (analyze, buffers, format json) {statement}", *arguments)
    found = list(scans(answer[0]["Plan"]))
    assert found
    assert {scan["Node Type"] for scan in found} <= {"Index Scan", "Index Only Scan", "Bitmap Heap Scan"}, found
    return answer[0]["Plan"], sum(scan["Actual Rows"] * scan["Actual Loops"] for scan in found)


async def fill(pool: Pool) -> None:
    """Fifty teams with twenty metrics over a year of weeks, each changed once; five thousand people."""
    await pool.execute("insert into tenant (id, name) values ('acme', 'Acme')")
    for table, more in (("metric_cell", 0), ("metric_past", 1)):
        await pool.execute(
            f"""insert into {table} (tenant, dimension, key, metric, day, num, den, known_at)
                select 'acme', 'team', 't' || t, 'M' || m, $1::date + 7 * w, 1, 2, $2
                from generate_series(10, 59) t, generate_series(1, 20) m, generate_series(0, 51) w""",
            FIRST,
            KNOWN - timedelta(days=more),
        )
    await pool.execute(
        """insert into contribution (tenant, kind, subject, week, team, role, counts, known_at)
           select 'acme', 'person', 'p' || p, $1::date + 7 * w, 't' || 10 + p % 50, 'seller', '{"M11": [1, 1]}', $2
           from generate_series(10000, 14999) p, generate_series(0, 3) w""",
        FIRST,
        KNOWN,
    )
    await pool.execute("analyze metric_cell, metric_past, contribution")


async def test_a_question_reads_its_own_group_and_range_and_no_others(pool: Pool) -> None:
    await fill(pool)
    async with reading(Walled(pool, "acme")) as connection:
        await cheap(connection)


async def cheap(connection: Connection) -> None:
    """Fail when a question reads more than it is about, as the API asks: behind the wall of its tenant."""
    for only, metrics_read in ((None, 20), (["M3", "M11"], 2)):
        for as_of, times in ((None, 1), (KNOWN, 2)):
            question = metrics.Question("team", "t30", *QUARTER, only=only, as_of=as_of)
            plan, read = await explained(connection, *metrics.statement("acme", question))
            assert read <= metrics_read * 13 * times + WALK
            assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 1000 * times

    question = metrics.Question("team", "t30", *QUARTER, whole=["M3"])
    _, read = await explained(connection, *metrics.statement("acme", question))
    assert read <= 19 * 13 + 21 + WALK, "of what adds up, the whole past; of the others, the quarter"

    weeks = (FIRST, FIRST + timedelta(weeks=2))
    _, read = await explained(
        connection, contributions.pairs_statement("team"), ["acme", weeks[0], "t30", "M11", weeks[1]]
    )
    assert read <= 100 * 2 * 4
    pairs = await contributions.pairs(connection, "acme", ("team", "t30"), "M11", weeks)
    assert [(*pair.base, *pair.now, pair.people) for pair in pairs] == [(True, False, True, True, False, True, 100)]

    people = [f"p{number}" for number in range(10_020, 15_000, 50)]
    question = metrics.Question("team", "t30", FIRST, FIRST + timedelta(weeks=2), only=["M11"])
    statement, arguments = next(contributions.as_is_statements("acme", people, question))
    _, read = await explained(connection, statement, arguments)
    assert read <= 100 * 3
    cells = await contributions.as_is(connection, "acme", people, question)
    assert cells["M11"].sum(date.min, date.max)[:2] == (200, 200)
