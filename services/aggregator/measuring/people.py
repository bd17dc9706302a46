"""Measuring people: day zero, the first activity, and what they contribute to the weeks that may have changed."""

import asyncio
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final, NamedTuple

from schemas.events import LOGIN
from services.aggregator.domain.measures import WEEK, Span, Subject
from services.aggregator.measuring.house import House
from services.aggregator.measuring.writing import Pair, write
from services.aggregator.store import acts as act_store
from services.aggregator.store import contributions, directory
from services.aggregator.store import measures as store
from services.aggregator.store.acts import Doer
from services.aggregator.store.contributions import Written
from services.aggregator.store.measures import Career
from services.metrics.activity import first_connecting_day
from services.metrics.acts import ONE_BY_ONE
from services.metrics.calendar import zone_of
from services.metrics.people import contribute
from services.metrics.presence import day_zero
from services.metrics.shape import LOOKBACK, Act, Contribution, Person
from services.postgres import Connection

_DAY: Final = timedelta(days=1)
_BEGINNING: Final = date(1970, 1, 2)
"""Nothing happened before; local midnights before it may lie before the beginning of time."""
_AFTER: Final = WEEK + _DAY
"""A week is told with the day after it, on which a meeting or task of its last day may end."""


@dataclass(frozen=True, slots=True)
class _Case:
    """A person whose ``weeks`` may have changed. ``person`` None: nobody known, or merged into somebody else."""

    user: str
    person: Person | None
    career: Career | None
    weeks: Sequence[date]
    old: Mapping[date, Written]
    zone: tzinfo


class Outcome(NamedTuple):
    """What changed by measuring people. ``spans``: by whom that concerns; ``acts``: what they did."""

    pairs: Sequence[Pair]
    careers: Sequence[str]
    spans: Mapping[str, Span]
    acts: Mapping[str, Sequence[Act]]


async def measure(tx: Connection, house: House, spans: Mapping[str, Span]) -> Outcome:
    """Measure people anew of whom something changed in ``spans``."""
    spans = await _resolved(tx, house, spans)
    users = sorted(spans)
    known = await directory.people(tx, house.tenant, users)
    identities = await act_store.identities(tx, house.tenant, users)
    people = {user: known[user] for user in users if user in known and identities[user]}
    before = await store.careers(tx, house.tenant, users)
    after = dict.fromkeys(users) | await _careers(tx, house, people, identities, before, spans)
    changed = [user for user in users if after[user] != before.get(user)]
    await store.write_careers(tx, house.tenant, {user: after[user] for user in changed})
    anew = {user for user in users if user not in people or user not in before}.union(changed)
    cases = await _cases(tx, house, people, after, {u: Span(None, None) if u in anew else spans[u] for u in users})
    doers = [
        Doer(case.user, identities[case.user], case.weeks[0] - LOOKBACK, case.weeks[-1] + _AFTER, case.zone)
        for case in cases
        if case.person is not None and case.weeks
    ]
    acts = await act_store.acts(tx, house.tenant, doers, sorted(ONE_BY_ONE))
    pairs = await asyncio.to_thread(_contributions, house, cases, acts)
    return Outcome(await write(tx, house, pairs), changed, spans, acts)


async def _cases(
    tx: Connection,
    house: House,
    people: Mapping[str, Person],
    careers: Mapping[str, Career | None],
    spans: Mapping[str, Span],
) -> list[_Case]:
    """Return who is to be measured anew, in which weeks, with what they contribute to these so far."""
    if house.weeks is None:
        return []
    weeks = {user: house.weeks.of(span) for user, span in spans.items()}
    old = await _kept(tx, house, weeks, spans)
    return [
        _Case(
            user,
            people.get(user),
            careers[user],
            sorted({*found, *old.get(user, ())}),
            old.get(user, {}),
            zone_of(people[user], house.policy) if user in people else house.policy.zone,
        )
        for user, found in weeks.items()
    ]


async def _resolved(tx: Connection, house: House, spans: Mapping[str, Span]) -> dict[str, Span]:
    """Return ``spans`` by the people they concern: what an identity does is done by the person it counts for.

    Of whom anything may have changed, what they contribute themselves, or no longer do, is looked at as well.
    """
    linked = await act_store.people_of(tx, house.tenant, spans)
    found: dict[str, Span] = {}
    for name, span in spans.items():
        for user in {linked[name], name if span.high is None else None}:
            if user is not None:
                found[user] = found[user] | span if user in found else span
    return found


async def _careers(
    tx: Connection,
    house: House,
    people: Mapping[str, Person],
    identities: Mapping[str, Sequence[str]],
    before: Mapping[str, Career],
    spans: Mapping[str, Span],
) -> dict[str, Career]:
    """Return the careers of ``people``; first days are looked for only where they may have changed."""
    found: dict[str, Career] = {}
    sought: list[Doer] = []
    for user, person in people.items():
        zero = day_zero(person, house.policy)
        start = None if zero is None else _look_from(before.get(user), zero, spans[user], house.told_from)
        found[user] = Career(zero, before[user].first_on if zero is not None and start is None else None)
        if start is not None:
            sought.append(Doer(user, identities[user], max(start, _BEGINNING), start, zone_of(person, house.policy)))
    firsts = await act_store.first_acts(tx, house.tenant, sought, LOGIN if house.policy.by_login else None)
    for user, instant in firsts.items():
        found[user] = Career(found[user].day_zero, first_connecting_day(people[user], house.policy, [instant]))
    return found


def _look_from(known: Career | None, zero: date, span: Span, told_from: date | None) -> date | None:
    """Return from which day on to look for the first activity; None: it is the one that is known.

    Where the same day zero was known, nothing that happened before ``span`` is or was the first, unless it is known.
    A day of which nothing is kept since ``told_from`` stays the first.
    """
    if (
        known is not None
        and known.first_on is not None
        and told_from is not None
        and zero <= known.first_on < told_from
    ):
        return None
    if known is None or known.day_zero != zero or span.low is None:
        return zero
    low = max(span.low, _BEGINNING) - _DAY
    if known.first_on is not None and known.first_on < low:
        return None
    return max(zero, low)


async def _kept(
    tx: Connection, house: House, weeks: Mapping[str, Sequence[date]], spans: Mapping[str, Span]
) -> dict[str, dict[date, Written]]:
    """Return what people contribute so far to ``weeks``; of whom anything may have changed, to any week."""
    whole = {user for user, span in spans.items() if span == Span(None, None)}
    found = await contributions.kept(tx, house.tenant, "person", sorted(whole), date.min, date.max) if whole else {}
    rest = [user for user in weeks if weeks[user] and user not in whole]
    if rest:
        low, high = min(weeks[user][0] for user in rest), max(weeks[user][-1] for user in rest)
        for user, rows in (await contributions.kept(tx, house.tenant, "person", rest, low, high)).items():
            wanted = set(weeks[user])
            found[user] = {week: row for week, row in rows.items() if week in wanted}
    return found


def _contributions(house: House, cases: Sequence[_Case], acts: Mapping[str, Sequence[Act]]) -> list[Pair]:
    """Return what each person contributed to each week, and does now."""
    pairs: list[Pair] = []
    for case in cases:
        done = acts.get(case.user, ())
        times = [act.at for act in done]
        for week in case.weeks:
            low, high = (bisect_left(times, instant) for instant in _reach(week))
            told = _contribution(house, case, week, done[low:high])
            pairs.append(Pair(case.old.get(week), Written(Subject("person", case.user), week, told)))
    return pairs


def _reach(week: date) -> tuple[datetime, datetime]:
    """Return instants between which everything lies that a week is told with, in any time zone."""
    low, high = week - LOOKBACK - _DAY, week + _AFTER + _DAY
    return datetime.combine(low, time.min, UTC), datetime.combine(high, time.min, UTC)


def _contribution(house: House, case: _Case, week: date, acts: Sequence[Act]) -> Contribution | None:
    if case.person is None or house.weeks is None or week not in house.weeks:
        return None
    return contribute(case.person, house.policy, week, acts, case.career.first_on if case.career else None)
