"""Sources. Their secrets are sealed for their place: nobody who reads the table can send in a CRM's name."""

from datetime import datetime
from typing import Any, Final

from services.postgres import Connection, Row
from services.sealing import Seal, SealError

_COLUMNS: Final = "id, tenant, kind, cardinality(secrets) as secrets, options, created_at, updated_at"


_KEYS_LOCK: Final = 0x7570_7461_736F_7572


def _context(source: str) -> str:
    return f"source/{source}"


def _sealed(seal: Seal, source: str, secrets: list[str]) -> list[bytes]:
    return [seal.close(secret.encode(), _context(source)) for secret in secrets]


async def create(
    connection: Connection,
    seal: Seal,
    tenant: str,
    source: str,
    *,
    kind: str,
    secrets: list[str],
    options: dict[str, Any],
) -> Row | None:
    """Insert a source; None when its id is taken."""
    return await connection.fetchrow(
        "insert into source (id, tenant, kind, secrets, options) values ($1, $2, $3, $4, $5) "
        f"on conflict do nothing returning {_COLUMNS}",
        source,
        tenant,
        kind,
        _sealed(seal, source, secrets),
        options,
    )


async def change(
    connection: Connection, seal: Seal, source: str, *, secrets: list[str] | None, options: dict[str, Any]
) -> Row | None:
    """Replace the secrets (None: they stay) and options of a source."""
    return await connection.fetchrow(
        "update source set secrets = coalesce($2, secrets), options = $3, updated_at = now() where id = $1 "
        f"returning {_COLUMNS}",
        source,
        None if secrets is None else _sealed(seal, source, secrets),
        options,
    )


async def find(connection: Connection, tenant: str, source: str, *, lock: bool = False) -> Row | None:
    """Return a source of ``tenant``, without its secrets."""
    return await connection.fetchrow(
        f"select {_COLUMNS} from source where id = $1 and tenant = $2{' for update' if lock else ''}", source, tenant
    )


async def page(connection: Connection, tenant: str, after: str, limit: int) -> list[Row]:
    """Return sources of ``tenant`` by id, from the one after ``after`` on."""
    sql = f"select {_COLUMNS} from source where tenant = $1 and id > $2 order by id limit $3"
    rows: list[Row] = await connection.fetch(sql, tenant, after, limit)
    return rows


async def delete(connection: Connection, tenant: str, source: str) -> bool:
    """Delete a source of ``tenant``; False when there is none."""
    sql = "delete from source where id = $1 and tenant = $2 returning id"
    return await connection.fetchval(sql, source, tenant) is not None


async def declare_logins(connection: Connection, tenant: str, source: str, until: datetime | None) -> bool:
    """Note up to when the logins of a source are complete, never earlier than before (None: forget it).

    False when there is no such source.
    """
    sql = """update source set logins_until = case when $3::timestamptz is not null then greatest(logins_until, $3) end
             where id = $1 and tenant = $2 returning id"""
    return await connection.fetchval(sql, source, tenant, until) is not None


async def logins(connection: Connection, tenant: str, source: str) -> Row | None:
    """Return how far the logins of a source are known."""
    return await connection.fetchrow(
        """select o.id, o.kind, o.logins_until, (select max(last_login_at) from source_seen s
                  where s.tenant = o.tenant and s.source = '/hooks/' || o.id) as last_login_at
           from source o where o.id = $1 and o.tenant = $2""",
        source,
        tenant,
    )


async def alone(connection: Connection) -> None:
    """Let no other transaction give out keys until this one ends: a key leads to one source."""
    await connection.execute("select pg_advisory_xact_lock($1)", _KEYS_LOCK)


async def secrets_of(connection: Connection, seal: Seal, kinds: list[str], source: str | None = None) -> dict[str, str]:
    """Return the secrets of the sources of ``kinds`` (or of ``source`` alone) with the id each belongs to.

    What does not open with this seal is left out: it opens nothing at ingest either.
    """
    rows = await connection.fetch(
        "select id, secrets from source where kind = any($1) and ($2::text is null or id = $2) order by id desc",
        kinds,
        source,
    )
    found: dict[str, str] = {}
    for row in rows:
        for secret in row["secrets"]:
            try:
                found[seal.open(secret, _context(row["id"])).decode()] = row["id"]
            except SealError:
                continue
    return found
