"""What was read of one tenant: the numbers of its groups, how far they came, and what is asked anew each time.

The numbers of groups are read again when something was counted, what full weeks were judged when somebody was
measured; both when the day or the tenant's settings changed.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from time import monotonic

from services.api.days import local_day
from services.api.gauges import families, judgements, numbers
from services.api.gauges.families import Samples
from services.api.store import tenants, windows
from services.api.store.gauges import Progress
from services.api.store.sessions import Walled, reading
from services.api.store.tenants import Tenant
from services.postgres import Connection, Pool
from services.sight import curtain


class Reading:
    """The values of one tenant, and of which state they are."""

    def __init__(self) -> None:
        self.judged_at = 0.0
        self._now: tuple[datetime, date] | None = None
        self._rest: Samples = {}
        self._windows: tuple[object, Samples] = (None, {})
        self._judgements: tuple[object, Samples] = (None, {})

    @property
    def samples(self) -> Sequence[Samples]:
        """Return all values."""
        return self._rest, self._windows[1], self._judgements[1]

    async def read(self, pool: Pool, tenant: Tenant, progress: Progress | None, now: datetime) -> None:
        """Read the numbers as of ``now``; on the event clock, as of the newest event."""
        async with reading(pool) as connection:
            instant = await tenants.now_of(connection, tenant, now)
            self._now = None if instant is None else (instant, local_day(instant, tenant.time_zone))
            self._rest = await numbers.of_rest(connection, tenant, self._now)
            if self._now is None or progress is None:
                self._windows = self._judgements = (None, {})
            else:
                await self._read_windows(connection, tenant, progress.version, self._now[1])

    async def _read_windows(self, connection: Connection, tenant: Tenant, version: int, today: date) -> None:
        hidden = await curtain(connection, tenant, today - timedelta(days=max(windows.WINDOWS)), today)
        state = (version, today, tenant.updated_at, hidden)
        if state != self._windows[0]:
            self._windows = state, await numbers.of_windows(connection, tenant, today, hidden)

    async def judge(self, pool: Pool, tenant: Tenant, progress: Progress | None) -> None:
        """Read how far the groups that are shown came, unless nobody was measured since."""
        if self._now is None or progress is None:
            return
        state = (progress.measured_at, self._now[1], tenant.updated_at)
        if progress.measured_at is None or state == self._judgements[0]:
            return
        caller = judgements.onlooker(tenant, pool, self._now[0])
        found = []
        for group in judgements.chosen(labels[1:] for labels, _ in self._windows[1].get(families.LICENSED, ())):
            async with reading(Walled(pool, tenant.id)) as connection:
                found.append(await judgements.of_group(caller, connection, group, *self._now))
        self._judgements = state, judgements.added(found)
        self.judged_at = monotonic()
