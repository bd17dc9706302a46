"""What was measured, and what it should be: of every fact at once, without a queue, a part or a difference."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from schemas.fields import DEFAULT, FieldRegistry
from services.aggregator.measurer import Measurer
from services.aggregator.measuring.owners import people_of
from services.aggregator.store import directory
from services.metrics.activity import connects, first_connecting_day
from services.metrics.calendar import local_day, spell_on
from services.metrics.histories import Change, Timeline
from services.metrics.people import contribute
from services.metrics.policies import RecordPolicy, policies
from services.metrics.policy import policy_of
from services.metrics.presence import day_zero
from services.metrics.records import Meeting, contribute_record
from services.metrics.shape import DIMENSIONS, Act, Contribution, Groups, Person, Policy, week_of
from services.metrics.windows import end_of
from services.postgres import Connection, Pool

WEEK = timedelta(days=7)
DAY = timedelta(days=1)


class Row(NamedTuple):
    """A contribution, to compare."""

    groups: tuple[str | None, ...]
    counts: dict[str, tuple[int, int]]
    moves: dict[int, tuple[str | None, ...]]
    reason: str | None


class State(NamedTuple):
    """Everything that was measured of a tenant."""

    contributions: dict[tuple[str, str, date], Row]
    cells: dict[tuple[str, str, str, date], tuple[int, int]]
    careers: dict[str, tuple[date | None, date | None]]


def measurer(pool: Pool, url: str = "", now: datetime | None = None, **options: Any) -> Measurer:
    return Measurer(pool, url, lambda: now or datetime.now(UTC), **options)


async def soil(connection: Connection, *users: str, low: date | None = None, tenant: str = "acme") -> None:
    """Queue people as the API does when the directory changes."""
    sql = "insert into dirty (tenant, kind, subject, low) select $1, 'person', u, $3 from unnest($2::text[]) as q(u)"
    await connection.execute(sql, tenant, list(users), low)


async def soil_all(connection: Connection, tenant: str = "acme") -> None:
    await connection.execute("insert into dirty (tenant, kind, subject) values ($1, 'tenant', $1)", tenant)


async def stored(connection: Connection, tenant: str = "acme") -> State:
    """Return what is measured; numbers that are zero are none."""
    contributions = {}
    for row in await connection.fetch("select * from contribution where tenant = $1", tenant):
        contributions[row["kind"], row["subject"], row["week"]] = Row(
            tuple(row[name] for name in Groups._fields),
            {code: (num, den) for code, (num, den) in row["counts"].items()},
            {int(offset): tuple(groups) for offset, groups in (row["moves"] or {}).items()},
            row["reason"],
        )
    cells = {
        (row["dimension"], row["key"], row["metric"], row["day"]): (row["num"], row["den"])
        for row in await connection.fetch("select * from metric_cell where tenant = $1", tenant)
        if row["num"] or row["den"]
    }
    careers = {
        row["user_id"]: (row["day_zero"], row["first_on"])
        for row in await connection.fetch("select * from career where tenant = $1", tenant)
    }
    return State(contributions, cells, careers)


async def expected(connection: Connection, tenant: str = "acme") -> State:
    """Return what should be measured, of the weeks there are."""
    measured = await connection.fetchrow("select since, week from measured where tenant = $1", tenant)
    settings = await connection.fetchrow("select * from tenant where id = $1", tenant)
    waves = await connection.fetchval("select exists (select from wave where tenant = $1)", tenant)
    policy = policy_of(settings, waves=waves)
    links = await connection.fetch("select identity, user_id from person_link where tenant = $1", tenant)
    linked = {row["identity"]: row["user_id"] for row in links}
    users = [row["user_id"] for row in await connection.fetch("select user_id from person where tenant = $1", tenant)]
    persons = await directory.people(connection, tenant, users)
    facts = await connection.fetch("select * from activity where tenant = $1", tenant)
    weeks = []
    if measured is not None and measured["since"] is not None:
        weeks = [measured["since"] + n * WEEK for n in range((measured["week"] - measured["since"]).days // 7 + 1)]
    found: dict[tuple[str, str, date], Contribution] = {}
    careers = {}
    for user, person in persons.items():
        if linked.get(user, user) != user:
            continue
        acts = [_act(fact) for fact in facts if linked.get(fact["user_id"], fact["user_id"]) == user]
        first = first_connecting_day(person, policy, [act.at for act in acts if connects(act, policy)])
        careers[user] = (day_zero(person, policy), first)
        for week in weeks:
            if (told := contribute(person, policy, week, acts, first)) is not None:
                found["person", user, week] = told
    registry = DEFAULT if settings["fields"] is None else msgspec.convert(settings["fields"], FieldRegistry)
    told = await connection.fetch("select * from record_change where tenant = $1", tenant)
    found |= _records(told, facts, weeks, policy, persons, linked, policies(registry))
    return State({key: _row(told) for key, told in found.items()}, _sums(found.items()), careers)


def _act(fact: Any) -> Act:
    names = ("at", "kind", "origin", "environment", "behalf", "object", "record", "detail")
    return Act(*(fact[name] for name in names), bool(fact["bulk"]), bool(fact["automatic"]))


def _records(
    told: Iterable[Any],
    facts: Iterable[Any],
    weeks: Sequence[date],
    policy: Policy,
    persons: dict[str, Person],
    linked: dict[str, str | None],
    known: dict[str, RecordPolicy],
) -> dict[tuple[str, str, date], Contribution]:
    people = people_of(persons, linked, policy)
    changes = defaultdict(list)
    meetings = defaultdict(list)
    for fact in facts:
        if fact["environment"] is None and fact["kind"] == "meeting.held" and fact["behalf"] is None:
            holder = people.who(fact["user_id"])
            if holder is not None:
                day = local_day(fact["at"], policy.zone)
                spell = spell_on(persons[holder], day)
                week = week_of(day, policy.first_day_of_week)
                meetings[week].append(Meeting(fact["at"], holder, spell.team if spell else None))
    for row in told:
        if row["object"] in known and row["at"].date() < weeks[-1] + WEEK + DAY:
            changes[row["object"], row["record"]].append(_change(row))
    found = {}
    for (noun, record), history in changes.items():
        for week in weeks:
            end = end_of(week + WEEK, [policy.zone])
            line = Timeline(history, known[noun])
            reviews = sorted(set(meetings[week]))
            it = contribute_record(line, known[noun], week, week_end=end, people=people, meetings=reviews)
            if it is not None:
                found["record", f"{noun}\t{record}", week] = it
    return found


def _change(row: Any) -> Change:
    fields = {name.casefold(): state for name, state in (row["fields"] or {}).items()} or None
    rest = (row[name] for name in ("user_id", "origin", "owner", "stage", "close_date", "forecast"))
    return Change(row["at"], str(row["identity"]), row["kind"], *rest, fields)


def _row(told: Contribution) -> Row:
    return Row(tuple(told.groups), dict(told.counts), {n: tuple(there) for n, there in told.moves.items()}, told.reason)


def _sums(
    found: Iterable[tuple[tuple[str, str, date], Contribution]],
) -> dict[tuple[str, str, str, date], tuple[int, int]]:
    nums: Counter[tuple[str, str, str, date]] = Counter()
    dens: Counter[tuple[str, str, str, date]] = Counter()
    for (_, _, week), told in found:
        for code, (num, den) in told.counts.items():
            name, at, offset = code.rpartition("@")
            place = told.moves.get(int(offset), told.groups) if at else told.groups
            day = week + timedelta(days=int(offset)) if at else week
            for dimension, key in [("tenant", "all"), *zip(DIMENSIONS[1:], place, strict=True)]:
                if key is not None:
                    cell = (dimension, key, name if at else code, day)
                    nums[cell] += num
                    dens[cell] += den
    return {cell: (nums[cell], dens[cell]) for cell in dens.keys() | nums.keys() if nums[cell] or dens[cell]}
