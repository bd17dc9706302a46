"""The scope of an evaluation: whom it judges. What lies outside of it is neither judged, nor withdrawn.

Whoever changes what a rule rests on says of whom (``to_judge``); time that passes concerns everybody.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from typing import Final

from services.aggregator.domain.calendar import DAY, EARLIEST_YEAR, LATEST_YEAR, NOON
from services.aggregator.domain.findings import Subject
from services.metrics.shape import DIMENSIONS, EVERYBODY
from services.metrics.windows import EVALUATION_DELAY as JUDGED_AFTER

TENANT: Final = Subject(DIMENSIONS[0], EVERYBODY)
ALL: Final = "all"
LAUNCH: Final = "launch"
"""Of a wave: that something changed by which people connect."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whom an evaluation judges. ``groups`` are teams, roles and the tenant, which is meant whenever any group is.

    ``launches``: the waves of which it is to be looked anew who connected.
    """

    everything: bool = False
    groups: frozenset[Subject] = frozenset()
    users: frozenset[str] = frozenset()
    waves: frozenset[str] = frozenset()
    launches: frozenset[str] = frozenset()

    def holds(self, subject: Subject) -> bool:
        """Tell whether ``subject`` is judged."""
        if self.everything:
            return True
        if subject.kind == "user":
            return subject.key in self.users
        if subject.kind == "wave":
            return subject.key in self.waves
        return subject in self.groups

    @property
    def subjects(self) -> list[Subject]:
        """Everybody whom it names."""
        users = (Subject("user", user) for user in self.users)
        return sorted([*self.groups, *users, *(Subject("wave", wave) for wave in self.waves)])

    def __bool__(self) -> bool:
        return self.everything or bool(self.groups or self.users or self.waves or self.launches)


EVERYTHING: Final = Scope(everything=True)
NOBODY: Final = Scope()


def scope_of(queued: Iterable[Subject]) -> Scope:
    """Return whom ``queued`` speaks of: subjects, launches, or ``all``."""
    keys: dict[str, set[str]] = defaultdict(set)
    for kind, key in queued:
        keys[kind].add(key)
    groups = frozenset(Subject(kind, key) for kind in ("team", "role") for key in keys[kind])
    return Scope(
        everything=bool(keys[ALL]),
        groups=groups | {TENANT} if groups or keys[TENANT.kind] else groups,
        users=frozenset(keys["user"]),
        waves=frozenset(keys["wave"]),
        launches=frozenset(keys[LAUNCH]),
    )


def a_day_began(before: datetime | None, now: datetime, zones: Sequence[tzinfo]) -> bool:
    """Tell whether a day began between two evaluations where anybody is, or was over for so long that it is judged.

    Then every window may be another one. ``before`` None: there was no evaluation.
    """
    return before is None or any(
        _passed(before - delay, now - delay, time.min, zone) for zone in zones for delay in (timedelta(), JUDGED_AFTER)
    )


def noon_passed(before: datetime | None, now: datetime, zone: tzinfo) -> bool:
    """Tell whether it became noon where the tenant is: the second day of a launch is judged then."""
    return before is None or _passed(before, now, NOON, zone)


def _passed(before: datetime, now: datetime, hour: time, zone: tzinfo) -> bool:
    if not EARLIEST_YEAR < before.year < LATEST_YEAR:
        return before < now
    day = before.astimezone(zone).date()
    return any(before < datetime.combine(each, hour, zone) <= now for each in (day, day + DAY))
