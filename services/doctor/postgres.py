"""What must be right of PostgreSQL: that it keeps what it says it keeps, its schema, its room and its walls."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509

from services import migrate
from services.doctor.shape import Doubtful, Unhealthy, lasting
from services.postgres import Connection, certificate_of
from services.settings import Settings

SKEW: Final = timedelta(seconds=5)
OLDEST: Final = 16
"""The first major version that is meant to do; 18 is tested."""
WANTED_CONNECTIONS: Final = 30
"""What one process of each service takes, and one more of each during a rolling restart."""
_SETTINGS: Final = ("fsync", "full_page_writes", "synchronous_commit")


async def engine(connection: Connection) -> str:
    """Postgres answers, is of a version we know, and does not lose what it has acknowledged."""
    version = await connection.fetchval("show server_version")
    if int(await connection.fetchval("show server_version_num")) // 10_000 < OLDEST:
        raise Unhealthy(f"PostgreSQL {version}: at least {OLDEST} is needed")
    rows = await connection.fetch("select name, reset_val from pg_settings where name = any($1)", _SETTINGS)
    if careless := sorted(row["name"] for row in rows if row["reset_val"] == "off"):
        raise Doubtful(f"PostgreSQL {version} with {', '.join(careless)} off: a crash may lose what was acknowledged")
    return f"PostgreSQL {version}"


async def schema(settings: Settings) -> str:
    """The schema is at its head."""
    current, head = await migrate.current(settings.database), migrate.head()
    if current != head:
        raise Unhealthy(f"at {current or 'nothing'}, wanted {head}: run uptake migrate")
    return f"at {head}"


async def walls(connection: Connection) -> str:
    """The second wall between tenants stands."""
    walled = await connection.fetchval(
        "select exists (select from pg_roles where rolname = 'uptake_tenant' and pg_has_role(oid, 'member'))"
    )
    if not walled:
        raise Doubtful(
            "the role uptake_tenant is missing: statements alone keep tenants apart (docs/guides/privacy.md)"
        )
    return "the role uptake_tenant keeps tenants apart"


async def room(connection: Connection) -> str:
    """Our services find free connections. How large the database is can be told; how much disk is left cannot."""
    row = await connection.fetchrow(
        """select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
               - (select count(*) from pg_stat_activity where backend_type = 'client backend') as free,
           (select count(*) from pg_stat_activity where application_name like 'uptake-%') as ours,
           pg_size_pretty(pg_database_size(current_database())) as size"""
    )
    words = f"{row['free']} connections free, {row['ours']} ours; the database has {row['size']}"
    if row["free"] + row["ours"] < WANTED_CONNECTIONS:
        raise Unhealthy(f"{words}: raise max_connections, {WANTED_CONNECTIONS} are needed")
    return words


async def clocks(connection: Connection, clock: Callable[[], datetime]) -> str:
    """This machine's clock and that of Postgres agree."""
    before = clock()
    theirs = await connection.fetchval("select clock_timestamp()")
    skew = max(before - theirs, theirs - clock(), timedelta())
    if skew > SKEW:
        raise Unhealthy(f"this machine and Postgres differ by {skew.total_seconds():.1f} s: synchronise them")
    return f"differ by less than {max(skew.total_seconds(), 0.1):.1f} s"


async def certificate(connection: Connection, now: datetime) -> str:
    """The certificate that Postgres shows lasts; a password that travels in the clear is to be known."""
    shown = certificate_of(connection)
    if shown is not None:
        return lasting("that of PostgreSQL", x509.load_der_x509_certificate(shown).not_valid_after_utc, now)
    local = await connection.fetchval("select coalesce(inet_client_addr() <<= '127.0.0.0/8', true)")
    if not local:
        raise Doubtful("PostgreSQL is reached over a network without TLS: set UPTAKE_DATABASE_TLS=verify-full")
    return "PostgreSQL is on this machine, without TLS"
