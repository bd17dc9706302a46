"""Readers who follow the changes of alerts: each process listens once and reads once, however many they are.

What a reader may see is decided before anything is queued for it, and whom it is told of by name is written down
first. A tenant's changes are numbered in the order they are committed in, so a reader that joins at a number, and reads
what was before from the table, misses nothing and sees nothing twice. One that cannot keep up is let go: it comes back
with the last number it saw.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec

from schemas.alerts import CHANNEL
from services.api.days import local_day
from services.api.store import feeds, keys, tenants
from services.api.store import streams as store
from services.api.store.sessions import Walled, glancing, writing
from services.api.store.streams import News
from services.api.store.tenants import Tenant
from services.postgres import DATABASE_ERRORS, UNAVAILABLE, Connection, Pool, listen
from services.sight import Sight, curtain_of, named, sees, told
from services.sight import sight as sight_of

log = logging.getLogger(__name__)

MOST_READERS: Final = 2000
QUEUED: Final = 256
"""How many changes wait for a slow reader before it is let go."""
AT_ONCE: Final = 500
POLL_SECONDS: Final = 1.0
"""A ring may be lost: after so long it is looked all the same."""
BEAT_SECONDS: Final = 15.0
RENEW_SECONDS: Final = 60.0
"""For so long a reader may still see what its key may not see any more."""
RETRY: Final = b"retry: 2000\n\n"
RETURN_MS: Final = (100, 2100)
"""Between these the readers of a process that stops are told to come again."""
NOTHING: Final = Sight(individuals=False, people=frozenset(), teams=frozenset())


@dataclass(slots=True, eq=False)
class Reader:
    """Somebody who follows a tenant's alerts by a key, or by a ``feed`` that a key made.

    ``wanted``: what the published form of an alert must say, by the names of the list's filters.
    """

    tenant: Tenant
    key_id: str
    person: str | None
    wanted: Mapping[str, str]
    route: str
    feed: str | None = None
    view: Sight = NOTHING
    renewed_at: float = 0.0
    queue: "asyncio.Queue[bytes | None]" = field(default_factory=lambda: asyncio.Queue(QUEUED + 1))
    gone: bool = False

    def push(self, frame: bytes) -> None:
        """Queue a frame; who has too many of them is let go."""
        if self.queue.qsize() < QUEUED:
            self.queue.put_nowait(frame)
        else:
            self.end()

    def end(self) -> None:
        """Let go, behind what is queued."""
        if not self.gone:
            self.gone = True
            self.queue.put_nowait(None)


@dataclass(slots=True)
class _Room:
    """The readers of a tenant, and the last change they were told of."""

    seq: int
    readers: set[Reader] = field(default_factory=set)


class Streams:
    """All readers of one process. ``ground``: what they read from, and what time it is."""

    def __init__(self, ground: Callable[[], tuple[Pool, datetime]]) -> None:
        self._ground = ground
        self._rooms: dict[str, _Room] = {}
        self._rung = asyncio.Event()
        self._telling = asyncio.Lock()
        self._ended = False

    @property
    def _pool(self) -> Pool:
        return self._ground()[0]

    @property
    def full(self) -> bool:
        """Whether there are as many readers as there may be, or none may join any more."""
        return self._ended or sum(len(room.readers) for room in self._rooms.values()) >= MOST_READERS

    def end(self) -> None:
        """Let go of everybody: the process stops. They come again elsewhere, and not all at once."""
        self._ended = True
        readers = [reader for room in self._rooms.values() for reader in room.readers if not reader.gone]
        for place, reader in enumerate(readers):
            reader.push(b"retry: %d\n\n" % (RETURN_MS[0] + (RETURN_MS[1] - RETURN_MS[0]) * place // len(readers)))
            reader.end()

    async def run(self) -> None:
        """Tell readers what changes, until cancelled or the end. Without Postgres they wait."""
        while not self._ended:  # what Postgres raises when it goes may take the place of a cancellation
            with contextlib.suppress(*UNAVAILABLE, *DATABASE_ERRORS):
                async with self._pool.acquire() as connection:
                    stop = await listen(connection, CHANNEL, self._rung.set)
                    try:
                        while not (self._ended or connection.is_closed()):
                            await self._round()
                    finally:
                        await stop()
            await asyncio.sleep(POLL_SECONDS)

    async def _round(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._rung.wait(), POLL_SECONDS)
        self._rung.clear()
        if not self._rooms:
            return
        async with glancing(self._pool) as connection:
            behind = await store.ahead(connection, {tenant: room.seq for tenant, room in self._rooms.items()})
        for tenant in behind:
            async with self._telling:
                await self._tell(tenant)
        await self._renew()

    async def _tell(self, tenant: str) -> None:
        room = self._rooms.get(tenant)
        while room is not None and room.readers:
            async with writing(Walled(self._pool, tenant)) as connection:
                news = await store.after(connection, tenant, room.seq, None, AT_ONCE)
                readers = list(room.readers)
                frames = await _frames(connection, tenant, news, readers)
            for reader, found in zip(readers, frames, strict=True):
                for frame in found:
                    reader.push(frame)
            room.seq = news[-1].seq if news else room.seq
            if len(news) < AT_ONCE:
                return

    async def _renew(self) -> None:
        """Look again at what readers may see whose time is over."""
        now = asyncio.get_running_loop().time()
        late = [
            reader
            for room in self._rooms.values()
            for reader in room.readers
            if reader.renewed_at + RENEW_SECONDS < now and not reader.gone
        ]
        for reader in late[:AT_ONCE]:
            async with glancing(self._pool) as connection:
                if not await self.renew(connection, reader):
                    reader.end()

    async def renew(self, connection: Connection, reader: Reader) -> bool:
        """Find out what ``reader`` may see; False: nothing any more."""
        now = self._ground()[1]
        key, tenant = await keys.find_in(connection, reader.key_id, reader.tenant.id)
        if key is None or tenant is None or not keys.holds(key, now):
            return False
        if reader.feed is not None and not await feeds.lives(connection, tenant.id, reader.feed):
            return False
        today = local_day(await tenants.now_of(connection, tenant, now) or now, tenant.time_zone)
        reader.tenant = tenant
        reader.view = await sight_of(connection, tenant, reader.person, today)
        reader.renewed_at = asyncio.get_running_loop().time()
        return True

    async def follow(self, reader: Reader, seq: int | None) -> AsyncIterator[bytes]:
        """Give frames from the change behind ``seq`` on (None: from now on), and a sign of life in between."""
        tenant = reader.tenant.id
        async with self._telling, glancing(self._pool) as connection:
            room = self._rooms.get(tenant) or _Room(await store.newest(connection, tenant))
            self._rooms[tenant] = room
            room.readers.add(reader)
            joined = room.seq
        try:
            yield RETRY
            if seq is not None:
                async for frame in self._missed(reader, seq, joined):
                    yield frame
            while (told_next := await self._next(reader, room)) is not None:
                yield told_next
        finally:
            room.readers.discard(reader)
            if not room.readers and self._rooms.get(tenant) is room:
                del self._rooms[tenant]

    async def _missed(self, reader: Reader, seq: int, until: int) -> AsyncIterator[bytes]:
        """Give what happened behind ``seq`` up to where the reader joined."""
        while seq < until:
            async with writing(Walled(self._pool, reader.tenant.id)) as connection:
                news = await store.after(connection, reader.tenant.id, seq, until, AT_ONCE)
                [frames] = await _frames(connection, reader.tenant.id, news, [reader])
            for frame in frames:
                yield frame
            if len(news) < AT_ONCE:
                return
            seq = news[-1].seq

    async def _next(self, reader: Reader, room: _Room) -> bytes | None:
        """Return the next frame; after a while without one the number up to which all was told. None: it is over."""
        try:
            return await asyncio.wait_for(reader.queue.get(), BEAT_SECONDS)
        except TimeoutError:
            return f": alive\nid: {room.seq}\n\n".encode() if reader.queue.empty() else b": alive\n\n"


async def _frames(
    connection: Connection, tenant: str, news: Sequence[News], readers: Sequence[Reader]
) -> list[list[bytes]]:
    """Return what each reader is told. Whom it is told of by name is written to the access log."""
    if not news:
        return [[] for _ in readers]
    household = readers[0].tenant
    curtain = await curtain_of(connection, household, [each.body for each in news])
    shown: dict[tuple[int, bool], tuple[dict[str, Any], bytes]] = {}
    found: list[list[bytes]] = []
    accesses: list[tuple[str, str, str]] = []
    for reader in readers:
        frames, names = [], set()
        for each in news:
            if not wanted(each.kind, each.body, reader.wanted) or not sees(reader.view, each.body, curtain):
                continue
            place = each.seq, reader.view.individuals
            if place not in shown:
                body = told(each.body, curtain, individuals=reader.view.individuals)
                shown[place] = body, _frame(each, body)
            body, frame = shown[place]
            frames.append(frame)
            names |= named(body)
        accesses += [(reader.key_id, reader.route, name) for name in sorted(names)]
        found.append(frames)
    await store.log(connection, tenant, accesses)
    return found


def wanted(kind: str, alert: Mapping[str, Any], asked: Mapping[str, str]) -> bool:
    """Tell whether an alert says what is ``asked`` for; ``kind``: of the change."""
    said = {**alert, "kind": kind, "subject_kind": alert["subject"]["kind"], "subject": alert["subject"]["key"]}
    return all(said.get(name) == value for name, value in asked.items())


def _frame(news: News, body: Mapping[str, Any]) -> bytes:
    data = msgspec.json.encode({"seq": news.seq, "kind": news.kind, "alert": body})
    return b"id: %d\nevent: alert.%b\ndata: %b\n\n" % (news.seq, news.kind.encode(), data)
