"""What a set of episodes would ask of people: how many of each rule, and how many a week of whom. Pure.

An episode that another speaks for is told to nobody: it counts as silenced only.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, NamedTuple, Self

from services.metrics.shape import week_of


class Days(NamedTuple):
    """The days that are asked about; None: no bound."""

    first: date | None = None
    last: date | None = None

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> Self:
        """Return the days that a request asks about."""
        asked = (request.get("from"), request.get("to"))
        return cls(*(None if text is None else date.fromisoformat(text) for text in asked))

    def hold(self, day: date | None) -> bool:
        """Tell whether ``day`` is one of them."""
        return day is not None and (self.first is None or day >= self.first) and (self.last is None or day <= self.last)


class Spoken(NamedTuple):
    """What an episode counts for. ``heard``: the roles that are told, each with the person where one is named."""

    rule: str
    opened_on: date
    closed_on: date | None
    silenced: bool
    heard: tuple[tuple[str, str | None], ...]

    def met(self, days: Days) -> bool:
        """Tell whether it was open on one of ``days``."""
        begun = days.last is None or self.opened_on <= days.last
        return begun and (days.first is None or self.closed_on is None or self.closed_on >= days.first)


def by_rule(episodes: Iterable[Spoken], days: Days) -> dict[str, Counter[str]]:
    """Return by rule how many were opened and closed on ``days``, and how many of those opened were silenced."""
    found: dict[str, Counter[str]] = {}
    for each in episodes:
        counts = found.setdefault(each.rule, Counter())
        opened = days.hold(each.opened_on)
        counts["opens"] += opened
        counts["silenced"] += opened and each.silenced
        counts["closes"] += days.hold(each.closed_on)
    return found


def by_week(episodes: Iterable[Spoken], days: Days, first_day_of_week: int) -> list[Mapping[str, Any]]:
    """Return by week what was opened on ``days``: how many, of these silenced, and of the others how many for whom."""
    weeks: dict[date, tuple[Counter[str], Counter[str], Counter[tuple[str, str]]]] = {}
    for each in episodes:
        if not days.hold(each.opened_on):
            continue
        week = week_of(each.opened_on, first_day_of_week)
        counts, roles, people = weeks.setdefault(week, (Counter(), Counter(), Counter()))
        counts["opens"] += 1
        counts["silenced"] += each.silenced
        if not each.silenced:
            roles.update({role for role, _ in each.heard})
            people.update((role, person) for role, person in each.heard if person is not None)
    return [
        {
            "week": week,
            "opens": counts["opens"],
            "silenced": counts["silenced"],
            "roles": dict(sorted(roles.items())),
            "people": [
                {"role": role, "person": who, "opens": number} for (role, who), number in sorted(people.items())
            ],
        }
        for week, (counts, roles, people) in sorted(weeks.items())
    ]
