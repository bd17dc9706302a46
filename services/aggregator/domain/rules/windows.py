"""From windows and what each shows to findings, and to a line for each that says why it opened one or did not."""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from typing import NamedTuple

from services.aggregator.domain.findings import Evaluation, Finding, Outcome, Subject, fingerprint
from services.aggregator.domain.rules.hysteresis import OUT_OF_PHASE, Course, Seen, Sign, Walked, walk
from services.aggregator.domain.rules.series import IDLE, Group, Time, Told
from services.aggregator.domain.rules.telling import Episode, audience, finding, number, percent
from services.aggregator.domain.rules.telling import Told as Tale
from services.rules.shape import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A window of a group: its days, from when on it is judged, what it holds and what that is held against."""

    first: date
    last: date
    judged_at: datetime
    sign: Sign
    told: Told
    limit: Fraction | None = None
    phase: str = "run"
    baseline: Mapping[str, object] | None = None
    beside: Mapping[str, object] = field(default_factory=dict)


class Judged(NamedTuple):
    """What came of a rule and a subject."""

    findings: Sequence[Finding] = ()
    evaluations: Sequence[Evaluation] = ()
    walked: Walked = Walked([], [])


def window(rule: Rule, group: Group, time: Time, place: int, told: Told, **more: object) -> Window:
    """Return the week at ``place``, with the reason why it is not judged, if there is one."""
    phase = group.phases[place]
    sign = more.pop("sign", Sign())
    if rule.phases and phase not in rule.phases:
        sign = Sign(reason=OUT_OF_PHASE)
    elif told.reason is not None:
        sign = sign_of(told.reason)
    return Window(
        first=time.weeks[place],
        last=time.last_day(place),
        judged_at=time.judged[place],
        told=told,
        phase=phase,
        sign=sign,  # type: ignore[arg-type]
        **more,  # type: ignore[arg-type]
    )


def sign_of(reason: str) -> Sign:
    """Return the sign of a window that is not known."""
    return Sign(reason=reason, idle=reason in IDLE)


def judge_windows(
    rule: Rule,
    group: Group,
    windows: Sequence[Window],
    *,
    opens_after: int | None = None,
    closes_after: int | None = None,
    told_from: date = date.min,
) -> Judged:
    """Walk ``windows``; tell of those that end on ``told_from`` or later, and of every episode."""
    return judge_signs(
        rule,
        group,
        [each.sign for each in windows],
        windows.__getitem__,
        opens_after=opens_after,
        closes_after=closes_after,
        said=range(bisect_left(windows, told_from, key=lambda each: each.last), len(windows)),
    )


def judge_signs(
    rule: Rule,
    group: Group,
    signs: Sequence[Sign],
    window_at: Callable[[int], Window],
    *,
    opens_after: int | None = None,
    closes_after: int | None = None,
    said: range,
) -> Judged:
    """Walk ``signs``; tell of the windows at the places ``said``, and of every episode. Others are never made."""
    opens = number(rule, "windows", 1) if opens_after is None else opens_after
    closes = number(rule, "close_windows", 2) if closes_after is None else closes_after
    walked = walk(signs, opens, closes)
    findings = [_finding(rule, group, window_at, course, count) for count, course in enumerate(walked.courses, start=1)]
    starts = {course.opened: window_at(course.opened).last for course in walked.courses}
    told = [_evaluation(rule, group, window_at(place), walked.seen[place], starts) for place in said]
    return Judged(findings, told, walked)


def wave_of(rule: Rule, group: Group) -> str | None:
    """Return the wave that an episode belongs to: that of the group, for rules that go by its phases."""
    return group.wave.id if rule.phases and group.wave is not None else None


def _finding(rule: Rule, group: Group, window_at: Callable[[int], Window], course: Course, count: int) -> Finding:
    opened, shown = window_at(course.opened), window_at(course.shown)
    closed = None if course.closed is None else window_at(course.closed)
    told = shown.told
    tale = Tale(
        window={"from": shown.first, "to": shown.last},
        evidence={
            "num": told.num,
            "den": told.den,
            "value": told.share if told.den else None,
            "threshold": shown.limit,
            "phase": shown.phase,
            "opened_in": opened.last,
            **({} if shown.baseline is None else {"baseline": shown.baseline}),
            **shown.beside,
        },
        names=names(group, shown),
        audience=audience(rule, sponsor=group.wave.sponsor if group.wave else None),
    )
    episode = Episode(opened.last, opened.judged_at, closed.judged_at if closed else None, course.resolution, count)
    return finding(rule, group.subject, wave_of(rule, group), episode, tale)


def names(group: Group, shown: Window) -> dict[str, object]:
    """Return what a title may name."""
    told, limit = shown.told, shown.limit
    return {
        "group": group.name,
        "wave": group.wave.name if group.wave else group.name,
        "num": told.num,
        "den": told.den,
        "value": percent(told.num, told.den),
        "limit": "-" if limit is None else percent(limit.numerator, limit.denominator),
    }


def _evaluation(rule: Rule, group: Group, it: Window, seen: Seen, starts: Mapping[int, date]) -> Evaluation:
    start = None if seen.opened is None else starts[seen.opened]
    known = it.told.reason in {None, "insufficient_sample"} and seen.reason != OUT_OF_PHASE
    return Evaluation(
        rule=rule.id,
        version=rule.version,
        subject=group.subject,
        window_from=it.first,
        window_to=it.last,
        outcome=seen.outcome,
        reason=seen.reason,
        num=it.told.num if known else None,
        den=it.told.den if known else None,
        baseline=it.baseline,
        fingerprint=None if start is None else fingerprint(rule.family, wave_of(rule, group), group.subject, start),
    )


def inactive(rule: Rule, reason: str, day: date) -> Evaluation:
    """Say of the whole tenant that a rule is not judged, for want of data."""
    return Evaluation(
        rule=rule.id,
        version=rule.version,
        subject=Subject("tenant", "all"),
        window_from=day,
        window_to=day,
        outcome=Outcome.NOT_JUDGED,
        reason=reason,
    )
