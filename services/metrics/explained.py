"""Who is behind a number: what one subject adds to a group in a window. The sum over all subjects is the number."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from services.metrics.answers import Asked
from services.metrics.catalogue import Metric, by_code
from services.metrics.shape import DAYS_A_WEEK, Count, Groups, Interval, week_of
from services.metrics.values import Cells, code_of

_BASIS: Final[Mapping[str, str]] = {"M13": "M10"}
_DEN_OF: Final[Mapping[str, str]] = {"M21": "M11"}
"""Whose denominator a metric takes that has none of its own."""


@dataclass(frozen=True, slots=True)
class Line:
    """What a subject contributes in one week. ``key``: its group; ``moves``: its groups on days spent elsewhere."""

    subject: str
    week: date
    key: str | None
    counts: Mapping[str, Sequence[int]]
    moves: Mapping[int, Groups]
    reason: str | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """What a subject adds. ``reason``: why nothing was expected of it."""

    subject: str
    num: int
    den: int
    reason: str | None
    owner: str | None


def counted(metric: Metric) -> Metric:
    """Return the metric whose counts explain ``metric``."""
    basis = _BASIS.get(metric.code) or (metric.basis[0] if metric.combination == "derived" else None)
    return metric if basis is None else by_code(basis) or metric


def weeks(asked: Asked, cells: Cells, first_day_of_week: int = 1) -> list[date]:
    """Return the weeks, by their first days, in which something stands that counts in the window."""
    metric, of, _, span = asked
    end = span.end or date.max
    if metric.combination != "cumulative":
        starts = {span.start + timedelta(days=number) for number in range((end - span.start).days)}
        return sorted({week_of(day, first_day_of_week) for day in starts})
    series = cells.get(code_of(metric, of))
    return sorted({week_of(day, first_day_of_week) for day in series.days if _within(asked, day)}) if series else []


def _within(asked: Asked, day: date) -> bool:
    metric, span = asked.metric, asked.span
    end = span.end or date.max
    if metric.combination != "cumulative":
        return span.start <= day < end
    return day < end and (metric.trailing is None or day >= end - timedelta(days=metric.trailing))


def shares(asked: Asked, group: tuple[str, str], lines: Iterable[Line]) -> list[Share]:
    """Return what each subject adds to ``group``, by subject."""
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line.subject, []).append(line)
    return [_share(subject, asked, group, own) for subject, own in sorted(found.items())]


def _share(subject: str, asked: Asked, group: tuple[str, str], lines: Sequence[Line]) -> Share:
    code = code_of(asked.metric, asked.of)
    num, den = _total(code, asked, group, lines)
    if asked.metric.code in _DEN_OF:
        den = _total(_DEN_OF[asked.metric.code], asked, group, lines)[1]
    here = (line for line in lines if line.reason and _in_group(line, group, None))
    reason = next((line.reason for line in here), None) if not den else None
    return Share(subject, num, den, reason, lines[-1].owner)


def _total(code: str, asked: Asked, group: tuple[str, str], lines: Iterable[Line]) -> Count:
    counts = [count for line in lines for count in _counts(code, asked, group, line)]
    return sum(num for num, _ in counts), sum(den for _, den in counts)


def _counts(code: str, asked: Asked, group: tuple[str, str], line: Line) -> Iterable[Count]:
    if code in line.counts and _in_group(line, group, None) and _within(asked, line.week):
        num, den = line.counts[code]
        yield num, den
    for offset in range(DAYS_A_WEEK):
        count = line.counts.get(f"{code}@{offset}")
        if count and _in_group(line, group, offset) and _within(asked, line.week + timedelta(days=offset)):
            yield count[0], count[1]


def _in_group(line: Line, group: tuple[str, str], offset: int | None) -> bool:
    """Tell whether a week's count, or (``offset``) that of one of its days, stands in ``group``."""
    dimension, key = group
    if dimension == "tenant":
        return True
    moved = None if offset is None else line.moves.get(offset)
    return (line.key if moved is None else getattr(moved, dimension)) == key


def days_of(asked: Asked) -> list[Asked]:
    """Return the questions for the single days of a window, where days are counted."""
    if asked.metric.combination != "daily" or asked.span.end is None:
        return []
    length = (asked.span.end - asked.span.start).days
    days = (asked.span.start + timedelta(days=number) for number in range(length))
    return [asked._replace(window="1d", span=Interval(day, day + timedelta(days=1))) for day in days]
