"""Tenants and what they have seen: settings, the newest event, and the version that tells the evaluator of a change."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from services.postgres import Connection, Row

SETTINGS: Final = (
    "name",
    "time_zone",
    "clock",
    "day_counting",
    "work_days",
    "holidays",
    "first_day_of_week",
    "connected_by",
    "min_group",
    "individual_visibility",
    "instants",
    "retention",
    "roles",
    "labels",
)
MEASURED_BY: Final = (
    "time_zone",
    "clock",
    "day_counting",
    "work_days",
    "holidays",
    "first_day_of_week",
    "connected_by",
    "min_group",
    "roles",
)
"""What the metrics rest on."""
_COLUMNS: Final = ", ".join(("id", *SETTINGS, "created_at", "updated_at"))


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant with its settings."""

    id: str
    name: str
    time_zone: str
    clock: str
    day_counting: str
    work_days: list[int]
    holidays: list[date]
    first_day_of_week: int
    connected_by: str
    min_group: int
    individual_visibility: str
    instants: str
    retention: dict[str, int]
    roles: dict[str, Any]
    labels: dict[str, str]
    created_at: datetime
    updated_at: datetime


def _tenant(row: Row) -> Tenant:
    return Tenant(**dict(row))


async def create(connection: Connection, tenant: str, settings: dict[str, Any]) -> Tenant | None:
    """Insert a tenant; None when its id is taken."""
    places = ", ".join(f"${n}" for n in range(1, len(SETTINGS) + 2))
    row = await connection.fetchrow(
        f"insert into tenant (id, {', '.join(SETTINGS)}) values ({places}) on conflict do nothing returning {_COLUMNS}",
        tenant,
        *(settings[name] for name in SETTINGS),
    )
    return _tenant(row) if row else None


async def find(connection: Connection, tenant: str, *, lock: bool = False) -> Tenant | None:
    """Return a tenant; ``lock``: nobody else changes it until the transaction ends."""
    tail = " for no key update" if lock else ""
    row = await connection.fetchrow(f"select {_COLUMNS} from tenant where id = $1{tail}", tenant)
    return _tenant(row) if row else None


async def page(connection: Connection, after: str, limit: int, only: str | None) -> list[Tenant]:
    """Return tenants by id, from the one after ``after`` on; ``only``: none but this."""
    rows = await connection.fetch(
        f"select {_COLUMNS} from tenant where id > $1 and ($3::text is null or id = $3) order by id limit $2",
        after,
        limit,
        only,
    )
    return [_tenant(row) for row in rows]


async def change(connection: Connection, tenant: str, settings: dict[str, Any]) -> Tenant:
    """Replace the settings of a tenant."""
    sets = ", ".join(f"{name} = ${n}" for n, name in enumerate(SETTINGS, 2))
    row = await connection.fetchrow(
        f"update tenant set {sets}, updated_at = now() where id = $1 returning {_COLUMNS}",
        tenant,
        *(settings[name] for name in SETTINGS),
    )
    return _tenant(row)


async def has_events(connection: Connection, tenant: str) -> bool:
    """Return whether an event of the tenant was folded into its days."""
    return bool(await connection.fetchval("select exists (select from tally where tenant = $1 and shard >= 0)", tenant))


async def newest(connection: Connection, tenant: str) -> datetime | None:
    """Return the newest event time that was seen."""
    instant: datetime | None = await connection.fetchval("select max(newest) from tally where tenant = $1", tenant)
    return instant


async def now_of(connection: Connection, tenant: Tenant, now: datetime) -> datetime | None:
    """Return the tenant's now: ``now``, or on the event clock the newest event (None before the first)."""
    return now if tenant.clock == "wall" else await newest(connection, tenant.id)


async def bump(connection: Connection, tenant: str) -> None:
    """Tell the evaluator that something it reads has changed."""
    await connection.execute(
        """insert into tally (tenant, shard, version) values ($1, -1, 1)
           on conflict (tenant, shard) do update set version = tally.version + 1""",
        tenant,
    )


async def judge(connection: Connection, tenant: str, *, launches: bool = False) -> None:
    """Let the rules judge everybody anew; ``launches``: only who connected."""
    await connection.execute(
        """insert into to_judge (tenant, kind, key) select $1, 'all', '' where not $2::bool
           union all select $1, 'launch', id from wave where tenant = $1 and $2""",
        tenant,
        launches,
    )
