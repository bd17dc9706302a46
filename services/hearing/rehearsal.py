"""A rehearsal: what people would have got of alerts, told by the decisions of the notifier. Nothing is sent. Pure.

What is told within the hold of a message joins it. Nobody answers or snoozes, and the directory is that of one day.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from services.hearing.audience import EMERGENCY, Heard, hearers
from services.hearing.batches import Batch, Item, digest, interruption
from services.hearing.hours import Hours
from services.hearing.owing import STANDING, owed
from services.hearing.pace import Budget, Pace, Spent
from services.hearing.shape import Alert, Company, Louder, Told

COUNTED: Final = ("at_once", "in_hours", "digests", "alerts", "over_budget", "outside_hours")
"""What is counted of a recipient in a week.

Messages: emergencies ``at_once``, those that interrupt ``in_hours``, ``digests``. ``alerts``: of how many these tell
first. Of the alerts that wait for a morning instead: those ``over_budget``, and those found ``outside_hours``.
"""


class Turn(NamedTuple):
    """An alert as it stands from an instant on."""

    at: datetime
    alert: Alert


class Load(NamedTuple):
    """Whose share of the load it is, in which role, in the week that begins on a day."""

    week: date
    recipient: str
    role: str


class Bounds(NamedTuple):
    """What people may be asked to bear."""

    budget: Budget = Budget()
    hold: timedelta = timedelta(seconds=60)
    first_day_of_week: int = 1


def turns(alert: Alert, told_at: datetime) -> Iterator[Turn]:
    """Give what is told of a whole episode: that it opened, once it is loud, and that it ended."""
    if alert.suppressed_by is not None:
        return
    yield Turn(told_at, replace(alert, state="open", resolved_at=None, resolution=None))
    if alert.resolved_at is not None:
        yield Turn(max(alert.resolved_at, told_at), alert)


def unheard(alerts: Iterable[Alert], company: Company) -> list[Alert]:
    """Return those that would reach nobody."""
    return [alert for alert in alerts if alert.suppressed_by is None and not hearers(alert, company)]


def rehearse(
    told: Iterable[Turn], company: Company, hours: Callable[[str], Hours], bounds: Bounds, until: datetime
) -> dict[Load, Counter[str]]:
    """Return what each recipient would have got by ``until``, week by week."""
    ordered = sorted(told, key=lambda turn: (turn.at, turn.alert.id))
    courses: dict[str, list[tuple[Turn, Heard]]] = {}
    emergencies: dict[str, Louder] = {}
    for turn in ordered:
        alert = turn.alert
        if alert.rule == EMERGENCY and alert.ended:
            emergencies.pop(alert.id, None)
        elif alert.rule == EMERGENCY:
            emergencies[alert.id] = Louder(alert.rule, alert.wave)
        now = replace(company, louder=tuple(emergencies.values())) if emergencies else company
        for heard in hearers(alert, now):
            courses.setdefault(heard.recipient, []).append((turn, heard))
    found: dict[Load, Counter[str]] = {}
    for recipient, course in sorted(courses.items()):
        desk = _Desk(recipient, hours(recipient), bounds)
        desk.live(course, until)
        found |= desk.weeks
    return found


@dataclass(slots=True)
class _Desk:
    """A recipient over time: what they are owed, what they were told, and what interrupted them."""

    recipient: str
    hours: Hours
    bounds: Bounds
    weeks: dict[Load, Counter[str]] = field(default_factory=dict)
    _owed: dict[str, Item] = field(default_factory=dict)
    _told: dict[str, Told] = field(default_factory=dict)
    _spent: Counter[date] = field(default_factory=Counter)

    def live(self, course: Sequence[tuple[Turn, Heard]], until: datetime) -> None:
        """Let everything happen, in its order."""
        last = None
        for burst in _bursts(course, self.bounds.hold):
            now = burst[0][0].at
            if last is not None:
                self._dawn(last, now)
            last = now
            self._happen(burst, now)
        if last is not None:
            self._dawn(last, until)

    def _happen(self, burst: Sequence[tuple[Turn, Heard]], now: datetime) -> None:
        for turn, heard in burst:
            self._owe(turn.alert, heard)
        items = [self._owed[name] for name in {turn.alert.id: None for turn, _ in burst} if name in self._owed]
        batch = interruption(items, self.hours, self._so_far(now), self.bounds.budget, now, self.bounds.hold)
        if batch is not None:
            self._tell(batch, now)
        elif wanted := [item for item in items if item.pace is Pace.HOURS]:
            why = "over_budget" if self.hours.open_at(now) else "outside_hours"
            self._count(now, wanted[0].heard.role, {why: len(wanted)})

    def _owe(self, alert: Alert, heard: Heard) -> None:
        told = self._told.get(alert.id)
        what = owed(alert, told, hears=True)
        if what is None:
            self._owed.pop(alert.id, None)
        else:
            self._owed[alert.id] = Item(alert, what, heard, told)

    def _dawn(self, after: datetime, now: datetime) -> None:
        """Let the mornings between come, as long as something waits for one."""
        while self._owed:
            morning = self.hours.next_morning(after)
            if morning is None or morning > now:
                return
            first = self.hours.begins_week(self.hours.day(morning), self.bounds.first_day_of_week)
            batch = digest(list(self._owed.values()), morning, Pace.WEEK if first else Pace.MORNING)
            if batch is not None:
                self._tell(batch, morning)
            after = morning

    def _so_far(self, now: datetime) -> Spent:
        day = self.hours.day(now)
        first = self.hours.week_of(day, self.bounds.first_day_of_week)
        return Spent(self._spent[day], sum(number for on, number in self._spent.items() if first <= on <= day))

    def _tell(self, batch: Batch, now: datetime) -> None:
        if batch.counted:
            self._spent[self.hours.day(now)] += 1
        kind = "digests" if batch.kind == "digest" else "at_once" if not batch.counted else "in_hours"
        self._count(now, batch.items[0].heard.role, {kind: 1, "alerts": sum(item.told is None for item in batch.items)})
        for item in batch.items:
            alert = item.alert
            self._told[alert.id] = Told(STANDING[item.what], alert.severity, alert.tier, item.heard.role)
            self._owed.pop(alert.id, None)

    def _count(self, now: datetime, role: str, counts: Mapping[str, int]) -> None:
        week = self.hours.week_of(self.hours.day(now), self.bounds.first_day_of_week)
        self.weeks.setdefault(Load(week, self.recipient, role), Counter()).update(counts)


def _bursts(course: Sequence[tuple[Turn, Heard]], hold: timedelta) -> Iterator[list[tuple[Turn, Heard]]]:
    """Give what happens so shortly after each other that it is told together."""
    burst: list[tuple[Turn, Heard]] = []
    for each in course:
        if burst and each[0].at - burst[0][0].at > hold:
            yield burst
            burst = []
        burst.append(each)
    if burst:
        yield burst
