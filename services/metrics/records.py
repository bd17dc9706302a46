"""What a record adds to a week: M17, M18, M25 to M32, and what keeps it from being ready for a review.

Counted are records whose owner the directory knows, in the groups that the owner was in then. A field of which nothing
can be known is in no number.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final, NamedTuple

from schemas.events import HUMAN_ORIGINS
from services.metrics.histories import CREATED, DELETED, MERGED, OPEN, VIEWED, WON, Change, State, Timeline
from services.metrics.policies import RecordPolicy
from services.metrics.shape import DAYS_A_WEEK, Contribution, Counts, Groups
from services.metrics.standing import due, evidence, last_day, next_step, reasons

AFTERMATH: Final = timedelta(days=22)
"""What happens to a record on a day changes its numbers of weeks that ended so long before, and of all later ones."""
CLOSED_COUNTS: Final = timedelta(days=7)
BEFORE_REVIEW: Final = timedelta(days=7)
INSPECTED: Final = timedelta(days=14)
DUPLICATE: Final = timedelta(days=14)
HANDOFF_DAYS: Final = 2
READ_DAYS: Final = 5
_FURTHEST: Final = 20
"""Who works on none of so many days is not waited for."""

_WRITES: Final = frozenset({CREATED, "crm.record.updated", "crm.record.stage_changed"})
_LOOKS: Final = frozenset({VIEWED, "crm.record.updated", "crm.record.stage_changed"})
_UNSAID: Final = frozenset({"placeholder", "default"})


class Owner(NamedTuple):
    """Whose a record is, on a day."""

    groups: Groups
    zone: tzinfo = UTC
    managers: frozenset[str] = frozenset()
    """Who reviews their records: their manager, or who stands in; nobody when all of them are away."""
    works: Callable[[date], bool] = lambda day: day.isoweekday() < 6  # noqa: PLR2004 - Monday to Friday


class People(NamedTuple):
    """Who is who. ``who``: the person that an identity is, None for nobody; ``owner_of``: a person on a day."""

    who: Callable[[str], str | None]
    owner_of: Callable[[str, date], Owner | None]


class Meeting(NamedTuple):
    """A review of a team's records: when it began, who held it, and the team of that person then."""

    at: datetime
    holder: str
    team: str | None = None


@dataclass(slots=True)
class _Week:
    """What is counted, and where."""

    start: date
    counts: Counts = field(default_factory=dict)
    moves: dict[int, Groups] = field(default_factory=dict)

    def add(self, code: str, *, hit: bool) -> None:
        num, den = self.counts.get(code, (0, 0))
        self.counts[code] = (num + hit, den + 1)

    def offset(self, day: date) -> int | None:
        offset = (day - self.start).days
        return offset if 0 <= offset < DAYS_A_WEEK else None


def contribute_record(
    history: Timeline,
    policy: RecordPolicy,
    week: date,
    *,
    week_end: datetime,
    people: People,
    meetings: Sequence[Meeting] = (),
) -> Contribution | None:
    """Return what a record adds to ``week``; None when it adds nothing to this and, as it stands, to no later week.

    What nobody known owns adds nothing as long as that is so.

    ``week_end``: the end of the week where the tenant is, or how far it has come. ``meetings``: the reviews in it.
    ``history`` may reach beyond: what happens up to ``AFTERMATH`` later tells how the days of the week ended.
    """
    if not history.known_at(week_end):
        return None
    state = history.state_at(week_end)
    told = _Week(week)
    owner = _owner(state, week + timedelta(days=DAYS_A_WEEK - 1), people)
    if owner is not None:
        _add_standing(told, state, policy, owner, week_end)
        if policy.deal:
            _add_looks(told, history, state, owner, week_end, people)
            _add_reviews(told, history, policy, meetings, people)
            _add_handoffs(told, history, policy, owner, people)
        _add_duplicate(told, history, policy, owner, people)
    watched = policy.deal or (owner is None and bool(policy.decision))
    if not told.counts and not (watched and _is_open(state)):
        return None
    return Contribution(Groups() if owner is None else owner.groups, told.counts, told.moves)


def told_later(history: Timeline, policy: RecordPolicy, week: date) -> bool:
    """Whether what happens after ``week`` may tell how it ended: of a deal won about it, or of a duplicate."""
    if policy.duplicates and any(change.kind == MERGED for change in history.changes):
        return True
    return bool(policy.handoff) and any(change.stage for change in _near(history, week))


def holder_at(history: Timeline, instant: datetime, people: People) -> str | None:
    """Return whose the record is at ``instant``: a person, or an identity that nobody is known by."""
    holder = history.state_at(instant).holder
    return None if holder is None else people.who(holder) or holder


def _is_open(state: State) -> bool:
    return state.alive and state.outcome == OPEN


def _owner(state: State, day: date, people: People) -> Owner | None:
    person = None if state.holder is None else people.who(state.holder)
    return None if person is None else people.owner_of(person, day)


def _add_standing(told: _Week, state: State, policy: RecordPolicy, owner: Owner, instant: datetime) -> None:
    """Add what holds of the record at ``instant``: M25 to M28, M31 and M32."""
    if not state.alive or (state.ended is not None and state.ended < instant - CLOSED_COUNTS):
        return
    answers = [answer for _, answer in due(policy.decision, state, policy)]
    filled, unsaid = answers.count("filled"), sum(answer in _UNSAID for answer in answers)
    if answers:
        told.counts["M25"] = (filled, len(answers))
    if filled + unsaid:
        told.counts["M26"] = (unsaid, filled + unsaid)
    if not policy.deal or state.outcome != OPEN:
        return
    today = last_day(instant, owner.zone)
    if state.close_date is not None:
        told.add("M27", hit=state.close_date < today)
    step = next_step(state, policy, instant)
    if step is not None:
        told.add("M28", hit=not step)
    proofs = list(evidence(state, policy))
    if proofs and (None not in proofs or set(proofs) - {None, "filled"}):
        told.add("M32", hit=set(proofs) == {"filled"})
    told.add("M31", hit=next(reasons(state, policy, today, instant), None) is None)


def _add_looks(told: _Week, history: Timeline, state: State, owner: Owner, instant: datetime, people: People) -> None:
    """Add M18: whether a manager of the owner looked at the open record of late."""
    if not owner.managers or not state.alive or state.outcome != OPEN:
        return
    told.add(
        "M18",
        hit=any(
            change.kind in _LOOKS and _by(change, owner.managers, people)
            for change in history.between(instant - INSPECTED, instant)
        ),
    )


def _by(change: Change, persons: frozenset[str], people: People) -> bool:
    return change.user is not None and change.origin in HUMAN_ORIGINS and people.who(change.user) in persons


def _add_reviews(
    told: _Week, history: Timeline, policy: RecordPolicy, meetings: Sequence[Meeting], people: People
) -> None:
    """Add M17: whether the owner brought the open record up to date before each review of their team."""
    for meeting in meetings:
        state = history.state_at(meeting.at)
        if state.holder is None or not _is_open(state):
            continue
        person = people.who(state.holder)
        owner = None if person is None else people.owner_of(person, meeting.at.astimezone(UTC).date())
        if person is None or owner is None:
            continue
        if meeting.holder in owner.managers or (meeting.team is not None and meeting.team == owner.groups.team):
            told.add(
                "M17",
                hit=any(
                    _freshens(change, policy) and _by(change, frozenset({person}), people)
                    for change in history.between(meeting.at - BEFORE_REVIEW, meeting.at)
                ),
            )


def _freshens(change: Change, policy: RecordPolicy) -> bool:
    """Whether a change touches what a review is about; one that does not say what it touches may."""
    if change.kind not in _WRITES:
        return False
    return (
        change.stage is not None
        or change.close_date is not None
        or change.forecast is not None
        or not change.fields
        or not policy.reviewed.isdisjoint(change.fields)
    )


def _add_handoffs(told: _Week, history: Timeline, policy: RecordPolicy, owner: Owner, people: People) -> None:
    """Add M29, whether a deal that was won in the week was handed over completely, and M29r, whether it was read."""
    if not policy.handoff:
        return
    for at in _wins(history, told.start):
        day = at.astimezone(owner.zone).date()
        offset = told.offset(day)
        winner = _owner(history.state_after(at), day, people)
        if offset is None or winner is None:
            continue
        state = history.state_at(_working_days_on(day, HANDOFF_DAYS, winner))
        answers = [state.answer(slot) for slot in policy.handoff]
        gaps = set(answers) - {"filled"}
        if state.ended != at or not state.alive or gaps == {None}:
            continue
        _move(told, offset, winner, owner)
        told.add(f"M29@{offset}", hit=not gaps)
        if policy.handoff_roles:
            read = history.between(at, _working_days_on(day, READ_DAYS, winner))
            told.add(f"M29r@{offset}", hit=any(_takes_over(change, day, policy, people) for change in read))


def _wins(history: Timeline, week: date) -> Iterator[datetime]:
    """Yield when the record became won, about ``week``."""
    for at in dict.fromkeys(change.at for change in _near(history, week) if change.stage):
        state = history.state_after(at)
        if state.outcome == WON and state.ended == at:
            yield at


def _near(history: Timeline, week: date) -> Sequence[Change]:
    start, near = datetime.combine(week, time(), UTC), timedelta(days=DAYS_A_WEEK + 1)
    return history.between(start - near, start + near)


def _takes_over(change: Change, day: date, policy: RecordPolicy, people: People) -> bool:
    person = None if change.user is None or change.kind == DELETED else people.who(change.user)
    reader = None if person is None or change.origin not in HUMAN_ORIGINS else people.owner_of(person, day)
    return reader is not None and reader.groups.role in policy.handoff_roles


def _working_days_on(day: date, count: int, owner: Owner) -> datetime:
    """Return the end of the ``count``-th working day of ``owner`` after ``day``."""
    for _ in range(_FURTHEST):
        if count == 0:
            break
        day += timedelta(days=1)
        count -= owner.works(day)
    return datetime.combine(day + timedelta(days=1), time(), owner.zone).astimezone(UTC)


def _add_duplicate(told: _Week, history: Timeline, policy: RecordPolicy, owner: Owner, people: People) -> None:
    """Add M30: whether a record that was made in the week turned out to be a duplicate."""
    place = next((place for place, change in enumerate(history.changes) if change.kind == CREATED), None)
    if place is None or not policy.duplicates:
        return
    made = history.changes[place].at
    state = history.state_after(made)
    day = made.astimezone(owner.zone).date()
    offset = told.offset(day)
    if offset is None or state.created != made:
        return
    maker = _owner(state, day, people) or owner
    _move(told, offset, maker, owner)
    merged = any(change.kind == MERGED and change.at <= made + DUPLICATE for change in history.changes[place:])
    told.add(f"M30@{offset}", hit=merged)


def _move(told: _Week, offset: int, then: Owner, now: Owner) -> None:
    if then.groups != now.groups:
        told.moves[offset] = then.groups
