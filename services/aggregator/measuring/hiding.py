"""Who is hidden in a week: found anew when other people count in a group than before.

A group is hidden when it would be among all its people, among those of whom something is expected, or among those
with a licence: of each there are numbers. One that only records count in has no people to hide among.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from functools import lru_cache

from services.aggregator.domain.measures import groups_of
from services.aggregator.measuring.house import House
from services.aggregator.store import hidden as store
from services.aggregator.store import regrouped
from services.aggregator.store.hidden import Crowd
from services.metrics.suppression import SMALL, Group, hidden
from services.postgres import Connection


async def hide(tx: Connection, house: House, weeks: Iterable[date]) -> None:
    """Find anew which groups are hidden in ``weeks``."""
    for week in weeks:
        crowds = await store.crowds(tx, house.tenant, week)
        hidden_now = await asyncio.to_thread(_hidden, crowds, house.min_group)
        shown = await store.write(tx, house.tenant, week, hidden_now)
        if shown and week in house.counted:
            await regrouped.write(tx, house.tenant, house.known_at, ((week, *group) for group in shown))


def _hidden(crowds: Sequence[Crowd], k: int) -> dict[Group, str]:
    if k <= 1:
        return {}
    peopled = [(frozenset(groups_of(crowd.groups)), crowd[1:]) for crowd in crowds]
    found: dict[Group, str] = {}
    for numbers in zip(*(numbers for _, numbers in peopled), strict=True):
        atoms = Counter[frozenset[Group]]()
        for (groups, _), people in zip(peopled, numbers, strict=True):
            atoms[groups] += people
        some = +atoms
        nobodys = {group for groups in atoms.keys() - some.keys() for group in groups}
        alone = nobodys.difference(*some)
        found |= {**dict.fromkeys(alone, SMALL), **found_in(frozenset(some.items()), k, frozenset(found))}
    return dict(sorted(found.items()))


@lru_cache(maxsize=24)
def found_in(atoms: frozenset[tuple[frozenset[Group], int]], k: int, gone: frozenset[Group]) -> dict[Group, str]:
    """Return who is hidden; most weeks have the members of the week before."""
    return hidden(dict(atoms), k, gone)
