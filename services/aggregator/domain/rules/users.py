"""Rules on single persons after the launch: who joined and did not come, came once, or came regularly and stopped.

Only expected days count: no weekend, no holiday, no leave, and no day on which a source was silent. A day is judged two
hours after its end. Who leaves, or whose licence ends, is asked for nothing any more.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Final, NamedTuple

from services.aggregator.domain.calendar import DAY, Calendar
from services.aggregator.domain.findings import Evaluation, Finding, Outcome, Resolution, Severity, Subject
from services.aggregator.domain.logins import ALL, Known
from services.aggregator.domain.rules.change import EVALUATION_DELAY
from services.aggregator.domain.rules.telling import Episode, Told, audience, finding, number
from services.aggregator.domain.rules.windows import Judged
from services.aggregator.domain.silence import Silence
from services.metrics.calendar import counted_day_after, spell_on
from services.metrics.levels import phase_of, phase_since
from services.metrics.presence import ON_LEAVE, day_of, day_zero, is_initial, wave_of
from services.metrics.shape import Person, Policy, week_of
from services.rules.shape import Rule

LONGEST: Final = 366
"""Further than so many days nobody's expected days are counted."""
HABIT: Final = timedelta(days=56)
"""What is usual of a person is what they did in so many days before."""


@dataclass(frozen=True, slots=True)
class Life:
    """A person with the days they were active on, those they logged in on, and the weeks they met their cadence in."""

    person: Person
    days: Sequence[date]
    logins: Sequence[date] = ()
    met: Collection[date] = ()


@dataclass(frozen=True, slots=True)
class Clock:
    """How a tenant counts and what time it is. ``since``: the first day that something is known of.

    ``known``: how far it is known who logged in.
    """

    calendar: Calendar
    policy: Policy
    now: datetime
    since: date
    silences: Sequence[Silence] = ()
    known: Known = ALL

    def deaf(self, first: date, last: date) -> bool:
        """Tell whether a source was silent on one of the days."""
        if not self.silences:
            return False
        start, end = self.calendar.start_of(first), self.calendar.end_of(last)
        return any(each.touches(start, end) for each in self.silences)

    def judged_at(self, day: date) -> datetime:
        """Return from when on ``day`` is judged."""
        return self.calendar.end_of(day) + EVALUATION_DELAY

    def over(self, day: date) -> bool:
        """Tell whether ``day`` is judged."""
        return self.judged_at(day) <= self.now


class Absence(NamedTuple):
    """A stretch of absence: since the last day, noticed on the day ``noticed``, until the person was there again."""

    last: date
    noticed: date
    back: date | None


def judge_user(rules: Sequence[Rule], life: Life, clock: Clock) -> Judged:
    """Return every episode of a person under ``rules``, and what was said of them."""
    zero = day_zero(life.person, clock.policy)
    findings: list[Finding] = []
    said: list[Evaluation] = []
    if zero is None:
        return Judged()
    for rule in rules:
        if rule.predicate in PREDICATES:
            for found, told in PREDICATES[rule.predicate](rule, life, clock, zero):
                findings += [found] if found is not None else []
                said.append(told)
    return Judged(findings, said)


_Said = Iterator[tuple[Finding | None, Evaluation]]


def _joiner(rule: Rule, life: Life, clock: Clock, zero: date) -> _Said:
    """Ask who is not of the initial cohort to be there by the end of their own D+n."""
    person, policy = life.person, clock.policy
    if zero < clock.since or is_initial(person, policy, zero):
        return
    by = counted_day_after(person, policy, zero, number(rule, "by"))
    if by is None or clock.calendar.end_of(by) > clock.now:
        return
    came = life.logins if policy.by_login else life.days
    first = next((day for day in came if day >= zero), None)
    if first is not None and first <= by:
        yield None, _evaluation(rule, life, zero, by, Outcome.CLEAR)
        return
    if clock.deaf(zero, by) or (policy.by_login and not clock.known.at(clock.calendar.end_of(by))):
        yield None, _evaluation(rule, life, zero, by, Outcome.NOT_JUDGED, "source_silent")
        return
    if (reason := day_of(person, policy, by, zero).reason) is not None:
        yield None, _evaluation(rule, life, zero, by, Outcome.NOT_JUDGED, reason)
        return
    if rule.phases and phase_on(person, policy, by) not in rule.phases:
        yield None, _evaluation(rule, life, zero, by, Outcome.NOT_JUDGED, "phase")
        return
    absence = Absence(zero, by, first)
    found = _finding(rule, life, clock, zero, absence, clock.calendar.end_of(by), {"day_zero": zero})
    yield found, _evaluation(rule, life, zero, by, Outcome.OPEN, fingerprint=found.fingerprint)


def _one_and_done(rule: Rule, life: Life, clock: Clock, zero: date) -> _Said:
    """Ask who was active on one day for a second within so many expected days."""
    days = [day for day in life.days if day >= zero]
    if not days:
        return
    noticed = expected_after(life, clock, zero, days[0], number(rule, "after"))
    second = days[1] if len(days) > 1 else None
    if noticed is None or (second is not None and second <= noticed):
        return
    absence = Absence(days[0], noticed, second)
    evidence = {"first_day": days[0], "days_since": number(rule, "after")}
    found = _finding(rule, life, clock, zero, absence, clock.judged_at(noticed), evidence)
    yield found, _evaluation(rule, life, days[0], noticed, Outcome.OPEN, fingerprint=found.fingerprint)


def _lapsed(rule: Rule, life: Life, clock: Clock, zero: date) -> _Said:
    """Ask who used to come regularly, and is away for much longer than usual."""
    days = [day for day in life.days if day >= zero]
    least = timedelta(days=number(rule, "after"))
    over: date | None = days[0] if days else None
    for place, last in enumerate(days):
        if over is None or last < over:
            continue
        back = days[place + 1] if place + 1 < len(days) else None
        if (back is not None and back - last <= least) or not _regular(rule, life, clock, last):
            continue
        usual = usual_gap(life, clock, zero, days[: place + 1])
        patience = max(number(rule, "after"), -(-number(rule, "gaps") * usual.numerator // usual.denominator))
        noticed = expected_after(life, clock, zero, last, patience)
        if noticed is None or (back is not None and back <= noticed):
            continue
        phase = phase_on(life.person, clock.policy, noticed)
        if rule.phases and phase not in rule.phases:
            yield None, _evaluation(rule, life, last, noticed, Outcome.NOT_JUDGED, "phase")
            continue
        over = again = days[place + 2] if place + 2 < len(days) else None
        evidence = {"last_seen": last, "days_since": patience, "usual_gap": usual, "phase": phase}
        absence = Absence(last, noticed, again)
        found = _finding(rule, life, clock, zero, absence, clock.judged_at(noticed), evidence, phase)
        yield found, _evaluation(rule, life, last, noticed, Outcome.OPEN, fingerprint=found.fingerprint)


PREDICATES: Final[Mapping[str, Callable[[Rule, Life, Clock, date], _Said]]] = {
    "joiner": _joiner,
    "one_and_done": _one_and_done,
    "lapsed": _lapsed,
}
"""By the names of predicates."""


def _regular(rule: Rule, life: Life, clock: Clock, last: date) -> bool:
    """Tell whether the person met their cadence in most of the weeks up to ``last``."""
    week = week_of(last, clock.policy.first_day_of_week)
    weeks = [week - timedelta(weeks=back) for back in range(number(rule, "weeks"))]
    return sum(each in life.met for each in weeks) >= number(rule, "cadence")


def expected(life: Life, clock: Clock, zero: date, day: date) -> bool:
    """Tell whether something is expected of a person on ``day``, and would have been heard of."""
    return day_of(life.person, clock.policy, day, zero).eligible and not clock.deaf(day, day)


def expected_after(life: Life, clock: Clock, zero: date, day: date, count: int) -> date | None:
    """Return the ``count``-th expected day after ``day``; None: it is not over yet."""
    for _ in range(LONGEST):
        day += DAY
        if not clock.over(day):
            return None
        count -= expected(life, clock, zero, day)
        if count <= 0:
            return day
    return None


def usual_gap(life: Life, clock: Clock, zero: date, days: Sequence[date]) -> Fraction:
    """Return the median of how many expected days lay between two days on which the person came, of late."""
    recent = [day for day in days if day >= days[-1] - HABIT]
    gaps = sorted(
        sum(expected(life, clock, zero, one + n * DAY) for n in range(1, (other - one).days + 1))
        for one, other in pairwise(recent)
    )
    if not gaps:
        return Fraction(1)
    middle = len(gaps) // 2
    return Fraction(gaps[middle]) if len(gaps) % 2 else Fraction(gaps[middle - 1] + gaps[middle], 2)


def phase_on(person: Person, policy: Policy, day: date) -> str:
    """Return the phase of the person's own wave."""
    wave = wave_of(person) if policy.waves else None
    return phase_of(day, None, None) if wave is None else phase_since(wave.go_live, policy, day)


def left(life: Life, clock: Clock, zero: date, absence: Absence) -> date | None:
    """Return the first day from which on nothing is expected any more, leave aside, before the person came again."""
    first = absence.noticed + DAY
    for day in sorted({first, *_turns(life.person, first, first + LONGEST * DAY)}):
        if clock.calendar.start_of(day) > clock.now or (absence.back is not None and day >= absence.back):
            return None
        if day_of(life.person, clock.policy, day, zero).reason not in {None, ON_LEAVE}:
            return day
    return None


def _turns(person: Person, first: date, end: date) -> Iterator[date]:
    """Yield the days from ``first`` until before ``end`` on which something else begins to hold of the person."""
    spans = (*person.licences, *person.absences, person.active, *(spell.interval for spell in person.spells))
    return (day for span in spans for day in span if day is not None and first <= day < end)


def _finding(  # one person's episode has many sides
    rule: Rule,
    life: Life,
    clock: Clock,
    zero: date,
    absence: Absence,
    opened_at: datetime,
    evidence: Mapping[str, object],
    phase: str | None = None,
) -> Finding:
    person = life.person
    spell = spell_on(person, absence.noticed)
    gone = left(life, clock, zero, absence)
    ends = [(day, why) for day, why in ((absence.back, Resolution.CONNECTED), (gone, Resolution.LICENCE_ENDED)) if day]
    ended, why = min(ends, default=(None, None))
    closed_at = None if ended is None else clock.calendar.start_of(ended)
    if closed_at is not None and closed_at > clock.now:
        closed_at = why = None
    louder = rule.louder.get(phase) if phase is not None else None
    wave = wave_of(person) if clock.policy.waves and rule.phases else None
    told = Told(
        window={"from": absence.last, "to": absence.noticed},
        evidence={
            "num": 0,
            "den": 1,
            "value": Fraction(0),
            "threshold": Fraction(1),
            **evidence,
            "team": spell.team if spell else None,
        },
        severity=None if louder is None else Severity(louder),
        audience=audience(rule, manager=spell.manager if spell else None),
    )
    episode = Episode(absence.last, opened_at, closed_at, why)
    return finding(rule, Subject("user", person.user), wave.wave if wave else None, episode, told)


def _evaluation(  # as many columns as a line has
    rule: Rule,
    life: Life,
    first: date,
    last: date,
    outcome: Outcome,
    reason: str | None = None,
    *,
    fingerprint: str | None = None,
) -> Evaluation:
    known = outcome is not Outcome.NOT_JUDGED
    return Evaluation(
        rule=rule.id,
        version=rule.version,
        subject=Subject("user", life.person.user),
        window_from=first,
        window_to=last,
        outcome=outcome,
        reason=reason,
        num=int(outcome is Outcome.CLEAR) if known else None,
        den=1 if known else None,
        fingerprint=fingerprint,
    )
