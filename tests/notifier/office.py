"""A company whose people are told by mail: planner and sender as they are, a letter box in place of the channel."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from services.notifier.bell import Bell
from services.notifier.domain.shape import Outcome, Sending
from services.notifier.instruments import Instruments
from services.notifier.people import plan_due, plan_people
from services.notifier.planner import Planner
from services.notifier.sender import Sender
from services.notifier.ways import Way
from services.postgres import Connection, Pool
from tests.builders import START, add_tenant
from tests.notifier import desk

MONDAY = date(2026, 3, 2)
HEAD = {"role": "manager"}
HOURS = (8, 12)
"""When it is looked, on each day."""


class Letter(NamedTuple):
    """What somebody got."""

    to: str
    kind: str
    at: datetime
    body: dict[str, Any]

    @property
    def told(self) -> list[tuple[str, str | None]]:
        """Return what it tells of whom."""
        return [(line["what"], line["person"]) for line in self.body["lines"]]


def berlin(day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    """Return an instant of March 2026, before the clocks change, as it stands on a wall in Berlin."""
    return datetime(2026, 3, day, hour, minute, second, tzinfo=UTC) - timedelta(hours=1)


class Office:
    """The tenant ``acme`` in Berlin, and its letter box."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.clock = desk.Clock(berlin(2, 7))
        self.box: list[Letter] = []
        self.planner, self.sender = self.notifier()

    def notifier(self) -> tuple[Planner, Sender]:
        """Return the planner and the sender of one more notifier."""
        ways = {kind: Way(self._take, plan_people, plan_due) for kind in ("email", "teams")}
        sender = Sender(self.pool, desk.SEAL, ways, self.clock, seconds=2.0, instruments=Instruments())
        return Planner(self.pool, ways, self.clock, Bell()), sender

    async def _take(self, sending: Sending) -> Outcome:
        self.box.append(Letter(sending.recipient, sending.message_kind, sending.now, dict(sending.body)))
        return Outcome(kind="delivered")

    async def at(self, now: datetime) -> list[Letter]:
        """Let it be ``now``; return what is delivered."""
        self.clock.now = now
        before = len(self.box)
        while await self.planner.round(now):
            pass
        while await self.sender.round():
            await self.sender.finish()
        return self.box[before:]

    async def through(self, first: datetime, last: datetime) -> list[Letter]:
        """Let time pass from ``first`` to ``last``; return what is delivered."""
        before = len(self.box)
        marks = (berlin(2, hour) + timedelta(days=n) for n in range(-1, 40) for hour in HOURS)
        steps = {first, first + timedelta(minutes=2), last, *(mark for mark in marks if first < mark < last)}
        for step in sorted(steps):
            await self.at(step)
        return self.box[before:]

    async def change(self, kind: str, columns: dict[str, Any], at: datetime, **now: Any) -> dict[str, Any]:
        """Let an alert change."""
        async with self.pool.acquire() as connection:
            return await desk.change(connection, kind, columns, at=at, **now)

    async def opens(self, at: datetime, user: str = "ada", **columns: Any) -> dict[str, Any]:
        """Open an alert on a person."""
        given = {
            "rule": "user-not-connected-d2",
            "subject_kind": "user",
            "subject_key": user,
            "wave": "north",
            "title": "North: not connected two days after go-live",
            "audience": [HEAD],
            "evidence": {},
            "opened_at": at,
            **columns,
        }
        return await self.change("opened", desk.alert(**given), at)

    async def run(self, statement: str, *values: object) -> None:
        """Run a statement."""
        async with self.pool.acquire() as connection:
            await connection.execute(statement, *values)


async def person(
    connection: Connection, user: str, manager: str | None, *, team: str = "North", **columns: Any
) -> None:
    """Insert a person."""
    given = {"name": user.title(), "email": f"{user}@acme.example", **columns}
    names = list(given)
    await connection.execute(
        f"insert into person (tenant, user_id, {', '.join(names)}) values ('acme', $1, "
        f"{', '.join(f'${n}' for n in range(2, len(names) + 2))})",
        user,
        *given.values(),
    )
    await connection.execute(
        "insert into membership (tenant, user_id, valid_from, team, manager) values ('acme', $1, $2, $3, $4)",
        *(user, START, team, manager),
    )


async def moves(office: Office, user: str, manager: str, day: date) -> None:
    """Let a person report to somebody else from ``day`` on."""
    await office.run("update membership set valid_to = $2 where tenant = 'acme' and user_id = $1", user, day)
    await office.run(
        "insert into membership (tenant, user_id, valid_from, team, manager) values ('acme', $1, $2, 'North', $3)",
        *(user, day, manager),
    )


async def furnish(pool: Pool, **tenant: Any) -> Office:
    """Return the office: mia leads ada and eleven others, max leads mia, sam sponsors, an address owns the CRM."""
    async with pool.acquire() as connection:
        await add_tenant(connection, time_zone="Europe/Berlin", clock="wall", **tenant)
        await desk.key(connection)
        await person(connection, "max", None, team="Board")
        await person(connection, "sam", None, team="Board")
        await person(connection, "mia", "max")
        await person(connection, "ada", "mia")
        for number in range(11):
            await person(connection, f"p{number:02}", "mia")
        await connection.execute("insert into contact values ('acme', 'crm_owner', 'crm@acme.example', 'email')")
        await connection.execute(
            "insert into wave (tenant, id, name, go_live, sponsor) values ('acme', 'north', 'North', $1, 'sam')", MONDAY
        )
    return Office(pool)


async def subscribe(office: Office, kind: str = "email", **options: Any) -> None:
    """Let people be told, from now on."""
    url = desk.SEAL.close(b"https://teams.example/hook", f"subscription/acme/{kind}") if kind == "teams" else None
    await office.run(
        """insert into subscription (tenant, id, kind, name, url, options, key_id, mornings_to)
           values ('acme', $1, $1, $1, $2, $3, 'key1', $4)""",
        *(kind, url, options, office.clock.now),
    )
