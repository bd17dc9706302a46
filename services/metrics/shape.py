"""What the metrics are counted from and into: people, what they did, and what they contribute to one week.

A subject (a person, a record) contributes to a week by itself, as a function of the directory and of what happened:
never of the order in which it became known, never of the clock. The number of a group is the sum over its subjects.
Days are local to the person. All intervals are half-open, ``[start, end)``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final, NamedTuple, Self, TypeAlias
from urllib.parse import unquote

DAYS_A_WEEK: Final = 7
LOOKBACK: Final = timedelta(days=35)
"""What happened longer before a week has no influence on it, but for day zero and the first activity."""

DIMENSIONS: Final = ("tenant", "wave", "team", "role", "function", "location", "segment")
EVERYBODY: Final = "all"
"""The one key of the dimension ``tenant``."""


class Interval(NamedTuple):
    """Days from ``start`` until before ``end``; None: without end."""

    start: date
    end: date | None

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.start <= day and (self.end is None or day < self.end)

    @classmethod
    def through(cls, first: date, last: date | None) -> Self:
        """Return the days from ``first`` to ``last``, that one too; without end when there is none."""
        return cls(first, None if last is None or last == date.max else last + timedelta(days=1))


class Groups(NamedTuple):
    """Where a person counts."""

    wave: str | None = None
    team: str | None = None
    role: str | None = None
    function: str | None = None
    location: str | None = None
    segment: str | None = None


@dataclass(frozen=True, slots=True)
class Spell:
    """What held of a person for a time."""

    interval: Interval
    team: str | None = None
    role: str | None = None
    manager: str | None = None
    kind: str = "human"
    function: str | None = None
    location: str | None = None
    segment: str | None = None
    champion: bool = False
    leadership: bool = False
    opted_out: bool = False
    work_days: frozenset[int] | None = None
    """ISO numbers of who works part time; None: the tenant's."""


class WaveStart(NamedTuple):
    """A wave that a person is in: its go-live, and since when they belong to it."""

    wave: str
    go_live: date
    since: date


@dataclass(frozen=True, slots=True)
class Person:
    """A person as the directory knows them through all time."""

    user: str
    spells: Sequence[Spell]
    licences: Sequence[Interval] = ()
    absences: Sequence[Interval] = ()
    waves: Sequence[WaveStart] = ()
    zone: tzinfo | None = None
    """None: the tenant's."""
    calendar: str | None = None
    """Whose public holidays they have (``PT``, ``DE-BY``); None: those the tenant names."""
    active: Interval = field(default=Interval(date.min, None))
    prices: Sequence[tuple[Interval, int]] = ()
    """What licences cost a month, in ten-thousandths, where that is known."""
    merged: Sequence["Person"] = ()
    """The people of the directory who turned out to be this one, itself among them, each with what it had alone."""


@dataclass(frozen=True, slots=True)
class Role:
    """What a role is expected to do. ``cadence``: daily, weekly, monthly, or ``per_week`` so many days."""

    cadence: str = "daily"
    per_week: int = 1
    core: frozenset[tuple[str, str]] = frozenset({("crm.record.created", ""), ("crm.record.updated", "")})
    """Event type and object of the core actions; an empty object: any."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How a tenant counts. ``waves``: whether it has any; without one everybody is live from their licence on."""

    zone: tzinfo = UTC
    work_days: frozenset[int] = frozenset({1, 2, 3, 4, 5})
    holidays: frozenset[date] = frozenset()
    working: bool = True
    """Whether D+N counts working days, or all days."""
    first_day_of_week: int = 1
    by_login: bool = False
    """Whether only a login connects, or any qualifying activity."""
    waves: bool = False
    roles: Mapping[str, Role] = field(default_factory=dict)


class Act(NamedTuple):
    """One thing that a person did, by any of their identities; ``None`` where the event did not say."""

    at: datetime
    kind: str
    origin: str
    environment: str | None = None
    behalf: str | None = None
    object: str | None = None
    record: str | None = None
    detail: str | None = None
    bulk: bool = False
    automatic: bool = False


Count: TypeAlias = tuple[int, int]
"""Numerator and denominator."""

Counts: TypeAlias = dict[str, Count]
"""By code: ``M11``, with a parameter ``M1:3``, on a day of the week ``M10@2`` (offset from its first day), or both.

Beside the metrics: ``X:<reason>`` people of whom nothing is expected, ``A`` people active by automation only.
"""


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a subject adds to its groups in one week.

    ``moves``: the groups of days that were spent elsewhere, by offset. Counts of those days go there, all others to
    ``groups``. ``reason``: why nothing is expected of the person in this week.
    """

    groups: Groups
    counts: Counts
    moves: Mapping[int, Groups] = field(default_factory=dict)
    reason: str | None = None


class Code(NamedTuple):
    """A code taken apart: ``M1:3@2`` is metric M1, parameter 3, the third day of the week.

    Parameters are escaped where they hold an ``@`` or a ``%``, see ``parameter``.
    """

    metric: str
    parameter: str | None
    offset: int | None

    @classmethod
    def parse(cls, text: str) -> "Code":
        """Return the parts of ``text``."""
        name, _, offset = text.rpartition("@") if "@" in text else (text, "", "")
        metric, _, parameter = name.partition(":")
        return cls(metric, unquote(parameter) or None, int(offset) if offset else None)


def parameter(text: str) -> str:
    """Return ``text`` as it stands in a code."""
    return text.replace("%", "%25").replace("@", "%40")


def week_of(day: date, first_day_of_week: int = 1) -> date:
    """Return the first day of the week that ``day`` lies in."""
    return day - timedelta(days=(day.isoweekday() - first_day_of_week) % DAYS_A_WEEK)
