"""What ``uptake doctor`` looks at: each check says what it found, or raises what is wrong."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from schemas.topics import EVENTS
from services.kafka import Appender
from services.postgres import Connection
from services.settings import Settings

SKEW: Final = timedelta(seconds=5)
SILENT: Final = timedelta(days=2)


class Unhealthy(Exception):  # noqa: N818 - not a mistake of the program
    """A check that failed; the message says what to do about it."""


async def engine(connection: Connection) -> str:
    """Postgres answers; it is no fault, but to be known, when the second wall between tenants is missing."""
    version = await connection.fetchval("show server_version")
    walled = await connection.fetchval(
        "select exists (select from pg_roles where rolname = 'uptake_tenant' and pg_has_role(oid, 'member'))"
    )
    return f"PostgreSQL {version}" + ("" if walled else ", without the role uptake_tenant: see docs/guides/privacy.md")


async def schema(settings: Settings) -> str:
    """The schema is at its head."""
    from services import migrate  # noqa: PLC0415 - alembic takes longer to load than all the rest

    current, head = await migrate.current(settings.database), migrate.head()
    if current != head:
        raise Unhealthy(f"at {current or 'nothing'}, wanted {head}: run uptake migrate")
    return f"at {head}"


async def topics(connection: Connection, settings: Settings) -> str:
    """Kafka answers, and its events topic has one partition a shard."""
    shards = await connection.fetchval("select value from installation where name = 'shards'")
    if shards is None:
        raise Unhealthy("never made: run uptake topics")
    appender = Appender(settings.kafka, client_id="uptake-doctor")
    await appender.start()
    try:
        partitions = await appender.partitions(EVENTS)
    finally:
        await appender.stop()
    if partitions != int(shards):
        raise Unhealthy(f"{EVENTS} has {partitions} partitions, this database was installed with {shards} shards")
    return f"{EVENTS} has {partitions} partitions"


async def clocks(connection: Connection, clock: Callable[[], datetime]) -> str:
    """This machine's clock and that of Postgres agree."""
    before = clock()
    theirs = await connection.fetchval("select clock_timestamp()")
    skew = max(before - theirs, theirs - clock(), timedelta())
    if skew > SKEW:
        raise Unhealthy(f"this machine and Postgres differ by {skew.total_seconds():.1f} s: synchronise them")
    return f"differ by less than {max(skew.total_seconds(), 0.1):.1f} s"


async def keys(connection: Connection, now: datetime) -> str:
    """An admin key exists that is neither revoked nor expired."""
    row = await connection.fetchrow(
        "select count(*) as keys, count(*) filter (where 'admin' = any(scopes)) as admin from api_key "
        "where revoked_at is null and (expires_at is null or expires_at > $1)",
        now,
    )
    if not row["admin"]:
        raise Unhealthy("no admin key: set UPTAKE_ADMIN_KEY and start the API once")
    return f"{row['keys']} usable, {row['admin']} of them admin"


async def sources(connection: Connection, now: datetime) -> str:
    """Every source of a tenant on the wall clock has told something of late."""
    rows = await connection.fetch(
        "select s.tenant, s.source, max(s.last_event_at) as last, bool_or(t.clock = 'wall') as live "
        "from source_seen s join tenant t on t.id = s.tenant group by 1, 2 order by 1, 2"
    )
    silent = [f"{row['tenant']}/{row['source']}" for row in rows if row["live"] and now - row["last"] > SILENT]
    if silent:
        raise Unhealthy(f"silent for more than {SILENT.days} days: {', '.join(silent[:5])}")
    return f"{len(rows)} seen, none silent" if rows else "none has sent anything yet"
