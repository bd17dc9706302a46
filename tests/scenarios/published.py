"""The rule on drops by its published definition, found by counting: from raw events, people and go-lives alone.

Nothing is taken from the product, and nothing is clever: for every group and week it is asked who was there. Weeks are
the seven days from the go-live on; of a week count the people with a licence on its last day, and who of them did
anything in it.
"""

import csv
import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from fractions import Fraction
from math import comb
from pathlib import Path
from typing import NamedTuple

DAY = timedelta(days=1)
LAST_WEEK = 13
"""The third month is over with it."""
LEAST = 5


class Group(NamedTuple):
    """People who are judged together, from their go-live on."""

    dimension: str
    key: str
    go_live: date


class Episode(NamedTuple):
    """A drop: the weeks in which it was suspected at least, confirmed, and over; and what the last week of it shows."""

    group: Group
    opened: int
    confirmed: int | None
    over: int | None
    shown: int
    num: int
    den: int
    lost: int
    gained: int


class Week(NamedTuple):
    """Who counts in a week, and who of them was there."""

    licensed: frozenset[str]
    active: frozenset[str]


def p_value(lost: int, gained: int) -> Fraction:
    """Return how likely so many or more of the people who changed would be lost, if each was as likely as not to."""
    changed = lost + gained
    return Fraction(sum(comb(changed, number) for number in range(lost, changed + 1)), 2**changed)


class Data:
    """A data set: its people, on which days they did something, and its go-lives."""

    def __init__(self, home: Path, variant: str) -> None:
        self.people = _rows(home / "users.csv")
        self.days: dict[str | None, set[date]] = defaultdict(set)
        with gzip.open(home / f"events.{variant}.ndjson.gz", "rt", encoding="utf-8") as lines:
            for event in map(json.loads, lines):
                self.days[event["data"].get("user")].add(date.fromisoformat(event["time"][:10]))
        self.groups = [
            Group(row["dimension"], row["group"], date.fromisoformat(row["go_live"]))
            for row in _rows(home / "golive.csv")
        ]

    def drops(self) -> list[Episode]:
        """Return every drop, group by group."""
        return [episode for group in self.watched() for episode in episodes(group, self.weeks(group))]

    def watched(self) -> list[Group]:
        """Return the groups with a go-live, and the teams that go live with everybody."""
        [tenant] = [group for group in self.groups if group.dimension == "tenant"]
        named = {group.key for group in self.groups if group.dimension == "team"}
        others = {row["team"] for row in self.people if row["team"]} - named
        return sorted([*self.groups, *(Group("team", team, tenant.go_live) for team in others)])

    def weeks(self, group: Group) -> list[Week]:
        """Return the weeks 1 to 13 of ``group``."""
        return [self._week(group, group.go_live + 7 * number * DAY) for number in range(LAST_WEEK)]

    def _week(self, group: Group, first: date) -> Week:
        span = {first + number * DAY for number in range(7)}
        licensed = frozenset(row["user"] for row in self.people if _counts(row, group, max(span)))
        return Week(licensed, frozenset(user for user in licensed if self.days[user] & span))


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def _counts(row: dict[str, str], group: Group, day: date) -> bool:
    first, last = row["licensed_from"], row["licensed_to"]
    member = group.dimension == "tenant" or row[group.dimension] == group.key
    return member and bool(first) and first <= day.isoformat() and (not last or day.isoformat() <= last)


def episodes(group: Group, weeks: list[Week]) -> Iterator[Episode]:
    """Yield the drops of a group against its first week.

    Suspected: a tenth less or even fewer, and two people more lost than gained, in two weeks in a row. Confirmed: so,
    and each time by less than chance (20 %); or at once, when three are lost (four of more than ten) and a quarter of
    those who were there. Over: less than a twentieth below in two weeks in a row.
    """
    base = weeks[0]
    suspicious = certain = calm = 0
    found: Episode | None = None
    for number, week in enumerate(weeks[1:], start=2):
        stayed = base.licensed & week.licensed
        lost, gained = len(stayed & (base.active - week.active)), len(stayed & (week.active - base.active))
        num, den = len(week.active), len(week.licensed)
        enough = bool(base.active) and min(len(base.licensed), den) >= LEAST
        share = Fraction(num * len(base.licensed), den * len(base.active)) if enough else None
        fell = share is not None and share <= Fraction(9, 10)
        suspicious = suspicious + 1 if fell and lost - gained >= 2 else 0
        certain = certain + 1 if fell and lost - gained >= 2 and p_value(lost, gained) <= Fraction(1, 5) else 0
        whole, net = len(base.active), lost - gained
        sure = certain >= 2 or (fell and net >= (3 if whole <= 10 else 4) and 4 * net >= whole)
        if found is None and (sure or suspicious >= 2):
            found, calm = Episode(group, number, None, None, number, num, den, lost, gained), 0
        if found is None:
            continue
        if fell:
            found = found._replace(shown=number, num=num, den=den, lost=lost, gained=gained)
        if sure and found.confirmed is None:
            found = found._replace(confirmed=number)
        calm = calm + 1 if share is not None and share > Fraction(19, 20) else 0
        if calm == 2:
            yield found._replace(over=number)
            found = None
    if found is not None:
        yield found
