"""Who is who for the records: the person behind an identity, and where an owner belongs, works and reports on a day."""

from collections.abc import Mapping
from datetime import date
from functools import cache

from services.metrics.calendar import spell_on, within, works, zone_of
from services.metrics.presence import day_of, day_zero
from services.metrics.records import Owner, People
from services.metrics.shape import Person, Policy


def people_of(persons: Mapping[str, Person], linked: Mapping[str, str | None], policy: Policy) -> People:
    """Return who is who among ``persons``; ``linked``: whom identities count for, None: several could be meant."""
    zeros = {user: day_zero(person, policy) for user, person in persons.items()}

    def who(identity: str) -> str | None:
        user = linked.get(identity, identity)
        return user if user in persons else None

    @cache
    def owner_of(user: str, day: date) -> Owner | None:
        person = persons.get(user)
        groups = None if person is None else day_of(person, policy, day, zeros[user]).groups
        if person is None or groups is None:
            return None
        return Owner(
            groups, zone_of(person, policy), managers_on(persons, person, day), lambda on: works(person, policy, on)
        )

    return People(who, owner_of)


def managers_on(persons: Mapping[str, Person], person: Person, day: date) -> frozenset[str]:
    """Return who reviews the records of ``person``: the manager; who manages that one, while the manager is away.

    Nobody when both are away.
    """
    for manager in _line(persons, person, day):
        known = persons.get(manager)
        if known is None or not within(known.absences, day):
            return frozenset({manager})
    return frozenset()


def _line(persons: Mapping[str, Person], person: Person, day: date) -> list[str]:
    """Return the manager of ``person`` and the one above."""
    found: list[str] = []
    for _ in range(2):
        spell = spell_on(person, day)
        if spell is None or spell.manager is None:
            break
        found.append(spell.manager)
        if spell.manager not in persons:
            break
        person = persons[spell.manager]
    return found
