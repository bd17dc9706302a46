"""What the owner of a shard remembers of its people: under which terms they count, and whose days are kept apart.

Only right while one owner writes the shard, and only of what was committed: whoever rolls back has to forget.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec

from schemas.erasures import USERS, spelled
from services.aggregator.domain.facts import Activity, Claimed, PersonDayKey, as_date
from services.aggregator.domain.links import MOST_MAILS, few
from services.aggregator.store import erasing
from services.aggregator.store import facts as fact_store
from services.aggregator.store import links as store
from services.aggregator.store.windows import Person, Terms
from services.postgres import Connection

ROSTER_SIZE: Final = 200_000
ERASED: Final = "erased"
"""Who stands where an event was done on behalf of somebody erased."""

Folded = dict[PersonDayKey, Activity]


class People:
    """The people of a shard met so far. ``shards``: into how many all are divided."""

    def __init__(self, shards: int) -> None:
        self._shards = shards
        self._roster: dict[Person, Terms | None] = {}
        self._apart: dict[Person, str] = {}
        self._sighted: set[tuple[str, str, str]] = set()
        self._living: set[Person] = set()
        self._erasures = 0

    def forget(self, people: Iterable[Person] | None = None) -> None:
        """Forget ``people``, who are counted otherwise from now on; None: everything."""
        if people is None:
            self._roster.clear()
            self._apart.clear()
            self._sighted.clear()
            self._living.clear()
        for person in people or ():
            self._roster.pop(person, None)
            self._apart.pop(person, None)

    async def terms(self, tx: Connection, people: set[Person]) -> dict[Person, Terms | None]:
        """Return the terms the windows count ``people`` under; None: unknown, () also: counted as somebody else.

        Strangers are queued: who they are is looked up when everyone else can see that they came.
        """
        missing = [person for person in people if person not in self._roster]
        if missing:
            if len(self._roster) > ROSTER_SIZE:
                self.forget()
                missing = list(people)
            found = await store.seats(tx, missing)
            for person in missing:
                seat = found.get(person)
                self._roster[person] = None if seat is None or not seat.mapped else seat.terms or ()
                if seat is not None and seat.user is not None:
                    self._apart[person] = seat.user
            strangers = [person for person in missing if person not in found and person[1]]
            await store.queue(tx, self._shards, ((person, None) for person in strangers))
        return {person: self._roster[person] for person in people}

    async def living(self, tx: Connection, fresh: Sequence[Claimed]) -> Sequence[Claimed]:
        """Return ``fresh`` without what erased people did; where others' events name them, they no longer do."""
        newest = await erasing.newest(tx)
        if newest != self._erasures or len(self._living) > ROSTER_SIZE:
            self._living.clear()
            self._erasures = newest
        if newest == 0:
            return fresh
        named = {(each.event.tenant, name) for each in fresh for name in _names(each)}
        gone = await erasing.gone(tx, sorted(named - self._living))
        self._living |= named - gone
        if not gone:
            return fresh
        strange = {(e.event.tenant, e.event.data.user or "") for e in fresh if (e.event.tenant, _mail(e)) in gone}
        gone |= await erasing.nobody(tx, sorted(strange))
        alive = (each for each in fresh if (each.event.tenant, each.event.data.user) not in gone)
        return [_nameless(each, gone) for each in alive]

    async def sight(self, tx: Connection, people: Mapping[Person, Terms | None], fresh: Sequence[Claimed]) -> None:
        """Keep which e-mails those of ``people`` show in ``fresh`` events who are no person of the directory."""
        others = {person for person, terms in people.items() if terms is None and person[1]}
        if self._apart:
            others |= {person for person in people if self._apart.get(person, person[1]) != person[1]}
        if not others:
            return
        seen = {(tenant, user, user) for tenant, user in others if "@" in user}
        for event, _, _, _ in fresh:
            user, mail = event.data.user, event.data.email
            if mail and user and (event.tenant, user) in others:
                seen.add((event.tenant, user, mail))
        if new := seen - self._sighted:
            if len(self._sighted) > ROSTER_SIZE:
                self._sighted.clear()
            self._sighted |= new
            recognisable = await store.sight(tx, few(new), MOST_MAILS)
            await store.queue(tx, self._shards, ((person, None) for person in recognisable))

    async def keep_apart(self, tx: Connection, folded: Folded) -> Folded:
        """Keep the days of identities that are one of several, and queue whose days those are; return the others."""
        kept = {key: folded[key] for key in folded if (key.tenant, key.user) in self._apart} if self._apart else None
        if not kept:
            return folded
        await fact_store.add(tx, kept, apart=True)
        whose = (((key.tenant, self._apart[key.tenant, key.user]), as_date(key.day)) for key in kept)
        await store.queue(tx, self._shards, whose)
        return {key: activity for key, activity in folded.items() if key not in kept}


def _names(claimed: Claimed) -> Iterator[str]:
    data = claimed.event.data
    return (name for name in (data.user, data.owner, data.on_behalf_of, _mail(claimed), *_user(claimed)) if name)


def _user(claimed: Claimed) -> list[str]:
    """Return how whom an event is about may be called, if it is about a user of the CRM."""
    data = claimed.event.data
    return spelled([data.record]) if data.record and data.object and data.object.lower() in USERS else []


def _mail(claimed: Claimed) -> str | None:
    """Return the e-mail of an event as it is marked: by it people are recognised under keys that are new."""
    mail = claimed.event.data.email
    return f"mailto:{mail.strip().lower()}" if mail else None


def _nameless(claimed: Claimed, gone: AbstractSet[Person]) -> Claimed:
    """Return an event that names none of those who are ``gone``; that it was done for somebody else stays known."""
    event = claimed.event
    owned, behalf = ((event.tenant, name) in gone for name in (event.data.owner, event.data.on_behalf_of))
    about = any((event.tenant, name) in gone for name in _user(claimed))
    if not owned and not behalf and not about:
        return claimed
    data = msgspec.structs.replace(
        event.data,
        owner=None if owned else event.data.owner,
        on_behalf_of=ERASED if behalf else event.data.on_behalf_of,
        record=None if about else event.data.record,
    )
    return claimed._replace(event=msgspec.structs.replace(event, data=data))
