"""How people work, from what they did: where records come from, meetings, features, tasks, workarounds (M16-M24).

A function of the set of acts: neither their order nor what lies outside the spans that are named here matters.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Final, TypeAlias

from schemas.events import HUMAN_ORIGINS
from services.metrics.shape import DAYS_A_WEEK, Act, Counts, parameter

DatedAct: TypeAlias = tuple[date, Act]
"""An act and the local day of it."""

BATCH: Final = 200
BATCH_SPAN: Final = timedelta(minutes=10)
"""So many records of one kind made by one person in so short a time are an import, whatever it is called."""
TASK_SPAN: Final = timedelta(minutes=30)
"""A task that is not completed by then is abandoned."""
MEETING_SPAN: Final = timedelta(hours=1)
"""Meetings tell when they began, not how long they took."""
AROUND_MEETING: Final = timedelta(minutes=15)
BEFORE_MEETING: Final = timedelta(hours=24)
FEATURE_DAYS: Final = 28

_CREATED: Final = "crm.record.created"
MEETING: Final = "meeting.held"
_VIEWED: Final = "crm.report.viewed"
_EXPORTED: Final = "crm.report.exported"
_FEATURE: Final = "crm.feature.used"
_STARTED: Final = "crm.task.started"
_COMPLETED: Final = "crm.task.completed"
_FAILED: Final = "crm.task.failed"
_WORKAROUND: Final = "workaround.reported"
_ANY_ORIGIN: Final = frozenset({_CREATED, MEETING, _WORKAROUND})
"""Calendars and forms tell of meetings and workarounds; of a created record the origin is the question."""
ONE_BY_ONE: Final = _ANY_ORIGIN | {_VIEWED, _EXPORTED, _STARTED, _COMPLETED, _FAILED}
"""Of these kinds every act counts; of a feature it is enough to know of one."""
_COUNTED: Final = ONE_BY_ONE | {_FEATURE}
_TYPED_IN: Final = frozenset({"ui", "mobile"})
_TASKS: Final = frozenset({_STARTED, _COMPLETED, _FAILED})

_Found: TypeAlias = dict[str, list[DatedAct]]


def counts(week: date, acts: Iterable[DatedAct], *, expected: bool) -> Counts:
    """Return what a person adds by their ``acts`` to M16, M19 to M22 and M24 of ``week`` (its first day).

    ``acts``: all from ``LOOKBACK`` before the week to the day after it, with which a meeting or task may end.
    ``expected``: whether something is expected of the person in this week.
    """
    found: _Found = defaultdict(list)
    for dated in acts:
        act = dated[1]
        kind = act.kind
        if (
            kind in _COUNTED
            and (kind in _ANY_ORIGIN or act.origin in HUMAN_ORIGINS)
            and act.environment in (None, "production")
            and act.behalf is None
        ):
            found[kind].append(dated)
    told: Counts = {}
    if found:
        _add_created(told, week, found[_CREATED])
        _add_meetings(told, week, found)
        _add_tasks(told, week, found)
        if expected:
            _add_features(told, week, found[_FEATURE])
    reports = sum(_offset(week, day) is not None for day, _ in found[_WORKAROUND])
    if reports or expected:
        told["M24"] = (reports, int(expected))
    return told


def _offset(week: date, day: date) -> int | None:
    """Return which day of the week ``day`` is; None: of another one."""
    offset = (day - week).days
    return offset if 0 <= offset < DAYS_A_WEEK else None


def _add(told: Counts, code: str, num: int, den: int) -> None:
    before = told.get(code, (0, 0))
    told[code] = (before[0] + num, before[1] + den)


def _add_created(told: Counts, week: date, created: Sequence[DatedAct]) -> None:
    """Add M16 and, since M16 means nothing where too many origins are unknown, M16u.

    What software made, or nobody says by which way, is in neither number of M16.
    """
    by_object: dict[str, list[DatedAct]] = defaultdict(list)
    for day, act in created:
        if act.object and (act.origin in HUMAN_ORIGINS or act.origin == "import"):
            by_object[act.object].append((day, act))
    for name, made in by_object.items():
        batches = _batches(sorted(act.at for _, act in made))
        suffix = parameter(name)
        for day, act in made:
            offset = _offset(week, day)
            if offset is None:
                continue
            imported = act.bulk or act.origin == "import" or any(start <= act.at <= end for start, end in batches)
            unknown = not imported and act.origin not in _TYPED_IN
            if not unknown:
                _add(told, f"M16:{suffix}@{offset}", int(not imported), 1)
            _add(told, f"M16u:{suffix}@{offset}", int(unknown), 1)


def _batches(times: Sequence[datetime]) -> list[tuple[datetime, datetime]]:
    """Return the spans in which records were made by the batch; they may overlap."""
    spans: list[tuple[datetime, datetime]] = []
    for first, last in zip(times, times[BATCH - 1 :], strict=False):
        if last - first > BATCH_SPAN:
            continue
        if spans and first <= spans[-1][1]:
            spans[-1] = (spans[-1][0], last)
        else:
            spans.append((first, last))
    return spans


def _add_meetings(told: Counts, week: date, found: _Found) -> None:
    """Add M19, meetings that were run from the CRM, and M20, those that a report was exported for."""
    meetings = [(offset, act.at) for day, act in found[MEETING] if (offset := _offset(week, day)) is not None]
    if not meetings:
        return
    viewed, exported = (sorted(act.at for _, act in found[kind]) for kind in (_VIEWED, _EXPORTED))
    for offset, start in meetings:
        shown = _any(viewed, start - AROUND_MEETING, start + MEETING_SPAN + AROUND_MEETING)
        taken = _any(exported, start - BEFORE_MEETING, start - timedelta.resolution)
        _add(told, f"M19@{offset}", int(shown), 1)
        _add(told, f"M20@{offset}", int(taken), 1)


def _any(times: Sequence[datetime], low: datetime, high: datetime) -> bool:
    """Whether one of ``times``, which are in order, lies between ``low`` and ``high``, both included."""
    place = bisect_left(times, low)
    return place < len(times) and times[place] <= high


def _add_features(told: Counts, week: date, used: Sequence[DatedAct]) -> None:
    """Add M21 of each feature that the person used: the denominator is M11's."""
    end = week + timedelta(days=DAYS_A_WEEK)
    since = end - timedelta(days=FEATURE_DAYS)
    for name in {act.detail for day, act in used if act.detail and since <= day < end}:
        told[f"M21:{parameter(name)}"] = (1, 0)


def _add_tasks(told: Counts, week: date, found: _Found) -> None:
    """Add M22, tasks that were abandoned, and M22e, tasks that failed, both of those started on the day.

    One completion or failure ends one start. Tasks that a rule gave are no start of the person's.
    """
    if not found[_STARTED]:
        return
    since = week - timedelta(days=1)
    times: dict[str, dict[str, list[datetime]]] = defaultdict(lambda: defaultdict(list))
    started: dict[str, list[tuple[datetime, date]]] = defaultdict(list)
    for kind in _TASKS:
        for day, act in found[kind]:
            if not act.detail or act.automatic or day < since:
                continue
            if kind == _STARTED:
                started[act.detail].append((act.at, day))
            else:
                times[act.detail][kind].append(act.at)
    for task, starts in started.items():
        starts.sort()
        instants = [at for at, _ in starts]
        completed, failed = (_ended(instants, times[task][kind]) for kind in (_COMPLETED, _FAILED))
        for place, (_, day) in enumerate(starts):
            offset = _offset(week, day)
            if offset is not None:
                _add(told, f"M22:{parameter(task)}@{offset}", int(place not in completed), 1)
                _add(told, f"M22e:{parameter(task)}@{offset}", int(place in failed), 1)


def _ended(starts: Sequence[datetime], ends: list[datetime]) -> set[int]:
    """Return the places of ``starts``, which are in order, that one of ``ends`` belongs to: as many as there can be."""
    ends.sort()
    found = set()
    place = 0
    for number, start in enumerate(starts):
        while place < len(ends) and ends[place] < start:
            place += 1
        if place < len(ends) and ends[place] <= start + TASK_SPAN:
            found.add(number)
            place += 1
    return found
