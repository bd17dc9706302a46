"""Writing what changed: contributions, and by their difference the numbers of groups, with what these were before."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final, NamedTuple

from services.aggregator.domain.findings import Subject as Concerned
from services.aggregator.domain.measures import (
    WEEK,
    Span,
    Subject,
    add_difference,
    groups_of,
    moved,
    no_sums,
    settled,
)
from services.aggregator.measuring.house import House
from services.aggregator.store import backfill, cells, contributions, dirty, judging, regrouped
from services.aggregator.store import hidden as hidden_store
from services.aggregator.store.contributions import Written
from services.metrics.shape import Groups
from services.postgres import Connection

JUDGED: Final = frozenset({"tenant", "team", "role", "wave"})
"""The groups that rules judge."""


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
        """Tell whether the subject counts elsewhere, in other numbers, or is expected otherwise, than before."""
        return moved(self.before and self.before.kept, self.after.kept)

    @property
    def regroups(self) -> bool:
        """Tell whether other people may be hidden because of it: of a record, when it counts in a group no more."""
        if self.after.subject.kind == "person":
            return self.moved
        was, now = self.places
        return bool(was - now)

    @property
    def places(self) -> tuple[set[Groups], set[Groups]]:
        """Return where the subject counted, and where it does."""
        kept = (self.before.kept if self.before else None, self.after.kept)
        was, now = (set() if each is None else {each.groups, *each.moves.values()} for each in kept)
        return was, now


async def write(tx: Connection, house: House, pairs: Iterable[Pair]) -> list[Pair]:
    """Write what changed; return it. Who is hidden in weeks with other members, or groups, is to be found anew."""
    pairs = list(pairs)
    changed = [pair for pair in pairs if not pair.stays and not house.stands(pair.after.week)]
    sums = no_sums()
    for before, after in changed:
        add_difference(sums, after.week, before.kept if before else None, after.kept)
    changes = settled(sums)
    entered = await _entered(tx, house, changed)
    await hidden_store.close(tx, house.tenant, entered)
    await contributions.write(tx, house.tenant, house.known_at, [pair.after for pair in changed])
    standing = [house.standing(change) for change in changes]
    await cells.add(tx, house.tenant, house.known_at, changes, standing)
    if house.wall:
        restated = [
            (*change.cell, change.num, change.den) for change, was in zip(changes, standing, strict=True) if was.final
        ]
        await backfill.measured(tx, house.tenant, house.known_at, restated)
    await _tell_apart(tx, house, changed)
    others = {pair.after.week for pair in changed if pair.regroups} | {week for week, _, _ in entered}
    weeks = ((Subject("week", week.isoformat()), Span(week, week)) for week in sorted(others))
    await dirty.queue(tx, house.tenant, house.queued_at, weeks)
    await _tell_rules(tx, house, pairs, changed)
    return changed


async def _tell_rules(tx: Connection, house: House, looked_at: Sequence[Pair], changed: Sequence[Pair]) -> None:
    """Let the rules judge anew who was looked at, and the groups they count in.

    Also of people whose contributions stay as they are: the windows of their groups may be others.
    """
    people = [pair for pair in looked_at if pair.after.subject.kind == "person"]
    told = people or changed
    if not told:
        return
    kept = [written.kept for pair in told for written in pair if written is not None and written.kept is not None]
    places = {place for each in kept for place in (each.groups, *each.moves.values())}
    groups = {Concerned(*group) for place in places for group in groups_of(place) if group[0] in JUDGED}
    users = {pair.after.subject.key for pair in people}
    await judging.queue(tx, house.tenant, groups | {Concerned("user", user) for user in users})
    if users:
        weeks = [pair.after.week for pair in people]
        await judging.queue_launches(tx, house.tenant, users, min(weeks), max(weeks) + WEEK)


async def _tell_apart(tx: Connection, house: House, changed: Iterable[Pair]) -> None:
    """Write down which groups are of other people than was told before."""
    groups = {
        (pair.after.week, *group)
        for pair in changed
        if pair.after.subject.kind == "person" and pair.after.week in house.counted and pair.moved
        for places in pair.places
        for place in places
        for group in groups_of(place)
    }
    await regrouped.write(tx, house.tenant, house.known_at, groups)


async def _entered(tx: Connection, house: House, changed: Iterable[Pair]) -> set[tuple[date, str, str]]:
    """Return the groups, by week, that nobody counted in so far; of weeks that are not told yet all that are written.

    They show for the first time with the numbers that are written now, which may tell of few people: until it is found
    out who counts in them they are hidden.
    """
    if house.min_group <= 1:
        return set()
    groups = {
        (pair.after.week, *group)
        for pair in changed
        if pair.after.kept is not None
        for place in pair.places[1] - pair.places[0]
        for group in groups_of(place)
    }
    told = {each for each in groups if each[0] in house.counted}
    return groups - await hidden_store.peopled(tx, house.tenant, told)
