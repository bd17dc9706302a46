"""The spool's file: entries in the order in which they came, in SQLite, each with a checksum.

What was added is on the disk when ``add`` returns (WAL, synchronous=FULL). The file belongs to one process and, in it,
to one thread. A damaged file is put aside, never deleted, and what can still be read of it goes into a fresh one.
"""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple
from zlib import crc32

import msgspec

from schemas.events import Record

_NAME: Final = "spool.sqlite"
_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_ENTRY_BYTES: Final = 64
"""What an entry costs beside its key, value and headers."""
_WORTH_SHRINKING: Final = 16 << 20
_FILE_BITS: Final = 40
"""A number tells the file, too: those of a file that was put aside mean nothing in the one after it."""
_TABLE: Final = """
create table if not exists entry (
    id integer primary key autoincrement, topic text not null, received_ms integer not null,
    key blob not null, value blob not null, headers blob not null, mark integer not null)
"""
_ADD: Final = "insert into entry (topic, received_ms, key, value, headers, mark) values (?, ?, ?, ?, ?, ?)"
_ROWS: Final = "select id, topic, received_ms, key, value, headers, mark from entry where id > ? order by id"
_SIZES: Final = (
    f"select count(*), coalesce(sum(length(key) + length(value) + length(headers) + {_ENTRY_BYTES}), 0) from entry"
)
_OLDEST: Final = "select received_ms from entry order by id limit 1"
_THESE: Final = "where id in (select value from json_each(?))"
_Work = Callable[[sqlite3.Connection], Any]
_encode_json = msgspec.json.Encoder().encode
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[str, bytes]]).decode


class SpoolError(RuntimeError):
    """The spool does not take this now; the message says why."""


class DamagedError(RuntimeError):
    """The file is not what was written to it."""


class Entry(NamedTuple):
    """A record on its way to ``topic``, and when it was received."""

    topic: str
    received_ms: int
    record: Record


class Measure(NamedTuple):
    """How much is in the spool. ``oldest_ms``: when the oldest was received; None: nothing is in it."""

    events: int = 0
    bytes: int = 0
    oldest_ms: int | None = None


class SpoolFile:
    """The file in ``directory``. Every method raises SpoolError when it cannot be used now."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / _NAME
        self._link: sqlite3.Connection | None = None
        self.measure = Measure()
        """How much is in it."""
        self.damaged = 0
        """How many files were put aside."""
        self.lost = 0
        """How many entries of them could not be read, as far as that can be told."""

    def open(self) -> None:
        """Open the file, or make it; a damaged one is put aside."""
        if self._link is not None:
            return
        try:
            self._link = self._opened()
        except DamagedError:
            self._put_aside()

    def add(self, entries: Sequence[Entry]) -> None:
        """Add ``entries``: on the disk, all or none, when this returns."""
        self._transact(lambda link: link.executemany(_ADD, map(_row, entries)))
        self._count(len(entries), sum(map(_size, entries)))

    def read(self, after: int, most: int, most_bytes: int) -> list[tuple[int, Entry]]:
        """Return entries behind the one of number ``after``, in order: at most so many, and one at least."""

        def fetch(link: sqlite3.Connection) -> list[tuple[int, Entry]]:
            found: list[tuple[int, Entry]] = []
            size = 0
            with closing(link.execute(f"{_ROWS} limit ?", (max(0, after - self._base), most))) as rows:
                for row in rows:
                    size += len(row[4])
                    if found and size > most_bytes:
                        break
                    found.append((self._base + row[0], _entry(row)))
            return found

        rows: list[tuple[int, Entry]] = self._ask(fetch)
        return rows

    def remove(self, numbers: Sequence[int]) -> None:
        """Remove the entries of these numbers; when nothing is left, give the room back."""
        found: list[tuple[int, int]] = []

        def take_out(link: sqlite3.Connection) -> None:
            present = [number - self._base for number in numbers if number > self._base]
            these = (_encode_json(present).decode(),)
            found[:] = [link.execute(f"{_SIZES} {_THESE}", these).fetchone()]
            link.execute(f"delete from entry {_THESE}", these)

        self._transact(take_out)
        self._count(-found[0][0], -found[0][1])
        if not self.measure.events:
            self._ask(self._shrink)

    def close(self) -> None:
        """Close the file."""
        if self._link is not None:
            link, self._link = self._link, None
            with suppress(sqlite3.Error):
                link.close()

    # ------------------------------------------------------------ beneath

    @property
    def _base(self) -> int:
        """What the numbers of the present file are counted from."""
        return self.damaged << _FILE_BITS

    def _count(self, events: int, size: int) -> None:
        oldest = self._ask(lambda link: link.execute(_OLDEST).fetchone())
        self.measure = Measure(self.measure.events + events, self.measure.bytes + size, oldest and oldest[0])

    def _shrink(self, link: sqlite3.Connection) -> None:
        if self._path.stat().st_size > _WORTH_SHRINKING:
            link.execute("vacuum")
            link.execute("pragma wal_checkpoint(truncate)")

    def _transact(self, work: _Work, *, again: bool = True) -> None:
        def whole(link: sqlite3.Connection) -> None:
            link.execute("begin immediate")
            work(link)
            link.execute("commit")

        self._ask(whole, again=again)

    def _ask(self, work: _Work, *, again: bool = True) -> Any:  # noqa: ANN401 - what ``work`` returns
        self.open()
        if self._link is None:
            raise SpoolError("cannot be opened")
        try:
            return work(self._link)
        except DamagedError:
            damaged = True
        except (sqlite3.Error, OSError) as error:
            damaged = _is_damage(error)
            self.close()  # what was begun is taken back
            if not damaged:
                raise SpoolError(f"{type(error).__name__}: {error}") from error
        if not again:
            raise SpoolError("is damaged again and again")
        self._put_aside()
        return self._ask(work, again=False)

    def _opened(self) -> sqlite3.Connection:
        """Return a connection to the file, for its owner's eyes only.

        Raises:
            DamagedError: it is not sound.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            link = sqlite3.connect(self._path, timeout=0.2, isolation_level=None)
        except (sqlite3.Error, OSError) as error:
            raise SpoolError(f"{type(error).__name__}: {error}") from error
        try:
            link.execute("pragma locking_mode=exclusive")
            link.execute("pragma journal_mode=wal")
            link.execute("pragma synchronous=full")
            link.execute(_TABLE)
            sound = link.execute("pragma quick_check(1)").fetchone()[0] == "ok"
            self.measure = Measure(*link.execute(_SIZES).fetchone(), *(link.execute(_OLDEST).fetchone() or (None,)))
            _sync_directory(self._path.parent)
        except (sqlite3.Error, OSError) as error:
            link.close()
            if _is_damage(error):
                raise DamagedError from error
            raise SpoolError(f"{type(error).__name__}: {error}") from error
        if not sound:
            link.close()
            raise DamagedError
        return link

    def _put_aside(self) -> None:
        """Begin a fresh file, with what can be read of the old one; the old one stays beside it."""
        self.close()
        number = 1
        while (aside := self._path.with_name(f"spool-damaged-{number}.sqlite")).exists():
            number += 1
        try:
            for end in ("-wal", ""):
                with suppress(FileNotFoundError):
                    Path(f"{self._path}{end}").rename(f"{aside}{end}")
            Path(f"{self._path}-shm").unlink(missing_ok=True)
        except OSError as error:
            raise SpoolError(f"{type(error).__name__}: {error}") from error
        self.damaged += 1
        try:
            self._link = self._opened()
        except DamagedError as error:
            raise SpoolError("a fresh file is damaged") from error
        self._transact(lambda link: link.executemany(_ADD, map(_row, self._readable(aside))), again=False)
        self.close()  # and is measured when it is opened
        self.open()

    def _readable(self, path: Path) -> Iterator[Entry]:
        with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as link:
            after = 0
            while (row := link.execute(f"{_ROWS} limit 1", (after,)).fetchone()) is not None:
                after = row[0]
                try:
                    yield _entry(row)
                except DamagedError:
                    self.lost += 1
            return
        self.lost += 1


def _row(entry: Entry) -> tuple[object, ...]:
    topic, received_ms, (key, value, headers) = entry
    packed = _encode(headers)
    return topic, received_ms, key, value, packed, crc32(packed, crc32(value, crc32(key)))


def _entry(row: Sequence[Any]) -> Entry:
    """Return the entry in ``row``.

    Raises:
        DamagedError: it is not what was written.
    """
    _, topic, received_ms, key, value, packed, mark = row
    try:
        if crc32(packed, crc32(value, crc32(key))) == mark:
            return Entry(topic, received_ms, Record(key, value, _decode(packed)))
    except (TypeError, msgspec.MsgspecError):
        pass
    raise DamagedError


def _size(entry: Entry) -> int:
    key, value, headers = entry.record
    return len(key) + len(value) + len(_encode(headers)) + _ENTRY_BYTES


def size_of(entries: Iterable[Entry]) -> int:
    """Return how many bytes ``entries`` take."""
    return sum(map(_size, entries))


def _is_damage(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _DAMAGE


def _sync_directory(path: Path) -> None:
    """Have the disk know the names in ``path``, too."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
