"""Accounts of people that work as no person can: on which days, and how these make one episode."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, NamedTuple

from services.aggregator.domain.rules.telling import number
from services.rules.shape import Rule

QUIET_DAYS: Final = 2
"""So many days without it end a suspicion of automation."""


class Busy(NamedTuple):
    """How much an account of a human being wrote in the fullest hour of a day, and in how many it was active."""

    user: str
    day: date
    writes: int
    hours: int


class Run(NamedTuple):
    """Days of an account between which too few were quiet, and the worst of them."""

    user: str
    first: date
    last: date
    worst: Busy


def runs(rule: Rule, busy: Iterable[Busy]) -> Iterator[Run]:
    """Yield what accounts did with more writes in an hour, or more hours in a day, than a person has."""
    writes, hours = number(rule, "count"), number(rule, "hours")
    found = sorted({each for each in busy if each.writes >= writes or each.hours >= hours})
    for user, days in groupby(found, attrgetter("user")):
        run: list[Busy] = []
        for each in days:
            if run and (each.day - run[-1].day).days > QUIET_DAYS:
                yield _run(user, run)
                run = []
            run.append(each)
        yield _run(user, run)


def severity(evidence: Mapping[str, Any]) -> tuple[int, int]:
    """Return by what one day is told to be worse than another."""
    return evidence["writes"], evidence["active_hours"]


def _run(user: str, days: list[Busy]) -> Run:
    return Run(user, days[0].day, days[-1].day, max(days, key=lambda each: (each.writes, each.hours)))
