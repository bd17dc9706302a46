"""Several identities of one person, on real Postgres: whatever comes first, the person's windows are the same."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from schemas.topics import person_key, shard_of
from services.aggregator.domain.waves import Wave
from services.aggregator.shard import Tenants
from services.aggregator.store import cohorts, weeks
from services.postgres import Connection, Pool, transaction
from tests.aggregator.shards import NOW, SHARDS, START, Log, Numbered, draw_entry, event, own, settled
from tests.builders import add_tenant, enter
from tests.oracle import Contact, Entry, Spell, brute_force, cells, whose

PEOPLE = [f"u{n}" for n in range(8)]
MAILS = ["anna@acme.example", "bo@acme.example", "cy@acme.example", "sales@acme.example"]
OTHERS = ["hub-1", "hub-2", "005-3", "005-4", "ANNA@acme.example", "bo@acme.example", "stranger", "shared"]
KINDS = ["crm.session.login", "crm.record.updated", "crm.session.login_failed", "training.module.completed"]
DAYS = [START + timedelta(n) for n in range(-10, 110)]
MIDNIGHT = datetime.combine(START, datetime.min.time(), UTC)


@pytest.fixture
async def pool(pool: Pool) -> Pool:
    """The pool on a database with one tenant."""
    await add_tenant(pool, clock="wall")
    return pool


async def queue(connection: Connection, user: str) -> None:
    await connection.execute(
        "insert into directory_change (tenant, user_id, shard) values ('acme', $1, $2)",
        user,
        shard_of(person_key("acme", user), SHARDS),
    )


async def reach(pool: Pool, user: str, contact: Contact) -> None:
    """Write how a person can be recognised, as the API does."""
    async with transaction(pool) as tx:
        await tx.execute(
            "update person set external_id = $2, email = $3 where tenant = 'acme' and user_id = $1", user, *contact
        )
        await queue(tx, user)


async def decide(pool: Pool, identity: str, user: str | None) -> None:
    """Write who an identity is, as the API does; None: take the decision back."""
    async with transaction(pool) as tx:
        await tx.execute("delete from alias where tenant = 'acme' and identity = $1", identity)
        if user is not None:
            sql = "insert into alias (tenant, identity, user_id, actor) values ('acme', $1, $2, 'test')"
            await tx.execute(sql, identity, user)
        await queue(tx, identity)


def draw_events(rng: random.Random) -> list[dict[str, Any]]:
    events = []
    for n in range(400):
        user = rng.choice([*PEOPLE, *OTHERS, *OTHERS, None])
        data: dict[str, Any] = {}
        if user in OTHERS and rng.random() < 0.3:
            data["email"] = rng.choice(MAILS) if user == "shared" else MAILS[OTHERS.index(user) % 4].title()
        at = MIDNIGHT + timedelta(minutes=rng.randrange(60 * 24 * 70))
        events.append(event(n, user, at, rng.choice(KINDS), **data))
    return events


def draw_contact(rng: random.Random) -> Contact:
    return Contact(rng.choice([None, None, "005-3", "005-4"]), rng.choice([None, *MAILS, *MAILS]))


def draw_decision(rng: random.Random) -> tuple[str, str | None]:
    """A decision without a chain: only of u0 to u3 are there others."""
    identity = rng.choice([*PEOPLE[4:], *OTHERS])
    return identity, rng.choice([None, None, identity, *PEOPLE[:4]])


def facts_of(events: list[dict[str, Any]], who: Mapping[str, str | None]) -> dict[tuple[str, date], list[Any]]:
    """Return what each person did on each day; unknown identities are for themselves."""
    found: dict[tuple[str, date], list[Any]] = defaultdict(lambda: [0, 0, []])
    for one in events:
        user = one["data"]["user"]
        at = datetime.fromisoformat(one["time"])
        row = found[(who.get(user) or user or ""), at.date()]
        row[0] += 1
        row[1] += one["type"] == "crm.session.login"
        row[2].append(at)
    return {key: [row[0], row[1], min(row[2]), max(row[2])] for key, row in found.items()}


class Story:
    """Events, people and decisions in any order, and what must come of them."""

    def __init__(self, pool: Pool, seed: int) -> None:
        self.pool = pool
        self.rng = random.Random(seed)
        self.events = draw_events(self.rng)
        self.log = Log()
        for one in [*self.events, *self.rng.choices(self.events, k=60)]:
            self.log.append(one)
        for entries in self.log.records.values():
            order = self.rng.sample(entries, len(entries))
            entries[:] = [Numbered(n, entry.timestamp, entry.key, entry.value) for n, entry in enumerate(order)]
        self.cursors = [0] * SHARDS
        self.directory: dict[str, Entry] = {}
        self.contacts: dict[str, Contact] = {}
        self.decided: dict[str, str] = {}
        entered = [*PEOPLE, *self.rng.choices(PEOPLE, k=10)]
        self.todo = [self.enter(user) for user in entered]
        self.todo += [self.decide() for _ in range(25)] + [self.reach() for _ in range(15)]
        self.rng.shuffle(self.todo)

    async def enter(self, user: str) -> None:
        self.directory[user] = draw_entry(self.rng)
        self.contacts.setdefault(user, Contact(None, None))
        await enter(self.pool, user, self.directory[user], SHARDS)

    async def reach(self) -> None:
        if self.contacts:
            user = self.rng.choice(sorted(self.contacts))
            self.contacts[user] = draw_contact(self.rng)
            await reach(self.pool, user, self.contacts[user])

    async def decide(self) -> None:
        identity, into = draw_decision(self.rng)
        self.decided.pop(identity, None)
        if into is not None:
            self.decided[identity] = into
        await decide(self.pool, identity, into)

    def batch(self, number: int) -> list[Numbered]:
        start = self.cursors[number]
        taken = self.log.records[number][start : start + self.rng.randrange(1, 60)]
        self.cursors[number] += len(taken)
        return taken

    def unread(self, number: int) -> bool:
        return self.cursors[number] < len(self.log.records[number])

    async def verify(self) -> None:
        who = whose(self.contacts, self.decided, self.events)
        joined = [{**one, "data": {"user": who.get(one["data"]["user"])}} for one in self.events]
        alone = {user: entry for user, entry in self.directory.items() if who[user] == user}
        tally = await self.pool.fetchrow(
            "select sum(folded), sum(duplicates), sum(conflicts), sum(unmapped) from tally"
        )
        rows = await self.pool.fetch("select user_id, day, events, logins, first_at, last_at from person_day")

        assert await cells(self.pool, DAYS) == brute_force(alone, joined, DAYS)
        assert {(row["user_id"], row["day"]): list(row.values())[2:] for row in rows} == facts_of(self.events, who)
        assert tuple(tally) == (400, 60, 0, sum(one["data"]["user"] is None for one in joined))
        assert {who[identity] for identity in OTHERS} & set(PEOPLE), "nobody was joined"


@pytest.mark.parametrize("seed", range(6), ids=lambda seed: f"story {seed}")
async def test_any_order_of_events_directory_and_decisions_ends_in_the_same_windows(pool: Pool, seed: int) -> None:
    story, tenants = Story(pool, seed), Tenants()
    rng = story.rng
    shards = [await own(pool, number, tenants) for number in range(SHARDS)]
    while story.todo or any(map(story.unread, range(SHARDS))):
        number = rng.randrange(SHARDS)
        if rng.random() < 0.5 and story.unread(number):
            await shards[number].fold(pool, story.batch(number), NOW)
        elif story.todo:
            await story.todo.pop()
        if rng.random() < 0.2:
            shards[number] = await own(pool, number, tenants)
        if rng.random() < 0.7:
            await shards[rng.randrange(SHARDS)].follow_directory(pool, NOW)
    await settled(pool, shards)

    await story.verify()


@pytest.mark.parametrize("seed", range(6, 9), ids=lambda seed: f"story {seed}")
async def test_owners_and_the_directory_at_the_same_moment_end_in_the_same_windows(pool: Pool, seed: int) -> None:
    story, tenants = Story(pool, seed), Tenants()
    shards = [await own(pool, number, tenants) for number in range(SHARDS)]

    async def work(number: int) -> None:
        while story.unread(number):
            await shards[number].fold(pool, story.batch(number), NOW)
            await shards[number].follow_directory(pool, NOW)

    async def write() -> None:
        for change in story.todo:
            await change

    await asyncio.gather(write(), *map(work, range(SHARDS)))
    await settled(pool, shards)

    await story.verify()


WORKDAY = datetime(2026, 1, 6, 9, tzinfo=UTC)
ALWAYS = Entry([Spell(date(1, 1, 1), None, "A", "x")], START, None)


class Office:
    """Owned shards on which single events are folded at once."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.tenants = Tenants()
        self.log = Log()
        self.number = 0

    async def open(self) -> "Office":
        self.shards = [await own(self.pool, number, self.tenants) for number in range(SHARDS)]
        return self

    async def act(self, user: str, at: datetime = WORKDAY, **data: Any) -> None:
        self.number += 1
        self.log.append(event(self.number, user, at, **data))
        number = shard_of(person_key("acme", user), SHARDS)
        await self.shards[number].fold(self.pool, self.log.records[number][-1:], NOW)
        await settled(self.pool, self.shards)

    async def people(self, **contacts: Contact) -> None:
        for user, contact in contacts.items():
            await enter(self.pool, user, ALWAYS, SHARDS)
            await reach(self.pool, user, contact)
        await settled(self.pool, self.shards)

    async def links(self) -> dict[str, tuple[str | None, str, list[str]]]:
        rows = await self.pool.fetch("select * from person_link where how <> 'self'")
        return {row["identity"]: (row["user_id"], row["how"], row["candidates"]) for row in rows}

    async def cell(self) -> tuple[int, ...]:
        """Return licensed, active, logged_in, actions and user-days of everybody on the workday."""
        return (await cells(self.pool, [WORKDAY.date()]))["tenant", "all", 1, WORKDAY.date()]

    async def unmapped(self) -> int:
        return int(await self.pool.fetchval("select sum(unmapped) from tally"))


@pytest.fixture
async def office(pool: Pool) -> Office:
    return await Office(pool).open()


async def test_an_email_that_comes_after_the_directory_joins_at_once_and_one_before_joins_later(office: Office) -> None:
    await office.act("hub-1", email="Anna@acme.example")
    await office.act("hub-2")
    assert await office.unmapped() == 2

    await office.people(anna=Contact(None, "anna@Acme.example "), bo=Contact(None, "bo@acme.example"))
    assert await office.unmapped() == 1

    await office.act("hub-2", email="bo@acme.example")
    assert await office.unmapped() == 0
    assert await office.cell() == (2, 2, 0, 3, 2)
    assert await office.links() == {"hub-1": ("anna", "email", []), "hub-2": ("bo", "email", [])}


async def test_two_people_with_one_email_leave_the_identity_alone_until_one_of_them_changes(office: Office) -> None:
    await office.people(anna=Contact(None, "sales@acme.example"), bo=Contact(None, "sales@acme.example"))
    await office.act("Sales@Acme.Example")
    assert await office.links() == {"Sales@Acme.Example": (None, "ambiguous", ["anna", "bo"])}
    assert (await office.cell(), await office.unmapped()) == ((2, 0, 0, 0, 0), 1)

    await reach(office.pool, "bo", Contact(None, None))
    await settled(office.pool, office.shards)

    assert await office.links() == {"Sales@Acme.Example": ("anna", "email", [])}
    assert (await office.cell(), await office.unmapped()) == ((2, 1, 0, 1, 1), 0)


async def test_an_external_id_goes_before_an_email_and_a_decision_before_both(office: Office) -> None:
    await office.people(anna=Contact("005", None), bo=Contact(None, "bo@acme.example"), cy=Contact(None, None))
    await office.act("005", email="bo@acme.example")
    assert await office.links() == {"005": ("anna", "external_id", [])}

    await decide(office.pool, "005", "cy")
    await settled(office.pool, office.shards)
    assert await office.links() == {"005": ("cy", "alias", [])}

    await decide(office.pool, "005", "005")
    await settled(office.pool, office.shards)
    assert await office.links() == {}
    assert await office.unmapped() == 1


async def test_who_is_merged_counts_nowhere_on_their_own_and_comes_back(office: Office) -> None:
    await office.people(anna=Contact(None, None), bo=Contact(None, "bo@acme.example"))
    await office.act("anna")
    await office.act("bo")
    await office.act("hub", email="bo@acme.example")
    before = await office.cell()
    assert before == (2, 2, 0, 3, 2)

    await decide(office.pool, "bo", "anna")
    await settled(office.pool, office.shards)
    assert await office.cell() == (1, 1, 0, 3, 1)
    assert await office.links() == {"bo": ("anna", "alias", []), "hub": ("anna", "email", [])}
    await office.act("bo", WORKDAY + timedelta(days=1))
    assert await office.pool.fetchval("select count(*) from person_day where user_id = 'anna'") == 2

    await decide(office.pool, "bo", None)
    await settled(office.pool, office.shards)
    assert await office.cell() == before
    assert await office.pool.fetchval("select count(*) from person_day where user_id = 'bo'") == 2


async def test_an_identity_with_many_emails_is_nobody(office: Office) -> None:
    await office.people(anna=Contact(None, "m3@acme.example"))
    for n in range(20):
        await office.act("kiosk", email=f"m{n}@acme.example")

    assert await office.links() == {"kiosk": (None, "ambiguous", ["anna"])}
    assert await office.pool.fetchval("select count(*) from sighting") == 9
    assert await office.unmapped() == 20


async def test_the_emails_of_a_shared_account_are_bounded_however_many_one_batch_brings(office: Office) -> None:
    log = Log()
    for n in range(100):
        log.append(event(n, "kiosk", WORKDAY, email=f"m{n}@acme.example"))
    number = shard_of(person_key("acme", "kiosk"), SHARDS)
    await office.shards[number].fold(office.pool, log.records[number], NOW)

    assert await office.pool.fetchval("select count(*) from sighting") == 17


async def test_no_email_is_kept_in_clear_beside_the_directory(office: Office) -> None:
    await office.act("hub-1", email="anna@acme.example")

    tables = ("sighting", "person_link", "person_day", "identity_day", "directory_change", "roster")
    kept = [str(await office.pool.fetch(f"select * from {table}")) for table in tables]
    assert not any("anna" in text for text in kept)


async def test_a_batch_that_was_rolled_back_leaves_no_memory_of_who_was_seen(office: Office) -> None:
    await office.people(anna=Contact(None, "anna@acme.example"))
    log = Log()
    log.append(event(1, "hub-1", WORKDAY, email="anna@acme.example"))
    number = shard_of(person_key("acme", "hub-1"), SHARDS)
    long = next(user for n in range(100) if shard_of(person_key("acme", user := random_text(n)), SHARDS) == number)
    log.append(event(2, long, WORKDAY))
    outcome = await office.shards[number].fold(office.pool, log.records[number], NOW)
    await settled(office.pool, office.shards)

    assert (outcome.folded, outcome.dead_letter) == (1, 1)
    assert await office.links() == {"hub-1": ("anna", "email", [])}


def random_text(seed: int) -> str:
    """Return a text that is longer than an index takes."""
    rng = random.Random(seed)
    return "".join(chr(rng.randrange(0x4E00, 0x9FFF)) for _ in range(4000))


async def test_who_is_merged_is_in_no_cohort_and_connects_the_person(office: Office) -> None:
    await office.people(anna=Contact(None, None), bo=Contact(None, None), cy=Contact(None, None))
    await decide(office.pool, "bo", "anna")
    await office.act("bo")
    wave = Wave("w", "Wave", START)
    async with transaction(office.pool) as tx:
        groups = (await cohorts.cohorts(tx, "acme", [wave], "activity"))["w"]
        pair = weeks.Pair("team", "A", WORKDAY.date(), WORKDAY.date() + timedelta(days=7))
        people = (await weeks.same_people(tx, "acme", [pair]))[pair]

    assert {group.day: sorted(group.people) for group in groups} == {WORKDAY.date(): ["anna"], None: ["cy"]}
    assert (people.stayed, people.lost) == (2, 1)
