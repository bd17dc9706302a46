"""What the measurer would have written: cells, their past, contributions, and how far everything is counted."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta

from services.postgres import Connection

KNOWN = datetime(2026, 2, 1, 3, 0, tzinfo=UTC)
MONDAY = date(2026, 2, 2)
"""The first of the four whole weeks before the tests' noon, Monday the second of March."""
NEWEST = date(2026, 3, 2)
Cell = tuple[str, date, int, int]


def week(number: int) -> date:
    """Return the first day of the week ``number`` weeks after the first."""
    return MONDAY + timedelta(weeks=number)


async def add_cells(
    connection: Connection,
    cells: Iterable[Cell],
    group: tuple[str, str] = ("team", "north"),
    *,
    tenant: str = "acme",
    known_at: datetime = KNOWN,
    revision: int = 0,
) -> None:
    await connection.executemany(
        """insert into metric_cell (tenant, dimension, key, metric, day, num, den, known_at, revision)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9)""",
        [(tenant, *group, *cell, known_at, revision) for cell in cells],
    )


async def add_past(connection: Connection, cell: Cell, known_at: datetime, group: tuple[str, str]) -> None:
    await connection.execute(
        """insert into metric_past (tenant, dimension, key, metric, day, num, den, known_at)
           values ('acme', $1, $2, $3, $4, $5, $6, $7)""",
        *group,
        *cell,
        known_at,
    )


async def add_contribution(
    connection: Connection,
    user: str,
    day: date,
    counts: Mapping[str, tuple[int, int]],
    *,
    kind: str = "person",
    reason: str | None = None,
    owner: str | None = None,
    moves: Mapping[int, str] | None = None,
    **groups: str | None,
) -> None:
    """``moves``: by offset, the team of that day."""
    elsewhere = {str(offset): [None, team, None, None, None, None] for offset, team in (moves or {}).items()}
    await connection.execute(
        """insert into contribution
               (tenant, kind, subject, week, wave, team, role, reason, owner, counts, moves, known_at)
           values ('acme', $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)""",
        kind,
        user,
        day,
        groups.get("wave"),
        groups.get("team", "north"),
        groups.get("role", "seller"),
        reason,
        owner,
        counts,
        elsewhere or None,
        KNOWN,
    )


async def measure(connection: Connection, newest: date = NEWEST, tenant: str = "acme") -> None:
    """Say that everybody was counted in for forty weeks, that there are events, and that the directory is approved."""
    await connection.execute("update tenant set quality_approved_at = $2 where id = $1", tenant, KNOWN)
    await connection.execute(
        """insert into measured_week (tenant, week, known_at)
           select $1, $2::date - 7 * n, $3 from generate_series(0, 39) n""",
        tenant,
        newest,
        KNOWN,
    )
    await connection.execute("insert into tally (tenant, shard, newest) values ($1, 0, $2)", tenant, KNOWN)


async def hide(connection: Connection, day: date, group: tuple[str, str] = ("team", "north")) -> None:
    """Hide a group in a week of a tenant that hides groups of one."""
    await connection.execute("update tenant set min_group = 2 where id = 'acme' and min_group = 1")
    await connection.execute(
        "insert into hidden_group (tenant, week, dimension, key, reason) values ('acme', $1, $2, $3, 'small')",
        day,
        *group,
    )
