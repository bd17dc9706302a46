"""What every window must be, computed the slow and obvious way from the directory and the distinct events."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple, TypeAlias

from services.aggregator.domain.windows import LENGTHS
from services.postgres import Pool


class Spell(NamedTuple):
    """A membership, half-open."""

    valid_from: date
    valid_to: date | None
    team: str
    role: str


class Entry(NamedTuple):
    """A person in the directory."""

    spells: Sequence[Spell]
    licensed_from: date
    licensed_to: date | None


Cells: TypeAlias = dict[tuple[str, str, int, date], tuple[int, ...]]
"""(dimension, key, length, as-of day) → licensed, active, logged_in, actions, active_user_days."""


def brute_force(directory: Mapping[str, Entry], events: Iterable[dict[str, Any]], days: Sequence[date]) -> Cells:
    """Return every cell with somebody licensed."""
    found: dict[tuple[str, str, int, date], list[int]] = {}
    by_user: dict[str | None, list[tuple[date, str]]] = {}
    for event in events:
        day = datetime.fromisoformat(event["time"]).date()
        by_user.setdefault(event["data"].get("user"), []).append((day, event["type"]))
    for user, entry in directory.items():
        for as_of in days:
            spell = next(
                (s for s in entry.spells if s.valid_from <= as_of and (s.valid_to is None or as_of < s.valid_to)), None
            )
            licensed = entry.licensed_from <= as_of and (entry.licensed_to is None or as_of <= entry.licensed_to)
            if spell is None or not licensed:
                continue
            for length in LENGTHS:
                inside = [
                    (d, kind) for d, kind in by_user.get(user, ()) if timedelta(0) <= as_of - d < timedelta(length)
                ]
                counts = (
                    1,
                    bool(inside),
                    any(kind == "crm.session.login" for _, kind in inside),
                    sum(not kind.startswith("crm.session.") for _, kind in inside),
                    len({d for d, _ in inside}),
                )
                for dimension, key in (("tenant", "all"), ("team", spell.team), ("role", spell.role)):
                    cell = found.setdefault((dimension, key, length, as_of), [0] * 5)
                    for n, count in enumerate(counts):
                        cell[n] += int(count)
    return {key: tuple(cell) for key, cell in found.items()}


class Contact(NamedTuple):
    """What identities may be recognised by as a person."""

    external_id: str | None
    email: str | None


def whose(
    contacts: Mapping[str, Contact], decided: Mapping[str, str], events: Iterable[dict[str, Any]]
) -> dict[str, str | None]:
    """Return whom each identity counts for: of the people in ``contacts``, and of who acted in ``events``."""
    mails: dict[str, set[str]] = {user: set() for user in contacts}
    for event in events:
        if user := event["data"].get("user"):
            mails.setdefault(user, {user.lower()}).add(event["data"].get("email", user).strip().lower())

    def root(user: str) -> str:
        into = decided.get(user, user)
        return into if into in contacts else user

    def recognised(identity: str) -> str | None:
        by_external_id = {root(user) for user, contact in contacts.items() if contact.external_id == identity}
        by_mail = {
            root(user)
            for user, contact in contacts.items()
            if contact.email and contact.email.lower() in mails[identity]
        }
        found = by_external_id or by_mail
        return found.pop() if len(found) == 1 else None

    def person(identity: str) -> str | None:
        if identity in decided and decided[identity] in contacts:
            return decided[identity]
        if identity in contacts:
            return identity
        return None if identity in decided else recognised(identity)

    return {identity: person(identity) for identity in mails}


async def cells(pool: Pool, days: Sequence[date], tenant: str = "acme") -> Cells:
    """Read every cell with somebody licensed by plain sums: of differences, and of the amounts of the days held."""
    rows = await pool.fetch(
        "select d.as_of, w.dimension, w.key, l.days, sum(licensed) filter (where own)::int,"
        " sum(active) filter (where own)::int, sum(logged_in) filter (where own)::int,"
        " coalesce(sum(actions) filter (where held), 0)::int,"
        " coalesce(sum(active_user_days) filter (where held), 0)::int"
        " from unnest($1::date[]) as d(as_of) cross join unnest('{1,7,28}'::int[]) as l(days)"
        " join window_delta w on w.day <= d.as_of and w.tenant = $2 and w.days in (1, l.days)"
        " cross join lateral (select w.days = l.days as own,"
        " case w.days when 1 then w.day > d.as_of - l.days else true end as held) h"
        " group by 1, 2, 3, 4 having sum(licensed) filter (where own) <> 0",
        days,
        tenant,
    )
    return {(row[1], row[2], row[3], row[0]): tuple(row)[4:] for row in rows}


Acts: TypeAlias = Counter[tuple[str, datetime, str]]
"""Who, when and what."""


def acts(events: Iterable[dict[str, Any]]) -> Acts:
    """Return what is to be kept of distinct events."""
    return Counter(
        (event["data"].get("user") or "", datetime.fromisoformat(event["time"]), event["type"]) for event in events
    )


async def kept(pool: Pool, tenant: str = "acme") -> Acts:
    """Read what is kept of events."""
    return Counter(
        tuple(row) for row in await pool.fetch("select user_id, at, kind from activity where tenant = $1", tenant)
    )


async def hours(pool: Pool, tenant: str = "acme") -> int:
    """Read how many events the hours of all sources hold."""
    count: int = await pool.fetchval("select coalesce(sum(events), 0)::int from source_hour where tenant = $1", tenant)
    return count
