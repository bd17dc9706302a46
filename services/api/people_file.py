"""A file of people, CSV or JSON, into rows. One bad row never hides another: what is wrong with it is a value.

Rows are numbered from 1 and count people (the header is row 0, blank lines do not count). Text is kept as it stands,
also where a spreadsheet would take it for a formula.
"""

import csv
import functools
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import msgspec

from services.api.people_row import COLUMNS, FIELDS, FieldError, values_of
from services.api.problems import ProblemError, clean

MOST_COLUMNS: Final = 100
MOST_LINES_OF_A_ROW: Final = 50


@dataclass(frozen=True, slots=True)
class RowError:
    """What is wrong with one column of one row."""

    row: int
    column: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One person as given: only the columns that the file has."""

    row: int
    user: str
    values: dict[str, Any]


@dataclass(slots=True)
class Reading:
    """What is known of a file while it is read: who was named so far, and what was wrong."""

    errors: list[RowError] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def take(self, row: int, cells: Mapping[str, object]) -> PersonRow | None:
        """Return the person of a row; None when it is not usable (the reasons are kept)."""
        try:
            values = values_of(cells)
        except FieldError as error:
            self.errors += [RowError(row, column, reason) for column, reason in error.reasons]
            return None
        user = values.pop("user")
        if user in self.seen:
            self.errors.append(RowError(row, "user", "is named before in this file; the first row stands"))
            return None
        self.seen.add(user)
        return PersonRow(row, user, values)


Rows: TypeAlias = Callable[[Reading], Iterator[PersonRow]]
"""Yields the people of a file, each time it is called from the first row on."""


def people_of_json(body: bytes) -> Rows:
    """Return the people of a JSON array of objects.

    Raises:
        ProblemError: the body is no JSON array.
    """
    try:
        given = _json(body.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError) as error:
        raise ProblemError(400, "The body is not valid JSON in UTF-8.") from error
    if not isinstance(given, list):
        raise ProblemError(422, "The body must be a JSON array with one object for each person.")
    return functools.partial(_json_rows, given)


def _json(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except msgspec.MsgspecError:  # half a surrogate pair in one row: the standard library leaves it to that row
        return json.loads(body, parse_constant=_no_json)


def _no_json(constant: str) -> object:
    raise ValueError(constant)


def _json_rows(given: list[Any], reading: Reading) -> Iterator[PersonRow]:
    unknown: set[str] = set()
    for number, entry in enumerate(given, 1):
        if not isinstance(entry, dict):
            reading.errors.append(RowError(number, None, "is not an object"))
            continue
        for name in entry.keys() - FIELDS - unknown:
            if len(unknown) < MOST_COLUMNS:
                unknown.add(name)
                reading.errors.append(_unknown(name))
        person = reading.take(number, {name: value for name, value in entry.items() if name in FIELDS})
        if person is not None:
            yield person


def _unknown(name: str) -> RowError:
    return RowError(0, clean(name, 100), "is not a column of the directory; it was left out")


def people_of_csv(body: bytes) -> Rows:
    """Return the people of a CSV file in UTF-8 with a header line, separated by commas.

    Raises:
        ProblemError: the header is not usable.
    """
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ProblemError(422, "The file is in UTF-16; save it as CSV in UTF-8.")
    text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    header = _header(next(_lines_of(text), None), text)
    return functools.partial(_csv_rows, text, header)


def _lines_of(text: str) -> Iterator[list[str] | str]:
    return _records(io.StringIO(text, newline=""))


def _header(cells: list[str] | str | None, text: str) -> list[str]:
    if not isinstance(cells, list):
        raise ProblemError(422, "The file has no header line.")
    names = [cell.strip().lower() for cell in cells]
    if len(names) > MOST_COLUMNS:
        raise ProblemError(422, f"The header has more than {MOST_COLUMNS} columns.")
    if "user" not in names:
        first = text.partition("\n")[0]
        hint = " It is separated by semicolons: commas are expected." if ";" in first and "," not in first else ""
        raise ProblemError(422, f"The header has no column 'user'.{hint} Columns are: {', '.join(sorted(COLUMNS))}.")
    if twice := {name for name in names if name in COLUMNS and names.count(name) > 1}:
        raise ProblemError(422, f"The header names a column twice: {', '.join(sorted(twice))}.")
    return names


def _csv_rows(text: str, header: list[str], reading: Reading) -> Iterator[PersonRow]:
    reading.errors += [_unknown(name) for name in header if name not in COLUMNS]
    wanted = [(place, name) for place, name in enumerate(header) if name in COLUMNS]
    for number, cells in enumerate(_lines_of(text)):
        if number == 0:
            continue  # the header
        if isinstance(cells, str):
            reading.errors.append(RowError(number, None, cells))
        elif len(cells) != len(header):
            reading.errors.append(RowError(number, None, f"has {len(cells)} cells, the header has {len(header)}"))
        else:
            person = reading.take(number, {name: cells[place] for place, name in wanted})
            if person is not None:
                yield person


def _records(lines: Iterator[str]) -> Iterator[list[str] | str]:
    """Yield the cells of each record, or what is wrong with it.

    A quote that is never closed must not swallow the rest of the file: the record is given up, and reading goes on with
    the next line.
    """
    pending: list[str] = []
    while True:
        taken, record = _record(pending, lines)
        if not taken:
            return
        del pending[:taken]
        if record:
            yield record


def _record(pending: list[str], lines: Iterator[str]) -> tuple[int, list[str] | str]:
    """Return how many ``pending`` lines are the next record (0: none is left), and its cells or what is wrong."""
    quotes = 0
    for taken in range(1, MOST_LINES_OF_A_ROW + 1):
        if len(pending) < taken:
            line = next(lines, None)
            if line is None:
                break
            pending.append(line)
        quotes += pending[taken - 1].count('"')
        if quotes % 2 and taken > 1:
            continue  # within a quoted cell
        cells = _cells(pending[:taken])  # also with one stray quote in a cell, such as a size in inches
        if cells is not None:
            return taken, cells
        if quotes % 2 == 0:
            break
    return (1, "is not well-formed CSV (is a quote not closed?)") if pending else (0, [])


def _cells(lines: list[str]) -> list[str] | None:
    try:
        rows = list(csv.reader(lines, strict=True))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else [] if not rows else None
