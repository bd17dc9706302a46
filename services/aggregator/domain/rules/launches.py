"""What was made of each checkpoint of a launch, and of each person who came late or never."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from services.aggregator.domain.calendar import Calendar
from services.aggregator.domain.findings import Evaluation, Finding, Outcome, Subject
from services.aggregator.domain.rules.access import Ask, asks, checkpoints, end_of
from services.aggregator.domain.waves import Rollout
from services.rules.pack import DEFAULT
from services.rules.shape import Rule


def evaluations(
    rollout: Rollout,
    calendar: Calendar,
    now: datetime,
    found: Mapping[tuple[str, Subject], Finding],
    rules: Mapping[str, Rule] = DEFAULT,
) -> Iterator[Evaluation]:
    """Tell of each checkpoint of the wave that has come what was made of it; of people those who came late or never.

    ``found``: what was found, by family and subject.
    """
    wave, size = rollout.wave, rollout.size
    subject = Subject("wave", wave.id)
    for each in checkpoints(rules):
        day = calendar.day_n(wave.go_live, each.n)
        if calendar.end_of(day) > now:
            continue
        known = rollout.known.at(calendar.end_of(day))
        reason = None if known and size >= each.min_cohort else "insufficient_sample" if known else "source_silent"
        opened = found.get((each.rule.family, subject))
        outcome = Outcome.NOT_JUDGED if reason else Outcome.OPEN if opened else Outcome.CLEAR
        yield Evaluation(
            rule=each.rule.id,
            version=each.rule.version,
            subject=subject,
            window_from=wave.go_live,
            window_to=day,
            outcome=outcome,
            reason=reason,
            num=rollout.connected_by(day) if known else None,
            den=size,
            fingerprint=opened.fingerprint if opened else None,
        )
    for family in asks(rules):
        for ask in family:
            if ask.due(wave, calendar).at <= now:
                yield from _of_people(rollout, calendar, now, ask, found)


def _of_people(
    rollout: Rollout, calendar: Calendar, now: datetime, ask: Ask, found: Mapping[tuple[str, Subject], Finding]
) -> Iterator[Evaluation]:
    usual = ask.due(rollout.wave, calendar)
    for person in rollout.stragglers:
        due = ask.due_of(person, usual, calendar)
        if due is not None and due.at > now:
            continue
        subject = Subject("user", person.user)
        known = due is not None and rollout.known.at(due.at)
        ended_at, _ = end_of(person, calendar)
        breach = due is not None and (ended_at is None or ended_at > due.at)
        opened = found.get((ask.rule.family, subject)) if known and breach else None
        yield Evaluation(
            rule=ask.rule.id,
            version=ask.rule.version,
            subject=subject,
            window_from=rollout.wave.go_live,
            window_to=usual.day if due is None else due.day,
            outcome=(Outcome.OPEN if breach else Outcome.CLEAR) if known else Outcome.NOT_JUDGED,
            reason=None if known else "source_silent" if due is not None or person.own is None else person.own.reason,
            num=int(not breach) if known else None,
            den=1,
            fingerprint=opened.fingerprint if opened else None,
        )
