"""Groups with weeks, as plain numbers: what the rules over weeks are shown."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from services.aggregator.domain.findings import Finding, Subject
from services.aggregator.domain.rules.series import Gap, Group, Time
from services.aggregator.domain.waves import Wave
from services.metrics.baselines import nth_working_day
from services.metrics.catalogue import METRICS
from services.metrics.levels import LAUNCH_DAYS, phase_of
from services.metrics.shape import Policy
from services.rules.pack import DEFAULT
from services.rules.shape import Rule
from tests.aggregator.world import MONDAY

WEEK = timedelta(days=7)
TEAM = Subject("team", "North")
TENANT = Subject("tenant", "all")
KINDS = frozenset(kind for metric in METRICS.values() for kind in metric.inputs)
CODES = frozenset(metric.code for metric in METRICS.values())


def instant(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def span(finding: Finding) -> tuple[int, int | None]:
    """Return in which week an episode began and ended."""
    return tuple(
        None if at is None else (at - instant(MONDAY + WEEK) - timedelta(hours=2)) // WEEK
        for at in (finding.opened_at, finding.closed_at)
    )  # type: ignore[return-value]


def weeks(count: int, *, gaps: Sequence[Gap] = (), min_group: int = 1, first: date = MONDAY, **known: Any) -> Time:
    """Return so many weeks from the go-live on, each judged two hours after its end."""
    listed = [first + n * WEEK for n in range(count)]
    ended = [instant(week + WEEK) for week in listed]
    options: dict[str, Any] = {"seen": CODES, "kinds": KINDS, **known}
    return Time(
        weeks=listed,
        judged=[end + timedelta(hours=2) for end in ended],
        begun=[instant(week) for week in listed],
        ended=ended,
        policy=Policy(),
        min_group=min_group,
        gaps=gaps,
        **options,
    )


def group(
    cells: Mapping[str, Sequence[tuple[int, int] | None]],
    subject: Subject = TEAM,
    *,
    phases: str | Sequence[str] | None = "run",
    first: date = MONDAY,
    go_live: date = MONDAY,
) -> Group:
    """Return a group with its numbers by code, week by week. ``phases`` None: as the go-live makes them."""
    count = max(map(len, cells.values()))
    wave = Wave("w", "Wave one", go_live, sponsor="boss")
    launched = nth_working_day(go_live, LAUNCH_DAYS, Policy())
    ends = [first + n * WEEK + timedelta(days=6) for n in range(count)]
    listed = [phase_of(end, go_live, launched) for end in ends] if phases is None else phases
    return Group(
        subject=subject,
        name=subject.key,
        wave=wave,
        phases=[listed] * count if isinstance(listed, str) else listed,
        cells={
            code: {first + n * WEEK: pair for n, pair in enumerate(pairs) if pair is not None}
            for code, pairs in cells.items()
        },
    )


def rule(name: str, **params: Any) -> Rule:
    """Return a rule of the pack with other parameters."""
    found = DEFAULT[name]
    return replace(found, params={**found.params, **params})


def shares(*nums: int | None, den: int = 100) -> list[tuple[int, int] | None]:
    return [None if num is None else (num, den) for num in nums]
