"""Launch rules: did the people of a wave come, by D+1, D+2, D+3 and D+5?

Rates are compared as fractions, so exactly 70 % is not below 70 %. A checkpoint D+N is judged when its local day has
ended; the one exception is noon of D+2. An episode is half-open: who connects at the instant it would open has none.
Where it is not known who connected, nothing is judged.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Final, NamedTuple

from services.aggregator.domain.calendar import Calendar
from services.aggregator.domain.findings import Finding, Recipient, Resolution, Severity, Subject, Tier
from services.aggregator.domain.rules.catalogue import (
    D1_BELOW,
    D3_EMERGENCY,
    D5_BELOW,
    NEVER_LOGGED_IN,
    NOT_CONNECTED,
    Rule,
)
from services.aggregator.domain.waves import Rollout, Straggler, Wave

MIN_COHORT: Final = 10
"""Below it a percentage of a wave says little."""
MIN_NAMED: Final = 5
"""From here to ``MIN_COHORT`` the emergency is only critical, and lists the people instead."""
LAUNCH_DAYS: Final = 10
"""The launch phase is over when D+10 has ended."""
NOT_BY: Final = 2
NEVER_BY: Final = 3
WORST_TEAMS: Final = 5


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


CHECKPOINTS: Final = (
    Checkpoint(D1_BELOW, 1, Fraction(80, 100), Fraction(80, 100), 3, Resolution.SUPERSEDED, MIN_COHORT),
    Checkpoint(D3_EMERGENCY, 3, Fraction(70, 100), Fraction(75, 100), LAUNCH_DAYS, Resolution.PHASE_ENDED, MIN_NAMED),
    Checkpoint(D5_BELOW, 5, Fraction(90, 100), Fraction(90, 100), LAUNCH_DAYS, Resolution.PHASE_ENDED, MIN_COHORT),
)


class _Course(NamedTuple):
    """How an episode went on: the latest D+n judged, and the end if there was one."""

    latest: int
    closed_at: datetime | None = None
    resolution: Resolution | None = None


def judge_people(rollout: Rollout, calendar: Calendar, now: datetime) -> Iterator[Finding]:
    """Find the people who had not connected by noon of D+2; at the end of D+3 the same episode becomes critical."""
    wave = rollout.wave
    opened_at = calendar.noon_of(calendar.day_n(wave.go_live, NOT_BY))
    if now < opened_at or not rollout.known.at(opened_at):
        return
    raised_at = calendar.end_of(calendar.day_n(wave.go_live, NEVER_BY))
    teams = [rollout.teams_by(calendar.day_n(wave.go_live, n)) for n in (NOT_BY - 1, NEVER_BY)]
    for person in rollout.stragglers:
        ended_at, resolution = _end(person, calendar)
        if ended_at is not None and ended_at <= opened_at:
            continue
        never = raised_at <= now and rollout.known.at(raised_at) and (ended_at is None or ended_at >= raised_at)
        if ended_at is not None and ended_at > now:
            ended_at = resolution = None
        teammates = teams[never].get(person.team, (0, 0))
        course = _Course(NEVER_BY if never else NOT_BY, ended_at, resolution)
        yield _person_finding(wave, person, calendar, course, opened_at, teammates)


def _end(person: Straggler, calendar: Calendar) -> tuple[datetime | None, Resolution | None]:
    ends: list[tuple[datetime, Resolution]] = []
    if person.connected_at is not None:
        ends.append((person.connected_at, Resolution.CONNECTED))
    if person.licensed_to is not None:
        ends.append((calendar.end_of(person.licensed_to), Resolution.LICENCE_ENDED))
    return min(ends, default=(None, None))


def _person_finding(
    wave: Wave,
    person: Straggler,
    calendar: Calendar,
    course: _Course,
    opened_at: datetime,
    teammates: tuple[int, int],
) -> Finding:
    rule = NEVER_LOGGED_IN if course.latest == NEVER_BY else NOT_CONNECTED
    connected, size = teammates
    return Finding(
        family=rule.family,
        rule=rule.id,
        rule_version=rule.version,
        severity=rule.severity,
        tier=Tier.CONFIRMED,
        wave=wave.id,
        subject=Subject("user", person.user),
        start=wave.go_live,
        title=rule.title.format(wave=wave.name),
        opened_at=opened_at,
        closed_at=course.closed_at,
        resolution=course.resolution,
        window={"from": wave.go_live, "to": calendar.day_n(wave.go_live, course.latest), "n": course.latest},
        evidence={
            "num": 0,
            "den": 1,
            "value": Fraction(0),
            "threshold": Fraction(1),
            "day_zero": wave.go_live,
            "team": person.team,
            "team_connected": {"num": connected, "den": size, "value": Fraction(connected, size) if size else None},
        },
        audience=tuple(Recipient(role, person.manager if role == "manager" else None) for role in rule.audience),
        action=rule.action,
    )


def judge_wave(
    rollout: Rollout, calendar: Calendar, now: datetime, *, min_group: int, name_people: bool
) -> Iterator[Finding]:
    """Find the checkpoints that the wave missed. Teams of fewer than ``min_group`` people are not shown."""
    size = rollout.size
    for checkpoint in CHECKPOINTS:
        day = calendar.day_n(rollout.wave.go_live, checkpoint.n)
        if size < checkpoint.min_cohort or calendar.end_of(day) > now or not rollout.known.at(calendar.end_of(day)):
            continue
        num = rollout.connected_by(day)
        if Fraction(num, size) >= checkpoint.target:
            continue
        course = _follow(checkpoint, rollout, size, calendar, now)
        evidence = {
            **_rate(num, size),
            "threshold": checkpoint.target,
            "n": checkpoint.n,
            "missing": size - num,
            "worst_teams": [
                {"team": team, **_rate(connected, people)}
                for team, connected, people in rollout.worst_teams(day, at_least=min_group)[:WORST_TEAMS]
            ],
            "latest": {
                "n": course.latest,
                **_rate(rollout.connected_by(calendar.day_n(rollout.wave.go_live, course.latest)), size),
            },
        }
        if size < MIN_COHORT and name_people:
            evidence["people"] = rollout.missing_on(day)
        yield _wave_finding(checkpoint, rollout.wave, calendar, course, evidence, small=size < MIN_COHORT)


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


def unjudged(rollout: Rollout, calendar: Calendar, now: datetime) -> Iterator[tuple[str, str]]:
    """Give (rule family, wave) of what would be judged by ``now``, were it known who connected."""
    wave = rollout.wave
    moments = [(NOT_CONNECTED.family, calendar.noon_of(calendar.day_n(wave.go_live, NOT_BY)))]
    moments += [(each.rule.family, calendar.end_of(calendar.day_n(wave.go_live, each.n))) for each in CHECKPOINTS]
    for family, moment in moments:
        if moment <= now and not rollout.known.at(moment):
            yield family, wave.id


def _wave_finding(
    checkpoint: Checkpoint, wave: Wave, calendar: Calendar, course: _Course, evidence: dict[str, object], *, small: bool
) -> Finding:
    rule, day = checkpoint.rule, calendar.day_n(wave.go_live, checkpoint.n)
    return Finding(
        family=rule.family,
        rule=rule.id,
        rule_version=rule.version,
        severity=Severity.CRITICAL if small else rule.severity,
        tier=Tier.CONFIRMED,
        wave=wave.id,
        subject=Subject("wave", wave.id),
        start=wave.go_live,
        title=rule.title.format(wave=wave.name, num=evidence["num"], den=evidence["den"]),
        opened_at=calendar.end_of(day),
        closed_at=course.closed_at,
        resolution=course.resolution,
        window={"from": wave.go_live, "to": day, "n": checkpoint.n},
        evidence=evidence,
        audience=tuple(Recipient(role, wave.sponsor if role == "sponsor" else None) for role in rule.audience),
        action=rule.action,
    )


def _rate(num: int, den: int) -> dict[str, object]:
    return {"num": num, "den": den, "value": Fraction(num, den)}
