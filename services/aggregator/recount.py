"""Counting people anew: after a change of the directory, of who an identity is, or of what an identity did.

Runs under the lock of the shard's position, so the people of the shard have one writer. What was counted of a person
stands in ``roster`` (under which terms) and ``person_day`` (which days); the difference to what is right now is added.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Final, NamedTuple

from services.aggregator.domain import links, windows
from services.aggregator.domain.directory import day_number
from services.aggregator.domain.facts import Mark
from services.aggregator.domain.links import SELF, Seat
from services.aggregator.domain.windows import Deltas, PersonDay
from services.aggregator.store import activity as activity_store
from services.aggregator.store import apart
from services.aggregator.store import facts as fact_store
from services.aggregator.store import links as link_store
from services.aggregator.store import windows as window_store
from services.aggregator.store.facts import Tally
from services.aggregator.store.links import Change
from services.aggregator.store.windows import Person
from services.postgres import Connection

NOBODY: Final = Seat()

FinalDay = Callable[[str], int]
"""The newest as-of day of a tenant whose windows were final before."""


class Home(NamedTuple):
    """The shard whose people are counted anew, of how many."""

    shard: int
    shards: int


class Move(NamedTuple):
    """A person who is counted otherwise from now on."""

    old: Seat
    new: Seat

    @property
    def stirred(self) -> bool:
        """Whether the days may be others, not only the terms."""
        return self.old.user != self.new.user or (self.new.link is not None and self.new.link.how == SELF)


async def recount(tx: Connection, home: Home, changes: Sequence[Change], final: FinalDay) -> None:
    """Bring what is counted of the people in ``changes`` up to date, and queue whom else it concerns."""
    if not changes:
        return
    whole = sorted({change.person for change in changes if change.day is None})
    days = {(c.person, c.day) for c in changes if c.day is not None}
    since = min(change.queued_at for change in changes)
    old = await link_store.seats(tx, sorted({change.person for change in changes}))
    moves = await _moves(tx, whole, old)
    deltas, tallies = Deltas(), defaultdict[str, Tally](Tally)
    await _move(tx, moves, deltas, tallies, final)
    kept = {(person, day) for person, day in days if old.get(person, NOBODY).user == person[1] and person not in moves}
    await _renew(tx, kept, old, deltas, tallies, final)
    await window_store.add(tx, home.shard, deltas.settle())
    if tallies:
        await fact_store.tell(tx, home.shard, tallies)
    await activity_store.mark(tx, _marks(moves))
    concerned = await _concerned(tx, moves)
    await link_store.queue(tx, home.shards, ((person, None) for person in concerned), since)


async def _moves(tx: Connection, whole: Sequence[Person], old: Mapping[Person, Seat]) -> dict[Person, Move]:
    """Return how each of ``whole`` was counted and is to be."""
    if not whole:
        return {}
    evidence = await link_store.evidence(tx, whole)
    terms = await window_store.directory(tx, whole)
    followed = await link_store.followed(tx, whole)
    return {
        person: Move(
            old.get(person, NOBODY),
            links.seat(person[1], evidence[person], terms.get(person), followed=person in followed),
        )
        for person in whole
    }


async def _move(
    tx: Connection, moves: Mapping[Person, Move], deltas: Deltas, tallies: dict[str, Tally], final: FinalDay
) -> None:
    changed = {person: move for person, move in moves.items() if move.old != move.new or move.stirred}
    if not changed:
        return
    counted = [person for person, move in changed.items() if move.old.terms != move.new.terms or move.stirred]
    facts = dict(zip(counted, await fact_store.days_of(tx, counted), strict=True))
    before = {person: days for person, (days, _) in facts.items()}
    events = {person: count for person, (_, count) in facts.items()}
    events |= await apart.events(tx, [person for person, move in changed.items() if move.old.user is not None])
    await link_store.enrol(tx, {person: move.new for person, move in changed.items() if _listing(move)})
    await link_store.link(tx, {person: m.new.link for person, m in changed.items() if m.old.link != m.new.link})
    after = before | await _stir(tx, {person: move for person, move in changed.items() if move.stirred})
    for person in counted:
        tenant, move = person[0], changed[person]
        old, new = move.old.terms or (), move.new.terms or ()
        links.recount(deltas, tenant, before[person], after[person], old=old, new=new, final=final(tenant))
    for person, move in changed.items():
        tallies[person[0]].unmapped += events.get(person, 0) * (move.old.mapped - move.new.mapped)


def _marks(moves: Mapping[Person, Move]) -> list[Mark]:
    """Return who is to be measured anew: who is another, and whom they counted for and count for now."""
    moved = {
        (person[0], user)
        for person, move in moves.items()
        if move.old != move.new
        for user in (person[1], move.old.user, move.new.user)
        if user is not None
    }
    return [(tenant, "person", user, None, None) for tenant, user in sorted(moved)]


def _listing(move: Move) -> bool:
    return (move.old.terms, move.old.keys) != (move.new.terms, move.new.keys)


async def _stir(tx: Connection, stirred: Mapping[Person, Move]) -> dict[Person, list[PersonDay]]:
    """Move the days of people to where they belong now; return those that count for each."""
    if not stirred:
        return {}
    whole = [person for person, move in stirred.items() if move.old.user is None]
    united = [person for person, move in stirred.items() if move.new.user is None]
    await apart.part(tx, whole)
    await apart.clear(tx, list(stirred))
    await apart.unite(tx, united)
    await apart.make(tx, [person for person, move in stirred.items() if move.new.user == person[1]])
    people = list(stirred)
    return {person: days for person, (days, _) in zip(people, await fact_store.days_of(tx, people), strict=True)}


async def _renew(
    tx: Connection,
    days: Iterable[tuple[Person, date]],
    seats: Mapping[Person, Seat],
    deltas: Deltas,
    tallies: dict[str, Tally],
    final: FinalDay,
) -> None:
    """Count single days of people with several identities anew."""
    ordered = sorted(days)
    if not ordered:
        return
    touched: dict[Person, list[int]] = defaultdict(list)
    for person, day in ordered:
        touched[person].append(day_number(day))
    spans = [(person, on[0] - windows.REACH, on[-1] + windows.REACH) for person, on in touched.items()]
    before = await apart.stretches(tx, spans)
    await apart.make_days(tx, ordered)
    after = await apart.stretches(tx, spans)
    for person, was, now in zip(touched, before, after, strict=True):
        terms = seats[person].terms or ()
        links.recount(deltas, person[0], was, now, old=terms, new=terms, final=final(person[0]))
        tallies.setdefault(person[0], Tally())


async def _concerned(tx: Connection, moves: Mapping[Person, Move]) -> set[Person]:
    """Return whom ``moves`` concern: whom an identity counted for and counts for, and who is recognised by a person."""
    people = {
        (person[0], user)
        for person, move in moves.items()
        if move.old.user != move.new.user
        for user in (move.old.user, move.new.user)
        if user is not None and user != person[1]
    }
    keys = [
        (person, known)
        for person, move in moves.items()
        if move.old.keys != move.new.keys
        for known in (move.old.keys, move.new.keys)
        if known is not None
    ]
    return people | await link_store.recognised(tx, keys)
