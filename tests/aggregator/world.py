"""A small world for the rules: people, waves and what people did, as plain sets. Slow, obvious, and independent of SQL.

It answers what the store answers: cohorts, stragglers, weeks and same people, by counting.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from services.aggregator.domain.alerts import Alert, Change
from services.aggregator.domain.calendar import Calendar
from services.aggregator.domain.findings import Finding, Subject
from services.aggregator.domain.ladder import Ladder
from services.aggregator.domain.life import Judged, advance
from services.aggregator.domain.logins import ALL, LoginSource, known
from services.aggregator.domain.rules import change
from services.aggregator.domain.rules.change import History, SamePeople, Watched, Week
from services.aggregator.domain.rules.judge import Policy, judge
from services.aggregator.domain.waves import Group, Rollout, Straggler, Wave

MONDAY = date(2026, 3, 2)
"""The go-live of most tales."""


def at(day: date, hour: float = 9) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=hour)


def later(days: float, hour: float = 9) -> datetime:
    """Return an hour of the day that lies ``days`` after the go-live."""
    return at(MONDAY + timedelta(days=days), hour)


@dataclass(frozen=True)
class Member:
    user: str
    team: str | None = "North"
    role: str | None = "seller"
    manager: str | None = "boss"
    licensed_from: date | None = MONDAY - timedelta(days=30)
    licensed_to: date | None = None

    def licensed(self, day: date) -> bool:
        first, last = self.licensed_from, self.licensed_to
        return first is not None and first <= day and (last is None or day <= last)

    def belongs(self, subject: Subject) -> bool:
        return subject.kind == "tenant" or {"team": self.team, "role": self.role}[subject.kind] == subject.key


@dataclass
class World:
    members: Sequence[Member]
    waves: Sequence[Wave] = (Wave("w", "Wave one", MONDAY),)
    calendar: Calendar = field(default_factory=Calendar)
    min_group: int = 1
    came: dict[str, set[datetime]] = field(default_factory=lambda: defaultdict(set))
    logins: dict[str, set[datetime]] | None = None
    """What connects a person; None: every visit does."""
    told: datetime | None = None
    """The newest login that the source of logins told of; None: the newest there is."""

    def visit(self, users: Iterable[str], instant: datetime) -> None:
        for user in users:
            self.came[user].add(instant)

    def judge(self, now: datetime) -> list[Finding]:
        rollouts = [self.rollout(wave) for wave in self.waves]
        histories = [self.history(watched, now) for watched in self.watched()]
        return judge(Policy(self.calendar, self.min_group), rollouts, histories, now)

    def rollout(self, wave: Wave) -> Rollout:
        cohort = [member for member in self.members if member.licensed(wave.go_live) and _in_scope(member, wave)]
        firsts = {member.user: self._first(member.user, wave.go_live) for member in cohort}
        groups: dict[tuple[str | None, date | None], list[str]] = defaultdict(list)
        for member in cohort:
            first = firsts[member.user]
            groups[member.team, None if first is None else self.calendar.day_of(first)].append(member.user)
        noticed = self.calendar.day_n(wave.go_live, 1)
        managers = {member.manager for member in self.members}
        stragglers = [
            Straggler(
                member.user,
                member.team,
                member.manager,
                member.licensed_to,
                first,
                member.licensed_from,
                member.user in managers,
            )
            for member in cohort
            if (first := firsts[member.user]) is None or self.calendar.day_of(first) > noticed
        ]
        groups_of = [Group(team, day, users) for (team, day), users in groups.items()]
        return Rollout(wave, groups_of, stragglers, ALL if self.logins is None else known(self.login_sources()))

    def login_sources(self) -> list[LoginSource]:
        """Return the one source of logins; none at all before the first login."""
        logins = [instant for instants in (self.logins or {}).values() for instant in instants]
        newest = self.told or max(logins, default=None)
        return [] if newest is None else [LoginSource("crm", newest, None)]

    def _first(self, user: str, go_live: date) -> datetime | None:
        came = self.came if self.logins is None else self.logins
        return min((instant for instant in came[user] if self.calendar.day_of(instant) >= go_live), default=None)

    def watched(self) -> list[Watched]:
        return change.watch(self.waves, sorted({member.team for member in self.members if member.team}))

    def history(self, watched: Watched, now: datetime) -> History:
        go_live = watched.wave.go_live
        ended = change.weeks_ended(go_live, self.calendar, now)
        ends = {number: change.last_day(go_live, number) for number in range(1, ended + 1)}
        weeks = [self.week(watched.subject, number, day) for number, day in ends.items()]
        people = {n: self.same_people(watched.subject, ends[1], ends[n]) for n in change.doubtful_weeks(weeks)}
        return History(watched, weeks, people)

    def week(self, subject: Subject, number: int, as_of: date) -> Week:
        licensed = self._licensed(subject, as_of)
        return Week(number, len(licensed), len(licensed & self._active(as_of)))

    def same_people(self, subject: Subject, base: date, as_of: date) -> SamePeople:
        before, after = self._licensed(subject, base), self._licensed(subject, as_of)
        was, now = before & after & self._active(base), before & after & self._active(as_of)
        joined, left = after - before, before - after
        active = len(joined & self._active(as_of)), len(left & self._active(base))
        return SamePeople(len(before & after), len(was - now), len(now - was), len(joined), len(left), *active)

    def _licensed(self, subject: Subject, day: date) -> set[str]:
        return {member.user for member in self.members if member.belongs(subject) and member.licensed(day)}

    def _active(self, as_of: date) -> set[str]:
        first, last = self.calendar.start_of(as_of - timedelta(days=6)), self.calendar.end_of(as_of)
        return {user for user, instants in self.came.items() if any(first <= instant < last for instant in instants)}


def _in_scope(member: Member, wave: Wave) -> bool:
    named = member.team in wave.teams or member.role in wave.roles or member.user in wave.people
    return wave.everybody or named


@dataclass
class Book:
    """The alerts of one tenant over time, as the store keeps them. ``ladder`` None: nobody is waited for."""

    ladder: Ladder | None = None
    alerts: dict[str, Alert] = field(default_factory=dict)
    history: list[Change] = field(default_factory=list)

    def advance(
        self, findings: Iterable[Finding], now: datetime, unjudged: Container[tuple[str, str | None]] = ()
    ) -> list[str]:
        """Advance to ``now``; return what happened, one line a change."""
        judged = Judged(unjudged=unjudged)
        changes = advance("acme", self.alerts.values(), findings, now, judged, ladder=self.ladder)
        self.alerts.update((change.alert.fingerprint, change.alert) for change in changes)
        self.history += changes
        return [f"{change.kind} {change.alert.rule} {change.alert.subject_key}" for change in changes]


def crew(count: int, team: str = "North", **fields: object) -> list[Member]:
    return [Member(f"{team.lower()}-{number:02}", team, **fields) for number in range(count)]  # type: ignore[arg-type]


def users(members: Iterable[Member]) -> list[str]:
    return [member.user for member in members]
