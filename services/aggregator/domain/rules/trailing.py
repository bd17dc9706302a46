"""The drop against the weeks before: the same guard as against week 1, once there is no first week worth comparing.

People are compared by what they contribute to weeks. So what the number of a group became adds up exactly: who stopped
and who started, who came and who went, and who only counts in another group now.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from fractions import Fraction
from typing import Final, NamedTuple

from services.aggregator.domain.findings import Evaluation, Finding, Subject, Tier, fingerprint
from services.aggregator.domain.rules.drop import Course, Guard, SamePeople, Share, Step, walk
from services.aggregator.domain.rules.hysteresis import OUT_OF_PHASE
from services.aggregator.domain.rules.series import Group, Time, Told
from services.aggregator.domain.rules.telling import Episode, audience, finding, metric_of, percent
from services.aggregator.domain.rules.telling import Told as Tale
from services.aggregator.domain.rules.windows import Judged, wave_of
from services.metrics.catalogue import Metric
from services.metrics.compare import People
from services.metrics.mcnemar import p_value
from services.rules.shape import Rule

BY_PERSON: Final = frozenset({"M11", "M12", "M15", "M23"})
"""Counted once by person and week."""


class Pair(NamedTuple):
    """Two weeks of a group whose people are to be compared, by the code that counts them."""

    subject: Subject
    code: str
    base: date
    week: date


class _Week(NamedTuple):
    """A week with the base that it is held against; ``reason``: why it is not judged."""

    place: int
    now: Told
    base: tuple[int, Told] | None
    reason: str | None


def trailing(rule: Rule) -> Metric | None:
    """Return the metric that a rule compares with the weeks before; None: it is none of these rules."""
    metric = metric_of(rule)
    of_weeks = rule.predicate == "drop" and rule.params.get("baseline") == "trailing4"
    return metric if of_weeks and metric is not None and metric.code in BY_PERSON else None


def doubtful(rule: Rule, group: Group, time: Time) -> Iterator[Pair]:
    """Yield the weeks whose people must be looked at: those with a drop."""
    metric, guard = trailing(rule), Guard.of(rule)
    if metric is None:
        return
    for week in _weeks(rule, metric, group, time):
        if week.reason is None and week.base is not None and guard.dropped(_share(week.base[1]), _share(week.now)):
            yield _pair(metric, group, time, week)


def _pair(metric: Metric, group: Group, time: Time, week: _Week) -> Pair:
    base = time.weeks[week.base[0]] if week.base is not None else time.weeks[week.place]
    return Pair(group.subject, metric.code, base, time.weeks[week.place])


def _weeks(rule: Rule, metric: Metric, group: Group, time: Time) -> Iterator[_Week]:
    for place in range(len(time.weeks)):
        if rule.phases and group.phases[place] not in rule.phases:
            yield _Week(place, Told(), None, OUT_OF_PHASE)
            continue
        now = group.told(metric, time, place)
        base = group.base(metric, time, place) if now.reason is None else None
        yield _Week(place, now, base, now.reason or (None if base else "missing_baseline"))


def _share(told: Told) -> Share:
    return Share(told.num, told.den)


def judge_trailing(
    rule: Rule, group: Group, time: Time, people: Mapping[Pair, People], told_from: date = date.min
) -> Judged:
    """Find the group's episodes of loss against the weeks before; ``people``: of the doubtful weeks."""
    metric = trailing(rule)
    if metric is None:
        return Judged()
    weeks = list(_weeks(rule, metric, group, time))
    steps = [_step(metric, group, time, week, people) for week in weeks]
    walked = walk(Guard.of(rule), steps)
    findings = [
        _finding(rule, group, time, weeks, steps, course, count) for count, course in enumerate(walked.courses, start=1)
    ]
    told = []
    for seen in walked.seen:
        place = seen.step.number
        if time.last_day(place) < told_from:
            continue
        start = None if seen.opened is None else time.last_day(seen.opened)
        held = seen.step.people
        told.append(
            Evaluation(
                rule=rule.id,
                version=rule.version,
                subject=group.subject,
                window_from=time.weeks[place],
                window_to=time.last_day(place),
                outcome=seen.outcome,
                reason=seen.reason,
                num=None if seen.step.reason else seen.step.now.num,
                den=None if seen.step.reason else seen.step.now.den,
                baseline=_baseline(time, weeks[place]),
                p=None if held is None else p_value(held.lost, held.gained),
                fingerprint=None
                if start is None
                else fingerprint(rule.family, wave_of(rule, group), group.subject, start),
            )
        )
    return Judged(findings, told)


def _step(metric: Metric, group: Group, time: Time, week: _Week, people: Mapping[Pair, People]) -> Step:
    if week.reason is not None or week.base is None:
        return Step(week.place, Share(0, 0), Share(0, 0), 0, None, week.reason)
    base, now = _share(week.base[1]), _share(week.now)
    found = people.get(_pair(metric, group, time, week))
    return Step(week.place, base, now, base.num, None if found is None else same(found))


def same(people: People) -> SamePeople:
    """Return the people behind two weeks as the guard asks for them."""
    return SamePeople(
        people.kept + people.lost + people.gained + people.idle,
        people.lost,
        people.gained,
        people.joiners.people + people.moved_in.people,
        people.leavers.people + people.moved_out.people,
        people.joiners.hits + people.moved_in.hits,
        people.leavers.hits + people.moved_out.hits,
        people.moved_in.people,
        people.moved_out.people,
    )


def _baseline(time: Time, week: _Week) -> dict[str, object] | None:
    if week.base is None:
        return None
    at, told = week.base
    return {"num": told.num, "den": told.den, "value": told.share, "week": time.weeks[at]}


def _finding(
    rule: Rule,
    group: Group,
    time: Time,
    weeks: list[_Week],
    steps: list[Step],
    course: Course,
    count: int,
) -> Finding:
    shown, step = weeks[course.shown], steps[course.shown]
    people = step.people or SamePeople(0, 0, 0, 0, 0)
    now, base = Fraction(*step.now), Fraction(*step.base)
    tale = Tale(
        window={"from": time.weeks[shown.place], "to": time.last_day(shown.place)},
        evidence={
            "num": step.now.num,
            "den": step.now.den,
            "value": now,
            "threshold": base * Fraction(100 - Guard.of(rule).relative, 100),
            "baseline": _baseline(time, shown),
            "change": now / base - 1,
            "lost": people.lost,
            "gained": people.gained,
            "net_loss": people.net_loss,
            "p": p_value(people.lost, people.gained),
            "people": people.stayed,
            "joiners": people.joiners,
            "leavers": people.leavers,
            "composition": people.composition(step.base, step.now),
            "opened_in": time.last_day(course.opened),
            "confirmed_in": None if course.confirmed is None else time.last_day(course.confirmed),
        },
        names={
            "group": group.name,
            "num": step.now.num,
            "den": step.now.den,
            "value": percent(*step.now),
            "week": time.weeks[shown.place],
            "base_num": step.base.num,
            "base_den": step.base.den,
            "base_value": percent(*step.base),
        },
        tier=Tier.SUSPECTED if course.confirmed is None else Tier.CONFIRMED,
        audience=audience(rule, sponsor=group.wave.sponsor if group.wave else None),
    )
    closed = None if course.closed is None else time.judged[course.closed]
    raised = None if course.raised is None else time.judged[course.raised]
    opened_at = time.judged[course.opened]
    episode = Episode(time.last_day(course.opened), opened_at, closed, course.resolution, count, raised)
    return finding(rule, group.subject, wave_of(rule, group), episode, tale)
