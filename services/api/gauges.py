"""Adoption as Prometheus gauges, read in the background so that a scrape never asks Postgres.

Never a person as a label; a hidden group and whatever is unknown is an absent series, never a zero. The
series are bounded: the first ``MOST_GROUPS`` teams and roles by name, and the first ``MOST_TENANTS`` tenants.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from prometheus_client.core import CollectorRegistry, GaugeMetricFamily, Metric

from services.api import waves as wave_answers
from services.api.days import local_day
from services.api.store import gauges as store
from services.api.store import tenants, windows
from services.api.store.sessions import reading
from services.api.store.tenants import Tenant
from services.postgres import DATABASE_ERRORS, Connection, Pool, Row
from services.sight import Curtain, curtain

log = logging.getLogger(__name__)

EVERY: Final = 10.0
SHARE: Final = 20
"""Reading takes at most one part in this many of the time."""
MOST_GROUPS: Final = 500
MOST_TENANTS: Final = 200

WAVE_CONNECTED: Final = "wave_connected"
_GROUP: Final = ("tenant", "dimension", "key", "window")
FAMILIES: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "uptake_adoption_licensed": ("People with a licence today.", ("tenant", "dimension", "key")),
    "uptake_adoption_active": ("Licensed people with an event in the window that ends today.", _GROUP),
    "uptake_adoption_logged_in": ("Licensed people with a login in the window that ends today.", _GROUP),
    "uptake_adoption_rate_ratio": ("Active people to licensed people.", _GROUP),
    "uptake_wave_connected_ratio": (
        "People of a wave connected by D+n, once that day is over.",
        ("tenant", "wave", "n"),
    ),
    "uptake_metric_unknown": ("Values that are not known, by the reason.", ("tenant", "metric", "reason")),
    "uptake_alerts_open": ("Open alerts.", ("tenant", "rule", "severity")),
}


class Sample(NamedTuple):
    """One value of a family."""

    family: str
    labels: tuple[str, ...]
    value: float


@dataclass(slots=True)
class Adoption:
    """The values as they were last read, by tenant."""

    samples: dict[str, list[Sample]] = field(default_factory=dict)
    _windows: dict[str, tuple[tuple[object, ...], list[Sample]]] = field(default_factory=dict)

    def collector(self, own: CollectorRegistry, tenant: str | None) -> "Collector":
        """Return everything a key may scrape: the process' own metrics, and the values of its tenant (None: of all)."""
        wanted = self.samples if tenant is None else {tenant: self.samples.get(tenant, [])}
        return Collector(own, [sample for samples in wanted.values() for sample in samples])

    async def keep_fresh(self, pool: Pool, clock: Callable[[], datetime]) -> None:
        """Read again and again, until cancelled. While Postgres is away, the values are absent."""
        while True:
            started = time.monotonic()
            try:
                self.samples = await self._read(pool, clock())
            except DATABASE_ERRORS as error:
                self.samples = {}
                log.warning("adoption gauges are not read: %s", error)
            await asyncio.sleep(max(EVERY, SHARE * (time.monotonic() - started)))

    async def _read(self, pool: Pool, now: datetime) -> dict[str, list[Sample]]:
        async with reading(pool) as connection:
            versions = await store.versions(connection)
            known = await tenants.page(connection, "", MOST_TENANTS, None)
        samples: dict[str, list[Sample]] = {}
        for tenant in known:
            async with reading(pool) as connection:
                samples[tenant.id] = [
                    *await self._adoption(connection, tenant, versions.get(tenant.id), now),
                    *await _rest(connection, tenant),
                ]
        return samples

    async def _adoption(
        self, connection: Connection, tenant: Tenant, version: int | None, now: datetime
    ) -> list[Sample]:
        instant = await tenants.now_of(connection, tenant, now)
        if instant is None or version is None:
            return []
        today = local_day(instant, tenant.time_zone)
        hidden = await curtain(connection, tenant, today - timedelta(days=max(windows.WINDOWS)), today)
        state = (version, today, hidden)
        kept = self._windows.get(tenant.id)
        if kept is None or kept[0] != state:
            kept = self._windows[tenant.id] = (state, await _groups(connection, tenant, today, hidden))
        return kept[1]


async def _groups(connection: Connection, tenant: Tenant, today: date, hidden: Curtain) -> list[Sample]:
    samples: list[Sample] = []
    for dimension in windows.DIMENSIONS:
        for row in await windows.latest(connection, tenant.id, dimension, today, MOST_GROUPS):
            begin = today - timedelta(days=row["days"] - 1)
            if hidden.hides((dimension, row["key"]), begin, today, row["licensed"]):
                continue
            group = (tenant.id, dimension, row["key"])
            of_window = (*group, f"{row['days']}d")
            if row["days"] == windows.WINDOWS[0]:
                samples.append(Sample("uptake_adoption_licensed", group, row["licensed"]))
            samples.append(Sample("uptake_adoption_active", of_window, row["active"]))
            samples.append(Sample("uptake_adoption_logged_in", of_window, row["logged_in"]))
            samples.append(Sample("uptake_adoption_rate_ratio", of_window, row["active"] / row["licensed"]))
    return samples


async def _rest(connection: Connection, tenant: Tenant) -> list[Sample]:
    waves = await _shown_waves(connection, tenant)
    unknown = await store.unknown_connections(connection, tenant.id)
    alerts = await store.alerts(connection, tenant.id)
    return [
        *(
            Sample("uptake_wave_connected_ratio", (tenant.id, w["wave"], str(w["n"])), w["num"] / w["den"])
            for w in waves
        ),
        *(Sample("uptake_metric_unknown", (tenant.id, WAVE_CONNECTED, u["reason"]), u["values"]) for u in unknown),
        *(Sample("uptake_alerts_open", (tenant.id, a["rule"], a["severity"]), a["alerts"]) for a in alerts),
    ]


async def _shown_waves(connection: Connection, tenant: Tenant) -> list[Row]:
    rows = await store.waves(connection, tenant.id)
    if not rows:
        return []
    last = max(row["go_live"] for row in rows) + wave_answers.LONGEST
    hidden = await curtain(connection, tenant, min(row["go_live"] for row in rows), last)
    return [row for row in rows if not wave_answers.hides(hidden, row)]


class Collector:
    """Yields the process' own metrics, then the families that have a sample."""

    def __init__(self, own: CollectorRegistry, samples: Iterable[Sample]) -> None:
        self._own = own
        self._samples = list(samples)

    def collect(self) -> Iterator[Metric]:
        """Yield each family once."""
        yield from self._own.collect()
        for name, (sentence, labels) in FAMILIES.items():
            family = GaugeMetricFamily(name, sentence, labels=labels)
            for sample in self._samples:
                if sample.family == name:
                    family.add_metric(sample.labels, sample.value)
            if family.samples:
                yield family
