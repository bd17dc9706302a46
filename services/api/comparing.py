"""Values with how they changed against a baseline: by how much, and which people are behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Any, Final

import msgspec

from services.api.auth import Caller
from services.api.metric_items import changed, item, windowed
from services.api.problems import invalid
from services.api.scenes import Gathered
from services.api.store import contributions
from services.api.store import metrics as store
from services.metrics import baselines
from services.metrics.answers import Answer, Asked
from services.metrics.baselines import ANNOTATION, TRAILING4, WEEK1, Wave, Week
from services.metrics.catalogue import Metric, by_code
from services.metrics.compare import Change, People, people
from services.metrics.levels import LEVELS
from services.metrics.shape import Interval, Policy, week_of
from services.metrics.values import bases, code_of
from services.postgres import Connection

MOST: Final = 14
"""The most weeks of one page: behind each, the people of two weeks are looked at."""
REACH: Final = {TRAILING4: timedelta(weeks=10)}
"""How far back a baseline lies, where that is bounded: weeks in which nobody was expected are passed over."""
CHANGE: Final = "M14"
BY_PERSON: Final = frozenset({"M4", "M11", "M12", "M15", "M23"})
"""Counted once by person and week: the same persons can be found again."""
_A_WEEK: Final = timedelta(weeks=1)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is compared: ``asked`` for, by the counts of ``counted``, with ``baseline``."""

    asked: Metric
    counted: Metric
    baseline: str


@dataclass(frozen=True, slots=True)
class Ground:
    """When the group went live, how its tenant counts days, and on which day an annotation begins."""

    go_live: date | None
    policy: Policy
    annotations: Mapping[str, date] = field(default_factory=dict)


def checked(metric: Metric, baseline: str | None, window: str) -> Comparison | None:
    """Return the comparison that is asked for; None: none is.

    Raises:
        ProblemError: the baseline is none of ours, or not for such a window.
    """
    if baseline is None and metric.code != CHANGE:
        return None
    baseline = baseline or WEEK1
    if baseline not in {WEEK1, TRAILING4} and not baseline.startswith(ANNOTATION):
        raise invalid(f"A baseline is '{WEEK1}', '{TRAILING4}' or '{ANNOTATION}<id>'.", parameter="baseline")
    if window != "week" or metric in LEVELS:
        raise invalid("A baseline is offered for values of the window 'week'.", parameter="baseline")
    counted = by_code(metric.basis[0]) if metric.code == CHANGE else metric
    return Comparison(metric, counted or metric, baseline)


async def items(
    caller: Caller, connection: Connection, comparison: Comparison, gathered: Gathered, asked: Sequence[Asked]
) -> list[dict[str, Any]]:
    """Return ``asked`` as JSON shows it, each with its change."""
    ground = await ground_of(caller, connection, gathered.wanted.group)
    if comparison.baseline.startswith(ANNOTATION):
        ground = replace(ground, annotations=await store.annotated(connection, caller.tenant.id))
    weeks = {of: _weeks(comparison.counted, of, gathered) for of in {one.of for one in asked}}
    found = []
    for one in asked:
        told = gathered.teller.answer(one)
        base = _base(comparison.baseline, weeks[one.of], one.span.start, ground, gathered)
        shown = msgspec.structs.asdict(item(told, gathered.wanted.group, caller.tenant.time_zone))
        change = await _change(caller, connection, comparison, gathered, told, base)
        found.append(_shown(comparison, shown, change, base, caller))
    return found


async def ground_of(caller: Caller, connection: Connection, group: tuple[str, str]) -> Ground:
    """Return what weeks of a group are counted from."""
    tenant = caller.tenant
    waves = [
        Wave(row["id"], row["go_live"], *(row["scope"].get(name, ()) for name in ("teams", "roles", "people")))
        for row in await store.waves(connection, tenant.id)
    ]
    policy = Policy(
        work_days=frozenset(tenant.work_days),
        holidays=frozenset(tenant.holidays),
        first_day_of_week=tenant.first_day_of_week,
    )
    return Ground(baselines.go_live_of(group, waves), policy)


def _weeks(metric: Metric, of: str | None, gathered: Gathered) -> list[Week]:
    """Return the weeks of the group that can be compared with."""
    first_day = gathered.scene.first_day_of_week
    series = [gathered.cells.get(code_of(basis, of)) for basis in bases(metric)]
    starts = sorted({week_of(day, first_day) for one in series if one for day in one.days})
    found = (gathered.teller.answer(Asked(metric, of, "week", Interval(start, start + _A_WEEK))) for start in starts)
    return [
        Week(told.asked.span.start, told.num, told.den)
        for told in found
        if _told(told) and told.num is not None and told.den
    ]


def _told(told: Answer) -> bool:
    return told.reason in {None, "insufficient_sample"}


def _base(baseline: str, weeks: Sequence[Week], before: date, ground: Ground, gathered: Gathered) -> Week | None:
    if baseline == TRAILING4:
        return baselines.trailing4(weeks, before, gathered.scene)
    start = ground.go_live
    if baseline.startswith(ANNOTATION):
        start = ground.annotations.get(baseline.removeprefix(ANNOTATION))
        if start is None:
            return None
    first = baselines.week1(weeks, start, ground.policy)
    return first if first is not None and first.start < before else None


async def _change(
    caller: Caller,
    connection: Connection,
    comparison: Comparison,
    gathered: Gathered,
    told: Answer,
    base: Week | None,
) -> Change | str:
    """Return the change, or the reason why there is none."""
    if not _told(told) or told.num is None or not told.den:
        return told.reason or "no_expected_people"
    if base is None:
        return "missing_baseline"
    change = Change((base.num, base.den), (told.num, told.den))
    wanted = gathered.wanted
    if comparison.counted.code not in BY_PERSON or wanted.as_is or wanted.as_of is not None:
        return change
    code = code_of(comparison.counted, told.asked.of)
    pairs = await contributions.pairs(
        connection, caller.tenant.id, wanted.group, code, (base.start, told.asked.span.start)
    )
    behind = people(pairs)
    if (behind.base, behind.now) != (change.base, change.now):  # single persons are not kept as long as numbers
        return change
    return Change(change.base, change.now, behind) if _may_be_told(behind, caller) else change


def _may_be_told(found: People, caller: Caller) -> bool:
    """Tell whether nobody is told of singly, by having come or gone, to a caller who may not see single persons."""
    sides = (found.leavers, found.moved_out, found.joiners, found.moved_in)
    return caller.sees_individuals or not any(0 < side.people < caller.tenant.min_group for side in sides)


def _shown(
    comparison: Comparison, shown: dict[str, Any], change: Change | str, base: Week | None, caller: Caller
) -> dict[str, Any]:
    if isinstance(change, str) or base is None:
        shown["change"] = {"baseline": comparison.baseline, "reason": change}
        relative: Fraction | None = None
        reason: str | None = str(change)
    else:
        window = windowed("week", Interval(base.start, base.start + _A_WEEK), caller.tenant.time_zone)
        shown["change"] = changed(change, comparison.baseline, window)
        relative, reason = change.relative, shown["change"]["reason"]
    if comparison.asked.code != CHANGE:
        return shown
    return {
        **shown,
        "metric": comparison.asked.id,
        "parameter": {"baseline": comparison.baseline},
        "num": None if relative is None else relative.numerator,
        "den": None if relative is None else relative.denominator,
        "value": None if relative is None else float(relative),
        "reason": reason,
    }
