"""Measuring everything anew and comparing: shows that the numbers are what the facts say, and puts right what is not.

Everybody and every record is measured from all facts, and every number is added up from all contributions. Whatever
differs from what was kept from change to change is reported and repaired. Part by part under the lock of the measurer,
so that both can work at a time; what waits to be measured is no difference.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from services.aggregator.domain.measures import Cell, Change, Span, Subject, chunks, totals
from services.aggregator.measurer import SUBJECT_WEEKS, SUBJECTS, Measurer
from services.aggregator.measuring import house as houses
from services.aggregator.measuring.hiding import hide
from services.aggregator.measuring.house import House
from services.aggregator.measuring.people import measure as measure_people
from services.aggregator.measuring.records import measure as measure_records
from services.aggregator.measuring.stepping import step
from services.aggregator.store import cells, remeasuring
from services.aggregator.store import measures as store
from services.metrics.shape import Count
from services.postgres import Connection, Pool, transaction

log = logging.getLogger(__name__)

_ALL: Final = Span(None, None)
_ROUNDS: Final = 20
"""So often is measured what waits, where more and more comes in."""


class Remeasured(NamedTuple):
    """How much was compared, and how much of it was wrong and is right now."""

    subjects: int = 0
    contributions: int = 0
    careers: int = 0
    cells: int = 0
    wrong_cells: int = 0

    @property
    def right(self) -> bool:
        """Tell whether nothing had to be repaired."""
        return not (self.contributions or self.careers or self.wrong_cells)


async def rebuild_metrics(pool: Pool, tenant: str, clock: Callable[[], datetime]) -> Remeasured:
    """Measure ``tenant`` anew from all facts, report what was kept wrongly, and repair it."""
    measurer = Measurer(pool, "", clock)
    for _ in range(_ROUNDS):
        if not await measurer.measure(tenant, clock()):
            break
    subjects = await remeasuring.subjects(pool, tenant)
    number = max(1, len(await remeasuring.weeks(pool, tenant)))
    found = Remeasured(subjects=len(subjects))
    for part in chunks([(subject, number) for subject in subjects], SUBJECTS, SUBJECT_WEEKS):
        contributions, careers = await _compare(pool, tenant, part, clock())
        found = found._replace(contributions=found.contributions + contributions, careers=found.careers + careers)
    return await _compare_cells(pool, tenant, found, clock)


async def _house(tx: Connection, tenant: str, now: datetime) -> House | None:
    """Return the tenant as it is, under the measurer's lock; what is repaired is known from now on."""
    case = await store.case(tx, tenant)
    if case is None:
        return None
    measured = await store.lock(tx, tenant)
    known_at = max(now, measured.known_at or now)
    return houses.house_of(
        tenant,
        case,
        measured._replace(cut=measured.cut or now, known_at=known_at),
        now if case.settings["clock"] == "wall" else measured.as_of,
        zones=houses.zones([case.settings["time_zone"], *await store.zones(tx, tenant)]),
        counted=await store.weeks_known(tx, tenant, known_at),
    )


async def _compare(pool: Pool, tenant: str, part: Sequence[Subject], now: datetime) -> tuple[int, int]:
    """Measure subjects anew; return how many contributions and careers were wrong."""
    async with transaction(pool) as tx:
        house = await _house(tx, tenant, now)
        if house is None:
            return 0, 0
        waiting = await remeasuring.waiting(tx, tenant)
        names = [subject.key for subject in part if subject not in waiting]
        if not names:
            return 0, 0
        await remeasuring.clear(tx, tenant, part[0].kind, names)
        if part[0].kind == "record":
            pairs, careers = await measure_records(tx, house, dict.fromkeys(names, _ALL)), 0
        else:
            outcome = await measure_people(tx, house, dict.fromkeys(names, _ALL))
            pairs, careers = list(outcome.pairs), len(outcome.careers)
        for pair in pairs:
            log.warning("tenant %s: %s of week %s was wrong", tenant, pair.after.subject.kind, pair.after.week)
        return len(pairs), careers


async def _compare_cells(pool: Pool, tenant: str, found: Remeasured, clock: Callable[[], datetime]) -> Remeasured:
    """Add every number up from the contributions, week by week; repair what is wrong, and who is hidden."""
    for week in await remeasuring.weeks(pool, tenant):
        async with transaction(pool) as tx:
            house = await _house(tx, tenant, clock())
            if house is None:
                break
            should = totals((week, told) for told in await remeasuring.contributions(tx, tenant, week))
            stands = await remeasuring.cells(tx, tenant, week)
            changes = _differences(should, stands)
            await cells.add(tx, tenant, house.known_at, changes, [house.standing(change) for change in changes])
            await hide(tx, house, [week])
            await step(tx, house, [week])
        found = found._replace(cells=found.cells + len(should), wrong_cells=found.wrong_cells + len(changes))
    return found


def _differences(should: Mapping[Cell, Count], stands: Mapping[Cell, Count]) -> list[Change]:
    """Return what to add to what stands."""
    found = []
    for cell in sorted(should.keys() | stands.keys()):
        (num, den), (told_num, told_den) = should.get(cell, (0, 0)), stands.get(cell, (0, 0))
        if (num, den) != (told_num, told_den):
            found.append(Change(cell, num - told_num, den - told_den, 1))
    return found
