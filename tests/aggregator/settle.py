"""Puts a ``World`` into Postgres as the API and the owners of the shards would have left it, and reads it back."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

from schemas.topics import person_key, shard_of
from services.aggregator.domain.alerts import Alert
from services.aggregator.domain.findings import Subject
from services.aggregator.domain.rules.change import Week
from services.aggregator.domain.waves import Connection as Connected
from services.aggregator.store import alerts
from services.postgres import Connection
from tests.aggregator.world import World
from tests.builders import SHARDS, add_person, add_tenant

TENANT = "acme"
DAY = timedelta(days=1)


async def settle(
    connection: Connection, world: World, newest: datetime, tenant: str = TENANT, **columns: object
) -> None:
    """Write the whole world; its newest event is at ``newest``."""
    calendar = world.calendar
    settings = {
        "day_counting": "working" if calendar.working else "calendar",
        "work_days": sorted(calendar.work_days),
        "holidays": sorted(calendar.holidays),
        "min_group": world.min_group,
        "connected_by": "activity" if world.logins is None else "login",
    }
    await add_tenant(connection, tenant, **(settings | columns))
    for member in world.members:
        await add_person(
            connection,
            member.user,
            tenant=tenant,
            team=member.team,
            role=member.role,
            manager=member.manager,
            licensed_from=member.licensed_from,
            licensed_to=member.licensed_to,
        )
    for wave in world.waves:
        scope = {"teams": wave.teams, "roles": wave.roles, "people": wave.people}
        await connection.execute(
            "INSERT INTO wave (tenant, id, name, go_live, scope, sponsor) VALUES ($1, $2, $3, $4, $5, $6)",
            *(
                tenant,
                wave.id,
                wave.name,
                wave.go_live,
                {name: keys for name, keys in scope.items() if keys},
                wave.sponsor,
            ),
        )
    await write_facts(connection, world, newest, tenant)


async def write_facts(connection: Connection, world: World, newest: datetime, tenant: str = TENANT) -> None:
    """Write what people did, and the windows of it, in place of what was known before."""
    for table in ("person_day", "window_delta", "source_seen"):
        await connection.execute(f"DELETE FROM {table} WHERE tenant = $1", tenant)
    await connection.executemany(
        """INSERT INTO person_day (tenant, user_id, day, events, logins, qualifying, first_at, last_at,
           first_login_at, first_qualifying_at) VALUES ($1, $2, $3, 1, $4, $5, $6, $6, $7, $8)""",
        _days(world, tenant),
    )
    await connection.executemany(
        """INSERT INTO window_delta (tenant, dimension, key, days, day, shard, licensed, active)
           VALUES ($1, $2, $3, 7, $4, $5, $6, $7)""",
        _differences(world, newest, tenant),
    )
    await connection.executemany(
        """INSERT INTO source_seen (tenant, source, shard, last_event_at, last_login_at) VALUES ($1, $2, 0, $3, $3)""",
        [(tenant, source.name, source.newest) for source in world.login_sources()],
    )
    await tick(connection, newest, tenant)


async def tick(connection: Connection, newest: datetime | None, tenant: str = TENANT) -> None:
    """Tell that there is something new."""
    await connection.execute(
        """INSERT INTO tally AS t (tenant, shard, version, newest) VALUES ($1, 0, 1, $2)
           ON CONFLICT (tenant, shard) DO UPDATE SET version = t.version + 1, newest = excluded.newest""",
        tenant,
        newest,
    )


def _days(world: World, tenant: str) -> Iterable[tuple[Any, ...]]:
    for user, came in world.came.items():
        days = _firsts(world, came)
        connecting = days if world.logins is None else _firsts(world, world.logins[user])
        for day, instant in days.items():
            first = connecting.get(day)
            login, act = (None, first) if world.logins is None else (first, None)
            yield tenant, user, day, int(login is not None), int(act is not None), instant, login, act


def _firsts(world: World, instants: Iterable[datetime]) -> dict[date, datetime]:
    firsts: dict[date, datetime] = {}
    for instant in instants:
        day = world.calendar.day_of(instant)
        firsts[day] = min(firsts.get(day, instant), instant)
    return firsts


def _differences(world: World, newest: datetime, tenant: str) -> Iterable[tuple[Any, ...]]:
    groups = {("tenant", "all")}
    groups |= {("team", member.team) for member in world.members if member.team}
    groups |= {("role", member.role) for member in world.members if member.role}
    first = min(wave.go_live for wave in world.waves) - 10 * DAY
    for dimension, key in sorted(groups):
        before = Week(0, 0, 0)
        day = first
        while day <= world.calendar.day_of(newest):
            week = world.week(Subject(dimension, key), 0, day)
            if week != before:
                shard = shard_of(person_key(tenant, key), SHARDS)
                yield tenant, dimension, key, day, shard, week.licensed - before.licensed, week.active - before.active
            day, before = day + DAY, week


async def alerts_of(connection: Connection, tenant: str = TENANT) -> dict[str, Alert]:
    """Return the stored alerts by fingerprint."""
    return {alert.fingerprint: alert for alert in await alerts.stored(connection, tenant)}


async def connections_of(connection: Connection, tenant: str = TENANT) -> dict[str, list[Connected]]:
    """Return the stored D+N rows by wave."""
    found: dict[str, list[Connected]] = {}
    for row in await connection.fetch("SELECT * FROM wave_connection WHERE tenant = $1 ORDER BY wave, n", tenant):
        entry = Connected(row["n"], row["num"], row["den"], row["settled"], row["missing"], row["reason"])
        found.setdefault(row["wave"], []).append(entry)
    return found


async def changes_of(connection: Connection, tenant: str = TENANT) -> list[tuple[str, str, str]]:
    """Return (kind, rule, subject) of every change in order."""
    rows = await connection.fetch("SELECT kind, body FROM alert_change WHERE tenant = $1 ORDER BY seq", tenant)
    return [(row["kind"], row["body"]["rule"], row["body"]["subject"]["key"]) for row in rows]
