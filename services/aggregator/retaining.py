"""Retention: what is kept for how long. Activity goes first, then what tells of single people, then numbers.

A tenant may want less than the installation keeps, never more. A tenant on the clock of its events is judged by it:
a data set of the past does not vanish because it is old.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Self

from services.aggregator.store import forgetting
from services.aggregator.store.forgetting import AGGREGATES, LETTERS, PEOPLE, Tenant, Tier
from services.aggregator.store.retention import drop_activity
from services.metrics.catalogue import METRICS
from services.postgres import Pool
from services.settings import Settings

THINNED_AFTER: Final = timedelta(days=7)
ADDING_UP: Final = tuple(metric.code for metric in METRICS.values() if metric.combination == "cumulative")
"""Metrics that are sums over all days there ever were."""


@dataclass(frozen=True, slots=True)
class Periods:
    """For how many days things are kept."""

    activity: int
    people: int
    aggregates: int
    letters: int

    @classmethod
    def of_settings(cls, settings: Settings) -> Self:
        """Return what the installation keeps."""
        return cls(
            settings.retention_activity_days,
            settings.retention_people_days,
            settings.retention_aggregate_days,
            settings.retention_letter_days,
        )

    def of(self, tenant: Tenant) -> "Periods":
        """Return the periods of a tenant: single events never longer than what people did."""
        mine = {name: min(days, tenant.kept.get(name) or days) for name, days in asdict(self).items()}
        return Periods(**{**mine, "activity": min(mine["activity"], mine["people"])})


async def retain(pool: Pool, periods: Periods, now: datetime) -> Counter[str]:
    """Delete what is older than ``periods``; return how many rows, or days of activity, went."""
    gone: Counter[str] = Counter()
    async with pool.acquire() as connection:
        everybody = await forgetting.tenants(connection, now)
    activity = {tenant.id: periods.of(tenant).activity for tenant in everybody}
    gone["activity_days"] += len(await drop_activity(pool, activity, now))
    for tenant in everybody:
        mine = periods.of(tenant)
        for what, tiers, day in _tiers(tenant, mine, now):
            for tier in tiers:
                gone[tier.table] += await forgetting.delete(pool, tier, tenant.id, what, day)
        if tenant.now is not None:
            day = _before(tenant.now, mine.aggregates)
            gone["metric_cell"] += await forgetting.delete_cells(pool, tenant.id, day, ADDING_UP)
            gone["window_delta"] += await forgetting.fold_windows(pool, tenant.id, day)
        gone["metric_past"] += await forgetting.thin(pool, tenant.id, now - THINNED_AFTER)
    return +gone


async def due(pool: Pool, periods: Periods, now: datetime) -> Counter[str]:
    """Return how many rows would go, and nothing does."""
    found: Counter[str] = Counter()
    async with pool.acquire() as connection:
        for tenant in await forgetting.tenants(connection, now):
            mine = periods.of(tenant)
            kinds = list(_tiers(tenant, mine, now))
            if tenant.now is not None:
                kinds.append(("activity", (Tier("activity", "at"),), _before(tenant.now, mine.activity)))
                day = _before(tenant.now, mine.aggregates)
                found["window_delta"] += await forgetting.old_windows(connection, tenant.id, day)
                found["metric_cell"] += await forgetting.old_cells(connection, tenant.id, day, ADDING_UP)
            for _, tiers, day in kinds:
                for tier in tiers:
                    found[tier.table] += await forgetting.count(connection, tier, tenant.id, day)
    return +found


def _tiers(tenant: Tenant, periods: Periods, now: datetime) -> Iterable[tuple[str, tuple[Tier, ...], date]]:
    """Yield what is deleted before which day. Letters are of the wall clock, whatever their events say."""
    yield "letters", LETTERS, _before(now, periods.letters)
    if tenant.now is not None:
        yield "people", PEOPLE, _before(tenant.now, periods.people)
        yield "aggregates", AGGREGATES, _before(tenant.now, periods.aggregates)


def _before(now: datetime, days: int) -> date:
    return now.astimezone(UTC).date() - timedelta(days=days)
