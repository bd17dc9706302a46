"""Gathers what must be known to tell people of some alerts: the directory of today, who was told what, and their hours.

A constant number of statements, however many alerts and people there are.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from functools import cached_property
from typing import Final

import msgspec

from schemas.subscriptions import KINDS, PeopleOptions
from services.hearing.audience import EMERGENCY, Heard, hearers
from services.hearing.batches import Item
from services.hearing.hours import Hours
from services.hearing.looking import Staff, staff
from services.hearing.owing import owed
from services.hearing.shape import Alert, Company, Told
from services.hearing.store import House, Profile
from services.notifier.domain.shape import Subscription
from services.notifier.store import standing
from services.notifier.store import told as memory
from services.postgres import Connection

CHANNEL: Final = ""
"""The recipient of a subscription that tells a channel and not people."""
Found = Mapping[str, tuple[Alert, bool]]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """All that is known. ``alerts``: with whether the subscription asked for such; ``told``: by alert and recipient.

    ``day``: the tenant's, of which the directory is.
    """

    subscription: Subscription
    options: PeopleOptions
    day: date
    alerts: Found
    staff: Staff
    told: Mapping[str, Mapping[str, Told]]

    @property
    def channel(self) -> bool:
        """Whether a channel is told, and not people."""
        return self.subscription.kind == "teams"

    @property
    def house(self) -> House:
        """What the tenant has set."""
        return self.staff.house

    @property
    def directory(self) -> Company:
        """The directory of today."""
        return self.staff.directory

    @property
    def profiles(self) -> Mapping[str, Profile]:
        """How people are reached."""
        return self.staff.profiles

    def hours(self, recipient: str) -> Hours:
        """Return when ``recipient`` works."""
        return self.staff.hours(recipient, clock_time(self.options.opens), clock_time(self.options.closes))

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


async def gather(tx: Connection, of: Subscription, alerts: Found, house: House, now: datetime) -> Scene:
    """Return what must be known of ``alerts`` to tell of them at ``now``."""
    day = house.today(now)
    told = await memory.told(tx, of, alerts)
    hearing = [person for some in told.values() for person in some]
    known = await staff(tx, of.tenant, house, [alert for alert, _ in alerts.values()], day, hearing)
    named = known.directory.names_people
    directory = replace(
        known.directory,
        hidden=frozenset() if named else await standing.hidden(tx, of.tenant, alerts, house.min_group),
        louder=await standing.louder(tx, of.tenant, (EMERGENCY,)),
    )
    return Scene(
        subscription=of,
        options=options_of(of),
        day=day,
        alerts=alerts,
        staff=replace(known, directory=directory),
        told=told,
    )


def options_of(subscription: Subscription) -> PeopleOptions:
    """Return what is set for a subscription that tells people."""
    kind: type[PeopleOptions] = KINDS[subscription.kind].options  # type: ignore[assignment]
    return msgspec.convert(dict(subscription.options), kind)


def clock_time(text: str) -> time:
    """Return the time of day that ``text`` tells as HH:MM."""
    return time.fromisoformat(text.strip())
