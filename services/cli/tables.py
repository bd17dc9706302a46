"""A file of rows into bodies that a request may carry: CSV by records, JSON by objects. Pure.

Every body stands for itself: those of CSV repeat the header. Line ends inside quotes belong to their record. Rows are
numbered from 1 in each file; blank lines are no rows.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import IO, Any, Final, NamedTuple

from services.ingest.logins.rows import LISTS, MOST_ROWS

MOST_BYTES: Final = 4 << 20
_NOTHING: Final = b' \t\r\n,;"'
_MARK: Final = b"\xef\xbb\xbf"
_SEPARATOR_LINE: Final = b"sep="


class TableError(ValueError):
    """The file is no table, or has a row that no body can hold."""


class Body(NamedTuple):
    """A part of a file: ``first`` is the number of its first row."""

    first: int
    rows: int
    content: bytes
    kind: str


def bodies(file: IO[bytes], *, most_bytes: int = MOST_BYTES, most_rows: int = MOST_ROWS) -> Iterator[Body]:
    """Give the parts of ``file``.

    Raises:
        TableError: it is no table.
    """
    lines = iter(file)
    begin: list[bytes] = []
    for line in lines:
        begin.append(line)
        if line.removeprefix(_MARK).strip():
            break
    start = b"".join(begin).removeprefix(_MARK).lstrip()
    if start[:1] in (b"[", b"{"):
        yield from _of_objects(b"".join(chain([start], lines)), most_bytes, most_rows)
    elif start:
        yield from _of_records(_records(chain([start], lines), most_bytes), most_bytes, most_rows)


def _of_objects(text: bytes, most_bytes: int, most_rows: int) -> Iterator[Body]:
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TableError("is not JSON in UTF-8") from error
    if isinstance(given, dict):
        given = next((given[name] for name in LISTS if isinstance(given.get(name), list)), None)
    if not isinstance(given, list):
        raise TableError("has no array of rows")
    rows = (json.dumps(each).encode() for each in given)
    yield from _gathered(rows, b"[", b",", b"]", "application/json", most_bytes, most_rows)


def _of_records(records: Iterator[bytes], most_bytes: int, most_rows: int) -> Iterator[Body]:
    header = next(records, b"")
    if header.lower().startswith(_SEPARATOR_LINE):
        header += next(records, b"")
    if not header.endswith((b"\n", b"\r")):
        header += b"\n"
    yield from _gathered(records, header, b"", b"", "text/csv", most_bytes, most_rows)


def _records(lines: Iterable[bytes], most_bytes: int) -> Iterator[bytes]:
    """Give the records: lines up to one after which every quote is closed."""
    held = bytearray()
    quotes = 0
    for line in lines:
        held += line
        quotes += line.count(b'"')
        if quotes % 2 and len(held) > most_bytes:
            raise TableError("has a quote that is never closed")
        if not quotes % 2:
            if held.strip(_NOTHING):
                yield bytes(held)
            held.clear()
    if held.strip(_NOTHING):
        yield bytes(held)


def _gathered(
    rows: Iterable[bytes], begin: bytes, between: bytes, end: bytes, kind: str, most_bytes: int, most_rows: int
) -> Iterator[Body]:
    held: list[bytes] = []
    size, first = len(begin), 1

    def body() -> Body:
        return Body(first, len(held), begin + between.join(held) + end, kind)

    for row in rows:
        if held and (len(held) == most_rows or size + len(row) + 2 > most_bytes):
            yield body()
            first += len(held)
            held, size = [], len(begin)
        held.append(row)
        size += len(row) + len(between)
    if held:
        yield body()


def answers(told: Any, body: Body) -> Iterator[str]:  # noqa: ANN401 - JSON is any shape
    """Give the rows of ``body`` that were refused, one line each."""
    for each in told["rejected"]:
        yield f"row {body.first + each['index']}: {each['pointer'].lstrip('/')} {each['reason']}".replace(":  ", ": ")
