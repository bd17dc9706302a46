"""Gathers what must be known to tell people of some alerts: the directory of today, who was told what, and their hours.

A constant number of statements, however many alerts and people there are.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from functools import cached_property
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from schemas.subscriptions import KINDS, PeopleOptions
from services.metrics.calendar import local_day
from services.notifier.domain.people.audience import EMERGENCY, Heard, hearers
from services.notifier.domain.people.batches import Item
from services.notifier.domain.people.hours import Hours
from services.notifier.domain.people.mail import is_address
from services.notifier.domain.people.owing import owed
from services.notifier.domain.people.shape import Alert, Company, Place, Told
from services.notifier.domain.people.teams import teams_of
from services.notifier.domain.shape import Subscription
from services.notifier.store import company, standing
from services.notifier.store import told as memory
from services.postgres import Connection

CHANNEL: Final = ""
"""The recipient of a subscription that tells a channel and not people."""
EVERYBODY_NAMED: Final = "manager"
Found = Mapping[str, tuple[Alert, bool]]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """All that is known. ``alerts``: with whether the subscription asked for such; ``told``: by alert and recipient."""

    subscription: Subscription
    options: PeopleOptions
    house: company.House
    day: date
    alerts: Found
    directory: Company
    profiles: Mapping[str, company.Profile]
    told: Mapping[str, Mapping[str, Told]]

    @property
    def channel(self) -> bool:
        """Whether a channel is told, and not people."""
        return self.subscription.kind == "teams"

    def hours(self, recipient: str) -> Hours:
        """Return when ``recipient`` works; a channel and a bare address work as the tenant does."""
        profile = self.profiles.get(recipient)
        own = profile.work_days if profile is not None else None
        return Hours(
            zone=(profile.zone if profile is not None else None) or ZoneInfo(self.house.time_zone),
            work_days=frozenset(self.house.work_days if own is None else own),
            calendar=profile.calendar if profile is not None else None,
            closed=self._closed,
            away=profile.away if profile is not None else (),
            opens=clock_time(self.options.opens),
            closes=clock_time(self.options.closes),
        )

    @cached_property
    def _closed(self) -> frozenset[date]:
        return frozenset(self.house.holidays)

    def address(self, recipient: str) -> str | None:
        """Return the mail address of ``recipient``; None: there is none."""
        profile = self.profiles.get(recipient)
        return profile.email if profile is not None else recipient if "@" in recipient else None

    @cached_property
    def names(self) -> dict[str, str]:
        """Return what people are called."""
        return {user: profile.name for user, profile in self.profiles.items() if profile.name}

    @cached_property
    def owed(self) -> dict[str, list[Item]]:
        """Return what each recipient is owed."""
        found: dict[str, list[Item]] = {}
        for alert, wanted in self.alerts.values():
            for recipient, item in self._items(alert, wanted=wanted):
                found.setdefault(recipient, []).append(item)
        return found

    @cached_property
    def still_open(self) -> dict[str, list[Item]]:
        """Return by recipient what they were told, concerns them and is open."""
        found: dict[str, list[Item]] = {}
        for alert, wanted in self.alerts.values():
            told = self.told.get(alert.id, {})
            if not wanted or alert.ended or alert.suppressed_by is not None or not told:
                continue
            for heard in self.hearing(alert):
                was = told.get(heard.recipient)
                if was is not None and was.standing == "open":
                    found.setdefault(heard.recipient, []).append(Item(alert, "opened", heard, was))
        return found

    def _items(self, alert: Alert, *, wanted: bool) -> Iterable[tuple[str, Item]]:
        heard = {one.recipient: one for one in (self.hearing(alert) if wanted else ())}
        told = self.told.get(alert.id, {})
        left = {was.role for recipient, was in told.items() if recipient not in heard and was.standing == "open"}
        for recipient in [*heard, *(one for one in told if one not in heard)]:
            was = told.get(recipient)
            hearing = heard.get(recipient) or Heard(recipient, was.role if was is not None else "")
            before = hearing.role in left
            what = owed(alert, was, hears=recipient in heard, heard_before=before)
            if what is not None and (self.channel or self.address(recipient) is not None):
                yield recipient, Item(alert, what, hearing, was)

    def hearing(self, alert: Alert) -> list[Heard]:
        """Return who hears of ``alert`` by this subscription: its channel, or people."""
        found = hearers(alert, self.directory, self.options.roles)
        if self.subscription.person is not None:
            found = [one for one in found if one.recipient == self.subscription.person]
        if self.channel:
            named = self.subscription.person is not None and any(one.named for one in found)
            return [Heard(CHANNEL, "channel", named=named)] if found else []
        return found


async def gather(tx: Connection, of: Subscription, alerts: Found, house: company.House, now: datetime) -> Scene:
    """Return what must be known of ``alerts`` to tell of them at ``now``."""
    day = local_day(now.astimezone(UTC), ZoneInfo(house.time_zone))
    only = [alert for alert, _ in alerts.values()]
    told = await memory.told(tx, of, alerts)
    made = await _company(tx, of.tenant, only, day)
    wanted = {*made.people, *_named(made), *(person for some in told.values() for person in some)}
    wanted.update(alert.subject_key for alert in only if alert.subject_kind == "user")
    profiles = {user: _addressed(it) for user, it in (await company.profiles(tx, of.tenant, wanted, day)).items()}
    open_names = house.individual_visibility == EVERYBODY_NAMED
    made = replace(
        made,
        people={
            user: made.people.get(user, Place())._replace(
                reachable=user in profiles and profiles[user].email is not None
            )
            for user in wanted
        },
        names_people=open_names,
        hidden=frozenset() if open_names else await standing.hidden(tx, of.tenant, alerts, house.min_group),
        louder=await standing.louder(tx, of.tenant, (EMERGENCY,)),
    )
    return Scene(
        subscription=of,
        options=options_of(of),
        house=house,
        day=day,
        alerts=alerts,
        directory=made,
        profiles=profiles,
        told=told,
    )


def _addressed(profile: company.Profile) -> company.Profile:
    """Return ``profile``; what no mail can be written to is no address, so that somebody else is told."""
    usable = profile.email is not None and is_address(profile.email)
    return profile if usable else profile._replace(email=None)


def options_of(subscription: Subscription) -> PeopleOptions:
    """Return what is set for a subscription that tells people."""
    kind: type[PeopleOptions] = KINDS[subscription.kind].options  # type: ignore[assignment]
    return msgspec.convert(dict(subscription.options), kind)


def clock_time(text: str) -> time:
    """Return the time of day that ``text`` tells as HH:MM."""
    return time.fromisoformat(text.strip())


async def _company(tx: Connection, tenant: str, alerts: Collection[Alert], day: date) -> Company:
    subjects = {alert.subject_key for alert in alerts if alert.subject_kind == "user"}
    people = await company.lines(tx, tenant, subjects, day)
    teams = {alert.subject_key for alert in alerts if alert.subject_kind == "team"}
    teams |= {team for user in subjects & set(people) if (team := people[user].team) is not None}
    teams |= {str(team["team"]) for alert in alerts for team in alert.evidence.get("worst_teams") or () if team["team"]}
    known = teams_of(await company.members(tx, tenant, teams, day))
    leading = {lead for leads in known.leads.values() for lead in leads}
    people = {**people, **await company.lines(tx, tenant, leading, day)}
    functions = {name for name in known.functions.values() if name is not None}
    return Company(
        people=people,
        leads=known.leads,
        champions=known.champions,
        functions=known.functions,
        function_champions=await company.champions(tx, tenant, functions, day),
        sponsors=await company.sponsors(tx, tenant),
        contacts=await company.contacts(tx, tenant),
    )


def _named(made: Company) -> Iterable[str]:
    """Return whom the directory names beside the reporting lines."""
    for some in (*made.leads.values(), *made.champions.values(), *made.function_champions.values()):
        yield from some
    yield from made.sponsors.values()
    yield from (contact.address for some in made.contacts.values() for contact in some if contact.kind == "person")
