"""Files into bodies: no record is torn, no row is lost, and every body stands for itself."""

import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.cli.tables import TableError, bodies

CELL = st.text(st.sampled_from('ab ",;\n\r'), max_size=8)


def written(rows: list[list[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([["user", "time"], *rows])
    return text.getvalue().encode()


@settings(max_examples=150)
@given(st.lists(st.tuples(st.just("u"), CELL).map(list), max_size=12), st.integers(20, 80), st.integers(1, 5))
def test_every_record_is_in_one_body_with_the_header(rows: list[list[str]], most: int, count: int) -> None:
    found = list(bodies(io.BytesIO(written(rows)), most_bytes=most, most_rows=count))
    read = [list(csv.reader(io.StringIO(body.content.decode(), newline=""))) for body in found]

    assert [row for table in read for row in table[1:]] == rows
    assert all(table[0] == ["user", "time"] for table in read)
    assert [body.first for body in found] == [1 + sum(each.rows for each in found[:n]) for n in range(len(found))]
    assert all(body.rows == len(table) - 1 <= count for body, table in zip(found, read, strict=True))


@pytest.mark.parametrize("begin", [b"", b"\xef\xbb\xbf", b"\n \r\n"])
@pytest.mark.parametrize("answer", ["{}", '{{"results": {}, "paging": {{}}}}'])
def test_a_list_of_objects_is_divided(begin: bytes, answer: str) -> None:
    rows = [{"id": number} for number in range(7)]
    file = begin + answer.format(json.dumps(rows, indent=1)).encode()
    found = list(bodies(io.BytesIO(file), most_rows=3))

    assert [(body.first, body.rows, body.kind) for body in found] == [
        (1, 3, "application/json"),
        (4, 3, "application/json"),
        (7, 1, "application/json"),
    ]
    assert [row for body in found for row in json.loads(body.content)] == rows


def test_a_line_that_names_the_separator_belongs_to_the_header() -> None:
    found = list(bodies(io.BytesIO(b"sep=;\nuser;time\n\nada;1\n;\nbo;2"), most_rows=1))

    assert [body.content for body in found] == [b"sep=;\nuser;time\nada;1\n", b"sep=;\nuser;time\nbo;2"]


@pytest.mark.parametrize("file", [b"", b"\n\n", b"user,time\n", b"[]"])
def test_a_file_without_rows_has_no_bodies(file: bytes) -> None:
    assert not list(bodies(io.BytesIO(file)))


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (b"{1", "not JSON"),
        (b'{"a": 1}', "no array of rows"),
        (b'user,time\n"' + b"a\n" * 99, "a quote that is never closed"),
    ],
)
def test_what_is_no_table_is_told(file: bytes, reason: str) -> None:
    with pytest.raises(TableError, match=reason):
        list(bodies(io.BytesIO(file), most_bytes=50))
