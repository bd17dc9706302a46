"""With which steps what adds up of people is told: found anew when other people count on a day than before."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple, TypeAlias

from services.aggregator.domain.measures import groups_of
from services.aggregator.measuring.hiding import found_in
from services.aggregator.measuring.house import House
from services.aggregator.store import steps as store
from services.aggregator.store.steps import Day, Told
from services.metrics.steps import steps
from services.metrics.suppression import Group
from services.postgres import Connection

Crowd: TypeAlias = Counter[frozenset[Group]]


class _Step(NamedTuple):
    """Days of a code that are told together with the ``last``; None: they wait for more."""

    code: str
    days: Sequence[date]
    last: date | None

    def weeks(self, house: House) -> set[date]:
        return {house.week_of(day) for day in self.days}


async def step(tx: Connection, house: House, weeks: Collection[date]) -> None:
    """Find anew in which groups steps are told that have a day in ``weeks``, or are others than before."""
    if house.min_group <= 1:
        return
    known = await store.days(tx, house.tenant)
    todo = [each for code, days in known.items() for each in _changed(code, days, house, weeks)]
    crowds = await _crowds(tx, house, todo)
    for each in todo:
        gone = await store.gone(tx, house.tenant, each.weeks(house))
        rows = await asyncio.to_thread(_told, each, crowds, house.min_group, frozenset(gone))
        await store.write(tx, house.tenant, rows)


def _changed(code: str, days: Sequence[Day], house: House, weeks: Collection[date]) -> Iterable[_Step]:
    new = steps(((day.day, day.people) for day in days), house.min_group)
    by_step: dict[date | None, list[Day]] = {}
    for day in days:
        by_step.setdefault(new.get(day.day), []).append(day)
    for last, told in by_step.items():
        each = _Step(code, [day.day for day in told], last)
        moved = any(day.step is not None and day.step != last for day in told)
        touched = each.weeks(house)
        if (moved or not touched.isdisjoint(weeks)) and not any(map(house.forgotten, touched)):
            yield each


async def _crowds(tx: Connection, house: House, todo: Iterable[_Step]) -> dict[tuple[str, date], Crowd]:
    """Return by code and day who counts, and where."""
    asked: dict[date, dict[str, tuple[str, date]]] = {}
    for each in todo:
        for day in each.days:
            week = house.week_of(day)
            asked.setdefault(week, {})[f"{each.code}@{(day - week).days}"] = each.code, day
    crowds: dict[tuple[str, date], Crowd] = {}
    for week, codes in sorted(asked.items()):
        for cohort in await store.cohorts(tx, house.tenant, week, codes):
            crowds.setdefault(codes[cohort.code], Counter())[frozenset(groups_of(cohort.groups))] += cohort.people
    return crowds


def _told(each: _Step, crowds: Mapping[tuple[str, date], Crowd], k: int, gone: frozenset[Group]) -> list[Told]:
    """Return with which step the numbers of each group are told."""
    by_day = {day: crowds.get((each.code, day), Counter()) for day in each.days}
    together: Crowd = sum(by_day.values(), Counter())
    hidden = gone | found_in(frozenset(together.items()), k, gone).keys() if each.last is not None else gone
    return [
        Told(*group, each.code, day, None if group in hidden else each.last)
        for day, crowd in by_day.items()
        for group in sorted({group for groups in crowd for group in groups})
    ]
