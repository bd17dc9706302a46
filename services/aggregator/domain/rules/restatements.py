"""Restatements: numbers that were final and are others now.

Each is told of by itself, under a title of its own: what was restated, of whom, and for which week.
"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Final, NamedTuple

from services.aggregator.domain.calendar import DAY, Calendar
from services.aggregator.domain.findings import Finding, Resolution, Subject
from services.aggregator.domain.rules.series import WEEK, metric
from services.aggregator.domain.rules.telling import Episode, Told, finding, number, percent, rate
from services.rules.shape import Rule

TELLS: Final = timedelta(days=7)
"""For so long a restatement is told of."""


class Restated(NamedTuple):
    """A number that was final and is another one now. ``at``: since when; ``name``: what people call the group."""

    group: Subject
    metric: str
    week: date
    before: tuple[int, int]
    after: tuple[int, int]
    at: datetime
    name: str


def restatements(rule: Rule, restated: Iterable[Restated], calendar: Calendar, now: datetime) -> Iterator[Finding]:
    """Find numbers that moved by more than so many points after they were final, of as many people as are asked for."""
    for each in restated:
        if min(each.before[1], each.after[1]) < rule.minimum or each.group.kind not in rule.subjects:
            continue
        moved = 100 * (Fraction(*each.after) - Fraction(*each.before))
        if abs(moved) > number(rule, "points"):
            yield _finding(rule, each, moved, calendar.day_of(each.at), now)


def _finding(rule: Rule, each: Restated, moved: Fraction, day: date, now: datetime) -> Finding:
    told = Told(
        window={"from": each.week, "to": each.week + WEEK - DAY},
        evidence={
            "metric": each.metric,
            **rate(*each.after),
            "threshold": number(rule, "points"),
            "before": rate(*each.before),
            "week": each.week,
            "points": moved,
        },
        names={
            "group": each.name,
            "metric": metric(each.metric).named,
            "week": each.week,
            "value": percent(*each.after),
            "base_value": percent(*each.before),
        },
        mark=f"{each.metric}@{each.week.isoformat()}",
    )
    ended = each.at + TELLS if each.at + TELLS <= now else None
    return finding(rule, each.group, None, Episode(day, each.at, ended, Resolution.RECOVERED if ended else None), told)
