"""Keys. Stored is the hash of a secret, never the secret; a revoked key stays, so that its id is never used again."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from services.api.credentials import Credential, digest, matches, mint, parse
from services.api.store.tenants import Tenant
from services.postgres import Connection, Row
from services.settings import SettingError

_COLUMNS: Final = "id, tenant, scopes, person, expires_at, revoked_at, created_at"
_ADMIN_LOCK: Final = 0x75707461_6B65_79
"""Two API processes on an empty database make one admin key, not two."""


async def find(connection: Connection, key_id: str) -> Row | None:
    """Return a key with the hash of its secret."""
    return await connection.fetchrow(f"select {_COLUMNS}, secret_hash from api_key where id = $1", key_id)


def holds(key: Mapping[str, Any], now: datetime) -> bool:
    """Tell whether ``key`` opens anything: it was not revoked and has not expired."""
    return key["revoked_at"] is None and (key["expires_at"] is None or key["expires_at"] > now)


_KEY: Final = (*_COLUMNS.split(", "), "secret_hash")
_TENANT: Final = tuple(Tenant.__slots__)
_FIND_IN: Final = f"""
    select {", ".join(f"k.{name}" for name in _KEY)}, {", ".join(f"t.{name}" for name in _TENANT)}
    from api_key k left join tenant t on t.id = coalesce($2, k.tenant) where k.id = $1"""


async def find_in(
    connection: Connection, key_id: str, tenant: str | None
) -> tuple[Mapping[str, Any] | None, Tenant | None]:
    """Return a key with the hash of its secret, and ``tenant`` (None: the key's own), by one statement."""
    row = await connection.fetchrow(_FIND_IN, key_id, tenant)
    if row is None:
        return None, None
    key, found = row[: len(_KEY)], row[len(_KEY) :]
    return dict(zip(_KEY, key, strict=True)), None if found[0] is None else Tenant(*found)


async def show(connection: Connection, key_id: str, tenant: str | None) -> Row | None:
    """Return a key of ``tenant`` (None: of anyone)."""
    return await connection.fetchrow(
        f"select {_COLUMNS} from api_key where id = $1 and ($2::text is null or tenant = $2)", key_id, tenant
    )


async def page(connection: Connection, tenant: str | None, after: str, limit: int) -> list[Row]:
    """Return the keys of ``tenant`` (None: of anyone) by id, from the one after ``after`` on."""
    rows: list[Row] = await connection.fetch(
        f"select {_COLUMNS} from api_key where id > $1 and ($3::text is null or tenant = $3) order by id limit $2",
        after,
        limit,
        tenant,
    )
    return rows


async def insert(
    connection: Connection,
    credential: Credential,
    *,
    tenant: str | None,
    scopes: list[str],
    person: str | None = None,
    expires_at: datetime | None = None,
) -> Row | None:
    """Insert a key; None when its id is taken."""
    return await connection.fetchrow(
        f"""insert into api_key (id, tenant, secret_hash, scopes, person, expires_at) values ($1, $2, $3, $4, $5, $6)
            on conflict do nothing returning {_COLUMNS}""",
        credential.id,
        tenant,
        digest(credential.secret),
        scopes,
        person,
        expires_at,
    )


async def revoke(connection: Connection, key_id: str, tenant: str | None) -> bool:
    """Revoke a key of ``tenant`` (None: of anyone); False when there is none. Once more changes nothing."""
    found = await connection.fetchval(
        """update api_key set revoked_at = coalesce(revoked_at, now())
           where id = $1 and ($2::text is null or tenant = $2) returning id""",
        key_id,
        tenant,
    )
    return found is not None


def given_key(admin_key: str) -> Credential | None:
    """Return the key that ``admin_key`` spells; None: it is empty.

    Raises:
        SettingError: it has not the shape of a key.
    """
    given = parse(admin_key) if admin_key else None
    if admin_key and given is None:
        raise SettingError("UPTAKE_ADMIN_KEY must look like upt_<id>_<secret>, the secret at least 16 characters long")
    return given


async def ensure_admin_key(connection: Connection, admin_key: str) -> str | None:
    """Make sure that an admin key exists: ``admin_key`` when one is given, else a generated one.

    Returns:
        The plain key when it was generated here; it is nowhere else.

    Raises:
        SettingError: ``admin_key`` has not the shape of a key, or its id belongs to another key.
    """
    given = given_key(admin_key)
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock($1)", _ADMIN_LOCK)
        if given is not None:
            await _keep(connection, given)
            return None
        if await connection.fetchval(
            "select exists (select from api_key where 'admin' = any(scopes) and revoked_at is null)"
        ):
            return None
        made = mint()
        await insert(connection, made, tenant=None, scopes=["admin"])
        return str(made)


async def _keep(connection: Connection, given: Credential) -> None:
    if await insert(connection, given, tenant=None, scopes=["admin"]) is None:
        present = await find(connection, given.id)
        if present is None or not matches(given.secret, present["secret_hash"]) or "admin" not in present["scopes"]:
            raise SettingError("UPTAKE_ADMIN_KEY has the id of another key: choose another id")
