"""Measuring records: what each contributes to the weeks from the one that a change may reach back to."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple

from services.aggregator.domain.measures import WEEK, Span, Subject
from services.aggregator.measuring.house import House
from services.aggregator.measuring.owners import people_of
from services.aggregator.measuring.writing import Pair, write
from services.aggregator.store import acts as act_store
from services.aggregator.store import contributions, directory
from services.aggregator.store import records as record_store
from services.aggregator.store import reviews as review_store
from services.aggregator.store.contributions import Written
from services.aggregator.store.records import History
from services.aggregator.store.reviews import Held
from services.metrics.calendar import local_day, spell_on
from services.metrics.histories import Timeline
from services.metrics.policies import RecordPolicy, policies
from services.metrics.records import AFTERMATH, Meeting, People, contribute_record, holder_at, told_later
from services.metrics.shape import Person
from services.postgres import Connection

_DAY: Final = timedelta(days=1)
_LEVELS: Final = 2
"""So many managers up the line may look at a record, see ``owners``."""


def reaching(span: Span) -> Span:
    """Return the days on which a record's numbers may change by what was done to it in ``span``: all later ones too."""
    return Span(None if span.low is None else max(span.low, date.min + 2 * AFTERMATH) - AFTERMATH, None)


def delayed(span: Span) -> Span:
    """Return the days of a change that reaches exactly the weeks of ``span``, and all later ones.

    It has no end: only what was done to the record itself has one, and may be looked at more closely.
    """
    return Span(None if span.low is None else span.low + AFTERMATH, None)


class _Line(NamedTuple):
    """A record: what was told of it, and what is expected."""

    told: Timeline
    policy: RecordPolicy


@dataclass(frozen=True, slots=True)
class _Scene:
    """What records are counted from, beside their own history."""

    house: House
    people: People
    meetings: Mapping[date, Sequence[Meeting]]
    old: Mapping[str, Mapping[date, Written]]


async def measure(tx: Connection, house: House, spans: Mapping[str, Span]) -> list[Pair]:
    """Measure records anew of which something changed in ``spans``; return what changed."""
    if not spans or house.weeks is None:
        return []
    known = policies(house.fields)
    end = house.weeks.last + WEEK + _DAY
    histories = await record_store.histories(tx, house.tenant, sorted(spans), datetime.combine(end, time.min, UTC))
    lines = await asyncio.to_thread(_lines, histories, known)
    weeks = {subject: _weeks(house, span, lines[subject]) for subject, span in spans.items()}
    low = min((found[0] for found in weeks.values() if found), default=house.weeks.first)
    held = await review_store.held(tx, house.tenant, low - _DAY, end)
    linked = await act_store.people_of(tx, house.tenant, _names(histories, held))
    persons = await _persons(tx, house, linked)
    whole = any(span.low is None for span in spans.values())
    old = await contributions.kept(tx, house.tenant, "record", sorted(spans), date.min if whole else low, date.max)
    people = people_of(persons, linked, house.policy)
    scene = _Scene(house, people, _meetings(house, held, people, persons), old)
    pairs = await asyncio.to_thread(_contributions, scene, weeks, lines)
    return await write(tx, house, pairs)


def _lines(histories: Mapping[str, History], known: Mapping[str, RecordPolicy]) -> dict[str, _Line | None]:
    """Return the time line of each record; None: nothing is expected of such."""
    lines: dict[str, _Line | None] = {}
    for subject, history in histories.items():
        policy = known.get(subject.partition("\t")[0])
        lines[subject] = None if policy is None else _Line(Timeline(history.changes, policy, history.base), policy)
    return lines


def _weeks(house: House, span: Span, line: _Line | None) -> list[date]:
    """Return the weeks that may change, in order.

    Of those that had ended before anything new was done to the record only the ones that what comes after tells of.
    """
    if house.weeks is None:
        return []
    weeks = house.weeks.of(reaching(span))
    if span.low is None or span.high is None or line is None:
        return weeks
    since = datetime.combine(span.low, time.min, UTC)
    return [week for week in weeks if house.end_of_week(week) > since or told_later(*line, week)]


def _names(histories: Mapping[str, History], held: Iterable[Held]) -> set[str]:
    """Return the identities that are told of."""
    names = {change.user for history in histories.values() for change in history.changes if change.user}
    names |= {change.owner for history in histories.values() for change in history.changes if change.owner}
    names |= {meeting.user for meeting in held}
    for history in histories.values():
        if history.base is not None:
            names |= {name for name in (history.base.owner, history.base.creator) if name}
    return names


async def _persons(tx: Connection, house: House, linked: Mapping[str, str | None]) -> dict[str, Person]:
    """Return the people behind identities, and those whom they report to."""
    found: dict[str, Person] = {}
    wanted = {user for user in linked.values() if user is not None}
    for _ in range(_LEVELS + 1):
        if not wanted:
            break
        found |= await directory.people(tx, house.tenant, sorted(wanted))
        managers = {spell.manager for person in found.values() for spell in person.spells if spell.manager}
        wanted = managers - found.keys()
    return found


def _meetings(
    house: House, held: Iterable[Held], people: People, persons: Mapping[str, Person]
) -> dict[date, list[Meeting]]:
    """Return the reviews of each week, by the tenant's days; one that somebody tells of under two names is one."""
    found: dict[date, dict[Meeting, None]] = {}
    for meeting in held:
        holder = people.who(meeting.user)
        if holder is None:
            continue
        day = local_day(meeting.at, house.policy.zone)
        spell = spell_on(persons[holder], day)
        team = None if spell is None else spell.team
        found.setdefault(house.week_of(day), {})[Meeting(meeting.at, holder, team)] = None
    return {week: list(meetings) for week, meetings in found.items()}


def _contributions(scene: _Scene, weeks: Mapping[str, Sequence[date]], lines: Mapping[str, _Line | None]) -> list[Pair]:
    """Return what each record contributed to each week, and does now."""
    pairs: list[Pair] = []
    for subject, line in lines.items():
        before = scene.old.get(subject, {})
        for week in sorted({*weeks[subject], *(week for week in before if _beyond(week, weeks[subject]))}):
            after = Written(Subject("record", subject), week, None)
            if line is not None and scene.house.weeks and week in scene.house.weeks:
                after = _written(scene, after, line)
            pairs.append(Pair(before.get(week), after))
    return pairs


def _beyond(week: date, weeks: Sequence[date]) -> bool:
    """Whether something stands in a week that is none of ``weeks`` though they should reach so far."""
    return not weeks or week > weeks[0]


def _written(scene: _Scene, after: Written, line: _Line) -> Written:
    end = scene.house.end_of_week(after.week)
    meetings = scene.meetings.get(after.week, ())
    told = contribute_record(*line, after.week, week_end=end, people=scene.people, meetings=meetings)
    return after if told is None else after._replace(kept=told, owner=holder_at(line.told, end, scene.people))
