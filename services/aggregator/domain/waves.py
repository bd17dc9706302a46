"""Waves: who was to come, on which day each person first came, and how many had come by D+N.

The cohort is everybody in the wave's scope who held a licence on the go-live day. A person is connected by D+N when the
first connecting day, counted from the go-live day on, is not after the local day D+N.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from typing import Final, NamedTuple

from services.aggregator.domain.calendar import Calendar
from services.aggregator.domain.logins import ALL, Known
from services.aggregator.domain.own_days import OwnDays

CHECKPOINTS: Final = (0, 1, 2, 3, 5, 7, 10, 14)
"""The N for which D+N is published."""


@dataclass(frozen=True, slots=True)
class Wave:
    """A go-live. An empty scope means everybody."""

    id: str
    name: str
    go_live: date
    teams: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    sponsor: str | None = None

    @property
    def everybody(self) -> bool:
        """Tell whether the wave is for the whole tenant."""
        return not (self.teams or self.roles or self.people)


class Group(NamedTuple):
    """The people of a cohort who share a team and the day they first connected on (None: not yet)."""

    team: str | None
    day: date | None
    people: Sequence[str]


class Straggler(NamedTuple):
    """A person of a cohort who had not connected by the end of D+1. ``leads``: somebody reports to them.

    ``refused``: when a login of theirs was refused, of each hour the last; None: that is not kept any more. ``own``:
    their days, where these may be others than the tenant's.
    """

    user: str
    team: str | None
    manager: str | None
    licensed_to: date | None
    connected_at: datetime | None
    licensed_from: date | None = None
    leads: bool = False
    refused: Sequence[datetime] | None = ()
    own: OwnDays | None = None


class Connection(NamedTuple):
    """How many of the cohort were connected by D+n, and who was not; ``reason``: why neither can be told.

    Then ``num`` are those who are known to have connected all the same.
    """

    n: int
    num: int
    den: int
    settled: bool
    missing: list[str]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """A wave with what is known of its cohort. ``stragglers`` may be left empty before the end of D+1.

    ``known``: how far it is known who connected.
    """

    wave: Wave
    cohort: Sequence[Group]
    stragglers: Sequence[Straggler] = ()
    known: Known = ALL

    @property
    def size(self) -> int:
        """Return how many people the cohort holds."""
        return sum(len(group.people) for group in self.cohort)

    def connected_by(self, day: date) -> int:
        """Return how many people were connected by the end of ``day``."""
        return sum(len(group.people) for group in self.cohort if _by(group, day))

    def missing_on(self, day: date) -> list[str]:
        """Return who was not connected by the end of ``day``, sorted."""
        late = (group.people for group in self.cohort if group.day is None or group.day > day)
        return sorted(user for people in late for user in people)

    def teams_by(self, day: date) -> dict[str | None, tuple[int, int]]:
        """Return by team how many people were connected by the end of ``day``, and how many there are."""
        sizes: Counter[str | None] = Counter()
        connected: Counter[str | None] = Counter()
        for group in self.cohort:
            sizes[group.team] += len(group.people)
            connected[group.team] += len(group.people) if _by(group, day) else 0
        return {team: (connected[team], size) for team, size in sizes.items()}

    def worst_teams(self, day: date, *, at_least: int) -> list[tuple[str, int, int]]:
        """Return (team, connected, people) of the teams with ``at_least`` so many people, the worst first."""
        teams = [(team, *counts) for team, counts in self.teams_by(day).items() if team and counts[1] >= at_least]
        return sorted(teams, key=lambda entry: (Fraction(entry[1], entry[2]), -entry[2], entry[0]))


def connections(rollout: Rollout, calendar: Calendar, now: datetime | None) -> list[Connection]:
    """Return D+N of ``rollout`` for each checkpoint; ``now`` None: the tenant has no time yet, nothing is settled."""
    size = rollout.size
    found = []
    for n in CHECKPOINTS:
        day = calendar.day_n(rollout.wave.go_live, n)
        end = calendar.end_of(day)
        reason = rollout.known.unknown(None if now is None else min(end, now))
        settled = reason is None and now is not None and end <= now and rollout.known.at(end)
        missing = rollout.missing_on(day) if reason is None else []
        found.append(Connection(n, rollout.connected_by(day), size, settled, missing, reason))
    return found


def _by(group: Group, day: date) -> bool:
    return group.day is not None and group.day <= day
