"""Writing what changed: contributions, and by their difference the numbers of groups, with what these were before."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

from services.aggregator.domain.measures import (
    Span,
    Subject,
    add_difference,
    groups_of,
    membership,
    no_sums,
    settled,
)
from services.aggregator.measuring.house import House
from services.aggregator.store import backfill, cells, contributions, dirty
from services.aggregator.store import hidden as hidden_store
from services.aggregator.store.contributions import Written
from services.postgres import Connection


class Pair(NamedTuple):
    """What a subject contributed to a week, None: nothing, and what it does now."""

    before: Written | None
    after: Written

    @property
    def stays(self) -> bool:
        """Tell whether nothing is to be written."""
        if self.before is None:
            return self.after.kept is None
        return (self.before.kept, self.before.owner) == (self.after.kept, self.after.owner)

    @property
    def moved(self) -> bool:
        """Tell whether the subject counts elsewhere, or is expected otherwise, than before."""
        return membership(self.before and self.before.kept) != membership(self.after.kept)


async def write(tx: Connection, house: House, pairs: Iterable[Pair]) -> list[Pair]:
    """Write what changed; return it. Who is hidden in weeks with other members is to be found anew."""
    changed = [pair for pair in pairs if not pair.stays and not house.stands(pair.after.week)]
    sums = no_sums()
    for before, after in changed:
        add_difference(sums, after.week, before.kept if before else None, after.kept)
    changes = settled(sums)
    await _close(tx, house, changed)
    await contributions.write(tx, house.tenant, house.known_at, [pair.after for pair in changed])
    standing = [house.standing(change) for change in changes]
    await cells.add(tx, house.tenant, house.known_at, changes, standing)
    if house.wall:
        restated = [
            (*change.cell, change.num, change.den) for change, was in zip(changes, standing, strict=True) if was.final
        ]
        await backfill.measured(tx, house.tenant, house.known_at, restated)
    moved = sorted({pair.after.week for pair in changed if pair.moved})
    weeks = ((Subject("week", week.isoformat()), Span(week, week)) for week in moved)
    await dirty.queue(tx, house.tenant, house.queued_at, weeks)
    return changed


async def _close(tx: Connection, house: House, changed: Iterable[Pair]) -> None:
    """Hide the groups that nobody counted in so far, until it is found out who does.

    They show for the first time with the numbers that are written now, which may tell of few people.
    """
    if house.min_group <= 1:
        return
    entered: dict[date, set[tuple[str, str]]] = defaultdict(set)
    for pair in changed:
        if pair.moved and pair.after.kept is not None:
            for place in (pair.after.kept.groups, *pair.after.kept.moves.values()):
                entered[pair.after.week].update(groups_of(place))
    for week in entered.keys() & set(house.counted):
        for crowd in await hidden_store.crowds(tx, house.tenant, week):
            entered[week].difference_update(groups_of(crowd.groups))
    await hidden_store.close(tx, house.tenant, {(week, *group) for week, groups in entered.items() for group in groups})
