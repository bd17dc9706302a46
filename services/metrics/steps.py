"""Steps: how numbers of people that add up over time are told to who is shown no single persons.

Who reads such a number as of one day and of the next knows the people who came in between. So they come in steps: the
days of a step are told together, with its last day, and each holds people enough. In which group a step is told is
decided like who is hidden in a week; what a group is not told stays out of its number for good. The steps are those of
the tenant as a whole, and those that are closed stay as they are when time goes on.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final

from services.metrics.catalogue import METRICS
from services.metrics.values import code_of

CODES: Final = tuple(
    code_of(metric, of)
    for metric in METRICS.values()
    if metric.combination == "cumulative" and metric.subject == "person"
    for of in ((None,) if metric.parameter is None else metric.parameter.allowed or ())
)
"""What adds up over time of people."""


def steps(days: Iterable[tuple[date, int]], k: int) -> dict[date, date]:
    """Return the step of each of ``days``, by how many people count on it: the last day of those told together.

    A day of ``k`` people is a step by itself. Days of fewer wait until they are so many together; those that still
    wait are in none.
    """
    return {day: step[-1] for step in _steps(days, k) for day in step}


def _steps(days: Iterable[tuple[date, int]], k: int) -> Iterator[list[date]]:
    waiting: list[date] = []
    people = 0
    for day, number in sorted(days):
        if number >= k:
            yield [day]
        elif number > 0:
            waiting.append(day)
            people += number
            if people >= k:
                yield waiting
                waiting, people = [], 0
