"""Rules of operations: whether what the other rules rest on can be trusted.

A signal is there or it is not. Where the tables keep how it came and went, whole episodes are found. Where they only
hold how it is now, an episode lasts from when the signal was first seen until it is gone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Final, NamedTuple

from services.aggregator.domain.calendar import Calendar
from services.aggregator.domain.findings import Finding, Resolution, Subject
from services.aggregator.domain.rules.change import EVALUATION_DELAY
from services.aggregator.domain.rules.coverage import Coverage, Sponsored, gaps, shortage, unsponsored
from services.aggregator.domain.rules.restatements import Restated, restatements
from services.aggregator.domain.rules.telling import Episode, Told, audience, finding, number
from services.aggregator.domain.rules.tireless import QUIET_DAYS, Busy, runs, severity
from services.rules.shape import Rule

TENANT: Final = Subject("tenant", "all")
NOW_ONLY: Final = frozenset({"watermark", "directory", "unmapped", "deliveries", "champions", "sponsors"})
"""The signals of which only the present is known."""
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)


class Failing(NamedTuple):
    """A subscription that nothing reaches."""

    subscription: str
    since: datetime
    attempts: int
    error: str | None


class Hour(NamedTuple):
    """What was rejected in an hour, beside what was taken."""

    start: datetime
    rejected: int
    taken: int


@dataclass(frozen=True, slots=True)
class Signals:
    """What the tables hold. ``counted``: up to when the log is counted; ``people``: of them ``unled`` have no manager.

    None, or nothing: it is not looked at this time. ``real_now``: what the wall clock shows, where ``now`` is another;
    ``kept_from``: from when on every event is kept, None: all ever were.
    """

    counted: datetime | None = None
    people: int | None = None
    unled: int = 0
    events: int | None = None
    unmapped: int = 0
    failing: Sequence[Failing] | None = None
    real_now: datetime | None = None
    coverage: Coverage | None = None
    waves: Sequence[Sponsored] | None = None
    hours: Sequence[Hour] = ()
    busy: Sequence[Busy] = ()
    restated: Sequence[Restated] = ()
    kept_from: datetime | None = None
    standing: Sequence[Finding] = field(default=())


def judge_operations(
    rules: Iterable[Rule], signals: Signals, calendar: Calendar, now: datetime
) -> tuple[list[Finding], set[str]]:
    """Return the episodes, and the families of which older ones are not found again."""
    findings: list[Finding] = []
    kept: set[str] = set()
    for rule in rules:
        signal = str(rule.params.get("signal", rule.predicate))
        found = list(_of(rule, signal, signals, calendar, now))
        if signal in NOW_ONLY or signal == "rejects":
            kept.add(rule.family)
        if signal in NOW_ONLY:
            found = list(_lasting(rule, found, signals.standing, now)) if _looked(signal, signals) else []
        findings += found
    return findings, kept


def _looked(signal: str, signals: Signals) -> bool:
    facts = {
        "watermark": signals.counted,
        "directory": signals.people,
        "unmapped": signals.events,
        "deliveries": signals.failing,
        "champions": signals.coverage,
        "sponsors": signals.waves,
    }
    return facts[signal] is not None


def _of(rule: Rule, signal: str, signals: Signals, calendar: Calendar, now: datetime) -> Iterator[Finding]:
    match signal:
        case "watermark":
            yield from _watermark(rule, signals, calendar, now)
        case "directory":
            yield from _share(rule, gaps(signals.unled, signals.people), signals.people or 0, calendar, now)
        case "unmapped":
            yield from _share(rule, signals.unmapped, signals.events or 0, calendar, now)
        case "deliveries":
            yield from _deliveries(rule, signals, calendar, now)
        case "champions":
            yield from _lacking(rule, shortage(rule, signals.coverage), calendar, now)
        case "sponsors":
            yield from _lacking(rule, unsponsored(rule, signals.waves), calendar, now)
        case "rejects":
            yield from _rejects(rule, signals.hours, calendar, now)
        case "automation":
            yield from _automation(rule, signals, calendar, now)
        case "restatement":
            yield from restatements(rule, signals.restated, calendar, now)


def _lasting(rule: Rule, found: Sequence[Finding], standing: Iterable[Finding], now: datetime) -> Iterator[Finding]:
    """Let what stands go on while its signal is there, from when it was first seen, and end when it is gone."""
    open_now = {(each.subject, _key(each.mark)): each for each in standing if each.rule == rule.id}
    for each in found:
        was = open_now.pop((each.subject, _key(each.mark)), None)
        yield each if was is None else _since(each, was)
    for was in open_now.values():
        yield _closed(rule, was, now)


def _key(mark: str | None) -> str:
    return (mark or "").partition("@")[0]


def _since(each: Finding, was: Finding) -> Finding:
    return replace(each, start=was.start, opened_at=was.opened_at, window=was.window, mark=was.mark)


def _closed(rule: Rule, was: Finding, now: datetime) -> Finding:
    return replace(was, closed_at=now, resolution=Resolution.RECOVERED, audience=tuple(audience(rule)))


def _watermark(rule: Rule, signals: Signals, calendar: Calendar, now: datetime) -> Iterator[Finding]:
    if signals.counted is None:
        return
    limit = timedelta(hours=number(rule, "hours"))
    if now - signals.counted >= limit:
        waits = Fraction(int((now - signals.counted).total_seconds()), 3600)
        evidence = {"value": waits, "threshold": number(rule, "hours"), "since": signals.counted.isoformat()}
        yield _signal(rule, calendar, signals.counted + limit, evidence, mark=f"@{signals.counted.isoformat()}")


def _share(rule: Rule, num: int, den: int, calendar: Calendar, now: datetime) -> Iterator[Finding]:
    """Find more than so many of a hundred, and at least so many."""
    share = number(rule, "share")
    if den < rule.minimum or num < number(rule, "count", 1) or 100 * num <= share * den:
        return
    evidence = {"num": num, "den": den, "value": Fraction(num, den), "threshold": Fraction(share, 100)}
    yield _signal(rule, calendar, now, evidence, mark=f"@{now.isoformat()}")


def _lacking(rule: Rule, evidence: Mapping[str, object] | None, calendar: Calendar, now: datetime) -> Iterator[Finding]:
    if evidence is not None:
        yield _signal(rule, calendar, now, evidence, mark=f"@{now.isoformat()}")


def _deliveries(rule: Rule, signals: Signals, calendar: Calendar, now: datetime) -> Iterator[Finding]:
    """Find what nothing has reached for so long. Receivers live on the wall clock; it is told by the tenant's."""
    limit, real_now = timedelta(hours=number(rule, "hours")), signals.real_now or now
    for each in signals.failing or ():
        if real_now - each.since >= limit:
            evidence = {
                "subscription": each.subscription,
                "since": each.since.isoformat(),
                "attempts": each.attempts,
                "error": each.error,
            }
            mark = f"{each.subscription}@{each.since.isoformat()}"
            yield _signal(rule, calendar, min(each.since + limit, now), evidence, mark=mark)


def _rejects(rule: Rule, hours: Iterable[Hour], calendar: Calendar, now: datetime) -> Iterator[Finding]:
    """Find hours with many rejected deliveries; those that follow each other are one episode."""
    share, least = number(rule, "share"), number(rule, "count")
    bad = sorted(
        each for each in hours if each.rejected >= least and 100 * each.rejected > share * (each.rejected + each.taken)
    )
    runs: list[list[Hour]] = []
    for each in bad:
        if runs and each.start - runs[-1][-1].start <= 2 * _HOUR:
            runs[-1].append(each)
        else:
            runs.append([each])
    for run in runs:
        num, taken = sum(each.rejected for each in run), sum(each.taken for each in run)
        evidence = {
            "num": num,
            "den": num + taken,
            "value": Fraction(num, num + taken),
            "threshold": Fraction(share, 100),
        }
        ended = run[-1].start + 3 * _HOUR
        start = run[0].start
        yield _signal(rule, calendar, start, evidence, ended=ended if ended <= now else None, mark=start.isoformat())


def _automation(rule: Rule, signals: Signals, calendar: Calendar, now: datetime) -> Iterator[Finding]:
    """Find accounts that work as no person can; quiet days end it.

    What stands from days whose events are kept no more cannot be found again: it stays, and what goes on is part of it.
    If nothing does, it has ended when the first days that are known were quiet.
    """
    standing = [_quieted(each, signals.kept_from, calendar, now) for each in signals.standing if each.rule == rule.id]
    latest = {each.subject: each for each in standing}
    told: set[str] = set()
    for run in runs(rule, signals.busy):
        opened = calendar.end_of(run.first) + EVALUATION_DELAY
        ended = calendar.end_of(run.last + QUIET_DAYS * _DAY) + EVALUATION_DELAY
        if opened > now:
            continue
        evidence = {"active_hours": run.worst.hours, "writes": run.worst.writes, "day": run.worst.day}
        each = _signal(rule, calendar, opened, evidence, ended if ended <= now else None, Subject("user", run.user))
        was = latest.get(each.subject)
        if was is not None and (
            was.closed_at is None or calendar.start_of(run.first) + EVALUATION_DELAY < was.closed_at
        ):
            each = replace(_since(each, was), evidence=max(was.evidence, evidence, key=severity))
        told.add(each.fingerprint)
        yield each
    yield from (each for each in standing if each.fingerprint not in told)


def _quieted(was: Finding, kept_from: datetime | None, calendar: Calendar, now: datetime) -> Finding:
    if was.closed_at is not None or kept_from is None:
        return was
    ended = calendar.end_of(calendar.day_of(kept_from) + QUIET_DAYS * _DAY) + EVALUATION_DELAY
    return replace(was, closed_at=ended, resolution=Resolution.RECOVERED) if ended <= now else was


def _signal(
    rule: Rule,
    calendar: Calendar,
    opened_at: datetime,
    evidence: Mapping[str, object],
    ended: datetime | None = None,
    subject: Subject = TENANT,
    *,
    mark: str | None = None,
) -> Finding:
    day = calendar.day_of(opened_at)
    told = Told(
        window={"from": day, "to": day},
        evidence=evidence,
        mark=mark,
    )
    episode = Episode(day, opened_at, ended, None if ended is None else Resolution.RECOVERED)
    return finding(rule, subject, None, episode, told)
