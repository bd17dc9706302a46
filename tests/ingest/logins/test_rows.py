"""Tables as they really come: any order, case, separator, line end and quoting reads the same."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.logins.catalogue import FORMATS, Sender, Taken, take
from services.ingest.logins.rows import MOST_ROWS, TooManyRowsError, rows_of
from services.ingest.vendors.shape import MalformedError
from tests.ingest.deliveries import RECEIVED
from tests.ingest.logins.exports import ROWS, TABLES, export, table

FEW = settings(max_examples=40)
CELL = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\x00"), max_size=12)


def flat(form: str) -> dict[str, Any]:
    """Return a good row whose values may stand in cells."""
    row = {name: value for name, value in ROWS[form]().items() if name != "attributes"}
    return row | ({"create_uid": "Ada (7)"} if form == "odoo-logins" else {})


def read(form: str, body: bytes) -> Taken:
    return take(FORMATS[form], Sender("acme"), body, RECEIVED)


@pytest.mark.parametrize("form", sorted(FORMATS))
@FEW
@given(data=st.data())
def test_however_a_table_is_written_it_reads_the_same(form: str, data: st.DataObject) -> None:
    row = flat(form)
    names = data.draw(st.permutations(list(row)))
    spelled = {data.draw(st.sampled_from([name, name.lower(), name.upper(), f" {name} "])): row[name] for name in names}
    spelled["Remark"] = data.draw(CELL)
    text = table(
        spelled,
        separator=data.draw(st.sampled_from([",", ";", "\t"])),
        end=data.draw(st.sampled_from(["\n", "\r\n", "\r"])),
    )
    body = data.draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + text.encode()

    assert read(form, body).records == read(form, export(form)).records


@pytest.mark.parametrize("form", sorted(FORMATS.keys() - TABLES))
def test_json_may_come_bare_or_in_an_answer(form: str) -> None:
    bare = json.dumps([ROWS[form]()]).encode()

    assert read(form, bare).records == read(form, b"\xef\xbb\xbf \n" + export(form)).records != []


@FEW
@given(st.sampled_from(sorted(FORMATS)), st.binary(max_size=300))
def test_garbage_is_malformed_or_refused_row_by_row(form: str, body: bytes) -> None:
    with contextlib.suppress(MalformedError):
        assert not read(form, body).records


@FEW
@given(st.sampled_from(sorted(FORMATS)), st.data())
def test_whatever_stands_in_the_cells_nothing_fails_and_rows_add_up(form: str, data: st.DataObject) -> None:
    names = sorted({*flat(form), *(name for group in FORMATS[form].needs for name in group)})
    value = st.none() | st.booleans() | st.integers() | st.floats() | CELL | st.sampled_from(list(flat(form).values()))
    rows = data.draw(st.lists(st.fixed_dictionaries(dict.fromkeys(names, value)) | value, max_size=5))
    found = read(form, json.dumps(rows, allow_nan=False).encode() if _finite(rows) else b"[]")

    assert len(found.records) + len(found.refused) + found.skipped == (len(rows) if _finite(rows) else 0)


def _finite(rows: list[Any]) -> bool:
    try:
        json.dumps(rows, allow_nan=False)
    except ValueError:
        return False
    return True


@FEW
@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=6))
def test_cells_come_back_whatever_is_in_them(cells: list[tuple[str, str]]) -> None:
    rows = [{"user": user, "time": time} for user, time in cells]
    found = rows_of(table(*rows).encode(), FORMATS["csv"])

    assert found == [row for row in rows if any(value.strip() for value in row.values())]


def test_blank_lines_are_no_rows_and_a_spreadsheet_may_name_its_separator() -> None:
    body = b"sep=;\r\n\r\nuser;time\r\n;\r\nada;2026-03-02 08:15\r\n\r\n"

    assert rows_of(body, FORMATS["csv"]) == [{"user": "ada", "time": "2026-03-02 08:15"}]


def test_a_row_with_more_cells_than_the_header_is_refused() -> None:
    found = read("csv", b"user,time\nada,2026-03-02T08:15:30Z,what\nbo,2026-03-02T08:15:30Z,\n")

    assert [(each.row, each.rejection.reason) for each in found.refused] == [(0, "is not a row of the table")]
    assert len(found.records) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "lacks the column"),
        (b"{}", "has no array of rows"),
        (b"[1", "is not JSON"),
        ("user,time\né,1\n".encode("latin-1"), "not text in UTF-8"),
        ("user,time\n".encode("utf-16"), "not text in UTF-8"),
        (b'user,time\n"' + b"x" * 200_000, "no CSV"),
        (b",".join([b"user"] * 501) + b"\n", "too many columns"),
        (b"sep=|\nuser|time\n", "separated by something other"),
    ],
)
def test_what_is_no_table_is_refused_as_a_whole(body: bytes, reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        rows_of(body, FORMATS["csv"])


def test_there_are_at_most_so_many_rows() -> None:
    header, row = b"user,time\n", b"ada,2026-03-02T08:15:30Z\n"

    assert len(rows_of(header + row * MOST_ROWS, FORMATS["csv"])) == MOST_ROWS
    with pytest.raises(TooManyRowsError):
        rows_of(header + row * (MOST_ROWS + 1), FORMATS["csv"])
