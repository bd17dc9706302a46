"""A person of the directory as the metrics see them, and from when on something is expected of them. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from services.api.licences import Absence, Licence, covered
from services.api.spells import Spell
from services.metrics import shape
from services.metrics.calendar import local_day, working_days_between, zone_of
from services.metrics.policy import policy_of
from services.metrics.presence import day_zero
from services.metrics.shape import Interval, Person, WaveStart


def expected_from(person: Person, settings: Mapping[str, Any], *, waves: bool) -> date | None:
    """Return the day from which something is expected of ``person``; None: not yet known, or never."""
    return day_zero(person, policy_of(settings, waves=waves))


def days_unseen(person: Person, settings: Mapping[str, Any], seen: datetime, now: datetime) -> int:
    """Return how many working days of ``person`` there were after the day of ``seen``, the one of ``now`` included."""
    policy = policy_of(settings, waves=False)
    zone = zone_of(person, policy)
    return working_days_between(person, policy, local_day(seen, zone), local_day(now, zone))


def person_of(
    facts: Mapping[str, Any],
    spells: Sequence[Spell],
    licences: Sequence[Licence],
    absences: Sequence[Absence],
    waves: Sequence[Mapping[str, Any]],
) -> Person:
    """Return the person with these rows of the directory; ``waves``: all of the tenant."""
    return Person(
        facts["user_id"],
        [_spell(spell) for spell in spells],
        [Interval.through(first, last) for first, last in covered(licences)],
        [Interval.through(one.first, one.last) for one in absences],
        list(_starts(facts["user_id"], spells, waves)),
        None if facts["time_zone"] is None else ZoneInfo(facts["time_zone"]),
        facts["calendar"],
        Interval.through(facts["active_from"] or date.min, facts["active_to"]),
    )


def _spell(spell: Spell) -> shape.Spell:
    held = spell.terms._asdict()
    days = held.pop("work_days")
    return shape.Spell(Interval(spell.start, spell.end), **held, work_days=None if days is None else frozenset(days))


def _starts(user: str, spells: Sequence[Spell], waves: Sequence[Mapping[str, Any]]) -> Iterator[WaveStart]:
    for wave in waves:
        since = next((spell.start for spell in spells if _covers(wave["scope"], user, spell)), None)
        if since is not None:
            yield WaveStart(wave["id"], wave["go_live"], since)


def _covers(scope: Mapping[str, Sequence[str]], user: str, spell: Spell) -> bool:
    people, teams, roles = (scope.get(name) or () for name in ("people", "teams", "roles"))
    return not (people or teams or roles) or user in people or spell.terms.team in teams or spell.terms.role in roles
