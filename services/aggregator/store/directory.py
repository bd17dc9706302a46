"""People of the directory through all time, as the metrics are counted from them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.aggregator.domain.waves import Wave
from services.aggregator.store.cohorts import waves
from services.metrics.presence import united
from services.metrics.shape import Interval, Person, Spell, WaveStart
from services.postgres import Connection

_PEOPLE: Final = """
select user_id, time_zone, calendar, active_from, active_to from person
where tenant = $1 and user_id = any($2::text[])
"""
_SPELLS: Final = """
select user_id, valid_from, valid_to, team, role, manager, kind, function, location, segment,
  champion, leadership, opted_out, work_days
from membership where tenant = $1 and user_id = any($2::text[]) order by user_id, valid_from
"""
_LICENCES: Final = """
select user_id, licensed_from, licensed_to, (price * 10000)::bigint as price from licence
where tenant = $1 and user_id = any($2::text[]) order by user_id, licensed_from
"""
_ABSENCES: Final = """
select user_id, "first", "last" from absence
where tenant = $1 and user_id = any($2::text[]) order by user_id, "first"
"""


_MERGED: Final = """
select l.user_id, l.identity from person_link l
join person p on p.tenant = l.tenant and p.user_id = l.identity
where l.tenant = $1 and l.user_id = any($2::text[]) and l.identity <> l.user_id order by 1, 2
"""


async def people(tx: Connection, tenant: str, users: Sequence[str]) -> dict[str, Person]:
    """Return those of ``users`` whom the directory knows, as it knows them; each with who else they turned out to be.

    A licence of any of these is the person's, and so is a wave.
    """
    merged: dict[str, list[str]] = defaultdict(list)
    for user, other in await tx.fetch(_MERGED, tenant, list(users)):
        merged[user].append(other)
    found = await _alone(tx, tenant, sorted({*users, *(other for others in merged.values() for other in others)}))
    return {
        user: united(found[user], [found[other] for other in merged.get(user, ()) if other in found])
        for user in users
        if user in found
    }


async def _alone(tx: Connection, tenant: str, asked: list[str]) -> dict[str, Person]:
    """Return people by their own rows."""
    spells: dict[str, list[Spell]] = defaultdict(list)
    for row in await tx.fetch(_SPELLS, tenant, asked):
        user, start, end, *held = row
        held[-1] = None if held[-1] is None else frozenset(held[-1])
        spells[user].append(Spell(Interval(start, end), *held))
    held_licences = await tx.fetch(_LICENCES, tenant, asked)
    licences = _stretches(row[:3] for row in map(tuple, held_licences))
    prices: dict[str, list[tuple[Interval, int]]] = defaultdict(list)
    for user, first, last, price in held_licences:
        if price:
            prices[user].append((Interval.through(first, last), price))
    absences = _stretches(map(tuple, await tx.fetch(_ABSENCES, tenant, asked)))
    scopes = [_Scope(wave) for wave in await waves(tx, tenant)]
    return {
        user: Person(
            user,
            tuple(spells[user]),
            tuple(licences.get(user, ())),
            tuple(absences.get(user, ())),
            tuple(_starts(scopes, user, spells[user])),
            None if zone is None else ZoneInfo(zone),
            calendar,
            Interval.through(first or date.min, last),
            tuple(prices.get(user, ())),
        )
        for user, zone, calendar, first, last in await tx.fetch(_PEOPLE, tenant, asked)
    }


def _stretches(rows: Iterable[tuple[Any, ...]]) -> dict[str, list[Interval]]:
    """Return by user half-open stretches of days, those that adjoin made one."""
    found: dict[str, list[Interval]] = defaultdict(list)
    for user, first, last in rows:
        known = found[user]
        if known and known[-1].end is not None and known[-1].end >= first:
            known[-1] = Interval.through(known[-1].start, last)
        else:
            known.append(Interval.through(first, last))
    return found


class _Scope:
    """Whom a wave covers, quick to ask."""

    def __init__(self, wave: Wave) -> None:
        self.wave = wave
        self._teams, self._roles, self._people = frozenset(wave.teams), frozenset(wave.roles), frozenset(wave.people)

    def covers(self, user: str, spell: Spell) -> bool:
        return self.wave.everybody or user in self._people or spell.team in self._teams or spell.role in self._roles


def _starts(scopes: Iterable[_Scope], user: str, spells: Sequence[Spell]) -> Iterator[WaveStart]:
    for scope in scopes:
        since = next((spell.interval.start for spell in spells if scope.covers(user, spell)), None)
        if since is not None:
            yield WaveStart(scope.wave.id, scope.wave.go_live, since)
