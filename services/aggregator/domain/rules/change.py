"""Change rules: did a group fall behind its own first week, and is it more than chance?

Week k of a go-live is the seven days up to ``go_live + 7k - 1``; week 1 is the base. See ``drop`` for what is judged.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Final, NamedTuple

from services.aggregator.domain.calendar import DAY, LATEST_YEAR, Calendar, days_after
from services.aggregator.domain.findings import Evaluation, Finding, Recipient, Resolution, Subject, Tier, fingerprint
from services.aggregator.domain.rules.drop import Course, Guard, SamePeople, Seen, Share, Step, Walked, walk
from services.aggregator.domain.rules.telling import Episode, Told, active, audience, finding, metric_of, percent
from services.aggregator.domain.waves import Wave
from services.metrics.mcnemar import p_value
from services.rules.pack import DEFAULT
from services.rules.shape import Rule

__all__ = ["History", "SamePeople", "Watched", "Week", "judge_change", "p_value", "watch"]

BASE: Final = 1
LAST_WEEK: Final = 13
EVALUATION_DELAY: Final = timedelta(hours=2)
"""How long after its last day a week is judged: late deliveries of the evening are in by then."""
MIN_LICENSED: Final = 5
WEEK: Final = 7
ACTIVE: Final = "M11"
DEPTH: Final = "actions_per_active_person"
"""What a rule names that judges how much each active person does."""


class Week(NamedTuple):
    """A group's window of seven days at the end of a week."""

    number: int
    licensed: int
    active: int
    actions: int = 0

    @property
    def share(self) -> Share:
        """Return how many of how many were active."""
        return Share(self.active, self.licensed)

    @property
    def depth(self) -> Share:
        """Return how much was done, and by how many."""
        return Share(self.actions, self.active)


class Watched(NamedTuple):
    """A group and the wave whose go-live it is measured from."""

    subject: Subject
    wave: Wave


@dataclass(frozen=True, slots=True)
class History:
    """A watched group's ended weeks from week 1 on; ``people`` for the weeks of ``doubtful_weeks``.

    ``unknown``: the weeks in which people may have come unseen. They open nothing, confirm nothing and end nothing.
    """

    watched: Watched
    weeks: Sequence[Week]
    people: Mapping[int, SamePeople]
    unknown: frozenset[int] = frozenset()


def watch(waves: Iterable[Wave], teams: Iterable[str]) -> list[Watched]:
    """Return the groups to judge, each once: the earliest wave that names it decides, else a wave for everybody."""
    found: dict[Subject, Wave] = {}
    everybody: Wave | None = None
    for wave in sorted(waves, key=lambda wave: (wave.go_live, wave.id)):
        for subject in _named(wave):
            found.setdefault(subject, wave)
        if wave.everybody and everybody is None:
            everybody = wave
    if everybody is not None:
        for team in teams:
            found.setdefault(Subject("team", team), everybody)
    return [Watched(subject, wave) for subject, wave in sorted(found.items())]


def _named(wave: Wave) -> Iterator[Subject]:
    if wave.everybody:
        yield Subject("tenant", "all")
    for team in wave.teams:
        yield Subject("team", team)
    for role in wave.roles:
        yield Subject("role", role)


def last_day(go_live: date, week: int) -> date:
    """Return the last day of a week."""
    return days_after(go_live, WEEK * week - 1)


def span(go_live: date, week: int, calendar: Calendar) -> tuple[datetime, datetime]:
    """Return the first instant of a week and the first one after it."""
    last = last_day(go_live, week)
    return calendar.start_of(last - timedelta(days=WEEK - 1)), calendar.end_of(last)


def judged_at(go_live: date, week: int, calendar: Calendar) -> datetime:
    """Return the instant from which a week is judged."""
    ended_at = calendar.end_of(last_day(go_live, week))
    return ended_at if ended_at.year > LATEST_YEAR else ended_at + EVALUATION_DELAY


def weeks_ended(go_live: date, calendar: Calendar, now: datetime) -> int:
    """Return how many of the weeks 1 to 13 can be judged at ``now``."""
    ended = 0
    while ended < LAST_WEEK and judged_at(go_live, ended + 1, calendar) <= now:
        ended += 1
    return ended


def drops(rules: Mapping[str, Rule]) -> list[Rule]:
    """Return the rules that judge the active people of a group, or what they do, against its first week."""
    found = [rule for rule in active(rules, "drop") if rule.params.get("baseline") == "week1"]
    return [rule for rule in found if _deep(rule) or ((metric := metric_of(rule)) and metric.code == ACTIVE)]


def _deep(rule: Rule) -> bool:
    return rule.params.get("metric") == DEPTH


def baseless(histories: Iterable[History], rules: Mapping[str, Rule] = DEFAULT) -> Iterator[tuple[str, str]]:
    """Give (rule family, wave) of what cannot be judged, because week 1 is unknown."""
    families = {rule.family for rule in drops(rules)}
    for history in histories:
        if BASE in history.unknown:
            yield from ((family, history.watched.wave.id) for family in sorted(families))


def doubtful_weeks(weeks: Sequence[Week], rules: Mapping[str, Rule] = DEFAULT) -> list[int]:
    """Return the weeks whose people must be looked at: those with a drop."""
    listed = [(rule, Guard.of(rule)) for rule in drops(rules)]
    return [week.number for week in weeks[1:] if any(_dropped(*each, weeks[0], week) for each in listed)]


def _dropped(rule: Rule, guard: Guard, base: Week, week: Week) -> bool:
    return guard.dropped(_share(rule, base), _share(rule, week))


def _share(rule: Rule, week: Week) -> Share:
    return week.depth if _deep(rule) else week.share


def judge_change(
    history: History, calendar: Calendar, now: datetime, rules: Mapping[str, Rule] = DEFAULT
) -> Iterator[Finding]:
    """Find the group's episodes of lasting or sudden loss against week 1, in order; none against an unknown one."""
    if BASE in history.unknown:
        return
    for rule in drops(rules):
        if history.watched.subject.kind in rule.subjects:
            for number, course in enumerate(_walk(history, rule, calendar).courses, start=1):
                yield _finding(rule, history, course, number, calendar, now)


def _walk(history: History, rule: Rule, calendar: Calendar) -> Walked:
    guard = Guard.of(rule)
    return walk(guard, _steps(history, rule, guard, calendar))


def _steps(history: History, rule: Rule, guard: Guard, calendar: Calendar) -> Iterator[Step]:
    go_live = history.watched.wave.go_live
    for base, week in ((history.weeks[0], week) for week in history.weeks[1:]):
        reason = "source_silent" if {week.number, BASE} & history.unknown else None
        if not reason and _dropped(rule, guard, base, week):
            reason = _too_short(rule, calendar, _days(go_live, base), _days(go_live, week))
        people = _people(rule, history.people.get(week.number))
        yield Step(week.number, _share(rule, base), _share(rule, week), base.active, people, reason)


def _too_short(rule: Rule, calendar: Calendar, base: Sequence[date], week: Sequence[date]) -> str | None:
    """Return why holidays may explain the drop: nearly nobody was expected, or there were fewer days to do as much."""
    if calendar.is_closed(week):
        return "no_expected_people"
    fewer = sum(map(calendar.is_open, week)) < sum(map(calendar.is_open, base))
    return "short_week" if _deep(rule) and fewer else None


def _days(go_live: date, week: Week) -> list[date]:
    return [last_day(go_live, week.number) - n * DAY for n in range(WEEK)]


def _people(rule: Rule, people: SamePeople | None) -> SamePeople | None:
    return people.by_depth if people is not None and _deep(rule) else people


def evaluations(history: History, calendar: Calendar, rules: Mapping[str, Rule] = DEFAULT) -> Iterator[Evaluation]:
    """Tell of each week what was made of it."""
    subject, wave = history.watched
    for rule in drops(rules):
        if subject.kind not in rule.subjects:
            continue
        for seen in _walk(history, rule, calendar).seen:
            yield _evaluation(rule, subject, wave, seen)


def _evaluation(rule: Rule, subject: Subject, wave: Wave, seen: Seen) -> Evaluation:
    step = seen.step
    until = last_day(wave.go_live, step.number)
    people = step.people
    start = None if seen.opened is None else last_day(wave.go_live, seen.opened)
    return Evaluation(
        rule=rule.id,
        version=rule.version,
        subject=subject,
        window_from=until - timedelta(days=WEEK - 1),
        window_to=until,
        outcome=seen.outcome,
        reason=seen.reason,
        num=step.now.num,
        den=step.now.den,
        baseline={"num": step.base.num, "den": step.base.den, "week": BASE},
        p=None if people is None else p_value(people.lost, people.gained),
        fingerprint=None if start is None else fingerprint(rule.family, wave.id, subject, start),
    )


def _finding(rule: Rule, history: History, course: Course, number: int, calendar: Calendar, now: datetime) -> Finding:
    subject, wave = history.watched
    base, week = history.weeks[0], history.weeks[course.shown - 1]
    shown, before = _share(rule, week), _share(rule, base)
    people = _people(rule, history.people.get(week.number)) or SamePeople(0, 0, 0, 0, 0)
    until = last_day(wave.go_live, week.number)
    opened = last_day(wave.go_live, course.opened)
    closed_at, resolution = _end(wave.go_live, course, calendar, now)
    told = Told(
        window={"from": until - timedelta(days=WEEK - 1), "to": until, "week": week.number},
        evidence={
            **_evidence(rule, before, shown, week.number, people),
            "opened_in": course.opened,
            "confirmed_in": course.confirmed,
        },
        names={
            "group": wave.name if subject.kind == "tenant" else subject.key,
            "wave": wave.name,
            "num": shown.num,
            "den": shown.den,
            "value": percent(*shown),
            "week": week.number,
            "base_num": before.num,
            "base_den": before.den,
            "base_value": percent(*before),
        },
        tier=Tier.SUSPECTED if course.confirmed is None else Tier.CONFIRMED,
        audience=_audience(rule, subject, wave, base, week),
    )
    raised_at = None if course.raised is None else judged_at(wave.go_live, course.raised, calendar)
    opened_at = judged_at(wave.go_live, course.opened, calendar)
    episode = Episode(opened, opened_at, closed_at, resolution, number, raised_at)
    return finding(rule, subject, wave.id, episode, told)


def _end(go_live: date, course: Course, calendar: Calendar, now: datetime) -> tuple[datetime | None, Resolution | None]:
    """Return the end: recovered, or one week after the last judged week, so that what week 13 shows is still told."""
    if course.closed is not None:
        return judged_at(go_live, course.closed, calendar), course.resolution
    phase_ends_at = judged_at(go_live, LAST_WEEK + 1, calendar)
    return (phase_ends_at, Resolution.PHASE_ENDED) if phase_ends_at <= now else (None, None)


def _evidence(rule: Rule, base: Share, now: Share, week: int, people: SamePeople) -> dict[str, object]:
    value, before = Fraction(*now), Fraction(*base)
    return {
        "num": now.num,
        "den": now.den,
        "value": value,
        "threshold": before * Fraction(100 - Guard.of(rule).relative, 100),
        "baseline": {"num": base.num, "den": base.den, "value": before, "week": 1},
        "change": value / before - 1,
        "week": week,
        "lost": people.lost,
        "gained": people.gained,
        "net_loss": people.net_loss,
        "p": p_value(people.lost, people.gained),
        "people": people.stayed,
        "joiners": people.joiners,
        "leavers": people.leavers,
        **({} if _deep(rule) else {"composition": people.composition(base, now)}),
    }


def _audience(rule: Rule, subject: Subject, wave: Wave, base: Week, week: Week) -> list[Recipient]:
    """Add the sponsor when the whole tenant is meant or a quarter of the rate is gone."""
    heard = audience(rule)
    if subject.kind == "tenant" or week.active * base.licensed * 4 <= 3 * base.active * week.licensed:
        heard.append(Recipient("sponsor", wave.sponsor))
    return heard
