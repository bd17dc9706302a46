"""What ingest knows of tenants and keys: a snapshot of Postgres, refreshed from time to time and kept on disk.

Postgres may be away at any time, also at the start: the last snapshot serves until it is back. Who asks for a refresh
gets one that began after the asking, shared with whoever else waits; Postgres is read at most four times a second,
and nobody is refused because others have used that up.
"""

import asyncio
import contextlib
import logging
import os
from pathlib import Path
from typing import Final

import msgspec

from schemas.fields import DEFAULT, FieldRegistry
from schemas.sources import KINDS, Source
from services import postgres
from services.ingest.keys import Key
from services.sealing import Seal, SealError, kept_key, seal_with

log = logging.getLogger(__name__)

_LEAST_PAUSE: Final = 0.25
_READ_SECONDS: Final = 3.0
_FILE: Final = "registry.json"
_MOST_WAITING: Final = 1000

_KEYS: Final = """
    select id, secret_hash, scopes, tenant, expires_at from api_key where revoked_at is null and person is null
"""
"""A key that is bound to a person sees people; it neither sends nor replays anything."""
_TENANTS: Final = "select id, fields from tenant"
_SOURCES: Final = "select id, tenant, kind, secrets, options from source order by id"
_SHARDS: Final = "select value from installation where name = 'shards'"


class SealedSource(msgspec.Struct, frozen=True):
    """A source as it stands in the table and on disk."""

    id: str
    tenant: str
    kind: str
    secrets: tuple[bytes, ...]
    options: bytes


class Snapshot(msgspec.Struct, frozen=True):
    """What was known at one moment. ``shards`` is None until the topics were created."""

    keys: dict[str, Key] = {}
    tenants: frozenset[str] = frozenset()
    shards: int | None = None
    sources: tuple[SealedSource, ...] = ()
    fields: dict[str, FieldRegistry] = {}
    """The field registries of the tenants that have their own."""
    seal_key: bytes | None = None
    """The key that the installation keeps; None: a setting gives it, and nothing is sealed with a kept one."""


class RegistryAwayError(RuntimeError):
    """Postgres did not answer: nothing is known of what the snapshot does not hold."""


class Registry:
    """The snapshot and its upkeep."""

    def __init__(self, database: str, state_dir: Path, *, every: float, seal_key: str = "") -> None:
        self._seal_key = seal_key
        self._database = database
        self._path = state_dir / _FILE
        self._every = every
        self._pool: postgres.Pool | None = None
        self._turn = asyncio.Lock()
        self._next: asyncio.Task[None] | None = None
        self._last_start = float("-inf")
        self._failing = False
        self._waiting = 0
        self.known = False
        self.snapshot = Snapshot()
        self.sources: dict[str, Source] = {}
        self.by_key: dict[str, Source] = {}
        """The sources whose senders know a key only, by each of their keys."""
        self.seal: Seal | None = None

    def fields(self, tenant: str) -> FieldRegistry:
        """Return the field registry of ``tenant``."""
        return self.snapshot.fields.get(tenant, DEFAULT)

    async def run(self) -> None:
        """Take up the snapshot on disk, then refresh it; runs until it is cancelled."""
        await self._load()
        while True:
            with contextlib.suppress(RegistryAwayError):
                await self.refresh()
            await asyncio.sleep(min(self._every, 0.5) if self._failing else self._every)

    @property
    def crowded(self) -> bool:
        """Whether so many wait for a fresh reading that no more may."""
        return self._waiting >= _MOST_WAITING

    async def refresh(self) -> None:
        """Wait for a reading that begins after this call.

        Raises:
            RegistryAwayError: Postgres did not answer.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._round())
            self._next.add_done_callback(_seen)
        self._waiting += 1
        try:
            await asyncio.shield(self._next)
        finally:
            self._waiting -= 1

    async def stop(self) -> None:
        """Disconnect."""
        if self._pool is not None:
            await postgres.close_pool(self._pool)

    async def _round(self) -> None:
        async with self._turn:
            loop = asyncio.get_running_loop()
            await asyncio.sleep(max(0.0, self._last_start + _LEAST_PAUSE - loop.time()))
            self._last_start = loop.time()
            self._next = None  # who asks from now on waits for the reading after this one
            try:
                async with asyncio.timeout(_READ_SECONDS):
                    snapshot = await self._read()
            except (*postgres.DATABASE_ERRORS, ValueError) as error:
                if not self._failing:
                    log.warning("keys and tenants cannot be read, the last known ones serve: %s", error)
                self._failing = True
                raise RegistryAwayError from error
        self._failing = False
        self.known = True
        if snapshot != self.snapshot:
            self._adopt(snapshot)
            await self._keep(snapshot)

    def _adopt(self, snapshot: Snapshot) -> None:
        """Take up ``snapshot``; a source that cannot be opened is left out and told of."""
        known = bool(self._seal_key) or snapshot.seal_key is not None
        self.seal = seal_with(self._seal_key, snapshot.seal_key) if known else None
        sources = [] if self.seal is None else [_opened(sealed, self.seal) for sealed in snapshot.sources]
        self.sources = {source.id: source for source in sources if source is not None}
        self.by_key = {
            secret: source
            for source in reversed(self.sources.values())
            if KINDS[source.kind].by_key
            for secret in source.secrets
        }
        self.snapshot = snapshot

    async def _read(self) -> Snapshot:
        if self._pool is None:
            self._pool = await postgres.connect_pool(
                self._database, name="uptake-ingest", max_size=1, statement_seconds=_READ_SECONDS
            )
        async with postgres.transaction(self._pool, isolation="repeatable_read", readonly=True) as connection:
            keys = await connection.fetch(_KEYS)
            tenants = await connection.fetch(_TENANTS)
            sources = await connection.fetch(_SOURCES)
            shards = await connection.fetchval(_SHARDS)
        async with self._pool.acquire() as connection:
            key = await kept_key(connection, make=not self._seal_key)
        return Snapshot(
            keys={
                row["id"]: Key(bytes(row["secret_hash"]), frozenset(row["scopes"]), row["tenant"], row["expires_at"])
                for row in keys
            },
            tenants=frozenset(row["id"] for row in tenants),
            shards=None if shards is None else int(shards),
            sources=tuple(
                SealedSource(
                    row["id"], row["tenant"], row["kind"], tuple(row["secrets"]), msgspec.json.encode(row["options"])
                )
                for row in sources
            ),
            fields=dict(filter(None, map(_registered, tenants))),
            seal_key=key,
        )

    async def _load(self) -> None:
        try:
            text = await asyncio.to_thread(self._path.read_bytes)
            self._adopt(msgspec.json.decode(text, type=Snapshot))
        except FileNotFoundError:
            return
        except (OSError, msgspec.MsgspecError, UnicodeError) as error:
            log.warning("the snapshot in %s cannot be used: %s", self._path, error)
            return
        self.known = True

    async def _keep(self, snapshot: Snapshot) -> None:
        try:
            await asyncio.to_thread(_write, self._path, msgspec.json.encode(snapshot))
        except OSError as error:
            log.warning("the snapshot cannot be kept in %s: %s", self._path, error)


def _registered(row: postgres.Row) -> tuple[str, FieldRegistry] | None:
    """Return a tenant that has a field registry of its own, and that; what cannot be read costs nobody else."""
    if row["fields"] is None:
        return None
    try:
        return row["id"], msgspec.convert(row["fields"], FieldRegistry)
    except msgspec.ValidationError:
        log.warning("the field registry of tenant %s is not one that this version knows", row["id"])
        return None


def _opened(sealed: SealedSource, seal: Seal) -> Source | None:
    kind = KINDS.get(sealed.kind)
    if kind is None:
        log.warning("source %s is of a kind that this version does not know", sealed.id, extra=_about(sealed))
        return None
    try:
        secrets = tuple(seal.open(secret, f"source/{sealed.id}").decode() for secret in sealed.secrets)
        options = msgspec.json.decode(sealed.options, type=kind.options)
    except (SealError, UnicodeError, msgspec.MsgspecError) as error:
        log.warning("source %s cannot be used: %s", sealed.id, type(error).__name__, extra=_about(sealed))
        return None
    return Source(sealed.id, sealed.tenant, sealed.kind, secrets, options)


def _about(sealed: SealedSource) -> dict[str, str]:
    return {"tenant": sealed.tenant, "source": sealed.id}


def _seen(reading: asyncio.Task[None]) -> None:
    """Take note of a failure that all who waited have left behind."""
    if not reading.cancelled():
        reading.exception()


def _write(path: Path, text: bytes) -> None:
    """Replace ``path`` as a whole, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
