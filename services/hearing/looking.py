"""Looks up who is who, as far as some alerts need it: a constant number of statements, however many there are."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, time
from zoneinfo import ZoneInfo

from schemas.mails import ADDRESS
from services.hearing import store
from services.hearing.hours import Hours
from services.hearing.shape import Alert, Company, Place
from services.hearing.store import House, Profile
from services.hearing.teams import teams_of
from services.postgres import Connection


@dataclass(frozen=True, slots=True)
class Staff:
    """The directory of a day, and how those are reached who may hear of the alerts it was looked up for."""

    house: House
    directory: Company
    profiles: Mapping[str, Profile]

    def hours(self, recipient: str, opens: time, closes: time) -> Hours:
        """Return when ``recipient`` works; a channel and a bare address work as the tenant does."""
        profile = self.profiles.get(recipient)
        own = profile.work_days if profile is not None else None
        return Hours(
            zone=(profile.zone if profile is not None else None) or ZoneInfo(self.house.time_zone),
            work_days=frozenset(self.house.work_days if own is None else own),
            calendar=profile.calendar if profile is not None else None,
            closed=frozenset(self.house.holidays),
            away=profile.away if profile is not None else (),
            opens=opens,
            closes=closes,
        )


async def staff(
    tx: Connection, tenant: str, house: House, alerts: Collection[Alert], day: date, also: Iterable[str] = ()
) -> Staff:
    """Return who may hear of ``alerts`` on ``day``, and whoever is named ``also``."""
    made = await _company(tx, tenant, alerts, day)
    wanted = {*made.people, *_named(made), *also}
    wanted.update(alert.subject_key for alert in alerts if alert.subject_kind == "user")
    profiles = {user: _addressed(it) for user, it in (await store.profiles(tx, tenant, wanted, day)).items()}
    people = {
        user: made.people.get(user, Place())._replace(reachable=user in profiles and profiles[user].email is not None)
        for user in wanted
    }
    names_people = house.individual_visibility == "manager"
    return Staff(house, replace(made, people=people, names_people=names_people), profiles)


def _addressed(profile: Profile) -> Profile:
    """Return ``profile``; what no mail can be written to is no address, so that somebody else is told."""
    usable = profile.email is not None and ADDRESS.fullmatch(profile.email) is not None
    return profile if usable else profile._replace(email=None)


async def _company(tx: Connection, tenant: str, alerts: Collection[Alert], day: date) -> Company:
    subjects = {alert.subject_key for alert in alerts if alert.subject_kind == "user"}
    people = await store.lines(tx, tenant, subjects, day)
    teams = {alert.subject_key for alert in alerts if alert.subject_kind == "team"}
    teams |= {team for user in subjects & set(people) if (team := people[user].team) is not None}
    teams |= {str(team["team"]) for alert in alerts for team in alert.evidence.get("worst_teams") or () if team["team"]}
    known = teams_of(await store.members(tx, tenant, teams, day))
    leading = {lead for leads in known.leads.values() for lead in leads}
    people = {**people, **await store.lines(tx, tenant, leading, day)}
    functions = {name for name in known.functions.values() if name is not None}
    return Company(
        people=people,
        leads=known.leads,
        champions=known.champions,
        functions=known.functions,
        function_champions=await store.champions(tx, tenant, functions, day),
        sponsors=await store.sponsors(tx, tenant),
        contacts=await store.contacts(tx, tenant),
    )


def _named(made: Company) -> Iterable[str]:
    """Return whom the directory names beside the reporting lines."""
    for some in (*made.leads.values(), *made.champions.values(), *made.function_champions.values()):
        yield from some
    yield from made.sponsors.values()
    yield from (contact.address for some in made.contacts.values() for contact in some if contact.kind == "person")
