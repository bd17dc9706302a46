"""What must be right of our own house: keys, the seal, sources, how far the log is read, and the disk of the spool."""

import shutil
from datetime import datetime, timedelta
from typing import Final

from services.doctor.shape import Doubtful, Unhealthy
from services.postgres import Connection, Row
from services.resealing import PLACES, page
from services.sealing import Seal, SealError, seal_of
from services.settings import Settings

SILENT: Final = timedelta(days=2)
BEHIND: Final = timedelta(minutes=2)


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


async def seal(connection: Connection, settings: Settings) -> str:
    """What is sealed opens with the key there is."""
    key = await seal_of(connection, settings.seal_key)
    rows = [row for place in PLACES for row in await page(connection, place, "")]
    closed = sum(not _opens(key, row) for row in rows)
    if closed:
        raise Unhealthy(
            f"{closed} of {len(rows)} sealed rows do not open: is UPTAKE_SEAL_KEY the key they were sealed with?"
        )
    whose = "of the setting" if settings.seal_key else "the installation's own, kept in the database"
    return f"{len(rows)} sealed rows open; the key is {whose}"


def _opens(key: Seal, row: Row) -> bool:
    try:
        for text in row["texts"]:
            key.open(text, row["context"])
    except SealError:
        return False
    return True


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


async def lag(connection: Connection, now: datetime) -> str:
    """Every shard was read to its end a moment ago."""
    rows = await connection.fetch("select shard, drained_at from position order by shard")
    if not rows:
        raise Doubtful("nothing was read yet: start an aggregator")
    late = [row["shard"] for row in rows if row["drained_at"] is None or now - row["drained_at"] > BEHIND]
    if late:
        known = [row["drained_at"] for row in rows if row["drained_at"] is not None]
        since = f" since {min(known):%Y-%m-%d %H:%M} UTC" if known else ""
        raise Unhealthy(f"{len(late)} of {len(rows)} shards not read to their end{since}: does an aggregator run?")
    return f"all {len(rows)} shards were read to their end"


def disk(settings: Settings) -> str:
    """The disk has the room that the spool of ingest may take."""
    place = next(path for path in (settings.state_dir, *settings.state_dir.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free >> 20
    spool = settings.state_dir / "spool"
    held = sum(file.stat().st_size for file in spool.rglob("*") if file.is_file()) >> 20 if spool.is_dir() else 0
    words = f"{free} MiB free at {place}, the spool may take {settings.spool_mib - held} more"
    if free < settings.spool_mib - held:
        raise Unhealthy(f"{words}: make room, or lower UPTAKE_SPOOL_MIB")
    return words
