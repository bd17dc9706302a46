"""A body into rows: CSV or JSON, as exports and answers of CRMs really come. Pure.

CSV may be separated by comma, semicolon or tab, quoted or not, with columns in any order and any case, with a byte
order mark, with line ends inside quotes. JSON is an array of objects, or an object that holds one. Blank lines are no
rows.
"""

import csv
import io
from collections.abc import Iterator
from typing import Any, Final

from services.ingest.logins.shape import Cells, Format
from services.ingest.vendors.documents import json_value
from services.ingest.vendors.shape import MalformedError

MOST_ROWS: Final = 10_000
LISTS: Final = ("value", "results", "data", "records")
"""Where CRMs put the rows of an answer."""
_MOST_COLUMNS: Final = 500
_MARK: Final = b"\xef\xbb\xbf"
_SEPARATORS: Final = ",;\t"
_SEPARATOR_LINE: Final = "sep="
"""What spreadsheets write before the header to say how cells are separated."""


class TooManyRowsError(ValueError):
    """There are more rows than one body may have."""


def rows_of(body: bytes, form: Format) -> list[Cells | None]:
    """Return the rows of ``body``; None for what is not shaped like one.

    Raises:
        MalformedError: the body is no table of the format.
        TooManyRowsError: it has too many rows.
    """
    plain = body.removeprefix(_MARK).lstrip()
    rows: list[Cells | None] = []
    for row in _objects(plain) if plain[:1] in (b"[", b"{") else _records(plain, form):
        if len(rows) == MOST_ROWS:
            raise TooManyRowsError
        rows.append(row)
    return rows


def _objects(body: bytes) -> Iterator[Cells | None]:
    given = json_value(body)
    if isinstance(given, dict):
        given = next((given[name] for name in LISTS if isinstance(given.get(name), list)), None)
    if not isinstance(given, list):
        raise MalformedError("has no array of rows")
    for each in given:
        yield {name.casefold(): value for name, value in each.items()} if isinstance(each, dict) else None


def _records(body: bytes, form: Format) -> Iterator[Cells | None]:
    try:
        lines = io.StringIO(body.decode(), newline="")
    except UnicodeError as error:
        raise MalformedError("is not text in UTF-8") from error
    first = lines.readline()
    separator = max(_SEPARATORS, key=first.count)
    if first.casefold().startswith(_SEPARATOR_LINE):
        separator = first[len(_SEPARATOR_LINE) :].strip("\r\n")
        if separator not in tuple(_SEPARATORS):
            raise MalformedError("is separated by something other than comma, semicolon or tab")
    else:
        lines.seek(0)
    records = _filled(csv.reader(lines, delimiter=separator, skipinitialspace=True))
    header = [name.strip().casefold() for name in next(records, [])]
    _check(header, form)
    for cells in records:
        if len(cells) > len(header) and any(cell.strip() for cell in cells[len(header) :]):
            yield None
        else:
            yield dict(zip(header, cells, strict=False))


def _filled(records: Any) -> Iterator[list[str]]:  # noqa: ANN401 - csv has no name for its reader
    """Give the records in which anything stands."""
    try:
        for cells in records:
            if any(cell.strip() for cell in cells):
                yield cells
    except csv.Error as error:
        raise MalformedError("has a row that is no CSV") from error


def _check(header: list[str], form: Format) -> None:
    if len(header) > _MOST_COLUMNS:
        raise MalformedError("has too many columns")
    if group := form.lacking(header):
        raise MalformedError(f"lacks the column {' or '.join(group)} of {form.name}")
