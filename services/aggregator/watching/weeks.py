"""Gathers what the rules over weeks rest on, of the scope and of nobody else, and lets them judge it.

What a group is held against that takes all groups to find out (the one in the middle, who lost what another gained) is
found when everything is judged, and remembered with what was said of the tenant. A week is judged when it has ended,
was counted, and nobody who was active until then waits to be measured.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple

from services.aggregator.domain.findings import Evaluation, Finding, Outcome, Subject
from services.aggregator.domain.rules import weekly
from services.aggregator.domain.rules.composites import CADENCE, shifts
from services.aggregator.domain.rules.series import WEEK, Gap, Group, Time, Told, Weekly
from services.aggregator.domain.rules.telling import metric_of
from services.aggregator.domain.rules.trends import Medians, median
from services.aggregator.domain.rules.weekly import Beside
from services.aggregator.domain.scope import TENANT, Scope
from services.aggregator.domain.silence import FILLED_UP
from services.aggregator.domain.waves import Wave
from services.aggregator.gathering import Ground
from services.aggregator.store import judging
from services.aggregator.store import series as store
from services.aggregator.store.series import Known, Numbers
from services.aggregator.watching.shape import Watched, of_waves
from services.metrics.baselines import nth_working_day
from services.metrics.levels import LAUNCH_DAYS, phase_of
from services.metrics.policy import policy_of
from services.metrics.scene import evidence
from services.metrics.windows import EVALUATION_DELAY, end_of, is_final
from services.postgres import Connection
from services.rules.shape import Rule

PART: Final = 500
"""So many groups are looked at together."""
SLACK: Final = timedelta(minutes=10)
"""Numbers that became known so shortly before the last evaluation may not have been in it."""
DIMENSIONS: Final = ("team", "role", "wave")
COMPARED: Final = frozenset({"gap", "busy_stale"})
"""The predicates that hold a group against the one in the middle."""


@dataclass(frozen=True, slots=True)
class _View:
    """A tenant as its weeks are judged. ``wanted``: the codes that the ``rules`` need."""

    ground: Ground
    known: Known
    time: Time
    rules: Sequence[Rule]
    wanted: Sequence[str]
    since: datetime


class _Told(NamedTuple):
    """A group, since when something is to be said of it, and what changed of it when it was final."""

    group: Group
    since: date
    revised: Sequence[tuple[Subject, str, date]]


async def watch(tx: Connection, ground: Ground, known: Known, scope: Scope) -> Watched:
    """Judge the weeks of the groups in ``scope``. Where weeks wait to be counted or final, everything waits on."""
    asked = groups_in(scope)
    if not asked and not scope.everything:
        return Watched()
    seen = seen_until(ground, known)
    time_of, at_last = _time(ground, known, seen), _time(ground, known, ground.now)
    if len(time_of.weeks) < len(at_last.weeks) or time_of.final != at_last.final:
        await judging.queue(tx, ground.tenant, {Subject("all", "")}, ground.since)
    if not time_of.weeks:
        families = {rule.family for rule in weekly.weekly(ground.rules.values())}
        return Watched(unjudged=of_waves(ground, families))
    rules, said = weekly.active(ground.rules.values(), time_of)
    view = _View(ground, known, time_of, rules, _wanted(rules, known.codes), _since(known))
    if scope.everything:
        asked = [TENANT, *await store.groups(tx, ground.tenant, DIMENSIONS)]
    beside = await _beside(tx, view, asked, whole=scope.everything)
    found = Watched((), [*said, *(_middles(view, beside) if scope.everything else ())])
    for start in range(0, len(asked), PART):
        found += await _part(tx, view, asked[start : start + PART], beside)
    left = set() if scope.everything else {rule.family for rule in rules if rule.predicate == "shift"}
    return found + Watched(unjudged=of_waves(ground, left))


def groups_in(scope: Scope) -> list[Subject]:
    """Return the groups that ``scope`` names."""
    return sorted(scope.groups | {Subject("wave", wave) for wave in scope.waves})


def seen_until(ground: Ground, known: Known) -> datetime | None:
    """Return up to when all that happened is counted; None: that is not known.

    On the wall clock nobody waits for longer than the one who waits longest. On the event clock the last pass tells.
    """
    if known.waiting is None:
        return ground.now
    return min(ground.now, known.waiting) if ground.wall else known.as_of


def _time(ground: Ground, known: Known, seen: datetime | None) -> Time:
    """Return the weeks that are judged: from the first on without a hole, until the last that is over and counted."""
    settings = ground.case.settings
    weeks: list[date] = []
    judged: list[datetime] = []
    for week in known.weeks:
        end = end_of(week + WEEK, ground.zones) + EVALUATION_DELAY
        if seen is None or end > seen or (weeks and week != weeks[-1] + WEEK):
            break
        weeks.append(week)
        judged.append(end)
    counted, kinds = evidence(known.codes)
    ended = [end - EVALUATION_DELAY for end in judged]
    return Time(
        weeks=weeks,
        judged=judged,
        begun=[min(datetime.combine(week, time.min, zone).astimezone(UTC) for zone in ground.zones) for week in weeks],
        ended=ended,
        policy=policy_of(settings, waves=bool(ground.waves)),
        min_group=settings["min_group"],
        seen=counted,
        kinds=kinds,
        gaps=[Gap(each.since, each.until) for each in ground.silences if each.state != FILLED_UP],
        final=sum(seen is not None and is_final(end, seen) for end in ended),
    )


def _wanted(rules: Iterable[Rule], codes: Iterable[str]) -> list[str]:
    """Return the codes to read, with their parameters, of those that are counted at all."""
    needed = weekly.codes(rules)
    return [code for code in codes if code.partition(":")[0] in needed]


def _since(known: Known) -> datetime:
    """Return from when on numbers are new."""
    return datetime.min.replace(tzinfo=UTC) if known.evaluated_at is None else known.evaluated_at - SLACK


async def _numbers(tx: Connection, view: _View, asked: Sequence[Subject]) -> dict[Subject, Numbers]:
    return await store.numbers(
        tx,
        view.ground.tenant,
        asked,
        view.wanted,
        first_day_of_week=view.time.policy.first_day_of_week,
        before=view.time.weeks[-1] + WEEK,
        since=view.since,
    )


async def _groups(tx: Connection, view: _View, asked: Sequence[Subject]) -> list[_Told]:
    """Return the groups ``asked`` for, each with the first day of which something is to be said."""
    numbers = await _numbers(tx, view, asked)
    hidden = await store.hidden(tx, view.ground.tenant, asked) if view.time.min_group > 1 else {}
    last = view.time.last_day(len(view.time.weeks) - 1)
    found: list[_Told] = []
    for subject, (cells, changed, revised) in numbers.items():
        group = replace(_group(view, subject, cells), hidden=frozenset(hidden.get(subject, ())))
        first = last if changed is None else min(changed, last)
        found.append(_Told(group, first, [(subject, code, week) for code, week in revised]))
    return found


def _group(view: _View, subject: Subject, cells: Mapping[str, Weekly]) -> Group:
    wave = wave_of(subject, view.ground.waves)
    launched = None if wave is None else nth_working_day(wave.go_live, LAUNCH_DAYS, view.time.policy)
    phases = [
        phase_of(view.time.last_day(place), None if wave is None else wave.go_live, launched)
        for place in range(len(view.time.weeks))
    ]
    return Group(subject, _name(subject, wave, view.ground), wave, phases, cells)


def wave_of(subject: Subject, waves: Sequence[Wave]) -> Wave | None:
    """Return the wave a group goes live with: its own, the first that names it, or the first for everybody.

    The tenant goes live with the first of all.
    """
    ordered = sorted(waves, key=lambda wave: (wave.go_live, wave.id))
    if subject.kind == "wave":
        return next((wave for wave in ordered if wave.id == subject.key), None)
    if subject.kind == "tenant":
        return ordered[0] if ordered else None
    named = [wave for wave in ordered if subject.key in (wave.teams if subject.kind == "team" else wave.roles)]
    return next(iter([*named, *(wave for wave in ordered if wave.everybody)]), None)


def _name(subject: Subject, wave: Wave | None, ground: Ground) -> str:
    if subject.kind == "wave" and wave is not None:
        return wave.name
    return str(ground.case.settings["name"]) if subject.kind == "tenant" else subject.key


async def _part(tx: Connection, view: _View, asked: Sequence[Subject], beside: Beside) -> Watched:
    groups = await _groups(tx, view, asked)
    pairs = await asyncio.to_thread(weekly.pairs, view.rules, [told.group for told in groups], view.time)
    beside = replace(beside, people=await store.people(tx, view.ground.tenant, pairs) if pairs else {})
    return await asyncio.to_thread(_judge, view, groups, beside)


def _judge(view: _View, groups: Sequence[_Told], beside: Beside) -> Watched:
    findings: list[Finding] = []
    said: list[Evaluation] = []
    for told in groups:
        found, lines = weekly.judge_groups(view.rules, [told.group], view.time, beside, told.since)
        findings += found
        said += lines
    return Watched(findings, said, revised=[each for told in groups for each in told.revised])


async def _beside(tx: Connection, view: _View, asked: Sequence[Subject], *, whole: bool) -> Beside:
    """Return what groups are held against: found anew from all of them, or as it was told last."""
    compared = [rule for rule in view.rules if rule.predicate in COMPARED]
    if not whole:
        medians: dict[str, dict[date, Told]] = {rule.id: {} for rule in compared}
        for rule, day, num, den in await store.middles(tx, view.ground.tenant, medians):
            medians[rule][day - WEEK + timedelta(days=1)] = Told(num, den)
        return Beside(medians=medians)
    shifting = [rule for rule in view.rules if rule.predicate == "shift"]
    if not compared and not shifting:
        return Beside()
    few = replace(view, wanted=_wanted([*compared, *shifting], view.known.codes))
    listed = [subject for subject in asked if subject.kind in {"team", "role"}]
    groups: list[Group] = []
    for start in range(0, len(listed), PART):
        groups += [told.group for told in await _groups(tx, few, listed[start : start + PART])]
    return await asyncio.to_thread(_held_against, compared, shifting, groups, view.time)


def _held_against(compared: Sequence[Rule], shifting: Sequence[Rule], groups: Sequence[Group], time_of: Time) -> Beside:
    return Beside(
        medians={rule.id: _medians(rule, groups, time_of) for rule in compared},
        shifts={rule.id: shifts(rule, groups, time_of) for rule in shifting},
    )


def _medians(rule: Rule, groups: Sequence[Group], time_of: Time) -> Medians:
    aim = metric_of(rule)
    alike = [group for group in groups if weekly.applies(rule, group.subject)]
    found: dict[date, Told] = {}
    for place, week in enumerate(time_of.weeks):
        shares = [group.told(aim or CADENCE, time_of, place, minimum=rule.minimum) for group in alike]
        middle = median(shares, upper=aim is None)
        if middle is not None:
            found[week] = middle
    return found


def _middles(view: _View, beside: Beside) -> Iterable[Evaluation]:
    """Remember what the group in the middle had, with what is said of the tenant."""
    rules = {rule.id: rule for rule in view.rules}
    for name, medians in beside.medians.items():
        for week, told in medians.items():
            yield Evaluation(
                rule=name,
                version=rules[name].version,
                subject=TENANT,
                window_from=week,
                window_to=week + WEEK - timedelta(days=1),
                outcome=Outcome.NOT_JUDGED,
                reason="baseline",
                baseline={"num": told.num, "den": told.den},
            )
