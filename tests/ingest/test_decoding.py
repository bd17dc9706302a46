import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.decoding import MAX_DEPTH, MAX_EVENT, Decoded, read_batch, read_event, salvage_batch, with_data
from services.ingest.normalise import Rejection
from services.ingest.problems import NOT_A_BATCH, NOT_JSON, TOO_MANY_EVENTS, Problem, RefusedError

GOOD = b'{"specversion":"1.0","id":"good","source":"/crm","type":"t","data":{"user":"ada"}}'


def batch(body: bytes) -> list[Decoded]:
    """As the front door does it: the fast road, and the salvage where that gives up."""
    events = read_batch(body)
    return salvage_batch(body) if events is None else events


def flaw(event: bytes) -> Rejection:
    """Return what is wrong with ``event``, which must not hurt its neighbours."""
    events = batch(b"[" + GOOD + b", " + event + b"\n," + GOOD + b"]")
    alone = read_event(event)

    assert events[0] == events[2] == json.loads(GOOD)
    assert isinstance(events[1], Rejection)
    assert events[1] == alone
    return events[1]


def nested(levels: int) -> bytes:
    return b'{"id":"e","data":' + b'{"a":' * levels + b"1" + b"}" * levels + b"}"


@pytest.mark.parametrize(
    ("event", "pointer", "reason"),
    [
        pytest.param(b'{"id":"e","data":{"a":NaN}}', "/data/a", "no number", id="NaN"),
        pytest.param(b'{"id":"e","data":{"a":[1,-Infinity]}}', "/data/a/1", "no number", id="Infinity"),
        pytest.param(b'{"id":"e","data":{"a":1e999}}', "/data/a", "64 bits", id="1e999"),
        pytest.param(b'{"id":"e","data":{"a":' + b"9" * 5000 + b"}}", "/data/a", "64 bits", id="5,000 digits"),
        pytest.param(b'{"id":"e","data":{"a":"\\ud800"}}', "/data/a", "Unicode", id="half a surrogate pair"),
        pytest.param(b'{"id":"e","data":{"a":"\\udc00\\ud800"}}', "/data/a", "Unicode", id="a pair the wrong way"),
        pytest.param(b'{"id":"e","data":{"a":"\xff"}}', "/data/a", "Unicode", id="a byte that is no UTF-8"),
        pytest.param(b'{"id":"e","data":{"a":"\xc0\x80"}}', "/data/a", "Unicode", id="an overlong NUL"),
        pytest.param(b'{"id":"e","data":{"a":"\xed\xa0\x80"}}', "/data/a", "Unicode", id="a CESU surrogate"),
        pytest.param(nested(500), "", "deeper", id="500 levels"),
        pytest.param(nested(MAX_DEPTH + 1), "", "deeper", id="just too deep"),
        pytest.param(nested(100_00), "", "deeper", id="10,000 levels"),
        pytest.param(b'{"id":"e","a":' + b"[" * 33 + b"]" * 33 + b"}", "", "deeper", id="33 arrays"),
        pytest.param(b'{"id":"e","id":"f"}', "/id", "twice", id="an attribute twice"),
        pytest.param(b'{"id":"e","\\u0069d":"f"}', "/id", "twice", id="an attribute twice, once escaped"),
        pytest.param(b'{"id" : "e","id":"f"}', "/id", "twice", id="an attribute twice, once with a blank"),
        pytest.param(b'{"id"\n:"e","id":"f"}', "/id", "twice", id="an attribute twice, once on two lines"),
        pytest.param(b'{"id":"e","data":{"a":1,"a":1}}', "/data/a", "twice", id="a data attribute twice"),
        pytest.param(b'{"id":"e","data":{"fields":{"a":1,"a":2}}}', "/data/fields/a", "twice", id="a field twice"),
        pytest.param(b'{"id":"e","data":{},"data":{"user":"x"}}', "/data", "twice", id="data twice"),
        pytest.param(b'{"id":"e","data":{"fields":{}, "fields":{"a":1}}}', "/data/fields", "twice", id="fields twice"),
        pytest.param(b'"text"', "", "object", id="a text"),
        pytest.param(b"5", "", "object", id="a number"),
        pytest.param(b"null", "", "object", id="null"),
        pytest.param(b'[{"id":"e"}]', "", "object", id="an array"),
        pytest.param(b'{"id":"' + b"x" * MAX_EVENT + b'"}', "", "256 KiB", id="more than 256 KiB"),
    ],
)
def test_a_flawed_event_is_rejected_where_the_flaw_is_and_its_neighbours_are_not(
    event: bytes, pointer: str, reason: str
) -> None:
    found = flaw(event)

    assert found.pointer == pointer
    assert reason in found.reason


def test_a_flawed_event_is_named_by_its_id_where_that_is_sound() -> None:
    assert flaw(b'{"id":"e","data":{"a":NaN}}').id == "e"
    assert flaw(b'{"id":"\\ud800"}').id is None
    assert flaw(b'{"id":NaN}').id is None


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b" \n", id="blanks"),
        pytest.param(b"[", id="an open array"),
        pytest.param(b"[" * 100_000, id="100,000 open arrays"),
        pytest.param(b"[" + GOOD, id="an array without its end"),
        pytest.param(b"[" + GOOD + b"] x", id="text behind the array"),
        pytest.param(b"[" + GOOD + b"]]", id="a bracket too many"),
        pytest.param(b"[" + GOOD + b",]", id="a trailing comma"),
        pytest.param(b"[" + GOOD + b",," + GOOD + b"]", id="two commas"),
        pytest.param(b"[" + GOOD + b" " + GOOD + b"]", id="no comma"),
        pytest.param(b"[/* hello */" + GOOD + b"]", id="a comment"),
        pytest.param(b"[{'id':'e'}]", id="single quotes"),
        pytest.param(b'[{"id":0123}]', id="a leading zero"),
        pytest.param(b'[{"id":1.}]', id="a number that ends in a dot"),
        pytest.param(b'[{"id":"a\x00b"}]', id="a raw NUL in a text"),
        pytest.param(b'[{"id":"a\tb"}]', id="a raw tab in a text"),
        pytest.param(b'[{"id":"a\nb"}]', id="a raw newline in a text"),
        pytest.param(b'[{"id":"a}]', id="a text without its end"),
        pytest.param(b'[{"id":"\\x41"}]', id="an escape that does not exist"),
        pytest.param(b"[{]}", id="brackets that cross"),
        pytest.param("[{}]".encode("utf-16"), id="UTF-16"),
        pytest.param("[{}]".encode("utf-32"), id="UTF-32"),
        pytest.param(b"<xml/>", id="XML"),
        pytest.param(b"a=1&b=2", id="a form"),
        pytest.param(b"\xff\xfe", id="bytes that are no UTF-8"),
    ],
)
def test_a_body_that_is_no_json_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(RefusedError) as refused:
        batch(body)

    assert refused.value.problem is NOT_JSON


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"{}", NOT_A_BATCH),
        (b'"x"', NOT_A_BATCH),
        (b"5", NOT_A_BATCH),
        (b"null", NOT_A_BATCH),
        (b"NaN", NOT_A_BATCH),
        (b"[" + b",".join([b"{}"] * 2501) + b"]", TOO_MANY_EVENTS),
        (b"[NaN," + b",".join([b"[]"] * 1_000_000) + b"]", TOO_MANY_EVENTS),
    ],
    ids=["an object", "a text", "a number", "null", "NaN", "2,501 events", "a million empty arrays beside a NaN"],
)
def test_json_that_is_no_batch_is_refused(body: bytes, problem: Problem) -> None:
    with pytest.raises(RefusedError) as refused:
        batch(body)

    assert refused.value.problem is problem


@pytest.mark.parametrize("body", [b"", b"{", b"{'a':1}", b"a", b'{"a":01}', b'{"id":"e"} x', "{}".encode("utf-16")])
def test_a_single_event_that_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(RefusedError) as refused:
        read_event(body)

    assert refused.value.problem is NOT_JSON


def test_a_byte_order_mark_is_no_matter() -> None:
    assert read_event(b"\xef\xbb\xbf" + GOOD) == json.loads(GOOD)
    assert batch(b"\xef\xbb\xbf[" + GOOD + b"]") == [json.loads(GOOD)]
    assert isinstance(batch(b"\xef\xbb\xbf[" + GOOD + b",NaN]")[1], Rejection)


@pytest.mark.parametrize("body", [b"[]", b" [ ] ", b"\xef\xbb\xbf[]"])
def test_an_empty_batch_is_a_batch(body: bytes) -> None:
    assert batch(body) == salvage_batch(body) == []


def test_the_deepest_allowed_event_is_read() -> None:
    deepest = b'{"id":"e","a":' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}"

    assert read_event(deepest) == json.loads(deepest)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 60), 1 << 60) | st.text(st.characters(codec="utf-8"), max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=6), inner)
    ),
    max_leaves=6,
)
layouts = st.sampled_from([{}, {"separators": (",", ":")}, {"indent": 1}, {"separators": (" ,", " : ")}])


@given(st.lists(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=6), json_values), max_size=4), layouts)
@settings(max_examples=100)
def test_both_roads_read_what_the_standard_library_reads(events: list[dict[str, Any]], layout: Any) -> None:
    body = json.dumps(events, **layout).encode()

    assert read_batch(body) == salvage_batch(body) == events
    salvaged = salvage_batch(b"[NaN," + body[1:]) if events else [None]
    assert salvaged[1:] == events


@given(st.binary(max_size=60) | st.text('{}[]":,\\ntrue01 ', max_size=40).map(str.encode))
@settings(max_examples=150)
def test_no_body_does_anything_but_be_read_or_refused(body: bytes) -> None:
    for road in (batch, read_event):
        refused: Problem | None = None
        try:
            road(body)
        except RefusedError as error:
            refused = error.problem

        assert refused is None or refused.status in {400, 413}


@given(st.sampled_from(["id", "source", "data", "x"]), st.sampled_from(["", " ", "\n", "\t"]), st.booleans())
def test_a_key_that_stands_twice_is_always_noticed(name: str, blank: str, escaped: bool) -> None:  # noqa: FBT001
    again = f"\\u{ord(name[0]):04x}{name[1:]}" if escaped else name
    text = json.dumps({"specversion": "1.0", "id": '":', "source": "s : ", "data": {"note": 'a":b'}, "x": 1})

    found = read_event(text[:-1].encode() + f',"{again}"{blank}:"z"}}'.encode())

    assert found == Rejection(f"/{name}", "is given twice", None if name == "id" else '":')


def test_base64_data_is_read_as_data() -> None:
    assert with_data({"data_base64": "eyJ1c2VyIjoiYWRhIn0="}) == {"data": {"user": "ada"}}
    assert with_data({"data_base64": None, "id": "e"}) == {"id": "e"}


@pytest.mark.parametrize(
    ("event", "pointer"),
    [
        pytest.param({"data_base64": "..."}, "/data_base64", id="no base64"),
        pytest.param({"data_base64": "é"}, "/data_base64", id="no ASCII"),
        pytest.param({"data_base64": 5}, "/data_base64", id="a number"),
        pytest.param({"data_base64": "aGVsbG8="}, "/data_base64", id="no JSON inside"),
        pytest.param({"data_base64": "WzFd"}, "/data_base64", id="an array inside"),
        pytest.param({"data_base64": "eyJhIjoxLCJhIjoyfQ=="}, "/data_base64/a", id="a key twice inside"),
        pytest.param({"data_base64": "e30=", "data": {}}, "/data_base64", id="beside data"),
    ],
)
def test_base64_data_that_holds_no_object_is_rejected(event: dict[str, Any], pointer: str) -> None:
    found = with_data({"id": "e", **event})

    assert isinstance(found, Rejection)
    assert (found.pointer, found.id) == (pointer, "e")
