"""What is asked of a group: each metric in each window, for each of its parameters.

What a hidden group was counted for, such as the features that somebody used, is told as little as its numbers.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from services.metrics.answers import Asked, Teller
from services.metrics.catalogue import Metric
from services.metrics.shape import Interval
from services.metrics.values import parameters
from services.metrics.windows import Name, bounds


def spans(name: Name, first: date, last: date, first_day_of_week: int = 1) -> list[Interval]:
    """Return the windows that hold, or end on, a day from ``first`` to ``last``."""
    found: list[Interval] = []
    day = first
    while day <= last:
        span = bounds(name, day, first_day_of_week)
        found.append(span)
        day = (span.end or day) if name in {"week", "month"} else day + timedelta(days=1)
    return found


def questions(metric: Metric, of: Sequence[str | None], window: Name, within: Sequence[Interval]) -> list[Asked]:
    """Return what is asked of ``metric``, in order."""
    return [Asked(metric, one, window, span) for one in of for span in within]


def every(metrics: Sequence[Metric], teller: Teller, window: Name, within: Sequence[Interval]) -> list[Asked]:
    """Return all that can be asked of ``metrics`` in ``window``.

    One whose parameters nobody knows, or may know, is asked without.
    """
    return [
        asked
        for metric in metrics
        if window in metric.windows
        for one, told in _parameters(metric, teller, within)
        for asked in questions(metric, [one], window, told)
    ]


def _parameters(
    metric: Metric, teller: Teller, within: Sequence[Interval]
) -> Iterator[tuple[str | None, Sequence[Interval]]]:
    """Yield what ``metric`` is asked for, and in which windows."""
    known = parameters(metric, teller.cells)
    if metric.parameter is None or metric.parameter.allowed is not None:
        yield from ((one, within) for one in known)
        return
    named = [one for one in known if teller.tells(metric, one)]
    yield None, [span for span in within if not named or not teller.shows(metric, span)]
    shown = [span for span in within if teller.shows(metric, span)]
    yield from ((one, shown) for one in named)
