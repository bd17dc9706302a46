"""Launch rules: did the people of a wave come, by D+1, D+2, D+3 and D+5?

Rates are compared as fractions, so exactly 70 % is not below 70 %. A checkpoint D+N is judged when its local day has
ended; people may be asked for at noon, and never before their own D+N. An episode is half-open: who connects at the
instant it would open has none. Where it is not known who connected, nothing is judged.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from itertools import groupby
from typing import Final, NamedTuple, Self

from services.aggregator.domain.calendar import Calendar
from services.aggregator.domain.findings import Finding, Resolution, Severity, Subject
from services.aggregator.domain.logins import Known
from services.aggregator.domain.rules.obstacles import last_refused, obstacles
from services.aggregator.domain.rules.telling import Episode, Told, active, audience, finding, number, rate
from services.aggregator.domain.waves import Rollout, Straggler, Wave
from services.metrics.levels import LAUNCH_DAYS
from services.rules.pack import DEFAULT
from services.rules.shape import Rule

MIN_COHORT: Final = 10
"""Below it a percentage of a wave says little."""
MIN_NAMED: Final = 5
"""From here to the least cohort of a rule that says how loud it is then, it lists the people instead."""
NOT_BY: Final = 1
"""Nobody is asked for, by name or by number, before D+1 has ended."""
WORST_TEAMS: Final = 5


class Due(NamedTuple):
    """The instant at which somebody is asked for, and the day D+n it belongs to."""

    at: datetime
    day: date


class Ask(NamedTuple):
    """A rule that asks for each person by noon or by the end of D+``by``."""

    rule: Rule
    by: int
    noon: bool

    @classmethod
    def of(cls, rule: Rule) -> Self:
        """Return what ``rule`` asks."""
        return cls(rule, number(rule, "by"), rule.params.get("at") == "noon")

    def due(self, wave: Wave, calendar: Calendar) -> Due:
        """Return when everybody is asked for."""
        return self._on(calendar.day_n(wave.go_live, self.by), calendar)

    def due_of(self, person: Straggler, usual: Due, calendar: Calendar) -> Due | None:
        """Return when ``person`` is asked for: by their own days, never before the ``usual``; None: never."""
        if person.own is None:
            return usual
        day = person.own.days.get(self.by)
        return None if day is None else max(usual, self._on(day, calendar))

    def _on(self, day: date, calendar: Calendar) -> Due:
        return Due(calendar.noon_of(day) if self.noon else calendar.end_of(day), day)

    @property
    def whole(self) -> int:
        """Return the last D+n that is over by then."""
        return self.by - self.noon


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A rule that asks for ``target`` by D+n and is content with ``recovery`` on a later day, up to D+``last``."""

    rule: Rule
    n: int
    target: Fraction
    recovery: Fraction
    last: int
    ending: Resolution
    min_cohort: int

    @classmethod
    def of(cls, rule: Rule) -> Self:
        """Return what ``rule`` asks. A rule that ends before the launch does gives way to a later one."""
        below = number(rule, "below")
        last = number(rule, "until", LAUNCH_DAYS)
        return cls(
            rule,
            number(rule, "n"),
            Fraction(below, 100),
            Fraction(number(rule, "recovers_at", below), 100),
            last,
            Resolution.SUPERSEDED if last < LAUNCH_DAYS else Resolution.PHASE_ENDED,
            min(MIN_NAMED, rule.minimum) if "small" in rule.params else rule.minimum,
        )


class _Course(NamedTuple):
    """How an episode went on: the latest D+n judged, and the end if there was one."""

    latest: int
    closed_at: datetime | None = None
    resolution: Resolution | None = None


def asks(rules: Mapping[str, Rule]) -> list[list[Ask]]:
    """Return the rules that ask for single people, by family; within it one raises the other, in this order."""
    found = (Ask.of(rule) for rule in active(rules, "person"))
    ordered = sorted(found, key=lambda ask: (ask.rule.family, ask.by, not ask.noon))
    return [list(family) for _, family in groupby(ordered, key=lambda ask: ask.rule.family)]


def checkpoints(rules: Mapping[str, Rule]) -> list[Checkpoint]:
    """Return the rules that ask for a share of a wave."""
    return sorted((Checkpoint.of(rule) for rule in active(rules, "checkpoint")), key=lambda each: each.n)


def judge_people(
    rollout: Rollout, calendar: Calendar, now: datetime, rules: Mapping[str, Rule] = DEFAULT
) -> Iterator[Finding]:
    """Find the people who had not connected by noon of D+2; at the end of D+3 the same episode becomes critical."""
    for family in asks(rules):
        if family[0].due(rollout.wave, calendar).at <= now:
            yield from _judge_people(rollout, calendar, now, family)


def _judge_people(rollout: Rollout, calendar: Calendar, now: datetime, family: Sequence[Ask]) -> Iterator[Finding]:
    wave, known = rollout.wave, rollout.known
    usual = [ask.due(wave, calendar) for ask in family]
    teams = [rollout.teams_by(calendar.day_n(wave.go_live, ask.whole)) for ask in family]
    for person in rollout.stragglers:
        due = [ask.due_of(person, each, calendar) for ask, each in zip(family, usual, strict=True)]
        first, ended_at, resolution = due[0], *end_of(person, calendar)
        if first is None or not _asked(first, ended_at, known, now) or ended_at == first.at:
            continue
        told, reached = first, 0
        for place, each in enumerate(due):
            if each is not None and _asked(each, ended_at, known, now):
                told, reached = each, place
        if ended_at is not None and ended_at > now:
            ended_at = resolution = None
        raised_at = told.at if reached and family[0].rule.severity == "info" else None
        episode = Episode(wave.go_live, first.at, ended_at, resolution, raised_at=raised_at)
        yield _person_finding(wave, person, family[reached], told, episode, teams[reached].get(person.team, (0, 0)))


def _asked(due: Due, ended_at: datetime | None, known: Known, now: datetime) -> bool:
    """Tell whether a person who was away until ``ended_at`` was asked for, and it was known that they were away."""
    return due.at <= now and known.at(due.at) and (ended_at is None or ended_at >= due.at)


def end_of(person: Straggler, calendar: Calendar) -> tuple[datetime | None, Resolution | None]:
    """Return when, and by what, the absence of a person ended."""
    ends: list[tuple[datetime, Resolution]] = []
    if person.connected_at is not None:
        ends.append((person.connected_at, Resolution.CONNECTED))
    if person.licensed_to is not None:
        ends.append((calendar.end_of(person.licensed_to), Resolution.LICENCE_ENDED))
    return min(ends, default=(None, None))


def _person_finding(
    wave: Wave, person: Straggler, ask: Ask, due: Due, episode: Episode, teammates: tuple[int, int]
) -> Finding:
    connected, size = teammates
    told = Told(
        window={"from": wave.go_live, "to": due.day, "n": ask.by},
        evidence={
            "num": 0,
            "den": 1,
            "value": Fraction(0),
            "threshold": Fraction(1),
            "day_zero": wave.go_live if person.own is None else person.own.zero,
            "days_since": ask.by,
            "licence_start": person.licensed_from,
            **last_refused(person, due.at),
            "team": person.team,
            "team_connected": {"num": connected, "den": size, "value": Fraction(connected, size) if size else None},
        },
        names={"wave": wave.name},
        audience=audience(ask.rule, manager=person.manager, sponsor=wave.sponsor),
    )
    return finding(ask.rule, Subject("user", person.user), wave.id, episode, told)


def judge_wave(
    rollout: Rollout,
    calendar: Calendar,
    now: datetime,
    *,
    min_group: int,
    name_people: bool,
    rules: Mapping[str, Rule] = DEFAULT,
) -> Iterator[Finding]:
    """Find the checkpoints that the wave missed. Teams of fewer than ``min_group`` people are not shown."""
    size = rollout.size
    for checkpoint in checkpoints(rules):
        day = calendar.day_n(rollout.wave.go_live, checkpoint.n)
        if size < checkpoint.min_cohort or calendar.end_of(day) > now or not rollout.known.at(calendar.end_of(day)):
            continue
        num = rollout.connected_by(day)
        if Fraction(num, size) >= checkpoint.target:
            continue
        course = _follow(checkpoint, rollout, size, calendar, now)
        evidence = {
            **rate(num, size),
            "threshold": checkpoint.target,
            "n": checkpoint.n,
            "missing": size - num,
            **obstacles(rollout, calendar.end_of(day)),
            "worst_teams": [
                {"team": team, **rate(connected, people)}
                for team, connected, people in rollout.worst_teams(day, at_least=min_group)[:WORST_TEAMS]
            ],
            "latest": {
                "n": course.latest,
                **rate(rollout.connected_by(calendar.day_n(rollout.wave.go_live, course.latest)), size),
            },
        }
        small = size < checkpoint.rule.minimum
        if small and name_people:
            evidence["people"] = rollout.missing_on(day)
        yield _wave_finding(checkpoint, rollout.wave, calendar, course, evidence, small=small)


def _follow(checkpoint: Checkpoint, rollout: Rollout, size: int, calendar: Calendar, now: datetime) -> _Course:
    """Follow the cohort day by day after the checkpoint until it recovers or the rule's time is over.

    Who is known to have connected suffices for that; the latest day is one of which everything is known.
    """
    latest = checkpoint.n
    for n in range(checkpoint.n + 1, checkpoint.last + 1):
        day = calendar.day_n(rollout.wave.go_live, n)
        ended_at = calendar.end_of(day)
        if ended_at > now:
            break
        latest = n if rollout.known.at(ended_at) else latest
        if Fraction(rollout.connected_by(day), size) >= checkpoint.recovery:
            return _Course(n, ended_at, Resolution.RECOVERED)
        if n == checkpoint.last:
            return _Course(n, ended_at, checkpoint.ending)
    return _Course(latest)


def unjudged(
    rollout: Rollout, calendar: Calendar, now: datetime, rules: Mapping[str, Rule] = DEFAULT
) -> Iterator[tuple[str, str]]:
    """Give (rule family, wave) of what would be judged by ``now``, were it known who connected."""
    wave = rollout.wave
    moments = [(each.rule.family, calendar.end_of(calendar.day_n(wave.go_live, each.n))) for each in checkpoints(rules)]
    for ask, *_ in asks(rules):
        usual = ask.due(wave, calendar)
        due = {usual, *(ask.due_of(person, usual, calendar) for person in rollout.stragglers)}
        moments += [(ask.rule.family, each.at) for each in due if each is not None]
    for family, moment in moments:
        if moment <= now and not rollout.known.at(moment):
            yield family, wave.id


def _wave_finding(
    checkpoint: Checkpoint, wave: Wave, calendar: Calendar, course: _Course, evidence: dict[str, object], *, small: bool
) -> Finding:
    rule, day = checkpoint.rule, calendar.day_n(wave.go_live, checkpoint.n)
    told = Told(
        window={"from": wave.go_live, "to": day, "n": checkpoint.n},
        evidence=evidence,
        names={
            "wave": wave.name,
            "group": wave.name,
            **{name: evidence[name] for name in ("num", "den", "missing")},
        },
        severity=Severity(str(rule.params["small"])) if small else None,
        audience=audience(rule, sponsor=wave.sponsor),
    )
    episode = Episode(wave.go_live, calendar.end_of(day), course.closed_at, course.resolution)
    return finding(rule, Subject("wave", wave.id), wave.id, episode, told)
